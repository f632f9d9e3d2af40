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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Literal

from nemotron.kit.documents.digest import ALGORITHM, digest_of, is_digest, is_sample
from nemotron.kit.errors import CorruptError, FormatTooNewError

TREE_FORMAT = 1
INLINE_SIZE_MAX = 16 * 1024
TREE_SIZE_MAX = 4 << 30

# Empty, absolute, or with '.' or '..' parts: a path that was never inside the folder.
_OUTSIDE = re.compile(r"\A\Z|\A/|/\Z|//|\x00|(?:\A|/)\.{1,2}(?:/|\Z)")

EntryKind = Literal["file", "exec", "link", "dir"]
_KINDS: tuple[EntryKind, ...] = ("file", "exec", "link", "dir")
_CODES = {kind: code for code, kind in enumerate(_KINDS)}
_quoted = json.encoder.encode_basestring_ascii
# Rows that are turned into text, or text into rows, at a time: a listing may have millions.
_BLOCK_ROWS = 10_000
_BLOCK_BYTES = 1 << 20


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

    def read(self, digest: str) -> "Entry":
        """The same file, with a digest."""
        return Entry(
            self.path, self.size, self.mtime_ns, digest, self.kind, None, None, self.inode, self.ctime_ns
        )

    def row(self) -> list[object]:
        """The stored form, short because there may be millions."""
        last = self.digest or self.sample or self.target
        return [_KINDS.index(self.kind), self.path, self.size, self.mtime_ns, last]

    def line(self) -> str:
        """The row as JSON."""
        last = self.digest or self.sample  # hex digits, which JSON has no other spelling for
        shown = f'"{last}"' if last else "null" if self.target is None else _quoted(self.target)
        return f"[{_CODES[self.kind]}, {_quoted(self.path)}, {self.size}, {self.mtime_ns}, {shown}]"

    @classmethod
    def from_row(cls, row: object, where: str) -> "Entry":
        """Read the stored form back.

        Raises:
            CorruptError: it is not one.
        """
        if type(row) is list and len(row) == 5:
            code, path, size, mtime_ns, last = row
            # Path and digest become part of a path: what was never inside must not get out of it now.
            if (
                type(path) is str
                and type(size) is type(mtime_ns) is type(code) is int
                and size >= 0
                and 0 <= code < len(_KINDS)
                and _is_inside(path)
            ):
                kind = _KINDS[code]
                if kind == "link":
                    if last is None or type(last) is str:
                        return cls(path, size, mtime_ns, None, kind, last)
                elif last is None or is_digest(last):
                    return cls(path, size, mtime_ns, last, kind)
                elif is_sample(last):
                    return cls(path, size, mtime_ns, None, kind, None, last)
        raise CorruptError(f"{where} is damaged: {_shown(row)} is no entry")


@dataclass(frozen=True, slots=True)
class Tree:
    """All entries of a folder, sorted by path."""

    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> "Tree":
        """A tree of these entries, in canonical order."""
        return cls(tuple(sorted(entries, key=attrgetter("path"))))

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

    def _blocks(self) -> Iterator[bytes]:
        head = json.dumps({"format_version": TREE_FORMAT, "entries": len(self.entries)})
        yield f"{head}\n".encode("ascii")
        for start in range(0, len(self.entries), _BLOCK_ROWS):
            rows = [entry.line() for entry in self.entries[start : start + _BLOCK_ROWS]]
            yield ("\n".join(rows) + "\n").encode("ascii")

    @property
    def key(self) -> str:
        """The digest of the uncompressed stored form: listings are the same, times included, if it is."""
        return digest_of(self.lines())

    def lines(self) -> bytes:
        """The uncompressed stored form, whose digest is the tree's key."""
        return b"".join(self._blocks())

    def to_bytes(self) -> bytes:
        """The stored form."""
        return self.packed()[1]

    def packed(self) -> tuple[str, bytes]:
        """The digest of the uncompressed stored form, and the stored form; made in one pass."""
        from blake3 import blake3

        hasher, packer = blake3(), zlib.compressobj(1)
        parts = []
        for block in self._blocks():
            hasher.update(block)
            parts.append(packer.compress(block))
        return f"{ALGORITHM}:{hasher.hexdigest()}", b"".join((*parts, packer.flush()))

    @classmethod
    def from_bytes(cls, data: bytes, where: str, digest: str | None = None) -> "Tree":
        """Read the stored form.

        Args:
            data: the stored form.
            where: it was read, for messages.
            digest: of the uncompressed form, if that is known.

        Raises:
            CorruptError: it is damaged or cut.
            FormatTooNewError: a newer kit wrote it.
        """
        text = _unpacked(data, where)
        if digest is not None and digest_of(text) != digest:
            raise CorruptError(f"{where} is damaged: its content is not what its name says")
        head, _, body = text.partition(b"\n")
        count = _count(head, where)
        entries: list[Entry] = []
        for lines in _line_blocks(body, where):
            # No row holds a newline of its own: JSON escapes it.
            rows = _parsed(b"[%b]" % lines[:-1].replace(b"\n", b","), where)
            if not isinstance(rows, list) or len(rows) != lines.count(b"\n"):
                raise CorruptError(f"{where} is damaged: expected one entry a line")
            entries += [Entry.from_row(row, where) for row in rows]
        if count != len(entries):
            raise CorruptError(f"{where} is damaged: expected {count} entries, found {len(entries)}")
        return cls(tuple(entries))


def _line_blocks(text: bytes, where: str) -> Iterator[bytes]:
    """The text in pieces of whole lines, so that no more than a piece of it is held twice."""
    start = 0
    while start < len(text):
        end = text.rfind(b"\n", start, start + _BLOCK_BYTES) + 1 or text.find(b"\n", start) + 1
        if end == 0:
            raise CorruptError(f"{where} is damaged: its last line is cut")
        yield text[start:end]
        start = end


def is_packed(data: bytes, key: str) -> bool:
    """Whether some bytes are the stored form of the listing with that key."""
    try:
        return digest_of(_unpacked(data, "")) == key
    except CorruptError:
        return False


def _unpacked(data: bytes, where: str) -> bytes:
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(data, TREE_SIZE_MAX)
    except zlib.error as error:
        raise CorruptError(f"{where} is damaged: {error}") from error
    if not unpacker.eof:
        raise CorruptError(f"{where} is damaged: it is cut short, or larger than {TREE_SIZE_MAX} bytes")
    return text


def _count(head: bytes, where: str) -> int:
    """The number of entries that the first line speaks of."""
    document = _parsed(head, where)
    version = document.get("format_version") if isinstance(document, dict) else None
    count = document.get("entries") if isinstance(document, dict) else None
    if not isinstance(version, int) or not isinstance(count, int):
        raise CorruptError(f"{where} is damaged: its first line is {_shown(document)}")
    if version > TREE_FORMAT:
        raise FormatTooNewError(
            f"{where} has tree format {version}; this kit reads up to {TREE_FORMAT}: upgrade it"
        )
    return count


def _parsed(text: bytes, where: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CorruptError(f"{where} is damaged: {error}") from error


def _is_inside(path: str) -> bool:
    # Most paths have nothing to do with dots; seeing that is ten times as fast as the pattern.
    plain = "/." not in path and "//" not in path and "\x00" not in path and path[:1] not in ("", "/", ".")
    return (plain and path[-1] != "/") or not _OUTSIDE.search(path)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:100]}…"
