"""A failure of the disk is heard by all whom it concerns, though the system tells each of them but once."""

import ctypes
import errno
import gc
import multiprocessing
import os
import threading
import warnings
from pathlib import Path

import pytest

from nemotron.kit.errors import UnavailableError
from nemotron.kit.store import files
from nemotron.kit.store.local import LocalStore
from nemotron.kit.store.unsynced import SINGLY_MAX


class System:
    """As Linux does it: who has the file system open is told of a failure, once; who opens it later is told
    only if nobody was before.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.failures = self._told = 0
        self._heard: dict[int, int] = {}
        self._open = files.open_folder
        others = files.c_function
        monkeypatch.setattr(files, "open_folder", self.open_folder)
        monkeypatch.setattr(
            files, "c_function", lambda name: self.syncfs if name == "syncfs" else others(name)
        )

    def open_folder(self, path: str) -> int:
        descriptor = self._open(path)
        self._heard[descriptor] = self._told
        return descriptor

    def syncfs(self, descriptor: int) -> int:
        if self._heard[descriptor] == self.failures:
            return 0
        self._heard[descriptor] = self._told = self.failures
        ctypes.set_errno(errno.EIO)
        return -1


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    assert files.can_sync_file_system()  # asked of the real one, and remembered
    return System(monkeypatch)


@pytest.fixture
def founded(store: LocalStore) -> LocalStore:
    store.create(".kit/format.json", b"{}")
    return store


def put_many(store: LocalStore) -> None:
    for number in range(SINGLY_MAX + 1):
        store.put(f".kit/blobs/aa/{number}", b"x")
        store.rely_on(f".kit/blobs/aa/{number}")


def held_open(folder: Path) -> int:
    """How often this process has a folder open."""
    found = [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
    return found.count(str(folder))


def test_what_another_process_was_told_is_heard_by_who_began_before(founded, root, system):
    other = LocalStore(root)  # which has the root open for itself, as another process has
    with founded.mark() as mark, other.mark() as theirs:
        put_many(founded)
        put_many(other)
        system.failures += 1
        with pytest.raises(UnavailableError, match="Input/output error"):
            other.sync_since(theirs)
        with pytest.raises(UnavailableError, match="Input/output error"):
            founded.sync_since(mark)
    with founded.mark() as mark:  # what was before is not its business
        put_many(founded)
        founded.sync_since(mark)


def test_who_began_later_does_not_sync_away_what_concerns_the_others(founded, root, system):
    with founded.mark() as first:
        put_many(founded)
        system.failures += 1
        put_many(other := LocalStore(root))
        with pytest.raises(UnavailableError):
            other.sync()
        with founded.mark() as second, pytest.raises(UnavailableError):
            founded.sync_since(second)  # for the files of both
        with pytest.raises(UnavailableError):
            founded.sync_since(first)


def test_the_root_is_open_while_somebody_has_a_mark_however_that_ends(founded, root, system, monkeypatch):
    def interrupted(descriptor: int) -> int:
        raise KeyboardInterrupt

    assert held_open(root) == 0
    with founded.mark() as first:
        second = founded.mark()
        assert held_open(root) == 1
        put_many(founded)
        founded.sync_since(first)
        assert held_open(root) == 1
        second.close()
        assert held_open(root) == 0
        second.close()
    with founded.mark() as mark:
        put_many(founded)
        system.failures += 1
        with pytest.raises(UnavailableError):
            founded.sync_since(mark)
        assert held_open(root) == 0
    kept = None
    try:
        with founded.mark():
            raise KeyboardInterrupt
    except KeyboardInterrupt as error:
        kept = error  # as a notebook does
    assert held_open(root) == 0
    kept = None
    with founded.mark() as mark:
        put_many(founded)
        monkeypatch.setattr(system, "syncfs", interrupted)
        try:
            founded.sync_since(mark)
        except KeyboardInterrupt as error:
            kept = error
    assert held_open(root) == 0
    assert kept is not None
    mark = founded.mark()  # an interrupt came before anybody could close it
    assert held_open(root) == 1
    del mark
    assert held_open(root) == 0


def test_many_threads_hold_it_open_once_and_then_no_more(founded, root, system):
    seen = []
    together = threading.Barrier(8, lambda: seen.append(held_open(root)), timeout=60)

    def publish() -> None:
        for _ in range(20):
            with founded.mark() as mark:
                put_many(founded)
                together.wait()
                founded.sync_since(mark)

    threads = [threading.Thread(target=publish) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held_open(root) == 0
    assert seen == [1] * 20


def test_a_root_that_is_not_there_yet_or_was_made_anew(store, root, tmp_path):
    with store.mark() as early:
        assert held_open(root) == 0
        put_many(store)
        with store.mark():
            assert held_open(root) == 1
            root.rename(tmp_path / "before")
            root.mkdir()
            with store.mark():
                assert held_open(root) == 1
        put_many(store)
        store.sync_since(early)
    assert held_open(root) == held_open(tmp_path / "before") == 0


def test_without_descriptors_a_publish_of_few_files_goes_on(founded, monkeypatch):
    def none(path: str) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)

    monkeypatch.setattr(files, "open_folder", none)
    with founded.mark() as mark:
        founded.put(".kit/blobs/aa/1", b"x")
        founded.sync_since(mark)
    with founded.mark() as mark:
        put_many(founded)
        with pytest.raises(UnavailableError, match="ulimit"):
            founded.sync_since(mark)


def test_a_forked_child_hears_by_a_descriptor_of_its_own(founded, root):
    # What it were told by that of its parent, its parent would not be told.
    def child() -> None:
        inherited = held_open(root)
        with founded.mark() as own:
            put_many(founded)
            founded.sync_since(own)
        mark.close()
        os._exit(0 if inherited == held_open(root) == 0 else 1)

    with founded.mark() as mark:
        forked = multiprocessing.get_context("fork").Process(target=child)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            forked.start()
        forked.join(60)
        assert forked.exitcode == 0
        assert held_open(root) == 1
        put_many(founded)
        founded.sync_since(mark)


def test_an_interrupt_hides_no_failure(tmp_path, system, monkeypatch):
    def interrupted(descriptor: int) -> int:
        ctypes.set_errno(errno.EIO)
        raise KeyboardInterrupt  # which comes when the call is over

    monkeypatch.setattr(system, "syncfs", interrupted)
    with pytest.raises(files.LostError, match="Input/output error"):
        files.sync_file_system(str(tmp_path))


def test_a_store_that_nobody_uses_any_more_holds_nothing_open(root):
    store = LocalStore(root)
    store.create("a", b"")
    mark = store.mark()  # which nobody closes
    assert held_open(root) == 1
    del store, mark
    gc.collect()
    assert held_open(root) == 0
