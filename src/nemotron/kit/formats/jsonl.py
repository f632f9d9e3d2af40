"""JSON lines, plain, `.gz` or `.zst`: how many records, and which lines are broken.

There is no head that tells: this reader reads all bytes, in pieces, one line in memory at a time.
"""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from nemotron.kit.errors import MissingExtraError
from nemotron.kit.formats.reading import LOCAL, Files, PathLike, damaged, text_of, translate

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".ndjson")
CHUNK_BYTES = 1 << 20
LINE_BYTES_MAX = 64 << 20
LINE_CONTAINERS_MAX = 2_000_000
BROKEN_NAMED_MAX = 20
# What a compressed file may grow to: far beyond what text does, well below what a bomb wants.
GROWTH_MAX = 1000
GROWTH_FREE_BYTES = 64 << 20
_BLANK = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Lines:
    """What a file of JSON lines holds.

    Attributes:
        records: lines that are not blank, broken ones included.
        bytes: of the text, decompressed.
        broken: how many lines are no JSON; None if nobody looked.
        broken_lines: the numbers of the first of them, from 1.
    """

    records: int
    bytes: int
    broken: int | None
    broken_lines: tuple[int, ...]


def is_jsonl(path: str) -> bool:
    """Whether a file is named like one of these."""
    return path.endswith(SUFFIXES)


def read(path: PathLike, files: Files = LOCAL, *, parse: bool = True) -> Lines:
    """Count the records of a file.

    Args:
        path: ends in `.gz` or `.zst` if it is compressed.
        files: where it lies.
        parse: whether each line is parsed, to find broken ones; counting alone is many times faster.

    Raises:
        CorruptError: the compressed stream is damaged or ends too early, or grows beyond all measure.
        MissingExtraError: it is a `.zst` and zstandard is not installed.
    """
    where = text_of(path)
    counter = _Counter(parse)
    compressed = where.endswith((".gz", ".zst"))
    limit = files.size(where) * GROWTH_MAX + GROWTH_FREE_BYTES if compressed else None
    with _opened(where, files) as file:
        for chunk in _chunks(file, where):
            counter.take(chunk)
            if limit is not None and counter.bytes > limit:
                raise damaged(
                    where, f"it decompresses to more than {limit:,} bytes, {GROWTH_MAX} times its size"
                )
    return counter.result()


@contextmanager
def _opened(where: str, files: Files) -> Iterator[BinaryIO]:
    with files.open(where) as raw:
        if where.endswith(".gz"):
            with gzip.GzipFile(fileobj=raw) as file:
                yield cast(BinaryIO, file)
        elif where.endswith(".zst"):
            try:
                import zstandard
            except ImportError as error:
                raise MissingExtraError(
                    f"{where} needs zstandard: pip install 'nemotron-kit[formats]'"
                ) from error
            # Windows beyond 128 MiB are a way to ask for memory; the tools need a switch to write them.
            reader = zstandard.ZstdDecompressor(max_window_size=128 << 20)
            with reader.stream_reader(raw, read_across_frames=True) as stream:
                yield cast(BinaryIO, stream)
        else:
            yield raw


def _chunks(file: BinaryIO, where: str) -> Iterator[bytes]:
    failures: tuple[type[Exception], ...] = (EOFError, zlib.error, gzip.BadGzipFile)
    if where.endswith(".zst"):
        import zstandard

        failures = (zstandard.ZstdError,)
    while True:
        try:
            chunk = file.read(CHUNK_BYTES)
        except failures as error:
            raise damaged(where, f"the compressed data ends or breaks ({error})") from error
        except OSError as error:
            raise translate(error, where) from error
        if not chunk:
            return
        yield chunk


class _Counter:
    """Counts lines in pieces of a file."""

    def __init__(self, parse: bool) -> None:
        self.bytes = 0
        self._parse = parse
        self._records = 0
        self._line = 0
        self._broken = 0
        self._named: list[int] = []
        # The line that goes on in the next piece: its text if it is parsed, and whether that grew too long.
        self._rest = io.BytesIO()
        self._too_long = False
        self._blank = True

    def take(self, chunk: bytes) -> None:
        self.bytes += len(chunk)
        lines = chunk.split(b"\n")
        for line in lines[:-1]:
            self._add(line)
            self._end()
        self._add(lines[-1])

    def _add(self, part: bytes) -> None:
        if self._blank and part.strip(_BLANK):
            self._blank = False
        if self._parse and not self._too_long and part:
            self._rest.write(part)
            self._too_long = self._rest.tell() > LINE_BYTES_MAX

    def _end(self) -> None:
        self._line += 1
        if not self._blank:
            self._records += 1
            if self._parse and (self._too_long or not _is_json(self._rest.getvalue())):
                self._broken += 1
                if len(self._named) < BROKEN_NAMED_MAX:
                    self._named.append(self._line)
        if self._parse:
            self._rest = io.BytesIO()
        self._too_long, self._blank = False, True

    def result(self) -> Lines:
        self._end()
        return Lines(self._records, self.bytes, self._broken if self._parse else None, tuple(self._named))


def _is_json(line: bytes) -> bool:
    if line.count(b"[") + line.count(b"{") > LINE_CONTAINERS_MAX:
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
