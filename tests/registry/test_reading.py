"""Digests of many files: of the state that each file is in when it is read, whatever the scan has seen."""

import os
from pathlib import Path

import pytest
from blake3 import blake3

from nemotron.kit.documents.columns import Columns
from nemotron.kit.errors import PathNotFoundError
from nemotron.kit.registry.reading import SMALL_SIZE_MAX, hash_chunk
from nemotron.kit.registry.scan import scan_folder

SIZES = {"empty": 0, "one": 1, "small": SMALL_SIZE_MAX, "large": SMALL_SIZE_MAX + 1}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for name in ("same", "grown", "cut", "other"):
        for kind, size in SIZES.items():
            path = folder / name / kind
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(size))
    (folder / "same/run").write_bytes(b"#!")
    (folder / "same/run").chmod(0o755)
    return folder


def replaced(path: Path) -> None:
    """Another file with as many bytes and the same time of change of its content."""
    there, other = path.stat(), path.with_name("new")
    other.write_bytes(os.urandom(there.st_size))
    os.utime(other, ns=(there.st_atime_ns, there.st_mtime_ns))
    other.replace(path)


def test_what_changed_since_the_scan_is_told_as_it_is_now(data: Path) -> None:
    seen, done = scan_folder(str(data)).columns, []
    for kind in SIZES:
        with open(data / "grown" / kind, "ab") as file:
            file.write(b"more")
        os.truncate(data / "cut" / kind, SIZES[kind] // 2)
        replaced(data / "other" / kind)

    found = hash_chunk(str(data), seen, 1, done.append)

    now = scan_folder(str(data)).columns
    assert list(found.paths) == list(now.paths)
    for column in ("sizes", "mtimes_ns", "ctimes_ns", "inodes"):
        assert getattr(found, column) == getattr(now, column), column
    for at, path in enumerate(found.paths):
        assert found.raw_digest(at) == blake3((data / path).read_bytes()).digest(), path
        assert found.entry(at).kind == now.entry(at).kind
    assert sum(done) >= sum(now.sizes)
    assert not seen.hashes, "what was given stays as it was"
    assert seen.paths == now.paths
    assert seen.sizes != now.sizes


def test_a_listing_that_was_read_needs_no_scan(data: Path) -> None:
    seen = scan_folder(str(data)).columns
    listed = Columns(seen.entries(range(len(seen))))
    for name in ("inodes", "ctimes_ns"):
        del getattr(listed, name)[:]
    expected = hash_chunk(str(data), seen)
    assert hash_chunk(str(data), listed).same_as(expected)


@pytest.mark.parametrize("kind", SIZES)
def test_what_is_gone_is_named(data: Path, kind: str) -> None:
    seen = scan_folder(str(data)).columns
    (data / "same" / kind).unlink()
    with pytest.raises(PathNotFoundError, match=f"same/{kind} was there a moment ago"):
        hash_chunk(str(data), seen)
