"""Content behind links, as in a Hugging Face cache: taken only when asked for, and only as listed."""

from pathlib import Path

import fsspec
import pytest

from nemotron.kit import start
from nemotron.kit.errors import OutsideRootError
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Two files and a folder that are links to what lies elsewhere."""
    (tmp_path / "blobs/sub").mkdir(parents=True)
    (tmp_path / "blobs/weights").write_text("weights")
    (tmp_path / "blobs/sub/part").write_text("part")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.bin").symlink_to("../blobs/weights")
    (folder / "sub").symlink_to(tmp_path / "blobs/sub")
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry.open(tmp_path / "store")


@pytest.mark.parametrize("snapshot", [False, True])
def test_what_was_followed_can_be_read(registry: Registry, cache: Path, snapshot: bool) -> None:
    record = registry.publish(Draft(name="m", source=cache, follow_links=True, snapshot=snapshot)).record
    assert registry.inside("art://m/weights.bin").read_text() == "weights"
    assert registry.inside("art://m/sub/part").read_text() == "part"
    assert registry.verify("art://m").ok
    assert registry.check(record) == []
    with start.using(root=registry.root):
        assert fsspec.filesystem("art").cat_file("m:v1/weights.bin") == b"weights"
        assert sorted(fsspec.filesystem("art").find("m:v1"))[-1] == "m:v1/weights.bin"


def test_without_being_asked_links_that_leave_are_refused(registry: Registry, cache: Path) -> None:
    registry.publish(Draft(name="m", source=cache))
    with pytest.raises(OutsideRootError, match="not followed"):
        registry.inside("art://m/weights.bin")


def test_a_link_that_came_later_is_refused_and_noticed(registry: Registry, cache: Path) -> None:
    registry.publish(Draft(name="m", source=cache, follow_links=True))
    (cache / "later").symlink_to("/etc/hostname")
    with pytest.raises(OutsideRootError, match="not followed"):
        registry.inside("art://m/later")
    assert [(item.path, item.verdict) for item in registry.verify("art://m").files] == [("later", "extra")]


def test_two_links_to_one_folder_are_no_loop(registry: Registry, cache: Path, tmp_path: Path) -> None:
    (cache / "again").symlink_to(tmp_path / "blobs/sub")
    registry.publish(Draft(name="m", source=cache, follow_links=True))
    assert registry.inside("art://m/again/part").read_text() == "part"
