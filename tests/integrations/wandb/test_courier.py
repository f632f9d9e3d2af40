"""A save never fails and never waits long because of W&B, whatever state W&B is in."""

import base64
import logging
import os
import shlex
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nemotron import kit
from nemotron.kit import context, wandb_kit
from nemotron.kit.errors import UnavailableError
from nemotron.kit.integrations.wandb.courier import Courier
from nemotron.kit.integrations.wandb.delivery_sync import sync
from nemotron.kit.integrations.wandb.tracker import WandbTracker
from nemotron.kit.tracking.composite import CompositeTracker
from nemotron.kit.tracking.outbox import Outbox
from wandb_server import WandbServer, read_log


@pytest.fixture
def store(tmp_path: Path) -> None:
    kit.init(root=tmp_path / "the store", wandb_project="proj", wandb_timeout_s=20)


@pytest.fixture
def save(store: None, tmp_path: Path) -> Callable[..., Any]:
    """Saves a model; each step is another one."""

    def save(step: int, name: str = "model", **values: Any) -> Any:
        place = tmp_path / f"m{step}"
        if not place.exists():
            place.mkdir()
            (place / "weights.bin").write_text(f"{step}")
        model = kit.ModelArtifact(path=place, step=step)
        model.save(name=name, **values)
        return model

    return save


def outbox() -> Outbox:
    return Outbox(context.require_registry().store)


def courier() -> Courier:
    tracker = context.current_tracker()
    assert isinstance(tracker, CompositeTracker)
    wandb = tracker.trackers[1]
    assert isinstance(wandb, WandbTracker)
    return wandb.courier


def sync_command() -> list[str]:
    """What a hint must come to when it is pasted into a shell; the folder of the store has a space."""
    return ["nemotron", "kit", "sync", "--root", str(context.require_registry().root)]


def reasons() -> list[str]:
    return [one.failure.kind if one.failure else "" for one in outbox().waiting()]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("nemotron.kit.integrations") and record.levelno >= logging.WARNING
    ]


@pytest.mark.parametrize("status", [401, 403, 503])
def test_what_the_server_refuses_waits_and_goes_when_it_is_well(
    wandb_server: WandbServer,
    real_wandb: ModuleType,
    save: Callable[..., Any],
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    real_wandb.init(project="proj")
    if status == 503:  # the client tries a 5xx again and again
        context.set_settings(context.Settings(wandb_timeout_s=0.5))
    wandb_server.failing = status
    assert save(1).uri == "art://model:v1"
    assert not courier().breaker.is_closed
    asked = len(wandb_server.requests)
    assert save(2).uri == "art://model:v2"
    if status != 503:
        assert len(wandb_server.requests) == asked  # nobody asks a server that refuses
        assert reasons() == ["refused", ""]
    (warning,) = warnings(caplog)
    assert warning.startswith("model:v1 is saved in the store; WandbTracker did not take it: ")
    assert shlex.split(warning.partition("or by: ")[2])[:5] == sync_command()

    wandb_server.failing = None
    context.set_settings(context.Settings(wandb_timeout_s=20))
    courier().deliver_own()
    assert outbox().ids() == []
    assert courier().breaker.is_closed
    assert save(3).tracking.url.endswith("/model/v2")
    assert wandb_server.names() == ["model:v0", "model:v1", "model:v2"]


def test_a_server_that_hangs_costs_the_limit_once(
    wandb_server: WandbServer, real_wandb: ModuleType, save: Callable[..., Any]
) -> None:
    real_wandb.init(project="proj")
    waited: list[float] = []
    context.set_settings(context.Settings(wandb_timeout_s=0.3))
    hand_over = Courier._hand_over

    def counting(self: Courier, *arguments: Any) -> Any:
        waited.append(1.0 if self.breaker.is_closed else 0.0)
        return hand_over(self, *arguments)

    wandb_server.hanging.set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Courier, "_hand_over", counting)
        for step in (1, 2, 3):
            save(step)
    assert waited == [1.0, 0.0, 0.0]
    assert len(outbox().ids()) == 3
    assert courier().breaker.why == "W&B did not answer within 0.3 s"
    wandb_server.hanging.clear()
    # The thread is still at it, and goes on with the next when it has its answer.
    courier().deliver_own()
    assert outbox().ids() == []
    assert wandb_server.names() == ["model:v0", "model:v1", "model:v2"]


