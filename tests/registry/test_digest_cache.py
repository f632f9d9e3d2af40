"""What is remembered of a file's digest, and when it is not believed."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nemotron.kit.registry import content, digest_cache
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.scan import scan_file, scan_folder
from nemotron.kit.store import proc
from nemotron.kit.store.user_folder import cache_folder
from nemotron.kit.testing.faults import failing


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.bin").write_bytes(name.encode() * 1000)
    return folder


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the files had been written long ago: a test can't wait until they were, nor set their ctime."""
    monkeypatch.setattr(digest_cache, "SETTLED_NS", -(10**12))


@pytest.fixture
def reads(watch_reads: Callable[[], list[str]]) -> list[str]:
    """The files whose bytes were read."""
    return watch_reads()


def hashed(folder: Path) -> dict[str, str | None]:
    tree = content.hashed(str(folder), scan_folder(str(folder)))
    return {entry.path: entry.digest for entry in tree.entries}


def kept() -> list[Path]:
    """The files of the cache."""
    return [path for path in Path(cache_folder(), "nemotron-kit", "digests").rglob("*") if path.is_file()]


@pytest.mark.usefixtures("settled")
def test_what_has_not_changed_is_not_read_again(data: Path, reads: list[str]) -> None:
    first = hashed(data)
    assert sorted(reads) == ["a.bin", "b.bin", "c.bin"]
    reads.clear()
    assert hashed(data) == first
    assert reads == []


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("snapshot", [False, True])
def test_files_of_one_folder_and_the_folder_do_not_push_each_other_out(
    data: Path, tmp_path: Path, reads: list[str], snapshot: bool
) -> None:
    registry = Registry.open(str(tmp_path / "store"))
    sources = {"p": data / "a.bin", "q": data / "b.bin", "all": data}

    def publish_all() -> list[str | None]:
        drafts = [
            Draft(name=name, source=path, snapshot=snapshot, evidence="full")
            for name, path in sources.items()
        ]
        return [registry.publish(draft).record.manifest.content.digest for draft in drafts]

    first = publish_all()
    assert sorted(reads) == ["a.bin", "a.bin", "b.bin", "b.bin", "c.bin"]
    reads.clear()
    assert publish_all() == first
    assert reads == []
    (data / "a.bin").write_bytes(b"another one")
    publish_all()
    assert reads == ["a.bin", "a.bin"]


@pytest.mark.usefixtures("settled")
def test_a_large_file_that_was_read_with_its_folder_is_not_read_alone(data: Path, reads: list[str]) -> None:
    (data / "a.bin").write_bytes(bytes(100_000))
    hashed(data)
    reads.clear()
    for path in (data / "a.bin", data / "a.bin", data / "b.bin"):
        content.hashed(str(data), scan_file(str(path)), alone=True)
    assert reads == ["b.bin"]  # small: looking for it would cost more
    hashed(data)
    assert reads == ["b.bin"]


@pytest.mark.usefixtures("settled")
def test_what_nobody_has_used_for_long_leaves_the_cache(data: Path, reads: list[str]) -> None:
    hashed(data)
    [used] = kept()
    long_ago = time.time() - 2 * digest_cache.UNUSED_S
    os.utime(used, (long_ago, long_ago))
    hashed(data)  # which is a use
    unused = used.with_name("unused")
    unused.write_bytes(b"")
    os.utime(unused, (long_ago, long_ago))
    reads.clear()
    hashed(data)
    assert reads == []
    assert unused.exists()  # nothing new is kept, so nothing is looked for
    others = (data.parent / f"other-{number}" for number in range(10_000))
    folder = next(other for other in others if digest_cache._place(str(other)).parent == used.parent)
    folder.mkdir()
    (folder / "x").write_bytes(b"x")
    hashed(folder)
    assert used in kept()
    assert unused not in kept()


