"""W&B alone: what it has not got is kept in a folder of the user's, and arrives later, with its edges."""

import atexit
import os
import threading
import time
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from nemotron import kit
from nemotron.kit import context
from nemotron.kit.integrations.wandb import limits
from nemotron.kit.integrations.wandb.delivery_sync import sync
from nemotron.kit.integrations.wandb.limits import within
from nemotron.kit.registry.registry import Registry
from nemotron.kit.tracking.outbox import Outbox, state_root
from wandb_server import WandbServer
from wandb_server.fixtures import sync_offline_runs

# The threads in which W&B is asked, but for the one that waits for the end of the process.
ASKING = "nemotron-kit-wandb-ask"


@pytest.fixture
def alone(real_wandb: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    kit.init(backend="wandb", wandb_project="proj")


def outbox() -> Outbox:
    return Outbox(Registry.open(state_root()).store)


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "part.bin").write_text(path.name)
    return path


def offline_stages(wandb: ModuleType, tmp_path: Path) -> list[str]:
    """Data, a model made of it, and another made of that one in a run that knows its folder alone."""
    ids = []
    with wandb.init(project="proj", mode="offline") as run:
        ids.append(run.id)
        data = kit.PretrainBlendsArtifact(path=folder(tmp_path / "data"), source_datasets=["hf://org/corpus"])
        data.save(name="nano/data")
        assert data.uri is None
        base = kit.ModelArtifact(path=folder(tmp_path / "base"), step=1)
        base.save(name="base", inputs=[data], aliases=["best"])
        base.save(name="base", inputs=[data], aliases=["best"])
    with wandb.init(project="proj", mode="offline") as run:
        ids.append(run.id)
        kit.ModelArtifact(path=folder(tmp_path / "sft"), step=2).save(name="sft", inputs=[tmp_path / "base"])
    return ids


@pytest.mark.parametrize("when", ["never", "before", "after"])
def test_offline_runs_without_a_store_keep_their_edges(
    wandb_server: WandbServer, real_wandb: ModuleType, alone: None, tmp_path: Path, when: str
) -> None:
    first, second = offline_stages(real_wandb, tmp_path)
    assert wandb_server.requests == []
    assert [(one.record.subject, one.record.used) for one in outbox().waiting()] == [
        ("art://nano-data:v1", ()),
        ("art://base:v1", ("art://nano-data:v1",)),
        ("art://sft:v1", ("art://base:v1",)),
    ]
    if when == "before":
        sync_offline_runs(real_wandb, tmp_path)
    assert len(sync(Registry.open(state_root())).delivered) == 3
    if when == "after":
        sync_offline_runs(real_wandb, tmp_path)

    assert outbox().ids() == []
    assert sorted(wandb_server.names()) == ["base:v0", "nano-data:v0", "org-corpus:v0", "sft:v0"]
    assert wandb_server.artifact("base:v0").aliases == ["best", "latest"]
    runs = {
        run.name: (sorted(one.name for one in run.inputs), sorted(one.name for one in run.outputs))
        for run in wandb_server.state.runs.values()
    }
    assert runs == {
        first: (["nano-data:v0", "org-corpus:v0"], ["base:v0", "nano-data:v0"]),
        second: (["base:v0"], ["sft:v0"]),
    }
    assert sync(Registry.open(state_root())).delivered == []


@pytest.mark.parametrize("status", [403, 404])
def test_what_w_and_b_can_t_take_now_is_an_error_and_is_kept(
    wandb_server: WandbServer, real_wandb: ModuleType, alone: None, tmp_path: Path, status: int
) -> None:
    run = real_wandb.init(project="proj")
    model = kit.ModelArtifact(path=folder(tmp_path / "m"), step=1)
    wandb_server.fail("CreateArtifact", status)
    with pytest.raises(kit.errors.KitError, match=f"error {status}") as raised:
        model.save(name="model")
    if status == 404:  # not what another day would change
        assert outbox().ids() == []
        return
    assert "nemotron kit sync" in str(raised.value)
    assert state_root() in str(raised.value)
    (waiting,) = outbox().waiting()
    assert waiting.failure is not None
    assert (waiting.record.subject, waiting.failure.kind) == ("art://model:v1", "refused")
    run.finish()
    assert len(sync(Registry.open(state_root())).delivered) == 1
    assert wandb_server.names() == ["model:v0"]
    assert wandb_server.only_run().name == run.id


