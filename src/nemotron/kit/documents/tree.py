"""A listing of an artifact's files: what was there, and by what it can be recognised.

The stored form is a header line and one JSON array a line, sorted by path, compressed with zlib. It is
content-addressed by the digest of the *uncompressed* bytes.

>>> tree = Tree.of([Entry("b.bin", 3, 1), Entry("a.txt", 5, 1)])
>>> [entry.path for entry in tree.entries], tree.files, tree.size
(['a.txt', 'b.bin'], 2, 8)
>>> Tree.from_bytes(tree.to_bytes(), "example") == tree
True
"""

import json
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from nemotron.kit.documents.digest import digest_of, is_digest, is_sample
from nemotron.kit.errors import CorruptError, FormatTooNewError

TREE_FORMAT = 1
INLINE_SIZE_MAX = 16 * 1024
TREE_SIZE_MAX = 4 << 30

# Empty, absolute, or with '.' or '..' parts: a path that was never inside the folder.
_OUTSIDE = re.compile(r"\A\Z|\A/|/\Z|//|\x00|(?:\A|/)\.{1,2}(?:/|\Z)")

EntryKind = Literal["file", "exec", "link", "dir"]
_KINDS: tuple[EntryKind, ...] = ("file", "exec", "link", "dir")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, link or empty folder of a tree.

    Attributes:
        path: relative to the folder, with slashes.
        size: bytes; 0 for links and folders.
        mtime_ns: time of the last change, nanoseconds since the epoch; 0 for links and folders.
        digest: of the content, where all of it was read.
        kind: `exec` is a file that may be executed, `dir` an empty folder.
        target: what a link points at, as written.
        sample: the digest of a sample of the content, where no more than that was read.
        inode: of the file that was looked at; like `ctime_ns` it is not stored and does not count.
        ctime_ns: time of the last change of content, name or mode; nobody can set it.
    """

    path: str
    size: int = 0
    mtime_ns: int = 0
    digest: str | None = None
    kind: EntryKind = "file"
    target: str | None = None
    sample: str | None = None
    inode: int = field(default=0, compare=False, repr=False)
    ctime_ns: int = field(default=0, compare=False, repr=False)

    @property
    def is_file(self) -> bool:
        """Whether it has bytes of its own."""
        return self.kind in ("file", "exec")

    def row(self) -> list[object]:
        """The stored form, short because there may be millions."""
        last = self.digest or self.sample or self.target
        return [_KINDS.index(self.kind), self.path, self.size, self.mtime_ns, last]

    @classmethod
    def from_row(cls, row: list[object], where: str) -> "Entry":
        """Read the stored form back.

        Raises:
            CorruptError: it is not one.
        """
        match row:
            case [int(code), str(path), int(size), int(mtime_ns), (None | str()) as last] if (
                0 <= code < len(_KINDS) and size >= 0
            ):
                kind = _KINDS[code]
                link, sample = kind == "link", last if is_sample(last) else None
                # Path and digest become part of a path: what was never inside must not get out of it now.
                if not _OUTSIDE.search(path) and (link or last is None or sample or is_digest(last)):
                    if link:
                        return cls(path, size, mtime_ns, None, kind, last)
                    return cls(path, size, mtime_ns, None if sample else last, kind, None, sample)
        raise CorruptError(f"{where} is damaged: {_shown(row)} is no entry")


@dataclass(frozen=True, slots=True)
class Tree:
    """All entries of a folder, sorted by path."""

    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> "Tree":
        """A tree of these entries, in canonical order."""
        return cls(tuple(sorted(entries, key=lambda entry: entry.path)))

    @property
    def files(self) -> int:
        """How many entries have bytes."""
        return sum(entry.is_file for entry in self.entries)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.entries)

    @property
    def digest(self) -> str | None:
        """Identity of the content without its times; None if a file was not read."""
        if any(entry.is_file and entry.digest is None for entry in self.entries):
            return None
        rows = [[entry.kind, entry.path, entry.size, entry.digest or entry.target] for entry in self.entries]
        return digest_of(json.dumps(rows).encode())

    def rows(self) -> list[list[object]]:
        """The stored rows, for a tree that is small enough to lie in its manifest."""
        return [entry.row() for entry in self.entries]

    @classmethod
    def from_rows(cls, rows: object, where: str) -> "Tree":
        """Read `rows()` back.

        Raises:
            CorruptError: they are none.
        """
        if not isinstance(rows, list):
            raise CorruptError(f"{where} is damaged: expected a list of entries")
        return cls(tuple(Entry.from_row(row, where) for row in rows))

    def lines(self) -> bytes:
        """The uncompressed stored form, whose digest is the tree's key."""
        head = json.dumps({"format_version": TREE_FORMAT, "entries": len(self.entries)})
        return "\n".join([head, *(json.dumps(entry.row()) for entry in self.entries), ""]).encode("ascii")

    def to_bytes(self) -> bytes:
        """The stored form."""
        return zlib.compress(self.lines(), 1)

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> "Tree":
        """Read the stored form.

        Raises:
            CorruptError: it is damaged or cut.
            FormatTooNewError: a newer kit wrote it.
        """
        try:
            unpacker = zlib.decompressobj()
            text = unpacker.decompress(data, TREE_SIZE_MAX)
            if not unpacker.eof:
                raise CorruptError(
                    f"{where} is damaged: it is cut short, or larger than {TREE_SIZE_MAX} bytes"
                )
            head, *lines = [json.loads(line) for line in text.splitlines()]
            count = head["entries"]
            version = head["format_version"]
        except (zlib.error, ValueError, KeyError, TypeError, RecursionError) as error:
            raise CorruptError(f"{where} is damaged: {error}") from error
        if not isinstance(version, int):
            raise CorruptError(f"{where} is damaged: format_version is {version!r}")
        if version > TREE_FORMAT:
            raise FormatTooNewError(
                f"{where} has tree format {version}; this kit reads up to {TREE_FORMAT}: upgrade it"
            )
        if count != len(lines):
            raise CorruptError(f"{where} is damaged: expected {count} entries, found {len(lines)}")
        return cls.from_rows(lines, where)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:100]}…"
