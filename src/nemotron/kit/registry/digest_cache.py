"""Digests of files that were read before, so that what has not changed is not read again.

There is one small file a folder in the user's cache, keyed by path, inode, size and the times of the last
change of content and of inode. The last can't be set by anybody, so a file that was changed and had its time
put back is read again; where it can be, nothing is remembered. A file that changed shortly before it was read
is not remembered either: it could change once more within the clock's granularity and look the same. What
"shortly before" is, only the clock of the files' times can say, which may be a server's, and wrong.

What is looked at alone, one file of a folder, has a file of its own in the cache: those that are published
one by one would push each other out, and listing all of them at each would cost more than most take to read.
It is looked for in the folder's as well where that is less to read than the file. The other way round, a file
that was read alone is read once more with its folder.

The cache is safe to delete, and safe beside other processes: each replaces the file whole, and what one of
them forgets of the other's is only read again. What nobody has used for half a year is removed now and then.
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
from itertools import compress
from operator import eq
from pathlib import Path
from typing import BinaryIO, TypeVar

from nemotron.kit.documents.columns import DIGEST, FILE_MAX, KIND_MASK, Columns
from nemotron.kit.documents.digest import digest_of, hex_of
from nemotron.kit.documents.positions import Positions
from nemotron.kit.documents.tree import Tree
from nemotron.kit.store import files, proc
from nemotron.kit.store.user_folder import cache_folder

log = logging.getLogger(__name__)

FORMAT = 2
SETTLED_NS = 2_000_000_000  # coarser than any clock of a file system in use (FAT, NFS, some object gateways)
# Where the file system's clock can't be asked; how far it is behind, nobody knows then.
UNASKED_NS = 86_400 * 10**9

# Where the time of the last change of an inode is the other one, which can be set. Images are often made with
# one time for all files; with another image in the place of one, all that is compared would be the same.
_IMAGES = ("squashfs", "erofs", "iso9660", "udf", "cramfs", "romfs")
_IMAGES_BY_FUSE = ("squashfuse", "squashfuse_ll", "dwarfs", "ratarmount", "archivemount")
NO_CTIME = frozenset((*_IMAGES, *(f"fuse.{kind}" for kind in _IMAGES_BY_FUSE), "fuse.sshfs", "vfat", "exfat"))

UNUSED_S = 180 * 86_400.0
USED_EVERY_S = 86_400.0
HEAD_SIZE_MAX = 4096
_BLOCK = 10_000
_BLOCK_BYTES = 256 << 10
_NUMBERS = ("sizes", "mtimes_ns", "inodes", "ctimes_ns")
_KINDS_ALONE = bytes(mark & KIND_MASK for mark in range(256))
# The parts of a file, and of each its size and digest, as its head says.
_PARTS = ("hashes", "marks", *_NUMBERS, "paths")
Told = Sequence[tuple[int, str]]
Column = TypeVar("Column", bytearray, "array[int]", list[str])


class DigestCache:
    """The digests known of one folder's files, which are in memory only while they are compared.

    Args:
        folder: an absolute path.
        alone: the name of the one file in it that is looked at, if it is not all of the folder.

    Attributes:
        files: of how many files a digest was known when a tree was filled.
    """

    def __init__(self, folder: str, alone: str | None = None) -> None:
        real = os.path.realpath(folder)
        self._place = _place(real if alone is None else f"{real}/{alone}")
        self._of_all = None if alone is None else _place(real)
        there = files.looked_at(folder)
        self._is_of_use = there is not None and proc.file_system(there.st_dev) not in NO_CTIME
        self._told: Told = ()
        self.files = 0

    def fill(self, tree: Tree) -> Tree:
        """Another tree like it, with the digests of files that have not changed since they were read."""
        found = self._filled_from(self._place, tree)
        if self._of_all is not None and found.unread():
            found = self._filled_from(self._of_all, tree, most=tree.size)
            self._told, self.files = (), 0  # its own file of the cache says something else
        return found

    def _filled_from(self, place: Path, tree: Tree, most: int | None = None) -> Tree:
        """The tree with what a file of the cache knows of it, if that has at most so many bytes."""
        try:
            with open(place, "rb") as file:
                there = os.fstat(file.fileno())
                if self._is_of_use and (most is None or there.st_size <= most):
                    _mark_used(place, there.st_mtime)
                    return Tree.of_columns(self._filled(tree, _Stored(file)))
        except (OSError, ValueError, TypeError, LookupError, zlib.error) as error:
            log.debug("the digest cache %s is of no use (%s); files are read instead", place, error)
            self._told, self.files = (), 0
        return Tree.of_columns(tree.columns.shared())

    def _filled(self, tree: Tree, stored: "_Stored") -> Columns:
        self._told, self.files = stored.told, stored.files
        now, found = tree.columns, tree.columns.shared()
        if not self.files:
            return found
        if not now.hashes and stored.looks_like(now):
            found.marks, found.hashes = stored.marks, stored.part("hashes")
            return found
        at, then = stored.unchanged(now, tree.unread())
        if not at:
            return found
        known = Columns()
        known.marks, known.hashes = stored.marks, stored.part("hashes")
        for new, old in zip(at, then, strict=True):
            found.take_digest(new, known, old)
        return found

    def remember(self, tree: Tree, looked_at_ns: int) -> None:
        """Keep the digests of a tree whose reading began at a time, and forget files that are gone.

        Args:
            tree: with digests.
            looked_at_ns: what `now_ns` said before the first file was read.
        """
        fresh = tree.columns
        if not self._is_of_use or len(fresh.inodes) < len(fresh):  # or nobody looked
            return
        settled = looked_at_ns - SETTLED_NS
        sure = _sure(fresh, settled)
        if not self._is_told(fresh, sure):
            _write(self._place, fresh, sure)

    def _is_told(self, fresh: Columns, sure: Sequence[int]) -> bool:
        """Whether just this was kept when a tree was filled."""
        if not self._told:
            return not sure
        told = map(_told, _sections(fresh, sure))
        return all(map(eq, map(tuple, self._told), told))


def _sure(fresh: Columns, settled: int) -> Sequence[int]:
    """The positions of what is remembered: files whose digests surely are theirs, and what is no file."""
    if not fresh.marks or (
        all(mark & DIGEST for mark in set(fresh.marks))
        and min(fresh.inodes)
        and max(max(fresh.mtimes_ns), max(fresh.ctimes_ns)) < settled
    ):  # as it mostly is
        return range(len(fresh))
    times = zip(fresh.marks, fresh.inodes, fresh.mtimes_ns, fresh.ctimes_ns, strict=True)
    return array(
        "q",
        (
            at
            for at, (mark, inode, mtime_ns, ctime_ns) in enumerate(times)
            if mark & KIND_MASK > FILE_MAX
            or (mark & DIGEST and inode and mtime_ns < settled and ctime_ns < settled)
        ),
    )


class _Stored:
    """What the file of a folder holds; each part is read when it is asked for, since it may be large.

    Raises:
        ValueError, TypeError, LookupError: it is damaged, as any method may find.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        head = json.loads(file.readline(HEAD_SIZE_MAX))
        if head["format"] != FORMAT or head["order"] != sys.byteorder:
            raise ValueError("another kit or another machine wrote it")
        self.told: Told = head["sections"]
        self.marks = bytearray(zlib.decompress(self.part("marks")))

    def part(self, name: str) -> bytearray:
        """A part of the file."""
        before = _PARTS.index(name)
        size, digest = self.told[before]
        data = bytearray(size)
        self._file.seek(HEAD_SIZE_MAX + sum(size for size, _ in self.told[:before]))
        if self._file.readinto(data) != size or digest_of(data) != digest:  # type: ignore[attr-defined]
            raise ValueError("a part of it is cut or changed")
        return data

    @property
    def files(self) -> int:
        """Of how many files a digest is known."""
        return sum(self.marks.count(mark) for mark in set(self.marks) if mark & DIGEST)

    def looks_like(self, other: Columns) -> bool:
        """Whether `stat` says the same of all entries."""
        if self.marks.translate(_KINDS_ALONE) != other.marks.translate(_KINDS_ALONE):
            return False
        return all(
            zlib.decompress(self.part(name)) == getattr(other, name).tobytes() for name in _NUMBERS
        ) and _are_joined(other.paths, zlib.decompress(self.part("paths")))

    def unchanged(self, now: Columns, files: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
        """Those of some files of which `stat` says the same, and where each of them is here."""
        there, at, then = Positions(_split(self.part("paths"), now.paths)), array("q"), array("q")
        for new in files:
            old = there.find(now.paths[new])
            if old is not None and self.marks[old] & DIGEST:
                at.append(new)
                then.append(old)
        for name in _NUMBERS:
            after = getattr(now, name)
            before = array(after.typecode, zlib.decompress(self.part(name)))
            same = bytes(map(eq, map(before.__getitem__, then), map(after.__getitem__, at)))
            at, then = array("q", compress(at, same)), array("q", compress(then, same))
        return at, then


def _joined(paths: Sequence[str]) -> Iterator[bytes]:
    """Paths with a zero byte, which no path holds, between them; in pieces."""
    for at in range(0, len(paths), _BLOCK):
        yield os.fsencode(("\0" if at else "") + "\0".join(paths[at : at + _BLOCK]))


def _are_joined(paths: Sequence[str], data: bytes) -> bool:
    """Whether `data` is `_joined(paths)`, without holding that."""
    start = 0
    for block in _joined(paths):
        if not data.startswith(block, start):
            return False
        start += len(block)
    return start == len(data)


def _split(packed: bytes | bytearray, like: list[str]) -> list[str]:
    """The paths of `_joined`, packed; those that are in another sorted list are held once."""
    found, unpacker, rest = Columns(), zlib.decompressobj(), b""
    while piece := unpacker.decompress(packed, _BLOCK_BYTES):
        *whole, rest = (rest + piece).split(b"\0")
        packed, start = unpacker.unconsumed_tail, len(found)
        found.paths += map(os.fsdecode, whole)
        found.share_paths(like, start)
    found.paths.append(os.fsdecode(rest))
    return found.paths


def is_known(folder: str) -> bool:
    """Whether a digest of some file in a folder may be known."""
    return os.path.exists(_place(os.path.realpath(folder)))


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
    for other in (cache_folder(), tempfile.gettempdir()):
        try:
            if os.stat(other).st_dev == os.stat(folder).st_dev:
                with tempfile.TemporaryFile(dir=other) as file:
                    return os.fstat(file.fileno()).st_mtime_ns
        except OSError as error:
            log.debug("no file in %s tells the time (%s)", other, error)
    return None


def _place(folder: str) -> Path:
    name = hex_of(digest_of(os.fsencode(folder)))
    return Path(cache_folder(), "nemotron-kit", "digests", name[:2], name)


def _sections(known: Columns, sure: Sequence[int]) -> Iterator[bytes | bytearray]:
    """The parts of a folder's file, one after another, as they are of some entries."""
    yield known.hashes if len(sure) == len(known) else known.taken_hashes(sure)
    for name in ("marks", *_NUMBERS):
        yield zlib.compress(_taken(getattr(known, name), sure), 1)
    packer = zlib.compressobj(1)
    yield b"".join([*map(packer.compress, _joined(_taken(known.paths, sure))), packer.flush()])


def _taken(column: Column, sure: Sequence[int]) -> Column:
    """What a column has at some positions, which rise; itself, if these are all."""
    if len(sure) == len(column):
        return column
    found = column[:0]
    found.extend(map(column.__getitem__, sure))
    return found


def _told(section: bytes | bytearray) -> tuple[int, str]:
    """What the head of the file says of a part."""
    return len(section), digest_of(section)


def _mark_used(place: Path, last_s: float) -> None:
    """See that a file of the cache, whose time is `last_s`, is not removed as unused."""
    if time.time() - last_s < USED_EVERY_S:
        return
    try:
        os.utime(place)
    except OSError as error:
        log.debug("that the digest cache %s was used can't be noted (%s)", place, error)


def _remove_unused(folder: Path) -> None:
    """Remove from one of the folders of the cache what nobody has used for long."""
    oldest_s = time.time() - UNUSED_S
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.stat(follow_symlinks=False).st_mtime < oldest_s:
                    files.unlink(entry.path)
    except OSError as error:  # another process removed it first, say
        log.debug("the digest cache %s can't be cleaned up (%s)", folder, error)


def _write(place: Path, known: Columns, sure: Sequence[int]) -> None:
    temporary = place.with_name(f"{place.name}.{secrets.token_hex(4)}.tmp")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(b" " * (HEAD_SIZE_MAX - 1) + b"\n")
            told = []
            for section in _sections(known, sure):
                told.append(_told(section))
                file.write(section)
            file.seek(0)
            file.write(json.dumps({"format": FORMAT, "order": sys.byteorder, "sections": told}).encode())
        is_new = not place.exists()
        os.replace(temporary, place)
        if is_new:  # so often that the cache can't grow for ever, and looking at a 256th of it
            _remove_unused(place.parent)
    except OSError as error:
        log.debug("the digest cache %s can't be written (%s)", place, error)
        temporary.unlink(missing_ok=True)
    except KeyboardInterrupt:
        temporary.unlink(missing_ok=True)
        raise
