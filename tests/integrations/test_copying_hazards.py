"""Copies of a reference whose files go away meanwhile, or into the folder that it refers to."""

from pathlib import Path

import pytest

from nemotron.kit.errors import PathNotFoundError
from nemotron.kit.integrations import artifact_places
from nemotron.kit.integrations.copying import copy_out
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_file_that_vanishes_during_a_copy_is_told_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    for name in ("a.txt", "b.txt"):
        (tmp_path / "data" / name).write_text("hello")
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="seen", source=tmp_path / "data"))
    real = artifact_places._OnDisk.copy

    def copy(self, *arguments) -> None:
        (tmp_path / "data/b.txt").unlink(missing_ok=True)
        real(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(artifact_places._OnDisk, "copy", copy)
        with pytest.raises(PathNotFoundError, match=r"No b\.txt in art://seen:v1") as caught:
            copy_out(store, "seen", "out")
    assert "It was there when the copy began; what was copied by then stays. Bring back" in str(caught.value)
    assert content(tmp_path / "out") == {"a.txt": b"hello"}
    (tmp_path / "data/b.txt").write_text("hello")
    copied = copy_out(store, "seen", "out")
    assert (copied.files, copied.skipped) == (1, 1), "what is brought back is copied by the same again"


def test_of_a_file_that_is_gone_the_error_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("hello")
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="one", source=tmp_path / "one.txt"))
    (tmp_path / "one.txt").unlink()
    with pytest.raises(
        PathNotFoundError, match=r"No one\.txt in art://one:v1: looked in .*; put it back, or"
    ):
        copy_out(store, "one", "out.txt")