def test_after_a_rest_a_save_tries_again_without_waiting(
    wandb_server: WandbServer, real_wandb: ModuleType, save: Callable[..., Any]
) -> None:
    real_wandb.init(project="proj")
    now = [0.0]
    courier().breaker._clock = lambda: now[0]
    wandb_server.fail("CreateArtifact", 403)
    save(1)
    save(2)
    assert len(outbox().ids()) == 2
    now[0] = 31.0
    model = save(3)  # wakes the thread, and goes on
    assert model.tracking.url is None
    with courier()._busy:
        pass
    courier().deliver_own()
    assert outbox().ids() == []
    assert wandb_server.names() == ["model:v0", "model:v1", "model:v2"]


def test_a_name_that_is_another_type_s_is_set_aside(
    wandb_server: WandbServer, real_wandb: ModuleType, save: Callable[..., Any], tmp_path: Path
) -> None:
    run = real_wandb.init(project="proj")
    (tmp_path / "x").write_text("x")
    taken = real_wandb.Artifact("model", type="SomethingElse")
    taken.add_file(str(tmp_path / "x"))
    run.log_artifact(taken).wait()
    assert save(1).uri == "art://model:v1"
    assert save(2, name="other").tracking.url.endswith("/other/v0")
    (aside,) = outbox().set_aside_records()
    assert aside.failure is not None
    assert "already exists with type" in aside.failure.why


