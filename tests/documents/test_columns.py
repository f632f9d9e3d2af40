"""Columns taken, put and made together are those that are taken, put and made one by one."""

import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.documents.columns import Columns
from nemotron.kit.documents.digest import ALGORITHM, SAMPLE
from nemotron.kit.documents.entry import Entry
from nemotron.kit.registry.worker_program import meant, told

NAMES = ("paths", "sizes", "mtimes_ns", "marks", "hashes", "targets", "inodes", "ctimes_ns")
hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
numbers = st.integers(0, 2**40)


@st.composite
def entries(draw: st.DrawFn, *, files: bool = False, looked_at: bool = True) -> Entry:
    kind = draw(st.sampled_from(("file", "exec") if files else ("file", "exec", "link", "dir")))
    path = draw(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=5))
    seen = {"inode": draw(numbers), "ctime_ns": draw(numbers)} if looked_at else {}
    if kind == "link":
        return Entry(path, kind=kind, target="there")
    if kind == "dir":
        return Entry(path, kind=kind)
    known = draw(st.sampled_from(("digest", "sample", "nothing")))
    if known != "nothing":
        seen[known] = f"{ALGORITHM if known == 'digest' else SAMPLE}:{draw(hashes)}"
    if not files:
        seen["etag"] = draw(st.sampled_from((None, '"tag"')))
    return Entry(path, draw(numbers), draw(numbers), kind=kind, **seen)


def all_of(columns: Columns) -> list[object]:
    return [*(getattr(columns, name) for name in NAMES), columns.etags.all(), columns.object_versions.all()]


def told_of(columns: Columns) -> list[tuple[object, ...]]:
    """What they say, whatever lies where no hash is."""
    return [tuple(columns.entry(at)) for at in range(len(columns))]


@given(st.lists(entries()) | st.lists(entries(files=True)))
def test_made_together(found: list[Entry]) -> None:
    assert all_of(Columns.of_files(found)) == all_of(Columns(found))


@given(st.lists(entries(), min_size=1, max_size=8), st.data())
def test_taken_together(found: list[Entry], data: st.DataObject) -> None:
    columns = Columns(found)
    positions: Sequence[int] = data.draw(
        st.lists(st.integers(0, len(found) - 1), max_size=8)
        | st.integers(0, len(found) - 1).map(lambda start: list(range(start, len(found))))
    )
    taken = columns.taken(positions)
    assert told_of(taken) == [tuple(found[at]) for at in positions]
    if positions:
        assert list(map(tuple, columns.entries(positions))) == [tuple(found[at]) for at in positions]


@given(st.lists(entries(files=True), min_size=1, max_size=8), st.data())
def test_put_together(found: list[Entry], data: st.DataObject) -> None:
    columns = Columns(found)
    positions = data.draw(
        st.sets(st.integers(0, len(found) - 1), min_size=1).map(sorted)
        | st.integers(0, len(found) - 1).map(lambda start: list(range(start, len(found))))
    )
    others = []
    for at in positions:
        other = data.draw(entries(files=True))
        is_same = data.draw(st.booleans())
        before = columns.entry(at)
        seen = (before.size, before.mtime_ns, before.inode, before.ctime_ns) if is_same else None
        size, mtime_ns, inode, ctime_ns = seen or (other.size, other.mtime_ns, other.inode, other.ctime_ns)
        others.append(
            other._replace(path=before.path, size=size, mtime_ns=mtime_ns, inode=inode, ctime_ns=ctime_ns)
        )
    together, singly, untouched = columns.shared(), columns.shared(), all_of(columns)
    together.put_all(positions, Columns(others))
    for at, other in zip(positions, others, strict=True):
        singly.put(at, other)
    assert told_of(together) == told_of(singly)
    assert all_of(columns) == untouched


@given(st.lists(entries(files=True), max_size=8))
def test_told_to_another_process(found: list[Entry]) -> None:
    columns = Columns([entry._replace(etag=None) for entry in found])
    said = [bytes(value) for value in told(columns)]  # as it arrives
    assert all_of(meant(columns.paths, said)) == all_of(columns)


@pytest.mark.parametrize("together", [True, False])
def test_no_digest_is_told_before_it_is_there(together: bool) -> None:
    # An interrupt may come between any two steps, and what there is then is remembered.
    digest = f"{ALGORITHM}:{'5' * 64}"
    seen, steps = Columns(Entry(name, 1, 1) for name in "abc"), set()
    positions = [0, 1] if together else [0, 2]
    done = Columns(Entry("abc"[at], 1, 1, digest) for at in positions)

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        frame.f_trace_opcodes = True
        steps.update(map(seen.digest, range(3)))
        return trace

    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # Python 3.12 must know of some frame before it traces any opcode
    sys.settrace(trace)
    try:
        seen.put_all(positions, done)
    finally:
        sys.settrace(before)
    assert steps <= {None, digest}
    assert [seen.digest(at) for at in positions] == [digest, digest]


@given(st.lists(entries(), min_size=1, max_size=8), st.data())
def test_read_from_a_listing(found: list[Entry], data: st.DataObject) -> None:
    stored = [entry._replace(inode=0, ctime_ns=0) for entry in found]
    read, plain = Columns(), Columns(stored)
    for entry in stored:
        read.append(entry, is_read=True)
    assert not read.inodes
    assert told_of(read) == told_of(plain)
    positions = data.draw(st.lists(st.integers(0, len(found) - 1), min_size=1, max_size=8))
    assert told_of(read.taken(positions)) == told_of(plain.taken(positions))
    assert read.entries(positions) == plain.entries(positions)
    other, again = read.shared(), plain.shared()
    for columns in (other, again):
        columns.put_all([positions[0]], Columns([found[positions[0]]]))
    assert told_of(other) == told_of(again)
    assert told_of(read) == told_of(plain)


@given(st.lists(entries(files=True), min_size=1, max_size=8), st.data())
def test_remove(found: list[Entry], data: st.DataObject) -> None:
    kinds = st.sampled_from(("file", "link"))
    seen = [
        Entry(one.path, kind="link", target="there")
        if data.draw(kinds) == "link"
        else Entry(one.path, one.size, one.mtime_ns, inode=one.inode, ctime_ns=one.ctime_ns)
        for one in found
    ]
    columns, at = Columns(seen), data.draw(st.integers(0, len(seen) - 1))
    columns.remove(at)
    assert all_of(columns) == all_of(Columns(seen[:at] + seen[at + 1 :]))
