"""A job ends, with the same words and the same exit code, whatever has become of W&B."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from nemotron import kit
from nemotron.kit import wandb_kit
from nemotron.kit.errors import UnavailableError
from nemotron.kit.integrations.wandb import exit as at_end
from nemotron.kit.integrations.wandb import service
from nemotron.kit.integrations.wandb.delivery_sync import end_orphan, sync
from nemotron.kit.integrations.wandb.probing import answers
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.memory import MemoryStore
from nemotron.kit.tracking.leases import Lease, Leases
from nemotron.kit.tracking.outbox import Outbox
from wandb_server import WandbServer

SCRIPT = Path(__file__).parent / "scripts" / "job.py"
SAID = "art://model:v1\nart://model:v2\nart://model:v3\n"


def hurt(server: WandbServer, how: str) -> None:
    if how == "gone":
        server.stop()
    elif how == "failing":
        server.failing = 500
    elif how == "hanging":
        server.hanging.set()


def run_job(
    server: WandbServer, tmp_path: Path, how: str, *, mode: str = "online"
) -> tuple[int, str, str, int]:
    """Run the job, hurt the server after its first save; (exit code, stdout, stderr, its process id)."""
    job = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(tmp_path / "store"), str(tmp_path / "out")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "WANDB_MODE": mode},
    )
    assert job.stdout is not None
    first = job.stdout.readline()
    hurt(server, how)
    # The client's service inherits the pipes: this comes to an end only when it has ended as well.
    out, err = job.communicate("\n", timeout=100)
    return job.returncode, first + out, err, job.pid


@pytest.mark.slow
@pytest.mark.parametrize("how", ["well", "gone", "failing", "hanging"])
def test_a_job_ends_and_one_sync_brings_everything(
    wandb_server: WandbServer, real_wandb: ModuleType, tmp_path: Path, how: str
) -> None:
    code, out, err, pid = run_job(wandb_server, tmp_path, how)
    assert (code, out) == (0, SAID), err
    assert "Traceback" not in err
    assert service.services_of(pid) == []
    registry = Registry.open(tmp_path / "store")
    assert [record.version for record in registry.versions("model")] == [1, 2, 3]
    assert len(Outbox(registry.store).ids()) == (0 if how == "well" else 2)
    assert ("has not answered for 2 s" in err) == (how != "well")
    wandb_server.recover()
    assert len(sync(registry).delivered) == (0 if how == "well" else 2)
    assert wandb_server.names() == ["model:v0", "model:v1", "model:v2"]
    assert [made.name for made in wandb_server.only_run().outputs] == wandb_server.names()
    assert wandb_server.artifact("model:latest").metadata["step"] == 3


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_a_job_says_the_same_without_a_server(
    wandb_server: WandbServer, real_wandb: ModuleType, tmp_path: Path, mode: str
) -> None:
    code, out, err, _ = run_job(wandb_server, tmp_path, "gone", mode=mode)
    assert (code, out) == (0, SAID), err
    waiting = Outbox(Registry.open(tmp_path / "store").store).ids()
    assert len(waiting) == (3 if mode == "offline" else 0)


@pytest.mark.parametrize(
    ("has_store", "whose"), [(True, "the kit's"), (False, "the kit's"), (True, "its own")]
)
def test_a_run_that_the_kit_began_is_finished_although_the_server_has_gone(
    wandb_server: WandbServer,
    real_wandb: ModuleType,
    tmp_path: Path,
    has_store: bool,
    whose: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(at_end, "GRACE_S", 0.5)
    backend = {"root": tmp_path / "store"} if has_store else {"backend": "wandb"}
    kit.init(**backend, wandb_project="proj")
    wandb_kit.init_wandb_if_configured(wandb_kit.WandbConfig("proj"))
    hurt(wandb_server, "gone")
    with nullcontext() if has_store else pytest.raises(UnavailableError, match="finish the run"):
        wandb_kit.finish_run() if whose == "the kit's" else real_wandb.finish()
    assert service.services_of(os.getpid()) == []
    assert caplog.text.count("is ended to let the job go on") == 1
    # The next run of the process has nothing to do with it.
    wandb_server.recover()
    wandb_kit.init_wandb_if_configured(wandb_kit.WandbConfig("proj"))
    assert real_wandb.run is not None
    assert not real_wandb.run.offline
    wandb_kit.finish_run()


IDLE = """
import sys
from nemotron.kit import wandb_kit
from nemotron.kit.integrations.wandb import exit as at_end

at_end.GRACE_S = 1.0
wandb_kit.init_wandb_if_configured(wandb_kit.WandbConfig("proj"))
import wandb

