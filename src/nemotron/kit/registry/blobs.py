"""The bytes of a snapshot's files, as the store has them, and how far they are believed.

A checkout is believed because each of its files was compared with its digest as it was written. What is read
here without a checkout is believed no sooner:

- all of a file, in order (`pieces`): the last piece is given once the digest of all of them is right;
- a file of a store on a disk, in any order (`verified`): it is read through before the first byte is given,
  once in this process for as long as `stat` says the same of it;
- a file in a bucket up to 8 MiB, or in a store that gives all of a file or nothing (`Whole`): it is fetched
  and compared before the first byte is given;
- parts of a larger one in a bucket (`Ranges`): its size is compared at once, and its digest as soon as all of
  it has been read in order. Who reads a few parts has these as the bucket gives them, over its own checks
  of what it keeps and sends: to compare a digest, all of the file would have to be fetched. Where that is
  wanted, `verify --evidence full`, `cp` and a checkout do it.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from blake3 import blake3

from nemotron.kit.documents.digest import ALGORITHM, digest_of
from nemotron.kit.documents.tree import Entry
from nemotron.kit.errors import CorruptError, PathNotFoundError
from nemotron.kit.registry import layout, objects, parallel, reading
from nemotron.kit.store import file_copy
from nemotron.kit.store.protocol import Store
from nemotron.kit.store.system_errors import translate

# Of what is fetched whole where it is far: so much takes hardly longer than a part of it.
WHOLE_MAX = 8 << 20
# (digest, device, inode, size, mtime, ctime) of the blobs that this process has read through; of the most.
_read_through: dict[tuple[str | int, ...], None] = {}
_READ_THROUGH_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Blobs:
    """The contents of a snapshot's files in its store.

    Attributes:
        store: that holds them.
        uri: of the snapshot, for messages.
    """

    store: Store
    uri: str

    def small(self, entry: Entry) -> bytes:
        """All bytes of a file that fits into memory, compared with its digest.

        Raises:
            CorruptError: they are missing or damaged.
        """
        data = objects.read(self.store, self.key(entry))
        if data is None:
            raise self.missing(entry)
        if digest_of(data) != entry.digest:
            raise self.damaged(entry)
        return data

    def opened(self, entry: Entry) -> BinaryIO:
        """The store's own copy, open for reading, and not compared with anything."""
        try:
            return objects.open_object(self.store, self.key(entry))
        except PathNotFoundError:
            raise self.missing(entry) from None

    def chunks(self, entry: Entry, start: int = 0) -> Iterator[bytes]:
        """The bytes from one of them on, not compared with anything."""
        try:
            yield from objects.chunks(self.store, self.key(entry), start)
        except PathNotFoundError:
            raise self.missing(entry) from None

    def pieces(self, entry: Entry) -> Iterator[bytes]:
        """All bytes of a file, the last of them once the digest of all is right.

        Raises:
            CorruptError: they are missing or damaged.
        """
        if entry.size <= reading.SMALL_SIZE_MAX:
            if data := self.small(entry):
                yield data
            return
        yield from compared(self.chunks(entry), entry, self.damaged(entry))

    def verified(self, entry: Entry) -> Path | None:
        """The file on a disk that holds the bytes, compared with its digest; None if the store is on none.

        Raises:
            CorruptError: it is missing or damaged.
        """
        key = self.key(entry)
        if self.store.local_path(key) is None:
            return None
        place = objects.locate(self.store, key)
        path = self.store.local_path(place) if place is not None else None
        if path is None:
            raise self.missing(entry)
        with self.opened(entry) as file:
            seen = os.fstat(file.fileno())
            mark = (key, seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
            if mark not in _read_through:
                threads = parallel.workers_most() if entry.size > reading.SMALL_SIZE_MAX else 1
                hasher = blake3(max_threads=threads)
                size = reading.buffer_size(threads)
                file_copy.show(file.fileno(), hasher.update, size, ahead=threads > 1)
                if f"{ALGORITHM}:{hasher.hexdigest()}" != entry.digest:
                    raise self.damaged(entry)
                if len(_read_through) >= _READ_THROUGH_MAX:
                    _read_through.clear()
                _read_through[mark] = None
        return path

    def missing(self, entry: Entry) -> CorruptError:
        """What to raise where the store has no such content."""
        return CorruptError(
            f"The content of {entry.path} is missing from the store: no {self.key(entry)} in "
            f"{self.store.url}. {self._advice}"
        )

    def damaged(self, entry: Entry) -> CorruptError:
        """What to raise where the store has something else."""
        return CorruptError(
            f"The content of {entry.path} is damaged in the store: {self.key(entry)} in {self.store.url}. "
            f"{self._advice}"
        )

    @property
    def _advice(self) -> str:
        ref = self.uri.removeprefix("art://")
        return f"`nemotron kit verify {ref} --repair-from PLACE` takes it again from wherever it still is"

    def key(self, entry: Entry) -> str:
        """Where the store has the content of a file."""
        if entry.digest is None:
            raise CorruptError(
                f"The listing of {self.uri} has no digest for {entry.path}; `nemotron kit doctor` tells more"
            )
        return layout.blob(entry.digest)

    def file(self, entry: Entry) -> "Parts":
        """A file of a store that is on no disk, to be read in any order; see the module for what is compared.

        Raises:
            CorruptError: it is missing or damaged.
        """
        if entry.size > WHOLE_MAX and self.store.reads_parts:
            return Ranges(self, entry)
        return Whole(self.pieces(entry))


def compared(chunks: Iterable[bytes], entry: Entry, otherwise: CorruptError) -> Iterator[bytes]:
    """All bytes of a file, the last of them once the digest of all is right.

    Raises:
        CorruptError: `otherwise`, if it is wrong.
    """
    hasher, held = blake3(), b""
    for chunk in chunks:
        hasher.update(chunk)
        if held:
            yield held
        held = chunk
    if f"{ALGORITHM}:{hasher.hexdigest()}" != entry.digest:
        raise otherwise
    if held:
        yield held


class Parts(Protocol):
    """Bytes that are read in any order."""

    def read(self, start: int, end: int) -> bytes:
        """Those from `start` up to `end`, which are there."""

    def close(self) -> None:
        """Give back what it holds."""


class Whole:
    """All bytes of something, taken before any of them is given; they lie on the local disk if they are many.

    Args:
        pieces: of it, in order.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._file = tempfile.SpooledTemporaryFile(WHOLE_MAX, prefix="kit-")  # noqa: SIM115 - see close
        try:
            for piece in pieces:
                self._file.write(piece)
        except OSError as error:
            self.close()
            raise translate(error, "write", tempfile.gettempdir()) from error
        except BaseException:
            self.close()
            raise

    def read(self, start: int, end: int) -> bytes:
        """The bytes from `start` up to `end`."""
        self._file.seek(start)
        return self._file.read(end - start)

    def close(self) -> None:
        """Drop them."""
        self._file.close()


class Ranges:
    """A large file in a bucket, of which only what is asked for is fetched.

    Args:
        blobs: of its snapshot.
        entry: of the file.

    Raises:
        CorruptError: it is missing, or its size is wrong.
    """

    def __init__(self, blobs: Blobs, entry: Entry) -> None:
        self._blobs, self._entry = blobs, entry
        self._file = blobs.opened(entry)
        self._hasher, self._hashed = blake3(), 0
        if self._file.seek(0, os.SEEK_END) != entry.size:
            self.close()
            raise blobs.damaged(entry)

    def read(self, start: int, end: int) -> bytes:
        """The bytes from `start` up to `end`.

        Raises:
            CorruptError: some are missing, or with these all were read in order and the digest is wrong.
        """
        self._file.seek(start)
        data = self._file.read(end - start)
        if len(data) != end - start:
            raise self._blobs.damaged(self._entry)
        if start <= self._hashed < end:
            self._hasher.update(data[self._hashed - start :])
            self._hashed = end
            if end == self._entry.size and f"{ALGORITHM}:{self._hasher.hexdigest()}" != self._entry.digest:
                raise self._blobs.damaged(self._entry)
        return data

    def close(self) -> None:
        """Give back what it holds."""
        self._file.close()
