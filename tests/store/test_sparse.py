"""Files with holes: the same bytes and digests as ever, in little space."""

import itertools
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron.kit.errors import CorruptError
from nemotron.kit.integrations.copying import copy_out
from nemotron.kit.registry import layout
from nemotron.kit.registry.checkout_options import CheckoutOptions
from nemotron.kit.registry.doctor import examine
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store import file_copy, sparse

PAGE = 4096
BUFFER = 4 * sparse.PIECE_SIZE
# What may be in the place of a few pages: nothing, zeros that somebody wrote, other bytes, a byte alone.
KINDS = ("hole", "zeros", "data", "byte")
Layout = list[tuple[str, int]]
layouts = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 3 * BUFFER // PAGE)), max_size=6)


def make(path: Path, parts: Layout, odd: int = 0) -> bytes:
    """Write a file of parts so many pages long, and of a few bytes more; tells what is in it."""
    with open(path, "wb") as file:
        for kind, pages in parts:
            size = pages * PAGE
            if kind == "hole":
                file.seek(size, os.SEEK_CUR)
            else:
                file.write({"zeros": bytes, "data": random.randbytes, "byte": _a_byte}[kind](size))
        file.truncate(file.tell() + odd)
    return path.read_bytes()


def make_sparse(path: Path) -> bytes:
    """A file of 32 MiB, nearly all of it holes; tells what is in it."""
    path.parent.mkdir()
    return make(path, [("hole", 2000), ("data", 100), ("hole", 6000)])


def _a_byte(size: int) -> bytes:
    return bytes(size - 1) + b"x"


def space(path: Path) -> int:
    """The bytes that a file takes."""
    return path.stat().st_blocks * 512


@pytest.fixture
def holes(tmp_path: Path) -> None:
    """The file system of the tests has holes."""
    make(tmp_path / "probe", [("hole", 1024)])
    with open(tmp_path / "probe", "rb") as file:
        if not sparse.has_holes(file.fileno()):
            pytest.skip("the file system of the temporary folder has no holes")


@pytest.mark.parametrize("ahead", [False, True])
@given(parts=layouts, odd=st.integers(0, PAGE), short=st.booleans())
@settings(deadline=None)
def test_any_file_is_copied_as_it_is_and_shown_as_it_is_copied(
    tmp_path_factory: pytest.TempPathFactory, ahead: bool, parts: Layout, odd: int, short: bool
) -> None:
    folder, seen, real = tmp_path_factory.mktemp("any"), bytearray(), os.preadv
    data, most = make(folder / "source", parts, odd), itertools.cycle([BUFFER, 70_001])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(file_copy, "_clone", lambda source, target: False)
        patched.setattr(file_copy, "LEAD_SIZE", 2 * BUFFER)
        if short:  # as some file systems answer
            patched.setattr(os, "preadv", lambda file, views, at: real(file, [views[0][: next(most)]], at))
        with open(folder / "source", "rb") as source, open(folder / "target", "w+b") as target:
            place = source.tell()
            done = file_copy.copy(source.fileno(), target.fileno(), seen.extend, BUFFER, ahead=ahead)
            assert source.tell() == place
    assert done == len(data)
    assert seen == data == (folder / "target").read_bytes()
    assert space(folder / "target") <= space(folder / "source") + 2 * sparse.PIECE_SIZE * len(parts)


@pytest.mark.usefixtures("holes")
@pytest.mark.parametrize("way", ["reflink", "copy"])
def test_a_snapshot_keeps_holes_in_the_store_and_where_it_is_laid_out(tmp_path: Path, way: str) -> None:
    data = make_sparse(tmp_path / "data/x.bin")
    registry = Registry.open(tmp_path / "store", checkouts=CheckoutOptions(way=way))
    record = registry.publish(Draft(name="x", source=tmp_path / "data", snapshot=True)).record
    digest = f"blake3:{blake3(data).hexdigest()}"
    tree = registry.tree(record)
    assert tree is not None
    assert [(entry.size, entry.digest) for entry in tree.entries] == [(len(data), digest)]
    out = registry.folder(record) / "x.bin"
    blob = tmp_path / "store" / layout.blob(digest)
    for copy in (blob, out):
        assert copy.read_bytes() == data
        assert space(copy) <= 1 << 20
    assert registry.verify("x", "full").ok


