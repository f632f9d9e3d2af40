"""Copies of a reference whose files go away meanwhile, or into the folder that it refers to."""

import os
from pathlib import Path

import pytest

from nemotron.kit.errors import MisuseError, PathNotFoundError
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


@pytest.mark.parametrize(
    ("ref", "to"),
    [
        ("seen", "data/copy"),
        ("seen", "data/copy/of/it"),
        ("seen", "other/../data/copy"),
        ("seen", "link/copy"),
        ("seen/data", "data"),
        ("seen/data", "data/more"),
        ("seen/a.txt", "data/b.txt"),
        ("seen/a.txt", "link/data/"),
        # The folder that is referred to lies in the one to copy to, where one of its own has its name; or
        # somebody's link leads there.
        ("seen", "."),
        ("seen", "other"),
    ],
)
def test_no_copy_gets_into_the_folder_that_is_referred_to(tmp_path: Path, ref: str, to: str) -> None:
    (tmp_path / "data/data").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to("data")
    (tmp_path / "other/data").symlink_to("../data/data")
    for name in ("a.txt", "data/a.txt"):
        (tmp_path / "data" / name).write_text(name)
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="seen", source=tmp_path / "data"))
    before = content(tmp_path)
    with pytest.raises(MisuseError, match=r"Nothing was copied: .* art://seen:v1 refers"):
        copy_out(store, ref, to, force=True)
    assert content(tmp_path) == before
    assert store.verify("seen").ok


def test_a_copy_beside_the_data_is_no_copy_into_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.txt").write_text("hello")
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="seen", source=tmp_path / "data"))
    store.publish(Draft(name="one", source=tmp_path / "data/a.txt"))
    for ref, to in (("seen", "data2"), ("seen", "."), ("one", "data/b.txt"), ("one", f"data{os.sep}")):
        if to.endswith(os.sep):
            with pytest.raises(MisuseError, match="is itself what"):
                copy_out(store, ref, to)
        else:
            assert copy_out(store, ref, to).files == 1
