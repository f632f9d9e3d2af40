"""Megatron's indexed datasets: how many tokens, sequences and documents `PREFIX.idx` says `PREFIX.bin` has.

The `.idx` is, little-endian: magic `MMIDIDX`, u64 version 1, u8 dtype code, u64 sequences, u64 document
boundaries; then int32 lengths of the sequences in tokens, int64 places of them in the `.bin` in bytes, int64
boundaries as numbers of sequences, and in multimodal ones an int8 mode per sequence.
Source: `megatron/core/datasets/indexed_dataset.py` of megatron-core, which wrote the tests' golden files.

Of the three tables the lengths are read, in pieces, and of the places those at the beginning of each piece:
all in a shard of up to 65,536 sequences, else 1 in 16. They must be where the lengths before them end.
"""

import struct
import sys
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, BinaryIO, NamedTuple

from nemotron.kit.formats.reading import LOCAL, Files, PathLike, damaged, exact, text_of

MAGIC = b"MMIDIDX\x00\x00"
VERSION = 1
HEAD = struct.Struct("<9sQBQQ")
# Code → name and bytes of an item.
DTYPES = {
    1: ("uint8", 1),
    2: ("int8", 1),
    3: ("int16", 2),
    4: ("int32", 4),
    5: ("int64", 8),
    6: ("float64", 8),
    7: ("float32", 4),
    8: ("uint16", 2),
}
CHUNK_BYTES = 4 << 20
PLACES_CHECKED = 1 << 16
TOKENS_MAX = 1 << 58  # so that places stay within the 63 bits that a place has
# Below this, importing numpy (100 ms) costs more than adding up without it.
NUMPY_PAYS_FROM = 2_000_000


@dataclass(frozen=True, slots=True)
class IndexedShard:
    """One pair of `.bin` and `.idx`.

    Attributes:
        prefix: the path without `.bin` and `.idx`.
        dtype: of a token, such as `uint16`.
        sequences: how many.
        documents: how many; a document is one or more sequences.
        tokens: the sum of the lengths of the sequences.
        bin_bytes: size of the `.bin`, in bytes.
        multimodal: whether each sequence has a mode.
    """

    prefix: str
    dtype: str
    sequences: int
    documents: int
    tokens: int
    bin_bytes: int
    multimodal: bool


def prefix_of(path: PathLike) -> str:
    """The prefix of a shard that is named by it, by its `.idx` or by its `.bin`.

    >>> prefix_of("/data/train.idx"), prefix_of("/data/train.v2")
    ('/data/train', '/data/train.v2')
    """
    return text_of(path).removesuffix(".idx").removesuffix(".bin")


def read(path: PathLike, files: Files = LOCAL) -> IndexedShard:
    """Read a shard's index and look at the size of its `.bin`.

    Args:
        path: the prefix, the `.idx` or the `.bin`.
        files: where it lies.

    Raises:
        PathNotFoundError: one of the two files is not there.
        CorruptError: the index contradicts itself, its own size, or the size of the `.bin`.
    """
    prefix = prefix_of(path)
    index, data = f"{prefix}.idx", f"{prefix}.bin"
    index_bytes = files.size(index)
    with files.open(index) as file:
        name, itemsize, sequences, boundaries = _head(exact(file, HEAD.size, index), index)
        tables = HEAD.size + 12 * sequences + 8 * boundaries
        if index_bytes not in (tables, tables + sequences):
            raise damaged(
                index,
                f"{sequences:,} sequences and {boundaries:,} document boundaries need {tables:,} bytes "
                f"({tables + sequences:,} if multimodal), found {index_bytes:,}",
            )
        tokens, last_length = _add_up(file, sequences, itemsize, index)
        last_place = 0
        if sequences:
            file.seek(HEAD.size + 12 * sequences - 8)
            last_place = int.from_bytes(exact(file, 8, index), "little", signed=True)
        _check_boundaries(file, sequences, boundaries, index)
    if last_place + last_length * itemsize != tokens * itemsize:
        raise damaged(
            index,
            f"its sequences have {tokens:,} tokens, {tokens * itemsize:,} bytes, but the last one ends at "
            f"byte {last_place + last_length * itemsize:,}: they overlap or leave gaps",
        )
    bin_bytes = files.size(data)
    if bin_bytes != tokens * itemsize:
        raise damaged(
            data,
            f"{index} says {tokens:,} tokens of {itemsize} bytes, {tokens * itemsize:,} bytes; "
            f"found {bin_bytes:,}",
        )
    multimodal = sequences > 0 and index_bytes == tables + sequences
    return IndexedShard(prefix, name, sequences, boundaries - 1, tokens, bin_bytes, multimodal)


