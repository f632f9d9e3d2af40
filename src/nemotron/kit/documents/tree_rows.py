"""How the entries of a listing are spelt: in its stored form, and in what identifies its content."""

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nemotron.kit.documents.columns import DIGEST, FILE_MAX, HASH_BYTES, KIND_MASK, Columns
from nemotron.kit.documents.digest import ALGORITHM, SAMPLE
from nemotron.kit.documents.entry import KINDS

quoted = json.encoder.encode_basestring_ascii
# Rows that are made at a time: a listing may have millions.
BLOCK_ROWS = 2_000


class Rows(NamedTuple):
    """Some entries, as they are spelt."""

    marks: bytearray
    paths: list[str]
    sizes: Sequence[int]
    mtimes_ns: Sequence[int]
    last: list[str]


def rows_of(columns: Columns) -> Iterator[Rows]:
    """All entries, some at a time."""
    for start in range(0, len(columns), BLOCK_ROWS):
        stop = start + BLOCK_ROWS
        yield Rows(
            columns.marks[start:stop],
            list(map(quoted, columns.paths[start:stop])),
            columns.sizes[start:stop],
            columns.mtimes_ns[start:stop],
            _last(columns, start, stop),
        )


def lines(rows: Rows) -> bytes:
    """Their stored form, a line each."""
    spelt = (
        f"[{mark & KIND_MASK}, {path}, {size}, {mtime_ns}, {last}]\n"
        for mark, path, size, mtime_ns, last in zip(*rows, strict=True)
    )
    return "".join(spelt).encode("ascii")


def _last(columns: Columns, start: int, stop: int) -> list[str]:
    """The last column of some rows: a digest, the digest of a sample, a link's target, or null."""
    stop = min(stop, len(columns))
    digits = columns.hashes[HASH_BYTES * start : HASH_BYTES * stop].hex()
    marks = columns.marks[start:stop]
    if all(mark & DIGEST for mark in set(marks)):
        return [
            f'"{ALGORITHM}:{digits[at : at + 2 * HASH_BYTES]}"'
            for at in range(0, len(digits), 2 * HASH_BYTES)
        ]
    found = ["null"] * (stop - start)
    if columns.hashes:
        for at, mark in enumerate(marks):
            if mark > KIND_MASK:
                name = ALGORITHM if mark & DIGEST else SAMPLE
                found[at] = f'"{name}:{digits[2 * HASH_BYTES * at : 2 * HASH_BYTES * (at + 1)]}"'
    if columns.targets:
        for at in range(start, stop):
            if (target := columns.targets.get(at)) is not None:
                found[at - start] = quoted(target)
    return found


class Identity:
    """Takes the digest of a content without its times.

    Args:
        columns: all of it.

    Attributes:
        is_known: whether all files were read.
    """

    def __init__(self, columns: Columns) -> None:
        from blake3 import blake3

        marks = set(columns.marks)
        self.is_known = not any(mark & KIND_MASK <= FILE_MAX and not mark & DIGEST for mark in marks)
        # As `json.dumps` spells a list of lists.
        self._hasher, self._between = blake3(b"["), ""

    def add(self, rows: Rows) -> None:
        """Take in the next entries."""
        if self.is_known:
            text = ", ".join(
                f'["{KINDS[mark & KIND_MASK]}", {path}, {size}, {last}]'
                for mark, path, size, _, last in zip(*rows, strict=True)
            )
            self._hasher.update(f"{self._between}{text}".encode("ascii"))
            self._between = ", "

    def digest(self) -> str | None:
        """That of all entries; None if it is not known."""
        if not self.is_known:
            return None
        whole = self._hasher.copy().update(b"]")
        return f"{ALGORITHM}:{whole.hexdigest()}"
