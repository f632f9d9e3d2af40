"""Digests of files that were read before, so that what has not changed is not read again.

There is one small file a folder in the user's cache, keyed by path, inode, size and the times of the last
change of content and of inode. The last can't be set by anybody, so a file that was changed and had its time
put back is read again. A file that changed shortly before it was read is not remembered: it could change
once more within the clock's granularity and look the same. What "shortly before" is, only the clock that the
files' times come from can say, which may be a server's, and wrong.

The cache is safe to delete, and safe beside other processes: each replaces the file whole, and what one of
them forgets of the other's is only read again.
"""

import json
import logging
import os
import secrets
import sys
import tempfile
import time
import zlib
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from nemotron.kit.documents.columns import DIGEST, FILE_MAX, KIND_MASK, Columns
from nemotron.kit.documents.digest import digest_of, hex_of
from nemotron.kit.documents.positions import Positions
from nemotron.kit.documents.tree import Tree

log = logging.getLogger(__name__)

FORMAT = 2
SETTLED_NS = 2_000_000_000  # coarser than any clock of a file system in use (FAT, NFS, some object gateways)
# Where the file system's clock can't be asked; how far it is behind, nobody knows then.
UNASKED_NS = 86_400 * 10**9

HEAD_SIZE_MAX = 4096
_BLOCK = 10_000
_NUMBERS = ("sizes", "mtimes_ns", "inodes", "ctimes_ns")
_KINDS_ALONE = bytes(mark & KIND_MASK for mark in range(256))


class DigestCache:
    """The digests known of one folder's files.

    Args:
        folder: an absolute path.
    """

    def __init__(self, folder: str) -> None:
        self._place = _place(os.path.realpath(folder))
        self._known = _read(self._place)

    @property
    def files(self) -> int:
        """Of how many files a digest is known."""
        marks = self._known.marks
        return sum(marks.count(mark) for mark in set(marks) if mark & DIGEST)

    def fill(self, tree: Tree) -> Tree:
        """The same tree, with the digests of the files that have not changed since they were read."""
        stored, now = self._known, tree.columns
        if not stored.hashes:
            return tree
        if not now.hashes and stored.looks_like(now):
            found = now.shared()
            found.marks, found.hashes = stored.marks, stored.hashes
            return Tree.of_columns(found)
        known, found = stored.columns(), now.shared()
        there = Positions(known.paths)
        columns = [(getattr(known, name), getattr(now, name)) for name in _NUMBERS]
        for at in tree.unread():
            then = there.find(now.paths[at])
            if then is None or not known.marks[then] & DIGEST:
                continue
            if all(before[then] == after[at] for before, after in columns):
                found.take_digest(at, known, then)
        return Tree.of_columns(found)

    def remember(self, tree: Tree, looked_at_ns: int) -> None:
        """Keep the digests of a tree whose reading began at a time, and forget files that are gone.

        Args:
            tree: with digests.
            looked_at_ns: what `now_ns` said before the first file was read.
        """
        settled = looked_at_ns - SETTLED_NS
        fresh = tree.columns
        times = zip(fresh.marks, fresh.inodes, fresh.mtimes_ns, fresh.ctimes_ns, strict=True)
        sure = array(
            "q",
            (
                at
                for at, (mark, inode, mtime_ns, ctime_ns) in enumerate(times)
                if mark & KIND_MASK > FILE_MAX
                or (mark & DIGEST and inode and mtime_ns < settled and ctime_ns < settled)
            ),
        )
        if len(sure) < len(fresh):
            fresh = fresh.taken(sure)
        known = self._known
        if known.marks != fresh.marks or known.hashes != fresh.hashes or not known.looks_like(fresh):
            _write(self._place, fresh)


class _Stored:
    """What the file of a folder holds; unpacked only as far as it has to be, since it may be large."""

    def __init__(self, hashes: bytearray, marks: bytearray, packed: Sequence[bytearray]) -> None:
        self.hashes = hashes
        self.marks = marks
        self._packed = packed

    def looks_like(self, other: Columns) -> bool:
        """Whether `stat` says the same of all entries."""
        if self.marks.translate(_KINDS_ALONE) != other.marks.translate(_KINDS_ALONE):
            return False
        if not self._packed:
            return not other.marks
        *numbers, paths = self._packed
        return all(
            zlib.decompress(packed) == getattr(other, name).tobytes()
            for name, packed in zip(_NUMBERS, numbers, strict=True)
        ) and _are_joined(other.paths, zlib.decompress(paths))

    def columns(self) -> Columns:
        """All of it."""
        found = Columns()
        found.marks, found.hashes = self.marks, self.hashes
        *numbers, paths = self._packed
        for name, packed in zip(_NUMBERS, numbers, strict=True):
            getattr(found, name).frombytes(zlib.decompress(packed))
        found.paths = os.fsdecode(zlib.decompress(paths)).split("\0") if found.marks else []
        return found