wandb.run.log({"loss": 1.0})
print("begun", flush=True)
sys.stdin.readline()
"""


def test_a_process_ends_that_has_saved_nothing(wandb_server: WandbServer, real_wandb: ModuleType) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    job = subprocess.Popen([sys.executable, "-c", IDLE], text=True, **pipes)
    assert job.stdout is not None
    assert job.stdout.readline() == "begun\n"
    hurt(wandb_server, "gone")
    _, err = job.communicate("\n", timeout=100)
    assert job.returncode == 0, err
    assert "is ended to let the job go on" in err
    assert "Traceback" not in err


# -- the watch, with a clock of its own --------------------------------------------------------------------


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A service that runs until it is killed or the test ends it."""
    running = [4242]
    monkeypatch.setattr(service, "services_of", lambda parent: list(running))
    monkeypatch.setattr(service, "kill", lambda pid: running.remove(pid) is None)
    return running


def watch(
    services: list[int], is_answering: Callable[[float], bool], ends_at: float = 1e9
) -> tuple[list[int], float]:
    """Let time pass until it is over: what was ended, and when."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        if now[0] >= ends_at:
            services.clear()

    ended = at_end.end_service(
        "http://x", "", sleep=sleep, clock=lambda: now[0], is_answering=lambda server: is_answering(now[0])
    )
    return ended, now[0]


def test_a_server_that_fails_for_20_s_without_a_break_is_given_up(services: list[int]) -> None:
    ended, at = watch(services, lambda now: False)
    assert ended == [4242]
    assert 20 <= at <= 23


def test_a_slow_upload_to_a_healthy_server_is_never_cut(services: list[int]) -> None:
    assert watch(services, lambda now: True, ends_at=3600) == ([], pytest.approx(3600, abs=3))


def test_a_server_that_recovers_is_not_cut(services: list[int]) -> None:
    ended, at = watch(services, lambda now: now > 15, ends_at=500)
    assert ended == []
    assert at >= 500


def test_nobody_is_ended_when_there_is_nothing_to_wait_for_any_more(services: list[int]) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    ended = at_end.end_service(
        "http://x",
        "",
        sleep=sleep,
        clock=lambda: now[0],
        is_answering=lambda server: False,
        is_done=lambda: now[0] > 10,
    )
    assert (ended, services) == ([], [4242])


def test_a_healthy_end_asks_nobody(services: list[int]) -> None:
    asked: list[float] = []

    def answer(now: float) -> bool:
        asked.append(now)
        return True

    watch(services, answer, ends_at=2.0)
    assert asked == []


def test_only_the_client_s_own_service_is_ended() -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert not service.is_service(sleeper.pid)
        assert not service.kill(sleeper.pid)
        assert sleeper.poll() is None
        assert service.services_of(os.getpid()) == []
    finally:
        sleeper.communicate(b"\n")


def test_the_service_of_a_killed_deliverer_is_ended_and_no_other_of_its_process_id() -> None:
    """A process id is given again, and what has it by then may be the service of a job that trains."""
    running = subprocess.Popen(
        [service.PROGRAM, "-c", "input()"], executable=sys.executable, stdin=subprocess.PIPE
    )
    try:
        while not Path(f"/proc/{running.pid}/cmdline").read_bytes():
            os.sched_yield()  # the kernel has not put down yet what was executed
        assert service.is_service(running.pid)
        leases = Leases(MemoryStore(), "leases")
        taken = leases.take("run")
        assert taken is not None
        lease = leases.renew(taken, service=running.pid)
        assert lease is not None
        end_orphan(lease)  # its deliverer lives
        gone = replace(lease, holder=replace(lease.holder, started="1"))
        end_orphan(replace(gone, service_started="1"))
        end_orphan(replace(gone, service_started=""))  # as earlier kits wrote it down
        assert running.poll() is None
        end_orphan(Lease.from_bytes(gone.to_bytes(), "there"))
        assert running.wait() == -signal.SIGKILL
    finally:
        running.kill()
        running.communicate()


def test_a_probe_tells_an_answer_from_a_failure(wandb_server: WandbServer) -> None:
    assert answers(wandb_server.url)
    wandb_server.failing = 503
    assert not answers(wandb_server.url)
    wandb_server.failing = 403
    assert answers(wandb_server.url)
    wandb_server.failing = None
    wandb_server.hanging.set()
    assert not answers(wandb_server.url, timeout_s=0.1)
    wandb_server.hanging.clear()
    wandb_server.stop()
    assert not answers(wandb_server.url)
    assert not answers("")
    assert not wandb_server.keys


def test_a_probe_goes_by_the_proxy_as_the_client_does(
    wandb_server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", wandb_server.url)
    assert answers("http://wandb.example:1/base")
    with monkeypatch.context() as directly:
        directly.setenv("no_proxy", "wandb.example")
        directly.setattr("socket.getaddrinfo", raising)
        assert not answers("http://wandb.example:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert answers(wandb_server.url)


def raising(*_: object, **__: object) -> None:
    raise OSError("no such host")