@pytest.mark.usefixtures("holes")
@pytest.mark.parametrize("how", [{}, {"evidence": "full"}, {"snapshot": True}])
def test_cp_keeps_holes(tmp_path: Path, how: dict[str, Any]) -> None:
    data = make_sparse(tmp_path / "data/x.bin")
    registry, out, told = Registry.open(tmp_path / "store"), tmp_path / "out/x.bin", []
    registry.publish(Draft(name="x", source=tmp_path / "data", **how))
    copied = copy_out(registry, "x", str(out.parent), progress=lambda done, total: told.append((done, total)))
    assert (copied.files, told[-1]) == (1, (copied.size, copied.size))
    assert out.read_bytes() == data
    assert space(out) <= 1 << 20
    if how.get("snapshot"):  # of a blob that has become another one nothing comes
        [blob] = (path for path in (tmp_path / "store/.kit/blobs").rglob("*") if path.is_file())
        blob.chmod(0o644)
        os.truncate(blob, 0)
        os.truncate(blob, len(data))
        with pytest.raises(CorruptError, match=r"x\.bin is damaged in the store"):
            copy_out(registry, "x", str(tmp_path / "other"))
        assert not (tmp_path / "other").exists()


@pytest.mark.usefixtures("holes")
@pytest.mark.parametrize("source", ["folder", "store", "where it was taken from"])
def test_a_repair_keeps_holes(tmp_path: Path, source: str) -> None:
    data = make_sparse(tmp_path / "data/x.bin")
    registry = Registry.open(tmp_path / "store")
    draft = Draft(name="x", source=tmp_path / "data", snapshot=True)
    registry.publish(draft)
    Registry.open(tmp_path / "other").publish(draft)
    [blob] = (path for path in (tmp_path / "store/.kit/blobs").rglob("*") if path.is_file())
    blob.chmod(0o644)
    os.truncate(blob, 5 << 20)
    if source == "where it was taken from":
        assert [finding.repaired for finding in examine(registry, repair=True)] == ["1 brought back"]
    else:
        place = tmp_path / ("data" if source == "folder" else "other")
        found = registry.verify("x", "full")
        assert registry.repair("x", str(place), found) == ["x.bin"]
        assert registry.verify("x", "full").ok
    assert blob.read_bytes() == data
    assert space(blob) <= 1 << 20


@pytest.mark.usefixtures("holes")
@pytest.mark.parametrize("fill", [lambda path: os.truncate(path, 0), lambda path: None])
def test_a_hole_that_is_filled_while_it_is_copied_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fill: Callable[[Path], object]
) -> None:
    """Between the look for holes and the end of the copy; cut in between or not."""
    (tmp_path / "data").mkdir()
    path = tmp_path / "data/x.bin"
    make(path, [("hole", 1000)])
    real, found = sparse.has_holes, []

    def then_filled(descriptor: int) -> bool:
        found.append(real(descriptor))
        if len(found) == 1:
            fill(path)
            make(path, [("hole", 500), ("data", 500)])
        return found[-1]

    monkeypatch.setattr(sparse, "has_holes", then_filled)
    registry = Registry.open(tmp_path / "store")
    record = registry.publish(Draft(name="x", source=tmp_path / "data", snapshot=True)).record
    assert found == [True, True]
    assert (registry.folder(record) / "x.bin").read_bytes() == path.read_bytes()
    assert registry.verify("x", "full").ok


def test_a_file_system_that_tells_of_holes_where_data_is_costs_nothing_but_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    data = make(tmp_path / "data/x.bin", [("data", 600), ("zeros", 600), ("data", 1)])
    monkeypatch.setattr(sparse, "has_holes", lambda descriptor: True)
    registry = Registry.open(tmp_path / "store")
    record = registry.publish(Draft(name="x", source=tmp_path / "data", snapshot=True)).record
    assert (registry.folder(record) / "x.bin").read_bytes() == data


def test_where_a_file_can_not_be_made_longer_zeros_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, size: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    data = make(tmp_path / "source", [("data", 10), ("hole", 500), ("data", 1), ("hole", 500)], odd=7)
    monkeypatch.setattr(os, "ftruncate", refuse)
    monkeypatch.setattr(file_copy, "_clone", lambda source, target: False)
    with open(tmp_path / "source", "rb") as source, open(tmp_path / "target", "w+b") as target:
        assert file_copy.copy(source.fileno(), target.fileno(), lambda block: None, BUFFER) == len(data)
    assert (tmp_path / "target").read_bytes() == data


@pytest.mark.parametrize("number", [6, 22, 38])
def test_a_file_system_that_knows_nothing_of_holes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    make(tmp_path / "x", [("hole", 500)])
    real = os.lseek

    def seek(descriptor: int, at: int, how: int) -> int:
        if how == os.SEEK_HOLE:
            raise OSError(number, os.strerror(number))
        return real(descriptor, at, how)

    monkeypatch.setattr(os, "lseek", seek)
    with open(tmp_path / "x", "rb") as file:
        assert not sparse.has_holes(file.fileno())


def test_a_file_without_holes_is_not_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "x", [("data", 500), ("zeros", 500)])
    monkeypatch.setattr(os, "lseek", None)
    with open(tmp_path / "x", "rb") as file:
        assert not sparse.has_holes(file.fileno())
