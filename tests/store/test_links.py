"""Hard links are the primitive, symbolic links a trap."""

import errno
import os

import pytest

from nemotron.kit.errors import (
    DiskFullError,
    OutsideRootError,
    UnavailableError,
)
from nemotron.kit.store.local import LocalStore
from nemotron.kit.testing.faults import failing
from nemotron.kit.testing.store_suite import WAYS

NO_LINKS = [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EACCES]

# -- links: the primitive ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", NO_LINKS, ids=errno.errorcode.get)
def test_without_hard_links_o_excl_decides(store, root, monkeypatch, number, files_below):
    monkeypatch.setattr(os, "link", failing(os.link, number))
    assert store.create("a/b", b"first") is True
    assert store.create("a/b", b"second") is False
    assert store.read("a/b") == b"first"
    assert files_below(root) == ["a/b"]


def test_nfs_did_it_and_lost_the_reply(store, root, monkeypatch, files_below):
    monkeypatch.setattr(os, "link", failing(os.link, errno.EIO, after=True))
    assert store.create("a/b", b"mine") is True
    assert store.read("a/b") == b"mine"
    assert files_below(root) == ["a/b"]


def test_nfs_did_it_asked_again_and_says_exists(store, monkeypatch):
    monkeypatch.setattr(os, "link", failing(os.link, errno.EEXIST, after=True))
    assert store.create("a/b", b"mine") is True
    with store.stage() as staging:
        staging.write(b"x")
        assert staging.commit("a/c") is True
    monkeypatch.undo()
    assert store.create("a/b", b"other") is False


def test_a_link_that_failed_for_another_reason_is_an_error(store, root, monkeypatch, files_below):
    monkeypatch.setattr(os, "link", failing(os.link, errno.EIO))
    with pytest.raises(UnavailableError, match="Cannot write"):
        store.create("a/b", b"mine")
    monkeypatch.undo()
    assert store.read("a/b") is None
    assert files_below(root) == []


def test_a_torn_object_of_o_excl_keeps_its_name(store, monkeypatch):
    # Another writer may have been told that the name is taken: it must never be free again.
    monkeypatch.setattr(os, "link", failing(os.link, errno.EPERM))
    real, writes = os.write, []

    def write(descriptor, data):
        writes.append(descriptor)
        if len(writes) == 2:  # the first is the temporary file
            real(descriptor, bytes(data)[:3])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(DiskFullError):
        store.create("a/b", b"whole object")
    monkeypatch.undo()
    assert store.exists("a/b")
    assert store.create("a/b", b"other") is False


# -- links: the trap ---------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    return folder


@pytest.mark.parametrize("way", [way for way in WAYS if way != "exists"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_folder_that_is_a_link_is_not_followed(store, root, elsewhere, way, depth, files_below):
    parts = ["name", "v1", "deep", "secret"]
    (elsewhere / "/".join(parts[depth:-1])).mkdir(parents=True, exist_ok=True)
    root.joinpath(*parts[: depth - 1]).mkdir(parents=True)
    root.joinpath(*parts[:depth]).symlink_to(elsewhere)
    before = files_below(elsewhere)
    with pytest.raises(OutsideRootError, match="link"):
        WAYS[way](store, "/".join(parts))
    assert files_below(elsewhere) == before
    assert (elsewhere / "secret").read_text() == "secret"


def test_a_local_path_leads_through_no_link(store, root, elsewhere):
    root.mkdir()
    (root / "name").symlink_to(elsewhere)
    with pytest.raises(OutsideRootError, match="link"):
        store.local_path("name/secret")


@pytest.mark.parametrize("way", ["read", "open", "chunks"])
def test_an_object_that_is_a_link_is_not_followed(store, root, elsewhere, way):
    (root / "name").mkdir(parents=True)
    (root / "name/hint").symlink_to(elsewhere / "secret")
    with pytest.raises(OutsideRootError, match="link"):
        WAYS[way](store, "name/hint")


def test_writing_to_an_object_that_is_a_link_does_not_reach_its_target(store, root, elsewhere, files_below):
    (root / "name").mkdir(parents=True)
    for name in ("hint", "claim", "gone"):
        (root / "name" / name).symlink_to(elsewhere / "secret")
    (root / "name/dangling").symlink_to(elsewhere / "new")
    store.replace("name/hint", b"x")
    assert store.create("name/claim", b"x") is False
    assert store.create("name/dangling", b"x") is False
    store.remove("name/gone")
    assert (elsewhere / "secret").read_text() == "secret"
    assert files_below(elsewhere) == ["secret"]
    assert store.read("name/hint") == b"x"


def test_without_hard_links_a_dangling_link_is_left_alone(store, root, elsewhere, monkeypatch, files_below):
    monkeypatch.setattr(os, "link", failing(os.link, errno.EPERM))
    (root / "name").mkdir(parents=True)
    (root / "name/dangling").symlink_to(elsewhere / "new")
    assert store.create("name/dangling", b"x") is False
    assert files_below(elsewhere) == ["secret"]


def test_the_root_itself_may_be_a_link(tmp_path, elsewhere):
    (tmp_path / "link").symlink_to(elsewhere)
    store = LocalStore(tmp_path / "link")
    assert store.create("a/b", b"x")
    assert (elsewhere / "a/b").read_bytes() == b"x"
