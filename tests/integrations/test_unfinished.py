"""Checkpoints that are recorded while they are being written."""

import gc
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from nemotron import kit
from nemotron.kit import context
from nemotron.kit.integrations.checkpoints import TRIES_MAX, Checkpoint, Recorder
from nemotron.kit.integrations.unfinished import fingerprint, why_unfinished


def write(path: Path, *names: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name in names:
        (path / name).write_bytes(b"x")
    return path


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ((), None),
        (("weights",), None),
        (("__0_0.distcp",), "it has no .metadata yet"),
        (("__0_0.distcp", ".metadata"), "it has no metadata.json yet"),
        (("__0_0.distcp", ".metadata", "metadata.json", "common.pt"), None),
        (("common.pt",), "it has no metadata.json yet"),
        (("model.safetensors", "model-2.safetensors.tmp"), "model-2.safetensors.tmp is still in it"),
    ],
)
def test_what_its_folder_shows(tmp_path: Path, files: tuple[str, ...], expected: str | None) -> None:
    assert why_unfinished(str(write(tmp_path / "iter_0000010", *files))) == expected


@pytest.mark.parametrize(
    ("noted", "is_behind"), [("10", True), ("20", False), ("30", False), ("release", False), ("", False)]
)
def test_what_megatron_s_own_note_shows(tmp_path: Path, noted: str, is_behind: bool) -> None:
    folder = write(tmp_path / "iter_0000020", "weights")
    (tmp_path / "latest_checkpointed_iteration.txt").write_text(noted)
    assert (why_unfinished(str(folder)) is not None) == is_behind
    assert why_unfinished(str(write(tmp_path / "step_20"))) is None


def test_a_folder_that_is_gone_has_no_fingerprint(tmp_path: Path) -> None:
    assert fingerprint(str(tmp_path / "gone")) is None
    before = fingerprint(str(write(tmp_path / "there", "a")))
    (tmp_path / "there" / "a").write_bytes(b"longer")
    assert fingerprint(str(tmp_path / "there")) != before


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    kit.init(root=tmp_path / "store")
    return Recorder("store")


def record(recorder: Recorder, folder: Path) -> None:
    recorder.record(Checkpoint.at(folder, iteration=1), "run", (folder.name,))


def versions() -> list[str]:
    registry = context.require_registry()
    return [Path(record.path).name for record in registry.versions("run")] if registry.get("run") else []


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name.startswith("nemotron")]


def test_an_unfinished_one_is_recorded_at_the_next_save(
    recorder: Recorder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = write(tmp_path / "iter_0000010", "__0_0.distcp")
    record(recorder, first)
    assert versions() == []
    assert "still being written (it has no .metadata yet)" in warnings(caplog)[0]
    write(first, ".metadata", "metadata.json")
    record(recorder, write(tmp_path / "iter_0000020", "weights"))
    assert versions() == ["iter_0000010", "iter_0000020"]
    assert context.require_registry().aliases("run")["iter_0000010"] == 1


def test_one_that_never_looks_finished_is_recorded_after_some_tries_and_says_so(
    recorder: Recorder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stuck = write(tmp_path / "iter_0000001", "__0_0.distcp")
    record(recorder, stuck)
    for number in range(2, 2 + TRIES_MAX):
        record(recorder, write(tmp_path / f"iter_{number:07}", "weights"))
    assert versions().count("iter_0000001") == 1
    assert any("recorded although it looks unfinished" in warning for warning in warnings(caplog))


def test_one_that_changed_after_it_was_recorded_is_recorded_again_and_its_alias_moves(
    recorder: Recorder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = write(tmp_path / "iter_0000010", "weights")
    record(recorder, first)
    (first / "weights").write_bytes(b"all of the weights")
    recorder.look_again()
    assert versions() == ["iter_0000010", "iter_0000010"]
    assert context.require_registry().aliases("run")["iter_0000010"] == 2
    assert "has changed since it was recorded" in warnings(caplog)[0]
    recorder.look_again()
    assert len(versions()) == 2


def test_one_that_changes_for_ever_is_not_recorded_for_ever(recorder: Recorder, tmp_path: Path) -> None:
    first = write(tmp_path / "iter_0000010", "weights")
    record(recorder, first)
    for size in range(2, 20):
        (first / "weights").write_bytes(b"x" * size)
        recorder.look_again()
    assert len(versions()) <= TRIES_MAX + 2


def test_one_that_was_cleared_away_is_let_go(
    recorder: Recorder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, file in (("iter_0000010", "weights"), ("iter_0000020", "__0_0.distcp")):
        folder = write(tmp_path / name, file)
        record(recorder, folder)
        (folder / file).unlink()
        folder.rmdir()
        recorder.look_again()
    assert versions() == ["iter_0000010"]
    assert "is gone, and was never recorded" in warnings(caplog)[-1]


def test_at_the_end_of_the_process_it_is_recorded(tmp_path: Path) -> None:
    code = f"""
        from pathlib import Path
        from nemotron import kit
        from nemotron.kit.integrations.checkpoints import Checkpoint, Recorder

        kit.init(root={str(tmp_path / "store")!r})
        folder = Path({str(tmp_path / "iter_0000010")!r})
        folder.mkdir()
        (folder / "__0_0.distcp").write_bytes(b"x")
        recorder = Recorder("store")
        recorder.record(Checkpoint.at(folder, iteration=10), "run", ("iter_0000010",))
        (folder / ".metadata").write_bytes(b"x")
        (folder / "metadata.json").write_bytes(b"x")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert "looks unfinished" not in done.stderr
    kit.init(root=tmp_path / "store")
    assert versions() == ["iter_0000010"]


def test_a_recorder_that_was_replaced_does_nothing_more(recorder: Recorder, tmp_path: Path) -> None:
    import weakref

    old = Recorder("store")
    record(old, write(tmp_path / "iter_0000010", "__0_0.distcp"))
    living = weakref.ref(old)
    del old
    gc.collect()
    assert living() is None
