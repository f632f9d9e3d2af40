"""A signal handler that comes in the middle of a run's first record: it raises, it saves, or it does both."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from nemotron.kit import context, start, tracking
from nemotron.kit.artifact import Artifact
from nemotron.kit.documents.run import RunEnvironment
from nemotron.kit.lineage.runs import read_run
from nemotron.kit.registry import layout
from nemotron.kit.store.memory import MemoryStore
from nemotron.kit.tracking import recording, surroundings
from nemotron.kit.tracking.run import Run

HERE = os.path.dirname(tracking.__file__)


class Told(BaseException):
    """What the handler raises."""


def interrupted(work: Callable[[], None], number: int, handle: Callable[[], None]) -> tuple[bool, bool]:
    """Do some work, with a handler at the n-th line of ours: whether it came, and whether it raised.

    Not at the lines of Python's own threads: what they have begun there goes on.
    """
    lines, came = 0, False

    def at_line(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal lines, came
        lines += event == "line"
        if lines >= number and not came:
            came = True
            handle()
        return at_line

    def at_call(frame: FrameType, event: str, arg: object) -> Any:
        return at_line if frame.f_code.co_filename.startswith(HERE) else None

    before = sys.gettrace()
    sys.settrace(at_call)
    try:
        work()
    except Told:
        return came, True
    finally:
        sys.settrace(before)
    return came, False


def raising() -> None:
    raise Told


@pytest.mark.parametrize("goes_on", [True, False])
@pytest.mark.parametrize("how", ["raises", "saves", "saves and raises"])
def test_a_handler_at_any_line_of_the_record_costs_nothing(
    how: str, goes_on: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(surroundings, "environment", lambda *_: RunEnvironment())
    number, unrecorded = 1, 0
    while True:
        hooks: list[object] = []
        monkeypatch.setattr(recording, "_pid", 0)
        monkeypatch.setattr(recording.atexit, "register", hooks.append)
        run, store = Run("sft"), MemoryStore()
        uris = ["art://m:v1"]

        def handle(run: Run = run, store: MemoryStore = store, uris: list[str] = uris) -> None:
            if "saves" in how:
                uris.append("art://m:v2")
                run.saved(store, uris[-1], created=True)
            if "raises" in how:
                raise Told

        def save(run: Run = run, store: MemoryStore = store) -> None:
            run.saved(store, "art://m:v1", created=True)

        came, raised = interrupted(save, number, handle)
        assert raised == (came and "raises" in how)
        if goes_on:
            uris.append("art://m:v3")
            run.saved(store, uris[-1], created=True)
            assert store.exists(layout.run_start(run.id))
            assert hooks
        run.end()
        assert caplog.records == []
        found = read_run(store, run.id)
        if found is None:
            assert not list(store.list())
            assert not run._recording.is_begun
            unrecorded += 1
        else:
            assert found.status == "finished"
            assert found.environment is not None
            assert set(found.made) >= set(uris[1:] if raised else uris)
        if not came:
            break
        number += 1
    assert number > 30
    # Before the first line of it that does something there is nothing to be recorded.
    assert unrecorded <= (0 if goes_on or "saves" in how else 12)


@pytest.mark.parametrize("where", ["_write_start", "_create", "_look_after"])
def test_a_handler_that_raises_leaves_the_record_to_the_next_save(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start.init(root=tmp_path / "store")
    (tmp_path / "data").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(recording, where, lambda *_: raising())
        with pytest.raises(Told):
            Artifact(path=tmp_path / "data").save("first")
    saved = Artifact(path=tmp_path / "data").save("second")
    registry = context.require_registry()
    run_id = registry.resolve(str(saved.uri)).manifest.run
    start.shutdown()
    assert caplog.records == []
    record = read_run(registry.store, str(run_id))
    assert record is not None
    assert (record.status, record.made) == ("finished", ("art://first:v1", "art://second:v1"))