def _head(head: bytes, index: str) -> tuple[str, int, int, int]:
    magic, version, code, sequences, boundaries = HEAD.unpack(head)
    if magic != MAGIC:
        raise damaged(index, f"it begins with {magic!r}, expected {MAGIC!r}")
    if version != VERSION:
        raise damaged(index, f"version {version}, expected {VERSION}")
    if code not in DTYPES:
        raise damaged(index, f"dtype code {code}, expected 1 to {max(DTYPES)}")
    if boundaries < 1:
        raise damaged(index, "no document boundaries, expected at least the one before the first document")
    return *DTYPES[code], sequences, boundaries


def _check_boundaries(file: BinaryIO, sequences: int, boundaries: int, index: str) -> None:
    file.seek(HEAD.size + 12 * sequences)
    first = int.from_bytes(exact(file, 8, index), "little", signed=True)
    file.seek(HEAD.size + 12 * sequences + 8 * (boundaries - 1))
    last = int.from_bytes(exact(file, 8, index), "little", signed=True)
    if (first, last) != (0, sequences):
        raise damaged(
            index, f"documents begin at sequence {first:,} and end at {last:,}, expected 0 and {sequences:,}"
        )


def _add_up(file: BinaryIO, sequences: int, itemsize: int, index: str) -> tuple[int, int]:
    """The sum of the lengths, and the last one; places are compared with them on the way."""
    total, last, done = 0, 0, 0
    numpy = sys.modules.get("numpy")
    if numpy is None and sequences >= NUMPY_PAYS_FROM:
        try:
            import numpy
        except ImportError:
            numpy = None  # adding up without it takes longer, and says the same
    while done < sequences:
        count = min(CHUNK_BYTES // 4, sequences - done)
        file.seek(HEAD.size + 4 * done)
        lengths = exact(file, 4 * count, index)
        file.seek(HEAD.size + 4 * sequences + 8 * done)
        places = exact(file, 8 * min(count, PLACES_CHECKED), index)
        piece = _by_numpy(numpy, lengths, places) if numpy is not None else _by_hand(lengths, places)
        _check(piece, total, itemsize, index, done)
        total, last, done = total + piece.total, piece.last, done + count
        if total >= TOKENS_MAX:
            raise damaged(index, f"more than {TOKENS_MAX:,} tokens")
    return total, last


class _Piece(NamedTuple):
    """Some lengths, and the places of the first of them.

    Attributes:
        total: the sum of the lengths.
        least: the least of them.
        last: the last of them.
        lengths: all of them.
        places: in bytes, of as many as were read.
        wrong: given the first place and the bytes of an item, the number of the first place that is wrong.
    """

    total: int
    least: int
    last: int
    lengths: Any
    places: Any
    wrong: Callable[[int, int], int | None]


def _by_numpy(numpy: Any, lengths: bytes, places: bytes) -> _Piece:
    sizes, said = numpy.frombuffer(lengths, "<i4"), numpy.frombuffer(places, "<i8")

    def wrong(start: int, itemsize: int) -> int | None:
        right = numpy.cumsum(sizes[: len(said) - 1], dtype="i8") * itemsize + start
        if int(said[0]) != start:
            return 0
        differ = numpy.flatnonzero(said[1:] != right)
        return int(differ[0]) + 1 if len(differ) else None

    return _Piece(int(sizes.sum(dtype="i8")), int(sizes.min()), int(sizes[-1]), sizes, said, wrong)


def _by_hand(lengths: bytes, places: bytes) -> _Piece:
    sizes, said = array("i", lengths), array("q", places)
    if sys.byteorder == "big":
        sizes.byteswap()
        said.byteswap()

    def wrong(start: int, itemsize: int) -> int | None:
        right = accumulate((size * itemsize for size in sizes[: len(said) - 1]), initial=start)
        return next((number for number, at in enumerate(right) if said[number] != at), None)

    return _Piece(sum(sizes), min(sizes), sizes[-1], sizes, said, wrong)


def _check(piece: _Piece, before: int, itemsize: int, index: str, first: int) -> None:
    """No length is negative, and each sequence begins where the one before it ends."""
    if piece.least < 0:
        raise damaged(index, f"a sequence of {piece.least:,} tokens")
    number = piece.wrong(before * itemsize, itemsize)
    if number is not None:
        right = (before + sum(map(int, piece.lengths[:number]))) * itemsize
        raise damaged(
            index,
            f"sequence {first + number:,} begins at byte {int(piece.places[number]):,}, and those before it "
            f"end at {right:,}: they overlap or leave gaps",
        )