def test_what_was_kept_goes_before_what_is_saved_next(
    wandb_server: WandbServer, real_wandb: ModuleType, alone: None, tmp_path: Path
) -> None:
    run = real_wandb.init(project="proj")
    first, second, third = (kit.ModelArtifact(path=folder(tmp_path / f"m{n}"), step=n) for n in (1, 2, 3))
    wandb_server.fail("CreateArtifact", 403, 2)
    for model, why in ((first, "error 403"), (second, "has not taken what was saved before: .*error 403")):
        with pytest.raises(kit.errors.KitError, match=why):
            model.save(name="model")
    third.save(name="model")
    assert third.tracking is not None
    assert third.tracking.artifact_id == "test-entity/proj/model:v2"
    assert [wandb_server.artifact(f"model:v{n}").metadata["step"] for n in (0, 1, 2)] == [1, 2, 3]
    assert wandb_server.artifact("model:v2").aliases == ["latest"]
    assert outbox().ids() == []
    assert wandb_server.only_run().name == run.id


def test_what_was_kept_goes_when_the_process_ends(
    wandb_server: WandbServer, real_wandb: ModuleType, alone: None, tmp_path: Path
) -> None:
    run = real_wandb.init(project="proj")
    wandb_server.fail("CreateArtifact", 403)
    with pytest.raises(kit.errors.RefusedError):
        kit.ModelArtifact(path=folder(tmp_path / "m"), step=1).save(name="model")
    run.finish()
    context.current_tracker().courier.at_exit()  # type: ignore[union-attr]
    assert outbox().ids() == []
    assert wandb_server.names() == ["model:v0"]
    assert wandb_server.only_run().name == run.id


def test_uploads_that_were_made_offline_go_if_they_are_still_the_same(
    wandb_server: WandbServer, real_wandb: ModuleType, alone: None, tmp_path: Path
) -> None:
    with real_wandb.init(project="proj", mode="offline"):
        for name in ("same", "other"):
            kit.ModelArtifact(path=folder(tmp_path / name), step=1).save(name=name, snapshot=True)
        kit.ModelArtifact(path=folder(tmp_path / "tuned"), step=2).save(
            name="tuned", inputs=[tmp_path / "same"]
        )
    (tmp_path / "other" / "part.bin").write_text("overwritten")
    sync(Registry.open(state_root()))
    assert wandb_server.artifact("same:v0").read("output/part.bin") == b"same"
    (aside,) = outbox().set_aside_records()
    assert aside.record is not None
    assert aside.failure is not None
    assert (aside.record.subject, aside.failure.kind) == ("art://other:v1", "drift")
    assert f"{tmp_path / 'other'} is not uploaded: its files have changed" in aside.failure.why
    # The client has copied them when they were saved.
    sync_offline_runs(real_wandb, tmp_path)
    assert sorted(wandb_server.names()) == ["other:v0", "same:v0", "tuned:v0"]
    assert wandb_server.artifact("other:v0").read("output/part.bin") == b"other"
    assert {run.name: [one.name for one in run.inputs] for run in wandb_server.state.runs.values()} == {
        wandb_server.only_run().name: ["same:v0"]
    }


def test_a_snapshot_is_known_by_its_bytes(
    wandb_server: WandbServer, real_wandb: ModuleType, alone: None, tmp_path: Path
) -> None:
    place = folder(tmp_path / "m")
    with real_wandb.init(project="proj"):
        for text in ("one", "one", "two"):
            (place / "part.bin").write_text(text)
            kit.ModelArtifact(path=place, step=1).save(name="model", snapshot=True)
    assert wandb_server.names() == ["model:v0", "model:v1"]
    assert wandb_server.artifact("model:v1").read("output/part.bin") == b"two"


def test_a_save_to_a_server_that_hangs_is_an_error_in_time_and_is_kept(
    wandb_server: WandbServer, real_wandb: ModuleType, alone: None, tmp_path: Path
) -> None:
    run = real_wandb.init(project="proj")
    context.set_settings(replace(context.settings(), wandb_timeout_s=0.5))
    wandb_server.hanging.set()
    with pytest.raises(kit.errors.UnavailableError, match=r"not take model within 0.5 s.*nemotron kit sync"):
        kit.ModelArtifact(path=folder(tmp_path / "m"), step=1).save(name="model")
    assert [one.record.subject for one in outbox().waiting()] == ["art://model:v1"]
    wandb_server.hanging.clear()
    # What hung goes on in its thread; the service of older clients breaks when its run is finished meanwhile.
    deadline = time.monotonic() + 60
    while sum(one.name == ASKING for one in threading.enumerate()) > 1 and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    run.finish()
    sync(Registry.open(state_root()))
    assert outbox().ids() == []
    assert wandb_server.names() == ["model:v0"]


