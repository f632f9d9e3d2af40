"""What is noticed when the files of a version change, at each level of evidence."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nemotron.kit.errors import KitError, MisuseError
from nemotron.kit.registry import layout, objects
from nemotron.kit.registry.doctor import examine
from nemotron.kit.registry.records import Draft, Record
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.protocol import Store

Change = Callable[[Path], None]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.bin").write_bytes(b"a" * 1000)
    (folder / "b.bin").write_bytes(b"b" * 1000)
    (folder / "sub/c.bin").write_bytes(b"c" * 10)
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry.open(tmp_path / "store")


def keep_times(path: Path, write: Callable[[], object]) -> None:
    """Change a file and put its times back, as a tool that hides its tracks would."""
    before = path.stat()
    write()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def flip_a_byte(folder: Path) -> None:
    path = folder / "a.bin"
    keep_times(path, lambda: path.write_bytes(b"A" + path.read_bytes()[1:]))


def truncate(folder: Path) -> None:
    os.truncate(folder / "a.bin", 999)


def swap(folder: Path) -> None:
    a, b = (folder / "a.bin", folder / "b.bin")
    stat_a, stat_b = a.stat(), b.stat()
    content_a, content_b = a.read_bytes(), b.read_bytes()
    a.write_bytes(content_b)
    b.write_bytes(content_a)
    os.utime(a, ns=(stat_a.st_atime_ns, stat_a.st_mtime_ns))
    os.utime(b, ns=(stat_b.st_atime_ns, stat_b.st_mtime_ns))


def replace(folder: Path) -> None:
    """Another file of the same size and time in its place."""
    path, other = folder / "a.bin", folder.parent / "other"
    before = path.stat()
    other.write_bytes(b"o" * before.st_size)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(other, path)


def touch(folder: Path) -> None:
    os.utime(folder / "a.bin", ns=(1, 1))


def rewrite_same_size(folder: Path) -> None:
    (folder / "a.bin").write_bytes(b"z" * 1000)
    os.utime(folder / "a.bin", ns=(1, 1))


def remove(folder: Path) -> None:
    (folder / "sub/c.bin").unlink()
    (folder / "sub").rmdir()


def add(folder: Path) -> None:
    (folder / "d.bin").write_bytes(b"d")


NOTHING: dict[str, str] = {}
CASES: list[tuple[Change, dict[str, str], dict[str, str]]] = [
    # what happens, what sizes and times tell, what digests tell
    (flip_a_byte, NOTHING, {"a.bin": "changed"}),
    (replace, NOTHING, {"a.bin": "changed"}),
    (swap, NOTHING, {"a.bin": "changed", "b.bin": "changed"}),
    (truncate, {"a.bin": "changed"}, {"a.bin": "changed"}),
    (touch, {"a.bin": "touched"}, {"a.bin": "touched"}),
    (rewrite_same_size, {"a.bin": "touched"}, {"a.bin": "changed"}),
    (remove, {"sub/c.bin": "missing"}, {"sub/c.bin": "missing"}),
    (add, {"d.bin": "extra"}, {"d.bin": "extra"}),
]


@pytest.mark.parametrize(("change", "by_stat", "by_digest"), CASES)
def test_each_level_names_what_it_can_see(
    registry: Registry, data: Path, change: Change, by_stat: dict[str, str], by_digest: dict[str, str]
) -> None:
    registry.publish(Draft(name="x", source=data, evidence="full"))
    change(data)
    for evidence, expected in (("stat", by_stat), ("full", by_digest)):
        found = registry.verify("art://x", evidence)  # type: ignore[arg-type]
        assert {item.path: item.verdict for item in found.files} == expected
        assert found.ok == (set(expected.values()) <= {"touched"})
        assert found.evidence == evidence


def test_stat_reads_no_bytes_and_full_says_how_many(registry: Registry, data: Path) -> None:
    registry.publish(Draft(name="x", source=data, evidence="full"))
    assert registry.verify("art://x", "stat").bytes_read == 0
    assert registry.verify("art://x").bytes_read == 2010


def test_a_version_without_digests_is_not_called_fully_verified(registry: Registry, data: Path) -> None:
    registry.publish(Draft(name="x", source=data))
    found = registry.verify("art://x", "full")
    assert (found.evidence, found.bytes_read, found.ok) == ("stat", 0, True)


def test_loading_settles_by_digest_what_was_only_touched(registry: Registry, data: Path) -> None:
    with_digests = registry.publish(Draft(name="x", source=data, evidence="full")).record
    without = registry.publish(Draft(name="y", source=data)).record
    touch(data)
    assert registry.check(with_digests) == []
    assert [item.verdict for item in registry.check(without)] == ["touched"]
    rewrite_same_size(data)
    assert [(item.path, item.verdict) for item in registry.check(with_digests)] == [("a.bin", "changed")]


@pytest.mark.parametrize("evidence", ["stat", "full"])
def test_a_lost_blob_of_a_snapshot_is_named(registry: Registry, data: Path, evidence: str) -> None:
    record = registry.publish(Draft(name="x", source=data, snapshot=True)).record
    assert registry.verify("art://x", evidence).ok  # type: ignore[arg-type]
    _blob_of(registry, record, "b.bin").unlink()
    found = registry.verify("art://x", evidence)  # type: ignore[arg-type]
    assert [(item.path, item.verdict) for item in found.files] == [("b.bin", "missing")]
    assert not found.ok


def test_a_damaged_blob_of_a_snapshot_is_named(registry: Registry, data: Path) -> None:
    record = registry.publish(Draft(name="x", source=data, snapshot=True)).record
    blob = _blob_of(registry, record, "b.bin")
    blob.chmod(0o644)
    blob.write_bytes(b"B" * 1000)
    assert [item.path for item in registry.verify("art://x", "full").files] == ["b.bin"]


def flip_blob(a: Path, b: Path) -> None:
    keep_times(a, lambda: a.write_bytes(b"A" + a.read_bytes()[1:]))


def truncate_blob(a: Path, b: Path) -> None:
    keep_times(a, lambda: os.truncate(a, 999))


def swap_blobs(a: Path, b: Path) -> None:
    os.rename(a, a.with_name("aside"))
    os.rename(b, a)
    os.rename(a.with_name("aside"), b)


def replace_blob(a: Path, b: Path) -> None:
    before = a.stat()
    a.unlink()
    a.write_bytes(b"o" * 1000)
    os.utime(a, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("change", "by_stat", "by_digest"),
    [
        (flip_blob, [], ["a.bin"]),
        (truncate_blob, ["a.bin"], ["a.bin"]),
        (swap_blobs, [], ["a.bin", "b.bin"]),
        (replace_blob, [], ["a.bin"]),
    ],
)
def test_what_can_happen_to_the_blobs_of_a_snapshot(
    registry: Registry,
    data: Path,
    change: Callable[[Path, Path], None],
    by_stat: list[str],
    by_digest: list[str],
) -> None:
    record = registry.publish(Draft(name="x", source=data, snapshot=True)).record
    blobs = [_blob_of(registry, record, path) for path in ("a.bin", "b.bin")]
    for blob in blobs:
        blob.chmod(0o644)
    change(*blobs)
    for evidence, expected in (("stat", by_stat), ("full", by_digest)):
        found = registry.verify("art://x", evidence)  # type: ignore[arg-type]
        assert [item.path for item in found.files if item.verdict == "changed"] == expected
        assert (found.ok, found.evidence) == (not expected, evidence)


def test_a_rewrite_within_the_clocks_granularity_is_seen_by_every_byte(
    registry: Registry, data: Path
) -> None:
    # As fast as can be: a clock that ticks every few milliseconds gives both writes one time.
    path = data / "a.bin"
    path.write_bytes(b"y" * 1000)
    registry.publish(Draft(name="x", source=data, evidence="full"))
    keep_times(path, lambda: path.write_bytes(b"z" * 1000))
    assert registry.verify("art://x", "stat").files == ()
    assert [(item.path, item.verdict) for item in registry.verify("art://x", "full").files] == [
        ("a.bin", "changed")
    ]
    # Nor does the next save take the old digest for it.
    assert registry.publish(Draft(name="x", source=data, evidence="full")).created


def test_the_whole_folder_gone(registry: Registry, data: Path, tmp_path: Path) -> None:
    registry.publish(Draft(name="x", source=data))
    data.rename(tmp_path / "elsewhere")
    assert {item.verdict for item in registry.verify("art://x").files} == {"missing"}


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOTCONN, errno.ESTALE, errno.EIO])
@pytest.mark.parametrize("what", ["data", "data/a.bin"])
def test_what_can_not_be_looked_at_is_not_called_missing(
    registry: Registry, data: Path, what: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.publish(Draft(name="x", source=data.parent / what))
    look = os.stat

    def refuse(path: os.PathLike[str] | str | int, **options: Any) -> os.stat_result:
        if isinstance(path, str) and path.startswith(str(data)):
            raise OSError(number, os.strerror(number), path)
        return look(path, **options)

    monkeypatch.setattr(os, "stat", refuse)
    for asked in (registry.verify, lambda ref: registry.check(registry.resolve(ref))):
        with pytest.raises(KitError, match=f"Cannot look at {data}.*: {os.strerror(number)}"):
            asked("art://x")
    with pytest.raises(KitError, match=f"Cannot look at {data}"):
        registry.publish(Draft(name="y", source=data.parent / what))
    assert {finding.kind for finding in examine(registry)} == {"unreadable"}


def _a_folder(path: Path) -> None:
    path.mkdir()
    (path / "inside").write_text("x")


@pytest.mark.parametrize(
    "put", [_a_folder, os.mkfifo, lambda path: path.symlink_to(path.name), lambda path: path.symlink_to("x")]
)
def test_a_file_in_whose_place_is_none_any_more_is_missing(
    registry: Registry, data: Path, put: Callable[[Path], None]
) -> None:
    registry.publish(Draft(name="x", source=data / "a.bin", evidence="full"))
    (data / "a.bin").unlink()
    put(data / "a.bin")
    found = registry.verify("art://x")
    assert [(item.path, item.verdict) for item in found.files] == [("a.bin", "missing")]
    assert found.notes == (f"{data}/a.bin is no file any more",)
    assert [item.verdict for item in registry.check(registry.resolve("x"))] == ["missing"]


def test_a_folder_that_is_empty_on_one_side_alone_is_there_on_both(registry: Registry, data: Path) -> None:
    (data / "empty").mkdir()
    registry.publish(Draft(name="x", source=data))
    (data / "empty/new.bin").touch()
    (data / "sub/c.bin").unlink()
    assert [(item.path, item.verdict) for item in registry.verify("art://x").files] == [
        ("empty/new.bin", "extra"),
        ("sub/c.bin", "missing"),
    ]


def test_unknown_evidence_is_refused(registry: Registry, data: Path) -> None:
    registry.publish(Draft(name="x", source=data))
    with pytest.raises(MisuseError, match="'sampled' or 'full'"):
        registry.verify("art://x", "hopeful")  # type: ignore[arg-type]


def _blob_of(registry: Registry, record: Record, path: str) -> Path:
    tree = registry.tree(record)
    assert tree is not None
    digest = next(entry.digest for entry in tree.entries if entry.path == path)
    assert digest is not None
    text = digest.removeprefix("blake3:")
    return Path(registry.root, ".kit/blobs", text[:2], text)


def test_a_blob_that_is_set_aside_while_it_is_looked_at_is_still_there(
    registry: Registry, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = registry.publish(Draft(name="x", source=data, snapshot=True)).record
    locate, moved = objects.locate, []

    def located(store: Store, key: str) -> str | None:
        place = locate(store, key)
        if not moved:
            moved.append(store.move(key, layout.set_aside("018f", key)))
        return place

    monkeypatch.setattr(objects, "locate", located)
    assert registry.verify(record.uri, "stat").ok
    assert moved == [True]