def test_what_changed_a_moment_ago_is_not_believed(data: Path, reads: list[str]) -> None:
    hashed(data)
    reads.clear()
    hashed(data)
    assert len(reads) == 3


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("kind", ["squashfs", "fuse.squashfuse", "exfat"])
def test_nothing_is_believed_where_all_times_can_be_set(
    data: Path, reads: list[str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another image in the place of one: the same names, sizes, inodes and times, and other bytes.
    hashed(data)
    asked = []
    monkeypatch.setattr(proc, "file_system", lambda device: asked.append(device) or kind)
    for _ in range(2):
        reads.clear()
        hashed(data)
        assert sorted(reads) == ["a.bin", "b.bin", "c.bin"]
    assert set(asked) == {data.stat().st_dev}


def flip(path: Path) -> None:
    path.write_bytes(b"B" + path.read_bytes()[1:])


def flip_and_hide(path: Path) -> None:
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_with_same_times(path: Path) -> None:
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"x" * before.st_size)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(other, path)


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("change", [flip, flip_and_hide, replace_with_same_times])
def test_a_changed_file_is_read_whatever_its_time_says(
    data: Path, reads: list[str], change: Callable[[Path], None]
) -> None:
    first = hashed(data)
    reads.clear()
    change(data / "b.bin")
    second = hashed(data)
    assert reads == ["b.bin"]
    assert second["b.bin"] != first["b.bin"]


@pytest.mark.usefixtures("settled")
@pytest.mark.parametrize("damage", [b"", b"not zlib", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_a_damaged_cache_costs_only_time(data: Path, reads: list[str], damage: bytes) -> None:
    first = hashed(data)
    for path in Path(os.environ["XDG_CACHE_HOME"]).rglob("digests/*/*"):
        path.write_bytes(damage)
    reads.clear()
    assert hashed(data) == first
    assert len(reads) == 3


def test_a_cache_that_cannot_be_written_is_done_without(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    assert all(hashed(data).values())


@pytest.mark.usefixtures("settled")
def test_an_unchanged_snapshot_reads_and_stores_nothing(data: Path, reads: list[str], tmp_path: Path) -> None:
    registry = Registry.open(tmp_path / "store")
    registry.publish(Draft(name="x", source=data, snapshot=True))
    before = sorted((tmp_path / "store").rglob("*"))
    reads.clear()
    assert not registry.publish(Draft(name="x", source=data, snapshot=True)).created
    assert reads == []
    assert sorted((tmp_path / "store").rglob("*")) == before


@pytest.mark.usefixtures("settled")
def test_a_known_digest_is_no_copy(data: Path, tmp_path: Path) -> None:
    hashed(data)  # known to the cache, not to the store
    registry = Registry.open(tmp_path / "store")
    record = registry.publish(Draft(name="x", source=data, snapshot=True)).record
    assert (registry.folder(record) / "a.bin").read_bytes() == b"a" * 1000


@pytest.mark.usefixtures("settled")
def test_verifying_reads_the_bytes_all_the_same(data: Path, reads: list[str], tmp_path: Path) -> None:
    registry = Registry.open(tmp_path / "store")
    registry.publish(Draft(name="x", source=data, evidence="full"))
    reads.clear()
    assert registry.verify("art://x", "full").ok
    assert len(reads) == 3


HOUR_NS = 3600 * 10**9


@pytest.fixture
def clock_is_off(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets this machine's clock differ from that of the file system, which is the server's, by so much."""
    real = time.time_ns
    return lambda by_ns: monkeypatch.setattr(digest_cache.time, "time_ns", lambda: real() + by_ns)


@pytest.mark.parametrize("by_ns", [HOUR_NS, -HOUR_NS], ids=["server behind", "server ahead"])
@pytest.mark.parametrize("asked", ["unnamed", "another folder", "not at all"])
def test_a_wrong_clock_lets_no_fresh_file_be_believed(
    data: Path,
    reads: list[str],
    clock_is_off: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    by_ns: int,
    asked: str,
) -> None:
    if asked != "unnamed":

        def is_unnamed(given: tuple[Any, ...]) -> bool:
            return given[0] == str(data) and given[1] & os.O_TMPFILE == os.O_TMPFILE

        monkeypatch.setattr(os, "open", failing(os.open, errno.EOPNOTSUPP, only=is_unnamed))
    if asked == "not at all":
        monkeypatch.setattr(digest_cache.tempfile, "gettempdir", lambda: "/proc")
        monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    clock_is_off(by_ns)
    first = hashed(data)
    reads.clear()
    before = (data / "b.bin").stat()
    (data / "b.bin").write_bytes(b"B" * before.st_size)  # within the tick of the server's clock, say
    os.utime(data / "b.bin", ns=(before.st_atime_ns, before.st_mtime_ns))
    second = hashed(data)
    assert sorted(reads) == ["a.bin", "b.bin", "c.bin"]
    assert second["b.bin"] != first["b.bin"]


def test_asking_the_file_system_for_its_clock_leaves_nothing(data: Path) -> None:
    before, folder = sorted(os.listdir(data)), data.stat()
    now = digest_cache.now_ns(str(data))
    assert abs(now - (data / "a.bin").stat().st_mtime_ns) < HOUR_NS
    assert sorted(os.listdir(data)) == before
    assert data.stat().st_mtime_ns == folder.st_mtime_ns


def test_what_did_not_change_since_yesterday_is_believed_without_a_clock(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest_cache, "_asked_ns", lambda folder: None)
    now_ns = digest_cache.now_ns(str(data))
    assert time.time_ns() - now_ns >= 24 * HOUR_NS