def test_an_upload_may_take_as_long_as_the_server_answers() -> None:
    done = threading.Event()
    asked: list[bool] = []

    def may_go_on() -> bool:
        asked.append(not done.is_set())
        if len(asked) == 3:
            done.set()
        return asked[-1]

    assert within(0.01, lambda: done.wait(60), may_go_on=may_go_on)
    assert asked == [True, True, True]
    with pytest.raises(kit.errors.UnavailableError, match=r"did not answer within 0.01 s"):
        within(0.01, lambda: threading.Event().wait(60))


def test_an_answer_that_comes_as_the_time_is_over_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(Future[str]):
        def result(self, timeout: float | None = None) -> str:
            said = super().result()
            if timeout is not None:
                raise TimeoutError
            return said

    monkeypatch.setattr(limits, "Future", Late)
    assert within(60, lambda: "answer") == "answer"


def test_an_answer_that_comes_while_the_server_is_asked_after_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    go, made = threading.Event(), []

    class Kept(Future[str]):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    def may_go_on() -> bool:
        go.set()
        futures.wait(made, 60)
        return False

    monkeypatch.setattr(limits, "Future", Kept)
    assert within(0.01, lambda: go.wait(60), may_go_on=may_go_on)


def test_a_process_that_ends_looks_once_at_what_is_left(
    wandb_server: WandbServer, real_wandb: ModuleType, alone: None, tmp_path: Path
) -> None:
    """Each look may take as long as a save may."""
    hooks: list[Callable[[], object]] = []
    run = real_wandb.init(project="proj")
    wandb_server.failing = 403
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atexit, "register", hooks.append)
        patch.setattr(atexit, "unregister", lambda hook: hook in hooks and hooks.remove(hook))
        for step in range(3):
            with pytest.raises(kit.errors.KitError, match="nemotron kit sync"):
                kit.ModelArtifact(path=folder(tmp_path / f"m{step}"), step=step).save(name="model")
    assert [hook.__name__ for hook in hooks if hook.__module__.endswith("courier")] == ["at_exit"]
    wandb_server.failing = None
    run.finish()


def test_what_w_and_b_has_taken_leaves_nothing(
    wandb_server: WandbServer, real_wandb: ModuleType, alone: None, tmp_path: Path
) -> None:
    with real_wandb.init(project="proj"):
        kit.ModelArtifact(path=folder(tmp_path / "m"), step=1).save(name="model")
    assert wandb_server.names() == ["model:v0"]
    assert not [path for path in Path(state_root()).rglob("*") if path.is_file()]


def test_a_job_that_is_killed_while_w_and_b_is_asked_is_told_later(
    wandb_server: WandbServer, real_wandb: ModuleType, alone: None, tmp_path: Path
) -> None:
    run = real_wandb.init(project="proj")
    pid = os.fork()
    if pid == 0:
        tracker = context.current_tracker()
        tracker.sender.send = lambda run, description: os._exit(9)  # type: ignore[union-attr]
        kit.ModelArtifact(path=folder(tmp_path / "m"), step=1).save(name="model")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    run.finish()
    assert len(sync(Registry.open(state_root())).delivered) == 1
    assert wandb_server.names() == ["model:v0"]


def test_a_folder_that_can_t_be_written_stops_nothing(
    offline_wandb: ModuleType, alone: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("in the way")
    with offline_wandb.init(project="proj"):
        kit.ModelArtifact(path=folder(tmp_path / "m"), step=1).save(name="model")
    assert "model is not kept for W&B" in caplog.text


def test_a_user_who_has_switched_w_and_b_off_keeps_nothing(
    real_wandb: ModuleType, alone: None, tmp_path: Path
) -> None:
    with real_wandb.init(project="proj", mode="disabled"):
        kit.ModelArtifact(path=folder(tmp_path / "m"), step=1).save(name="model")
    assert not Path(state_root()).exists()