def _joined(paths: Sequence[str]) -> bytes:
    return os.fsencode("\0".join(paths))  # no path holds a zero byte


def _are_joined(paths: Sequence[str], data: bytes) -> bool:
    """Whether `data` is `_joined(paths)`, without making that."""
    start = 0
    for at in range(0, len(paths), _BLOCK):
        block = _joined(paths[at : at + _BLOCK])
        if not data.startswith(block, start):
            return False
        start += len(block)
        if start < len(data) and data[start] == 0:
            start += 1
    return start == len(data)


def now_ns(folder: str) -> int:
    """The time that a file of a folder would get now, or an earlier one; nanoseconds since the epoch.

    A server's clock may be behind this machine's: then a file that was written a moment ago looks old. Its
    time is asked for by an unnamed file in the folder, of which nobody sees anything; where there can be none
    (a read-only folder, NFS) by a temporary file in another folder of the same file system; and if there is
    no such folder, what changed since yesterday counts as having changed just now.
    """
    here_ns = time.time_ns()
    there_ns = _asked_ns(folder)
    return here_ns - UNASKED_NS if there_ns is None else min(here_ns, there_ns)


def _asked_ns(folder: str) -> int | None:
    """What the clock of the file system that holds a folder says, or None if it can't be asked."""
    try:
        if unnamed := getattr(os, "O_TMPFILE", 0):
            descriptor = os.open(folder, os.O_WRONLY | unnamed | os.O_CLOEXEC, 0o600)
            try:
                return os.fstat(descriptor).st_mtime_ns
            finally:
                os.close(descriptor)
    except OSError as error:
        log.debug("no unnamed file in %s tells the time (%s)", folder, error)
    for other in (_caches(), tempfile.gettempdir()):
        try:
            if os.stat(other).st_dev == os.stat(folder).st_dev:
                with tempfile.TemporaryFile(dir=other) as file:
                    return os.fstat(file.fileno()).st_mtime_ns
        except OSError as error:
            log.debug("no file in %s tells the time (%s)", other, error)
    return None


def _caches() -> str:
    return os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")


def _place(folder: str) -> Path:
    name = hex_of(digest_of(os.fsencode(folder)))
    return Path(_caches(), "nemotron-kit", "digests", name[:2], name)


def _read(place: Path) -> _Stored:
    try:
        with open(place, "rb") as file:
            head = json.loads(file.readline(HEAD_SIZE_MAX))
            if head["format"] != FORMAT or head["order"] != sys.byteorder:
                return _Stored(bytearray(), bytearray(), ())
            hashes, marks, *packed = [_section(file, *section) for section in head["sections"]]
        return _Stored(hashes, bytearray(zlib.decompress(marks)), packed)
    except FileNotFoundError:
        return _Stored(bytearray(), bytearray(), ())
    except (OSError, ValueError, TypeError, LookupError, zlib.error) as error:
        log.debug("the digest cache %s can't be read (%s); files are read instead", place, error)
        return _Stored(bytearray(), bytearray(), ())


def _section(file: BinaryIO, size: int, digest: str) -> bytearray:
    data = bytearray(size)
    if file.readinto(data) != size or digest_of(data) != digest:  # type: ignore[attr-defined]
        raise ValueError("a part of it is cut or changed")
    return data


def _sections(known: Columns) -> Iterator[bytes | bytearray]:
    yield known.hashes
    yield zlib.compress(known.marks, 1)
    for name in _NUMBERS:
        yield zlib.compress(getattr(known, name), 1)
    yield zlib.compress(_joined(known.paths), 1)


def _write(place: Path, known: Columns) -> None:
    temporary = place.with_name(f"{place.name}.{secrets.token_hex(4)}.tmp")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(b" " * (HEAD_SIZE_MAX - 1) + b"\n")
            told = []
            for section in _sections(known):
                told.append((len(section), digest_of(section)))
                file.write(section)
            file.seek(0)
            file.write(json.dumps({"format": FORMAT, "order": sys.byteorder, "sections": told}).encode())
        os.replace(temporary, place)
    except OSError as error:
        log.debug("the digest cache %s can't be written (%s)", place, error)
        temporary.unlink(missing_ok=True)
    except KeyboardInterrupt:
        temporary.unlink(missing_ok=True)
        raise
