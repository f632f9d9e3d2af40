"""A listing in columns: a million files take 150 MB as columns, and three times that as objects."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import repeat
from operator import eq

from nemotron.kit.documents.digest import ALGORITHM, SAMPLE
from nemotron.kit.documents.entry import CODES, KINDS, Entry
from nemotron.kit.documents.positions import Positions
from nemotron.kit.documents.tags import Tags

HASH_BYTES = 32
# A mark is the code of the kind, and what is known of the content besides.
KIND_MASK, DIGEST, SAMPLED = 3, 4, 8
FILE_MAX = CODES["exec"]  # kinds up to this one have bytes
_NO_HASH = bytes(HASH_BYTES)
_FILE, _EXEC = CODES["file"], CODES["exec"]
_STORED_NUMBERS = ("sizes", "mtimes_ns")
_NUMBERS = (*_STORED_NUMBERS, "inodes", "ctimes_ns")
# What a scan fills of a file, each entry of which is one item.
_OF_FILES = ("paths", "marks", *_NUMBERS)
OWNER_EXECUTES = 0o100  # S_IXUSR of stat(2)


class Columns:
    """Entries in columns, each as long as the listing.

    Attributes:
        paths: of each entry.
        sizes: bytes.
        mtimes_ns: nanoseconds since the epoch.
        marks: a kind of `KINDS`, with DIGEST or SAMPLED where a hash is known.
        hashes: 32 bytes each, or nothing at all while no hash is known.
        targets: of links, by position.
        etags: what object stores call the state of each.
        object_versions: what stores that keep earlier contents call each.
        inodes: as a scan found them, 0 where nobody looked; nothing at all in a listing that was read, where
            nobody did.
        ctimes_ns: likewise.
    """

    __slots__ = (
        "_is_shared",
        "ctimes_ns",
        "etags",
        "hashes",
        "inodes",
        "marks",
        "mtimes_ns",
        "object_versions",
        "paths",
        "sizes",
        "targets",
    )

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.paths: list[str] = []
        self.sizes = array("q")
        self.mtimes_ns = array("q")
        self.marks = bytearray()
        self.hashes = bytearray()
        self.targets: dict[int, str] = {}
        self.etags = Tags()
        self.object_versions = Tags()
        self.inodes = array("Q")
        self.ctimes_ns = array("q")
        self._is_shared = False
        for entry in entries:
            self.append(entry)

    def __len__(self) -> int:
        return len(self.paths)

    @classmethod
    def of_files(cls, entries: Sequence[Entry]) -> "Columns":
        """Entries in columns; those of files with digests, and nothing else, are taken together.

        >>> Columns.of_files([Entry("a", 3, digest="blake3:" + 64 * "0")]).marks == bytes([DIGEST])
        True
        """
        if not entries:
            return cls()
        paths, sizes, mtimes_ns, digests, kinds, *others, inodes, ctimes_ns = zip(*entries, strict=True)
        if None in digests or any(map(any, others)):
            return cls(entries)
        found = cls()
        found.paths = list(paths)
        found.sizes, found.mtimes_ns = array("q", sizes), array("q", mtimes_ns)
        found.inodes, found.ctimes_ns = array("Q", inodes), array("q", ctimes_ns)
        found.marks = bytearray(CODES[kind] | DIGEST for kind in kinds)
        found.hashes = bytearray.fromhex("".join(digest[-2 * HASH_BYTES :] for digest in digests))
        return found

    def append(self, entry: Entry, *, is_read: bool = False) -> None:
        """Add an entry; or one that was read from a listing, where all are."""
        at = len(self.paths)
        self.paths.append(entry.path)
        self.sizes.append(entry.size)
        self.mtimes_ns.append(entry.mtime_ns)
        self.marks.append(CODES[entry.kind])
        if not is_read:
            self.inodes.append(entry.inode)
            self.ctimes_ns.append(entry.ctime_ns)
        if entry.target is not None:
            self.targets[at] = entry.target
        self.etags.put(at, entry.etag)
        self.object_versions.put(at, entry.object_version)
        if self.hashes:
            self.hashes += _NO_HASH
        self._set_hash(at, entry)

    def append_file(self, code: int, path: str, size: int, mtime_ns: int, digest: str | None) -> None:
        """Add a file that was read from a listing, where all are: `append` without the object."""
        self.paths.append(path)
        self.sizes.append(size)
        self.mtimes_ns.append(mtime_ns)
        if digest is None:
            self.marks.append(code)
            if self.hashes:
                self.hashes += _NO_HASH
            return
        if not self.hashes:
            self.hashes = bytearray(HASH_BYTES * (len(self.paths) - 1))
        self.marks.append(code | DIGEST)
        self.hashes += bytes.fromhex(digest[-2 * HASH_BYTES :])

    def append_seen(self, path: str, size: int, mtime_ns: int, mode: int, inode: int, ctime_ns: int) -> None:
        """Add a file that was looked at, as `stat(2)` tells of it."""
        self.paths.append(path)
        self.sizes.append(size)
        self.mtimes_ns.append(mtime_ns)
        self.marks.append(_EXEC if mode & OWNER_EXECUTES else _FILE)
        self.inodes.append(inode)
        self.ctimes_ns.append(ctime_ns)
        if self.hashes:
            self.hashes += _NO_HASH

    def cut(self, start: int) -> "Columns":
        """Take away the entries from a position on: files that were looked at, and nothing else."""
        found = Columns()
        for name in _OF_FILES:
            column = getattr(self, name)
            setattr(found, name, column[start:])
            del column[start:]
        return found

    def extend(self, files: "Columns", start: int, stop: int) -> None:
        """Add files from one position of others, all of them looked at, up to another one."""
        for name in _OF_FILES:
            getattr(self, name).extend(getattr(files, name)[start:stop])

    def remove(self, at: int) -> None:
        """Take away an entry that was looked at; the others stay where they are in memory."""
        for name in _OF_FILES:
            del getattr(self, name)[at]
        self.targets.pop(at, None)
        self.targets = {there - (there > at): target for there, target in self.targets.items()}

    def share_paths(self, others: list[str], start: int) -> None:
        """Hold, from a position on, the texts of another listing where it has the same ones.

        Args:
            others: sorted.
            start: of what was added since this was asked last.
        """
        end = len(self.paths)
        if start == end:
            return
        first = bisect_left(others, self.paths[start])
        if self.paths[start:] == others[first : first + end - start]:  # as it nearly always is
            self.paths[start:] = others[first : first + end - start]
            return
        there = Positions(others)
        for at in range(start, end):
            if (other := there.find(self.paths[at])) is not None:
                self.paths[at] = others[other]

    def put(self, at: int, entry: Entry) -> None:
        """Put another entry of the same path, and of the same object, in the place of one."""
        looked_at = (entry.size, entry.mtime_ns, entry.inode, entry.ctime_ns)
        if looked_at != (self.sizes[at], self.mtimes_ns[at], *self._looked_at(at)):
            if not self.inodes:  # a listing that was read
                self.inodes, self.ctimes_ns = (array(code, bytes(8 * len(self.paths))) for code in "Qq")
            if self._is_shared:
                self.sizes, self.mtimes_ns = self.sizes[:], self.mtimes_ns[:]
                self.inodes, self.ctimes_ns = self.inodes[:], self.ctimes_ns[:]
                self._is_shared = False
            self.sizes[at], self.mtimes_ns[at], self.inodes[at], self.ctimes_ns[at] = looked_at
        self.marks[at] = CODES[entry.kind]
        self._set_hash(at, entry)

    def put_all(self, positions: Sequence[int], others: "Columns") -> None:
        """`put` the entries of other columns in the place of those at these positions."""
        start, end = positions[0], positions[-1] + 1
        looked_at = [getattr(others, name) for name in _NUMBERS]
        is_plain = others.hashes and [getattr(self, name)[start:end] for name in _NUMBERS] == looked_at
        if not is_plain or not _are_together(positions):
            for at, entry in zip(positions, map(others.entry, range(len(others))), strict=True):
                self.put(at, entry)
            return
        if not self.hashes:
            self.hashes = bytearray(HASH_BYTES * len(self.paths))
        # In this order: whoever is interrupted in between keeps what there is, and believes the marks.
        self.hashes[HASH_BYTES * start : HASH_BYTES * end] = others.hashes
        self.marks[start:end] = others.marks

    def _looked_at(self, at: int) -> tuple[int, int]:
        return (self.inodes[at], self.ctimes_ns[at]) if self.inodes else (0, 0)

    def _set_hash(self, at: int, entry: Entry) -> None:
        spelt = entry.digest or entry.sample
        if spelt is None:
            return
        if not self.hashes:
            self.hashes = bytearray(HASH_BYTES * len(self.paths))
        self.hashes[HASH_BYTES * at : HASH_BYTES * (at + 1)] = bytes.fromhex(spelt[-2 * HASH_BYTES :])
        self.marks[at] |= DIGEST if entry.digest else SAMPLED

    def take_digest(self, at: int, other: "Columns", there: int) -> None:
        """Take the digest that a file has in other columns."""
        if not self.hashes:
            self.hashes = bytearray(HASH_BYTES * len(self.paths))
        own, theirs = HASH_BYTES * at, HASH_BYTES * there
        self.hashes[own : own + HASH_BYTES] = other.hashes[theirs : theirs + HASH_BYTES]
        self.marks[at] = self.marks[at] & KIND_MASK | DIGEST

    def raw_digest(self, at: int) -> bytes | None:
        """The digest of the entry at a position, 32 bytes, or None if it is not known."""
        return (
            bytes(self.hashes[HASH_BYTES * at : HASH_BYTES * (at + 1)]) if self.marks[at] & DIGEST else None
        )

    def digest(self, at: int) -> str | None:
        """The digest of the entry at a position, or None if it is not known."""
        raw = self.raw_digest(at)
        return None if raw is None else f"{ALGORITHM}:{raw.hex()}"

    def entry(self, at: int) -> Entry:
        """The entry at a position."""
        mark = self.marks[at]
        digest = sample = None
        if mark > KIND_MASK:
            spelt = self.hashes[HASH_BYTES * at : HASH_BYTES * (at + 1)].hex()
            if mark & DIGEST:
                digest = f"{ALGORITHM}:{spelt}"
            else:
                sample = f"{SAMPLE}:{spelt}"
        return Entry(
            self.paths[at],
            self.sizes[at],
            self.mtimes_ns[at],
            digest,
            KINDS[mark & KIND_MASK],
            self.targets.get(at),
            sample,
            self.etags[at],
            self.object_versions[at],
            *self._looked_at(at),
        )

    def entries(self, positions: Sequence[int]) -> list[Entry]:
        """The entries at these positions, in this order; files that lie together are made together."""
        start, end = positions[0], positions[-1] + 1
        marks = self.marks[start:end]
        is_plain = (
            not (self.targets or self.etags or self.object_versions) and max(marks, default=0) <= KIND_MASK
        )
        if not is_plain or not _are_together(positions):
            return list(map(self.entry, positions))
        nothing = repeat(None)
        rows = zip(
            self.paths[start:end],
            self.sizes[start:end],
            self.mtimes_ns[start:end],
            nothing,
            map(KINDS.__getitem__, marks),
            *(nothing, nothing, nothing, nothing),
            self.inodes[start:end] or repeat(0),
            self.ctimes_ns[start:end] or repeat(0),
            strict=False,  # there is no end of nothing
        )
        return list(map(Entry._make, rows))

    def digested(self, digests: Iterable[bytes]) -> "Columns":
        """The same entries, all of them files, with these digests of 32 bytes each."""
        found = self.shared()
        found.hashes = bytearray().join(digests)
        found.marks = bytearray(mark & KIND_MASK | DIGEST for mark in self.marks)
        return found

    def shared(self) -> "Columns":
        """The same entries; the columns are shared until something else is put into them."""
        found = Columns()
        found.paths, found.targets = self.paths, self.targets
        found.etags, found.object_versions = self.etags, self.object_versions
        found.sizes, found.mtimes_ns = self.sizes, self.mtimes_ns
        found.inodes, found.ctimes_ns = self.inodes, self.ctimes_ns
        found.marks, found.hashes = self.marks[:], self.hashes[:]
        found._is_shared = True
        return found

    def taken(self, positions: Sequence[int]) -> "Columns":
        """The entries at these positions, in this order."""
        found = Columns()
        is_plain = not (self.targets or self.etags or self.object_versions)
        if positions and is_plain and _are_together(positions):
            start, end = positions[0], positions[-1] + 1
            for name in _OF_FILES:
                setattr(found, name, getattr(self, name)[start:end])
            found.hashes = self.hashes[HASH_BYTES * start : HASH_BYTES * end]
            return found
        found.paths = [self.paths[at] for at in positions]
        for name in _NUMBERS if self.inodes else _STORED_NUMBERS:
            getattr(found, name).extend(map(getattr(self, name).__getitem__, positions))
        found.marks = bytearray(map(self.marks.__getitem__, positions))
        found.etags, found.object_versions = (
            self.etags.taken(positions),
            self.object_versions.taken(positions),
        )
        found.hashes = self.taken_hashes(positions)
        if self.targets:
            where = ((new, self.targets.get(old)) for new, old in enumerate(positions))
            found.targets = {at: target for at, target in where if target is not None}
        return found

    def taken_hashes(self, positions: Sequence[int]) -> bytearray:
        """The hashes of the entries at these positions, in this order."""
        found = bytearray()
        if self.hashes:
            hashes = memoryview(self.hashes)
            for at in positions:
                found += hashes[HASH_BYTES * at : HASH_BYTES * (at + 1)]
        return found

    def in_order(self) -> "Columns":
        """The same entries, sorted by path."""
        if self.paths == sorted(self.paths):
            return self
        return self.taken(sorted(range(len(self.paths)), key=self.paths.__getitem__))

    def same_as(self, other: "Columns") -> bool:
        """Whether all that is stored of the entries is the same."""
        return (
            self.sizes == other.sizes
            and self.marks == other.marks
            and self.mtimes_ns == other.mtimes_ns
            and self.hashes == other.hashes
            and self.targets == other.targets
            and self.etags == other.etags
            and self.object_versions == other.object_versions
            and self.paths == other.paths
        )


def _are_together(positions: Sequence[int]) -> bool:
    """Whether positions follow each other."""
    return all(map(eq, positions, range(positions[0], positions[0] + len(positions))))
