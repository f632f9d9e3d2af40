"""A listing of an artifact's files: what was there, and by what it can be recognised.

The stored form is a header line and one JSON array a line, sorted by path, compressed with zlib. It is
content-addressed by the digest of the *uncompressed* bytes.

>>> tree = Tree.of([Entry("b.bin", 3, 1), Entry("a.txt", 5, 1)])
>>> [entry.path for entry in tree.entries], tree.files, tree.size
(['a.txt', 'b.bin'], 2, 8)
>>> Tree.from_bytes(tree.to_bytes(), "example") == tree
True
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar, overload

from nemotron.kit.documents import tree_text
from nemotron.kit.documents.columns import DIGEST, FILE_MAX, KIND_MASK, Columns
from nemotron.kit.documents.entry import Entry, EntryKind
from nemotron.kit.documents.tags import TAG_FIELDS, Tags
from nemotron.kit.documents.tree_text import is_packed
from nemotron.kit.errors import CorruptError

__all__ = ["INLINE_SIZE_MAX", "TAG_FIELDS", "Entries", "Entry", "EntryKind", "Tree", "is_packed"]

INLINE_SIZE_MAX = 16 * 1024
Where = TypeVar("Where")
What = TypeVar("What")


class Entries(Sequence[Entry]):
    """The entries of a tree, each made when it is asked for."""

    __slots__ = ("_columns",)

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return len(self._columns)

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Entry, ...]: ...
    def __getitem__(self, at: int | slice) -> Entry | tuple[Entry, ...]:
        if isinstance(at, slice):
            return tuple(map(self._columns.entry, range(*at.indices(len(self)))))
        return self._columns.entry(range(len(self))[at])

    def __iter__(self) -> Iterator[Entry]:
        return map(self._columns.entry, range(len(self)))


class Tree:
    """All entries of a folder, sorted by path.

    Args:
        entries: in canonical order; see `of`.

    Attributes:
        columns: all of it; to be read, not changed.
    """

    __slots__ = ("_digest", "_key", "columns")

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.columns = Columns(entries)
        self._key: str | None = None
        self._digest: str | None = None

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> "Tree":
        """A tree of these entries, in canonical order."""
        return cls.of_columns(Columns(entries))

    @classmethod
    def of_columns(cls, columns: Columns) -> "Tree":
        """A tree of these columns, in canonical order; nobody may change them any more."""
        tree = cls()
        tree.columns = columns.in_order()
        return tree

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tree) and self.columns.same_as(other.columns)

    def __hash__(self) -> int:
        return hash((len(self.columns), bytes(self.columns.marks), bytes(self.columns.hashes)))

    def __repr__(self) -> str:
        return f"Tree({list(self.entries)!r})"

    @property
    def entries(self) -> Entries:
        """The entries, by path."""
        return Entries(self.columns)

    @property
    def files(self) -> int:
        """How many entries have bytes."""
        marks = self.columns.marks
        return sum(marks.count(mark) for mark in set(marks) if mark & KIND_MASK <= FILE_MAX)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(self.columns.sizes)

    @property
    def digest(self) -> str | None:
        """Identity of the content without its times; None if a file was not read."""
        if self._digest is None:
            self._digest = tree_text.identity(self.columns)
        return self._digest

    def unread(self, known: int = DIGEST) -> Sequence[int]:
        """The positions of the files of which none of these marks (DIGEST, SAMPLED) says what is in them."""
        marks = self.columns.marks
        there = set(marks)
        wanted = {mark for mark in there if not mark & known and mark & KIND_MASK <= FILE_MAX}
        if wanted == there:
            return range(len(marks))
        return array("q", (at for at, mark in enumerate(marks) if mark in wanted) if wanted else ())

    def with_entries(self, changed: Iterable[tuple[int, Entry]]) -> "Tree":
        """The same tree with other entries of the same paths at some positions."""
        return self._with(Columns.put, changed)

    def with_parts(self, changed: Iterable[tuple[Sequence[int], Columns]]) -> "Tree":
        """The same tree with the entries of other columns, of the same paths, at their positions."""
        return self._with(Columns.put_all, changed)

    def _with(
        self, put: Callable[[Columns, Where, What], None], changed: Iterable[tuple[Where, What]]
    ) -> "Tree":
        columns = None
        for where, what in changed:
            if columns is None:
                columns = self.columns.shared()
            put(columns, where, what)
        if columns is None:
            return self
        tree = Tree()
        tree.columns = columns
        return tree

    def rows(self) -> list[list[object]]:
        """The stored rows, for a tree that is small enough to lie in its manifest."""
        return [entry.row() for entry in self.entries]

    def tags(self) -> dict[str, list[str | None]]:
        """What is stored beside the rows, where there is any: what object stores call their objects."""
        found = {name: getattr(self.columns, name) for name in TAG_FIELDS}
        return {name: tags.all() for name, tags in found.items() if tags}

    @classmethod
    def from_rows(cls, rows: object, where: str, tags: Mapping[str, object] | None = None) -> "Tree":
        """Read `rows()` and `tags()` back.

        Raises:
            CorruptError: they are none.
        """
        if not isinstance(rows, list):
            raise CorruptError(f"{where} is damaged: expected a list of entries")
        tree = cls(Entry.from_row(row, where) for row in rows)
        tree_text.check_order(tree.columns.paths, where)
        for name in TAG_FIELDS if tags else ():
            setattr(tree.columns, name, Tags.of((tags or {}).get(name), len(rows), where))
        return tree

    @property
    def key(self) -> str:
        """The digest of the uncompressed stored form: listings are the same, times included, if it is."""
        if self._key is None:
            self._key = tree_text.key(self.columns)
        return self._key

    def lines(self) -> bytes:
        """The uncompressed stored form, whose digest is the tree's key."""
        return b"".join(tree_text.blocks(self.columns))

    def to_bytes(self) -> bytes:
        """The stored form."""
        return self.packed()[1]

    def packed(self, join: tree_text.Join = b"".join, each: tree_text.Each = map) -> tuple[str, bytes]:
        """The digest of the uncompressed stored form, and the stored form; made in one pass.

        Args:
            join: makes one of the pieces that the stored form comes in.
            each: does something to each piece, in order.
        """
        key, self._digest, data = tree_text.packed(self.columns, join, each)
        return key, data

    def write(self, take: Callable[[Iterable[bytes]], object]) -> str:
        """Write the stored form in pieces; returns the digest of its uncompressed form.

        Args:
            take: takes the pieces.
        """
        key, self._digest, _ = tree_text.write(self.columns, take)
        return key

    @classmethod
    def from_bytes(
        cls, data: bytes, where: str, digest: str | None = None, *, like: "Tree | None" = None
    ) -> "Tree":
        """Read the stored form; see `from_pieces`."""
        return cls.from_pieces((data,), where, digest, like=like)

    @classmethod
    def from_pieces(
        cls, pieces: Iterable[bytes], where: str, digest: str | None = None, *, like: "Tree | None" = None
    ) -> "Tree":
        """Read the stored form.

        Args:
            pieces: the stored form, of which one after another is held.
            where: it was read, for messages.
            digest: of the uncompressed form, if that is known.
            like: a listing of much the same files, whose texts are then shared.

        Raises:
            CorruptError: it is damaged or cut.
            FormatTooNewError: a newer kit wrote it.
        """
        tree = cls()
        tree.columns = tree_text.parsed(pieces, where, digest, like.columns.paths if like else None)
        return tree
