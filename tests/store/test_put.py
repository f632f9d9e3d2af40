"""Content on its way in: small content in one go, large content copied and shown as it is stored."""

import errno
import os
from pathlib import Path

import pytest

from nemotron.kit.errors import DiskFullError, OutsideRootError
from nemotron.kit.store import file_copy, files
from nemotron.kit.store.local import LocalStore
from nemotron.kit.store.memory import MemoryStore
from nemotron.kit.store.protocol import Store
from nemotron.kit.testing.faults import failing

KEY = ".kit/blobs/ab/abcd"
SIZE = 1_000_003


@pytest.fixture(params=["local", "local without unnamed files", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    if request.param == "memory":
        return MemoryStore()
    if "without" in request.param:
        monkeypatch.setattr(files, "_UNNAMED", 0)
    return LocalStore(tmp_path / "store")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(os.urandom(SIZE))
    return path


def filled(store: Store, source: Path, buffer_size: int = 1 << 16, ahead: bool = False) -> bytes:
    seen = bytearray()
    with open(source, "rb", buffering=0) as file, store.stage() as staging:
        assert staging.fill(file.fileno(), seen.extend, buffer_size, ahead=ahead) == SIZE
        assert staging.commit(KEY)
    return bytes(seen)


def test_put_creates_once(store: Store) -> None:
    assert store.put(KEY, b"content") is True
    assert store.put(KEY, b"content") is False
    assert store.read(KEY) == b"content"
    assert store.list(".kit/blobs/ab") == ["abcd"]
    store.sync()


def test_put_into_a_root_that_was_cleared_meanwhile(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.put(KEY, b"content")
    (tmp_path / "store").rename(tmp_path / "gone")
    assert store.put(KEY, b"content") is True


def test_put_follows_no_link(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    (tmp_path / "store/.kit").mkdir(parents=True)
    (tmp_path / "store/.kit/blobs").symlink_to(tmp_path)
    with pytest.raises(OutsideRootError):
        store.put(KEY, b"content")
    assert not (tmp_path / "ab").exists()


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EXDEV])
def test_a_file_system_that_can_not_name_a_file_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    by_descriptor = failing(os.link, number, only=lambda names: str(names[0]).startswith("/proc/"))
    monkeypatch.setattr(os, "link", by_descriptor)
    store = LocalStore(tmp_path / "store")
    assert store.put(KEY, b"content") is True
    assert store.put(KEY, b"content") is False
    assert store.read(KEY) == b"content"


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(tmp_path / "store")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", failing(os.write, errno.ENOSPC))
        with pytest.raises(DiskFullError):
            store.put(KEY, b"content")
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []
    assert store.put(KEY, b"content") is True


@pytest.mark.parametrize("ahead", [False, True])
def test_what_is_shown_is_what_is_stored(
    store: Store, source: Path, monkeypatch: pytest.MonkeyPatch, ahead: bool
) -> None:
    monkeypatch.setattr(file_copy, "LEAD_SIZE", 1 << 17)
    assert filled(store, source, ahead=ahead) == source.read_bytes() == store.read(KEY)


def test_a_disk_that_fills_up_while_another_thread_copies(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_copy, "LEAD_SIZE", 1 << 17)
    monkeypatch.setattr(file_copy, "copies_by_itself", lambda descriptor: False)  # as a tmpfs would
    store = LocalStore(tmp_path / "store")
    written = iter((None,) * 5)
    is_full = lambda _: next(written, "full") == "full"  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", failing(os.write, errno.ENOSPC, only=is_full))
        with pytest.raises(DiskFullError):
            filled(store, source, ahead=True)
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []
    assert filled(store, source, ahead=True) == source.read_bytes() == store.read(KEY)


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_that_can_not_copy_by_itself(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(file_copy, "copies_by_itself", lambda descriptor: True)
    monkeypatch.setattr(os, "copy_file_range", failing(lambda *_: 0, number))
    store = LocalStore(tmp_path / "store")
    assert filled(store, source) == source.read_bytes() == store.read(KEY)


def test_a_file_system_that_stops_copying_half_way(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.copy_file_range

    def copy(here: int, there: int, count: int, at: int, to: int) -> int:
        return real(here, there, min(count, 1000), at, to) if at < 5000 else 0

    monkeypatch.setattr(file_copy, "copies_by_itself", lambda descriptor: True)
    monkeypatch.setattr(os, "copy_file_range", copy)
    store = LocalStore(tmp_path / "store")
    assert filled(store, source) == source.read_bytes() == store.read(KEY)


@pytest.mark.parametrize("how", ["copied", "copied by itself", "shared"])
def test_reads_that_give_less_than_was_asked_for(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    real = os.preadv
    monkeypatch.setattr(file_copy, "copies_by_itself", lambda descriptor: how == "copied by itself")
    monkeypatch.setattr(os, "preadv", lambda file, views, at: real(file, [views[0][:1000]], at))
    if how == "shared":
        monkeypatch.setattr(
            file_copy, "_clone", lambda here, there: os.pwrite(there, source.read_bytes(), 0) > 0
        )
    store = LocalStore(tmp_path / "store")
    assert filled(store, source) == source.read_bytes() == store.read(KEY)


def test_blocks_that_are_shared_are_shown_as_well(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clone(source: int, target: int) -> bool:
        os.pwrite(target, os.pread(source, SIZE, 0), 0)
        return True

    monkeypatch.setattr(file_copy, "_clone", clone)
    store = LocalStore(tmp_path / "store")
    assert filled(store, source) == source.read_bytes() == store.read(KEY)


def test_a_disk_that_fills_while_copying_leaves_nothing(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_copy, "copies_by_itself", lambda descriptor: True)
    monkeypatch.setattr(os, "copy_file_range", failing(lambda *_: 0, errno.ENOSPC))
    store = LocalStore(tmp_path / "store")
    with pytest.raises(DiskFullError):
        filled(store, source)
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("by_itself", [True, False])
def test_the_disk_takes_what_is_copied_while_the_rest_is(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, by_itself: bool
) -> None:
    started = []

    def start(descriptor: int, start: int, size: int) -> None:
        assert os.fstat(descriptor).st_size == start + size
        started.append((start, size))

    monkeypatch.setattr(file_copy, "copies_by_itself", lambda descriptor: by_itself)
    monkeypatch.setattr(file_copy, "start_write_back", start)
    monkeypatch.setattr(file_copy, "WRITE_BACK_SIZE", 300_000)
    filled(LocalStore(tmp_path / "store"), source)
    assert len(started) == 4
    assert [at for at, _ in started] == [0, *(sum(size for _, size in started[:n]) for n in (1, 2, 3))]
    assert sum(size for _, size in started) == SIZE


def test_a_write_back_really_begins_or_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(tmp_path / "file", "wb", buffering=0) as file:
        file.write(b"content")
        file_copy.start_write_back(file.fileno(), 0, 7)
        monkeypatch.setattr(files, "c_function", lambda name: None)
        file_copy.start_write_back(file.fileno(), 0, 7)
    assert (tmp_path / "file").read_bytes() == b"content"