def test_offline_there_is_one_way_in(
    offline_wandb: ModuleType, save: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = offline_wandb.init(project="proj")
    save(1)
    save(2)
    (warning,) = warnings(caplog)
    assert warning.startswith("W&B is offline: what is saved is kept in the store's outbox.")
    assert shlex.split(warning.rpartition(": ")[2]) == sync_command()
    first, second = (one.record for one in outbox().waiting())
    assert (first.run.id, second.run.id, first.live) == (run.id, run.id, False)
    assert (first.destination.project, first.destination.entity) == ("proj", None)
    run.finish()
    offline_wandb.teardown()
    kinds = {record.WhichOneof("record_type") for record in read_log(tmp_path / "wandb-folders")}
    assert "run" in kinds
    assert "artifact" not in kinds


@pytest.mark.parametrize("how", ["run", "environment"])
def test_disabled_is_the_user_s_choice(
    real_wandb: ModuleType, save: Callable[..., Any], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "run":
        real_wandb.init(project="proj", mode="disabled")
    else:
        monkeypatch.setenv("WANDB_MODE", "disabled")
    assert save(1).uri == "art://model:v1"
    assert outbox().ids() == []


def test_a_run_that_was_switched_off_stays_so_in_a_fork_and_after_its_end(
    real_wandb: ModuleType, save: Callable[..., Any]
) -> None:
    with real_wandb.init(project="proj", mode="disabled"):
        save(1)
        pid = os.fork()
        if pid == 0:
            save(2)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    save(3)
    assert outbox().ids() == []
    with real_wandb.init(project="proj", mode="offline"):
        save(4)
    assert len(outbox().ids()) == 1


def test_offline_the_same_again_is_one_record_and_a_new_alias_another(
    real_wandb: ModuleType, save: Callable[..., Any]
) -> None:
    with real_wandb.init(project="proj", mode="offline"):
        save(1)
        save(1)
        save(1, aliases=("best",))
        save(1, aliases=("best",))
    first, second = (one.record for one in outbox().waiting())
    assert first.subject == second.subject == "art://model:v1"
    assert second.payload["aliases"] == ["latest", "best"]
    assert {**first.payload, "aliases": []} == {**second.payload, "aliases": []}


def test_without_a_run_it_waits_for_one_that_stands_for_the_kit_s(
    wandb_server: WandbServer, real_wandb: ModuleType, save: Callable[..., Any]
) -> None:
    save(1)
    (waiting,) = outbox().waiting()
    assert waiting.record.run.id == f"kit-{context.current_run().id}"
    sync(context.require_registry())
    assert [run.name for run in wandb_server.state.runs.values()] == [waiting.record.run.id]
    assert wandb_server.names() == ["model:v0"]


def test_after_the_run_has_ended_and_after_a_teardown_it_is_still_its_own(
    wandb_server: WandbServer, real_wandb: ModuleType, save: Callable[..., Any]
) -> None:
    run = real_wandb.init(project="proj")
    save(1)
    run.finish()
    save(2)
    real_wandb.teardown()
    save(3)
    assert {one.record.run.id for one in outbox().waiting()} == {run.id}
    courier().at_exit()
    assert outbox().ids() == []
    only = wandb_server.only_run()
    assert (only.name, [made.name for made in only.outputs]) == (run.id, ["model:v0", "model:v1", "model:v2"])


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From Python 3.12 on no thread begins in a process that ends."""
    start = threading.Thread.start

    def refuse(self: threading.Thread) -> None:
        if self.name.startswith("nemotron-kit"):
            raise RuntimeError("can't create new thread at interpreter shutdown")
        start(self)

    return lambda: monkeypatch.setattr(threading.Thread, "start", refuse)


def test_a_process_that_ends_without_new_threads_delivers_all_the_same(
    wandb_server: WandbServer,
    real_wandb: ModuleType,
    save: Callable[..., Any],
    ending: Callable[[], None],
) -> None:
    real_wandb.init(project="proj")
    wandb_server.failing = 403
    save(1)
    save(2)
    wandb_server.failing = None
    ending()
    courier().at_exit()
    assert outbox().ids() == []
    assert wandb_server.names() == ["model:v0", "model:v1"]


def test_a_process_that_ends_leaves_what_it_can_t_deliver_to_others(
    wandb_server: WandbServer,
    real_wandb: ModuleType,
    save: Callable[..., Any],
    ending: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = real_wandb.init(project="proj")
    save(1)
    run.finish()
    save(2)
    ending()
    courier().at_exit()
    assert len(outbox().ids()) == 1
    assert outbox().set_aside_records() == []
    assert "This process is ending" in warnings(caplog)[-1]
    assert shlex.split(warnings(caplog)[-1].rpartition(": ")[2]) == sync_command()


def test_a_store_that_fails_as_well_does_not_end_the_thread(
    wandb_server: WandbServer,
    real_wandb: ModuleType,
    save: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(self: Outbox, record_id: str, error: object) -> None:
        raise UnavailableError("the disk is full")

    real_wandb.init(project="proj")
    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "failed", full)
        wandb_server.failing = 403
        save(1)
    assert not courier().breaker.is_closed
    assert courier()._thread is not None
    assert courier()._thread.is_alive()


def test_a_fork_writes_and_leaves_the_asking_to_its_parent(
    wandb_server: WandbServer, real_wandb: ModuleType, save: Callable[..., Any]
) -> None:
    run = real_wandb.init(project="proj")
    save(1)
    pid = os.fork()
    if pid == 0:
        try:
            save(2)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    (waiting,) = outbox().waiting()
    assert (waiting.record.run.id, waiting.record.live) == (run.id, False)
    assert wandb_server.names() == ["model:v0"]
    save(3)
    run.finish()
    sync(context.require_registry())
    assert sorted(wandb_server.names()) == ["model:v0", "model:v1", "model:v2"]
    assert wandb_server.artifact("model:latest").metadata["step"] == 3


def test_what_is_saved_again_is_not_sent_again_but_a_new_alias_is(
    wandb_server: WandbServer, real_wandb: ModuleType, save: Callable[..., Any]
) -> None:
    real_wandb.init(project="proj")
    url = save(1).tracking.url
    asked = len(wandb_server.requests)
    assert save(1).tracking.url == url
    assert len(wandb_server.requests) == asked
    save(1, aliases=("best",))
    assert wandb_server.artifact("model:v0").aliases == ["best", "latest"]
    assert wandb_server.names() == ["model:v0"]


def test_a_job_with_a_store_begins_without_a_server(
    real_wandb: ModuleType,
    save: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    wandb_kit.init_wandb_if_configured(wandb_kit.WandbConfig("proj"))
    assert real_wandb.run is not None
    assert real_wandb.run.offline
    save(1)
    assert len(outbox().ids()) == 1
    assert "goes on with an offline run" in warnings(caplog)[0]


def test_a_job_with_a_store_begins_without_a_login(
    wandb_server: WandbServer,
    real_wandb: ModuleType,
    save: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    wandb_kit.init_wandb_if_configured(wandb_kit.WandbConfig("proj"))
    assert real_wandb.run is not None
    assert real_wandb.run.offline
    save(1)
    assert len(outbox().ids()) == 1


def test_w_and_b_alone_raises_a_clear_error(
    wandb_server: WandbServer, real_wandb: ModuleType, tmp_path: Path
) -> None:
    kit.init(backend="wandb", wandb_project="proj")
    real_wandb.init(project="proj")
    wandb_server.fail("CreateArtifact", 403)
    with pytest.raises(kit.errors.RefusedError, match="error 403"):
        kit.ModelArtifact(path=tmp_path / "m", step=1).save(name="model")


def test_an_outbox_that_can_t_be_written_stops_no_save(
    wandb_server: WandbServer,
    real_wandb: ModuleType,
    save: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(self: Outbox, record: object) -> None:
        raise UnavailableError("the disk is full")

    real_wandb.init(project="proj")
    monkeypatch.setattr(Outbox, "add", full)
    assert save(1).uri == "art://model:v1"
    assert "the disk is full" in caplog.text


SECRETS = ("hunter2", "sk-abc", "SIGNATURE", "AKIDEXAMPLE")


def test_nothing_secret_is_in_a_record(
    offline_wandb: ModuleType, store: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-abc")
    monkeypatch.setattr(sys, "argv", ["train.py", "--token", "hunter2"])
    offline_wandb.init(project="proj")
    signed = "https://bucket.example/x?X-Amz-Credential=AKIDEXAMPLE&X-Amz-Signature=SIGNATURE"
    data = kit.PretrainBlendsArtifact(
        path=tmp_path / "d",
        source_datasets=[signed, "https://me:hunter2@host.example/data?part=3&api_key=sk-abc"],
    )
    (tmp_path / "d").mkdir()
    data.save(name="data")
    (waiting,) = outbox().waiting()
    stored = [path.read_bytes() for path in (tmp_path / "the store/.kit/outbox").rglob("*.json")]
    assert len(stored) == 1
    files = waiting.record.payload["draft"]["files"]
    shown = stored[0].decode() + "".join(base64.b64decode(data).decode() for _, data, _ in files)
    assert not [secret for secret in SECRETS if secret in shown]
    assert os.environ["WANDB_API_KEY"] not in shown
    assert "https://host.example/data?part=3" in shown
    assert "--token" not in shown


# -- what the store has not got ----------------------------------------------------------------------------


def test_what_only_w_and_b_has_is_found_there_with_and_without_a_run(
    wandb_server: WandbServer, real_wandb: ModuleType, save: Callable[..., Any], tmp_path: Path
) -> None:
    kit.init(backend="wandb", wandb_project="proj", wandb_entity="test-entity")
    with real_wandb.init(project="proj"):
        save(1, name="theirs")
    kit.init(root=tmp_path / "the store", wandb_project="proj", wandb_entity="test-entity")
    found = kit.Artifact.from_uri("art://test-entity/proj/theirs:v0")
    assert (found.uri, found.path) == ("art://test-entity/proj/theirs:v0", tmp_path / "m1")
    with real_wandb.init(project="proj"):
        assert kit.Artifact.from_uri("art://test-entity/proj/theirs:v0").path == tmp_path / "m1"
        with pytest.raises(kit.errors.NotFoundError):
            kit.Artifact.from_uri("art://test-entity/proj/nobodys:v0")


def test_a_server_that_is_down_is_asked_once_for_what_the_store_has_not_got(
    wandb_server: WandbServer,
    real_wandb: ModuleType,
    save: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    real_wandb.init(project="proj")
    context.set_settings(context.Settings(wandb_timeout_s=0.2))
    wandb_server.hanging.set()
    for _ in range(2):
        with pytest.raises(kit.errors.NotFoundError):
            kit.Artifact.from_uri("art://test-entity/proj/nobodys:v3")
    first, second = (r.getMessage() for r in caplog.records if "does not have" in r.getMessage())
    assert first.endswith("W&B did not answer within 0.2 s")
    assert "is not looked for on W&B, which does not answer" in second
    save(1)  # and no save waits for it
    assert courier().breaker.why == "W&B did not answer within 0.2 s"
    assert len(outbox().ids()) == 1
    wandb_server.hanging.clear()


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_w_and_b_is_not_asked_in_another_mode(
    wandb_server: WandbServer, save: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    with pytest.raises(kit.errors.NotFoundError):
        kit.Artifact.from_uri("art://test-entity/proj/nobodys:v3")
    assert wandb_server.requests == []


def test_a_client_that_is_gone_stops_no_save(
    save: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert save(1).uri == "art://model:v1"
    assert "pip install 'nemotron-kit[wandb]'" in caplog.text
