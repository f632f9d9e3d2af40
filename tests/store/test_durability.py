"""What is on the disk when a call returns, and in which order it got there."""

import ctypes
import errno
import os
import threading

import pytest

from nemotron.kit.errors import (
    UnavailableError,
)
from nemotron.kit.store import files
from nemotron.kit.store.local import LocalStore
from nemotron.kit.store.unsynced import SINGLY_MAX
from nemotron.kit.testing.faults import failing
from nemotron.kit.testing.store_races import stage


@pytest.fixture
def steps(monkeypatch):
    """The order in which things are synced and named: [("sync" | "link" | "rename", path)]."""
    found = []

    def fsync(descriptor, real=os.fsync):
        found.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}")))
        real(descriptor)

    def link(source, target, real=os.link, **kwargs):
        found.append(("link", str(target)))
        real(source, target, **kwargs)

    def replace(source, target, real=os.replace):
        found.append(("rename", str(target)))
        real(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(os, "replace", replace)
    return found


def test_a_commit_is_synced_before_and_after_it_gets_its_name(store, root, steps):
    store.create("a/v1/manifest.json", b"x")
    steps.clear()
    store.create("a/v2/manifest.json", b"x")
    file, folder = steps[0], steps[1]
    assert file[0] == "sync"
    assert file[1].startswith(f"{root}/a/v2/.tmp-")  # what the manifest says
    assert folder == ("sync", f"{root}/a")  # that v2 is there
    assert steps[2:] == [("link", f"{root}/a/v2/manifest.json"), ("sync", f"{root}/a/v2")]


def test_folders_on_the_way_are_synced_once_by_each_process(store, root, steps):
    store.create("a/v1/manifest.json", b"x")
    synced = [path for step, path in steps if step == "sync"]
    linked = steps.index(("link", f"{root}/a/v1/manifest.json"))
    for folder in (root.parent, root, root / "a"):  # the entries of root, a and v1
        assert synced.count(str(folder)) == 1
        assert steps.index(("sync", str(folder))) < linked  # before anybody sees what is in them
    steps.clear()
    LocalStore(root).create("a/v2/manifest.json", b"x")
    synced = [path for step, path in steps if step == "sync"]
    assert {str(root.parent), str(root), str(root / "a")} <= set(synced)


def test_a_folder_whose_sync_failed_is_synced_by_the_next_try(store, root, steps, monkeypatch):
    def fsync(descriptor, real=os.fsync):
        if os.readlink(f"/proc/self/fd/{descriptor}") == str(root):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(UnavailableError):
            store.create("a/v1/manifest.json", b"x")
    assert [step for step, _ in steps if step == "link"] == []
    assert store.list("a/v1") == os.listdir(root / "a/v1") == []
    steps.clear()
    store.create("a/v1/manifest.json", b"x")
    assert ("sync", str(root)) in steps


def test_hints_are_not_synced(store, steps):
    store.create("a/v1/manifest.json", b"x")
    steps.clear()
    store.replace("a/latest", b"v1")
    store.create(".kit/journal/x", b"", durable=False)
    assert [step for step, _ in steps if step == "sync"] == []


def test_staged_content_is_synced_when_asked(store, root, steps):
    for number in range(3):
        stage(store, f".kit/blobs/aa/{number}")
    assert [step for step, _ in steps if step == "sync"] == []
    store.sync()
    synced = {path for step, path in steps if step == "sync"}
    for path in (
        ".kit/blobs/aa/0",
        ".kit/blobs/aa/1",
        ".kit/blobs/aa/2",
        ".kit/blobs/aa",
        ".kit/blobs",
        ".kit",
        "",
    ):
        assert str(root / path) in synced
    steps.clear()
    store.sync()
    assert steps == []


def test_what_is_relied_on_is_synced_too(store, root, steps):
    stage(store, ".kit/blobs/aa/x")  # by a process that was killed before it could sync
    other = LocalStore(root)
    steps.clear()
    other.rely_on(".kit/blobs/aa/x")
    other.sync()
    assert ("sync", str(root / ".kit/blobs/aa/x")) in steps
    assert ("sync", str(root / ".kit/blobs/aa")) in steps


def test_many_staged_files_take_one_sync_of_the_file_system(store, steps, monkeypatch):
    called = []
    monkeypatch.setattr(files, "sync_file_system", lambda folder: called.append(folder) or True)
    for number in range(40):
        stage(store, f".kit/blobs/aa/{number}")
    store.sync()
    assert called == [store.root]
    assert [step for step, _ in steps if step == "sync"] == []


def test_the_real_sync_of_a_file_system(tmp_path):
    assert files.sync_file_system(str(tmp_path)) is True
    with pytest.raises(OSError, match="No such file"):
        files.sync_file_system(str(tmp_path / "nowhere"))


def test_what_a_sync_is_told_is_not_lost_on_a_signal_handler_that_syncs_too(tmp_path, monkeypatch):
    # It runs when the call is over, before anybody has looked at what that said.
    calls: list[int] = []

    def sync_all(descriptor: int) -> int:
        calls.append(descriptor)
        if len(calls) > 1:
            return 0
        ctypes.set_errno(errno.EIO)
        assert files.sync_file_system(str(tmp_path)) is True
        return -1

    assert files.can_sync_file_system()
    monkeypatch.setattr(files, "c_function", lambda name: sync_all)
    with pytest.raises(files.LostError, match="Input/output"):
        files.sync_file_system(str(tmp_path))
    assert len(calls) == 2


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS])
def test_many_files_are_synced_one_by_one_where_a_sandbox_refuses_to_sync_all(tmp_path, monkeypatch, number):
    def refuse(descriptor: int) -> int:
        ctypes.set_errno(number)
        return -1

    monkeypatch.setattr(files, "c_function", lambda name: refuse)
    files.can_sync_file_system.cache_clear()
    synced: list[str] = []
    monkeypatch.setattr(
        files, "sync_path", lambda path, real=files.sync_path: (real(path), synced.append(path))
    )
    store = LocalStore(tmp_path)
    try:
        keys = [f".kit/blobs/{at:02}" for at in range(2 * SINGLY_MAX)]
        for key in keys:
            store.put(key, b"x")
        store.sync()
    finally:
        files.can_sync_file_system.cache_clear()
    assert {f"{tmp_path}/{key}" for key in keys} <= {*synced}


def test_what_another_thread_stages_during_a_sync_is_not_forgotten(store, monkeypatch):
    synced, syncing, staged = [], threading.Event(), threading.Event()

    def sync(paths, failed, real=store._unsynced._sync):
        syncing.set()
        assert staged.wait(60)
        synced.extend(paths.values())
        real(paths, failed)

    monkeypatch.setattr(store._unsynced, "_sync", sync)
    stage(store, "a/first")
    thread = threading.Thread(target=store.sync)
    thread.start()
    assert syncing.wait(60)
    stage(store, "a/second")
    staged.set()
    thread.join(60)
    store.sync()
    assert sorted(os.path.basename(path) for path in synced) == ["first", "second"]


def test_a_file_system_that_cannot_sync_folders_is_no_failure(store, monkeypatch):
    def fsync(descriptor, real=os.fsync):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    assert store.create("a/b", b"x") is True


def test_a_sync_that_fails_is_a_failure(store, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(os.fsync, errno.EIO))
    with pytest.raises(UnavailableError):
        store.create("a/b", b"x")
