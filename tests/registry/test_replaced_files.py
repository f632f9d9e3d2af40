"""What took the place of a file since it was looked at: a pipe, whose opening waits for a writer, or a file
that somebody writes faster than it is read. Nothing waits for ever, and nothing of it is published.
"""

import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from nemotron.kit.documents.digest import digest_of
from nemotron.kit.documents.entry import Entry
from nemotron.kit.errors import ConflictError, KitError
from nemotron.kit.registry import content, mending, parallel, reading, worker_processes
from nemotron.kit.registry.doctor import examine
from nemotron.kit.registry.reading import SMALL_SIZE_MAX, steadily
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.scan import is_kit_metadata, scan_folder
from nemotron.kit.store.local import LocalStore

DEADLINE_S = 30
SIZES = {"small": 300, "large": SMALL_SIZE_MAX + 1}


def in_time(work: Callable[[], object], pipe: Path) -> object:
    """What some work returns or raises, which may be waiting for a writer of a pipe; then it is given one."""
    ended: list[object] = []

    def run() -> None:
        try:
            ended.append(work())
        except KitError as error:
            ended.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(DEADLINE_S)
    is_late = thread.is_alive()
    while thread.is_alive():
        os.close(os.open(pipe, os.O_RDWR | os.O_NONBLOCK))
        thread.join(0.1)
    assert not is_late, "it waited for a writer"
    return ended[0]


WAYS = {
    "snapshot": lambda folder, tree, store: content.snapshot(store, folder, tree),
    "full": lambda folder, tree, store: content.hashed(folder, tree),
    "sampled": lambda folder, tree, store: content.sampled(folder, tree),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("where", ["threads", "processes"])
def test_a_pipe_in_the_place_of_a_file(tmp_path, monkeypatch, where, size, way):
    if where == "processes":
        monkeypatch.setattr(worker_processes, "FILES_MIN", 1)
        monkeypatch.setattr(worker_processes, "SIZE_MAX", SIZES["large"])
        monkeypatch.setattr(parallel, "workers_most", lambda: 2)
    folder, store = tmp_path / "data", LocalStore(tmp_path / "store")
    folder.mkdir()
    for name in "abc":
        (folder / name).write_bytes(os.urandom(SIZES[size]))
    tree, pipe = scan_folder(str(folder)), folder / "b"
    pipe.unlink()
    os.mkfifo(pipe)
    for writer in (None, "one that says nothing"):
        held = os.open(pipe, os.O_RDWR | os.O_NONBLOCK) if writer else None
        told = in_time(lambda: WAYS[way](str(folder), tree, store), pipe)
        assert isinstance(told, ConflictError)
        assert str(told).startswith(f"{pipe} was a file a moment ago, and is none any more")
        if held is not None:
            os.close(held)


@pytest.mark.parametrize("size", SIZES)
def test_a_folder_in_the_place_of_a_file(publish, data, registry, monkeypatch, size):
    path = data / "part.txt"
    path.write_bytes(os.urandom(SIZES[size]))

    def replaced(folder, entry, read):
        if path.is_file():
            path.unlink()
            path.mkdir()
        return steadily(folder, entry, read)

    monkeypatch.setattr(reading, "steadily", replaced)
    with pytest.raises(ConflictError, match=r"part\.txt was a file a moment ago, and is none any more"):
        publish(snapshot=True)
    assert registry.list() == []


@pytest.mark.parametrize("way", [{"snapshot": True}, {"evidence": "full"}])
def test_a_file_that_is_written_faster_than_it_is_read(publish, data, registry, monkeypatch, way):
    """Whenever bytes of it were read, as many were added."""
    monkeypatch.setattr(parallel, "workers_most", lambda: 1)
    path, most = data / "growing.bin", 500
    path.write_bytes(bytes(SIZES["large"]))
    told = []

    def grow(*_: object) -> None:
        told.append(_)
        assert len(told) < most, "it is read for ever"
        os.truncate(path, path.stat().st_size + reading.COPY_BUFFER_SIZE)

    with pytest.raises(ConflictError, match=r"growing\.bin keeps changing while it is read"):
        registry.publish(Draft(name="m", source=data, **way), progress=grow)
    assert registry.list() == []


def test_no_more_is_read_of_a_small_file_than_shows_that_it_grew(tmp_path):
    path = tmp_path / "grown"
    path.write_bytes(bytes(1000))
    descriptor = os.open(path, os.O_RDONLY)
    try:
        assert len(reading.read_small(descriptor, 10)) == 11
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("store", ["local", "memory"])
def test_a_small_file_that_is_large_by_now_is_taken_as_one(tmp_path, store):
    from nemotron.kit.store.memory import MemoryStore

    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a").write_bytes(b"small")
    tree = scan_folder(str(folder))
    (folder / "a").write_bytes(bytes(SIZES["large"]))
    into = LocalStore(tmp_path / "store") if store == "local" else MemoryStore()
    taken = content.snapshot(into, str(folder), tree)
    assert taken.digest == content.hashed(str(folder), scan_folder(str(folder))).digest
    assert len(list(into.walk(".kit/blobs"))) == 1  # and nothing of what it was meanwhile


def test_a_file_that_may_not_be_opened_at_once_is_waited_for(publish, data, registry, monkeypatch):
    """Another program has a lease of it, or another machine a lock: the system asks to try again."""
    real, refused = os.open, []

    def busy(path, flags, *args, **how):
        if str(path).endswith("part.txt") and flags & os.O_NONBLOCK and not refused:
            refused.append(path)
            raise BlockingIOError(11, "Resource temporarily unavailable", path)
        return real(path, flags, *args, **how)

    monkeypatch.setattr(os, "open", busy)
    record = publish(snapshot=True).record
    assert refused
    assert [entry.path for entry in registry.tree(record).entries] == ["part.txt", "sub/more.bin"]


def test_a_pipe_where_a_lost_file_is_looked_for(publish, data, root):
    publish(snapshot=True)
    for blob in (root / ".kit/blobs").rglob("*"):
        if blob.is_file():
            blob.unlink()
    pipe = data / "part.txt"
    pipe.unlink()
    os.mkfifo(pipe)
    in_time(lambda: examine(Registry.open(root), repair=True), pipe)
    (left,) = (f for f in examine(Registry.open(root)) if f.kind == "missing_content")
    assert "part.txt" in left.what
    assert len([path for path in (root / ".kit/blobs").rglob("*") if path.is_file()]) == 1


@pytest.mark.parametrize("store", ["local", "memory"])
def test_where_a_lost_file_is_looked_for_no_more_is_read_than_it_had(tmp_path, store):
    from nemotron.kit.store.memory import MemoryStore

    into = LocalStore(tmp_path / "store") if store == "local" else MemoryStore()
    lost = Entry("a", 10, digest=digest_of(bytes(10)))
    assert mending.take_from(into, partial(open, "/dev/zero", "rb"), lost) is False
    assert list(into.walk()) == []


def test_a_pipe_where_metadata_would_be(tmp_path):
    pipe = tmp_path / "metadata.json"
    os.mkfifo(pipe)
    assert in_time(lambda: is_kit_metadata(str(pipe)), pipe) is False
