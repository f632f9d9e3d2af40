"""Some entries of a listing as a listing of their own, of which few are held at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from nemotron.kit.documents import tree_rows, tree_text
from nemotron.kit.documents.columns import Columns
from nemotron.kit.documents.entry import Entry
from nemotron.kit.documents.tags import TAG_FIELDS, SomeTags


class Excerpt:
    """The entries at some positions of a listing; only where they are is kept, and it is read again.

    What is stored of it is what is stored of a `Tree` of the same entries.

    >>> columns = Columns([Entry("a", 1), Entry("b", 2), Entry("c", 3)])
    >>> some = Excerpt(columns, [0, 2])
    >>> len(some), [entry.path for entry in some]
    (2, ['a', 'c'])

    Args:
        columns: the listing, in order.
        positions: in it, which rise.
        complete: puts into a part what is known of its entries besides; told at which of the positions the
            part begins.
    """

    __slots__ = ("_columns", "_complete", "_positions")

    def __init__(
        self,
        columns: Columns,
        positions: Sequence[int],
        complete: Callable[[int, Columns], object] = lambda start, part: None,
    ) -> None:
        self._columns, self._positions, self._complete = columns, positions, complete

    def __len__(self) -> int:
        return len(self._positions)

    def __iter__(self) -> Iterator[Entry]:
        for part in self.parts():
            yield from map(part.entry, range(len(part)))

    def parts(self) -> Iterator[Columns]:
        """The entries, some after others."""
        # Neither here nor in `_rows` is one part held while the next is made.
        return map(self._part, range(0, len(self), tree_rows.BLOCK_ROWS))

    def _part(self, start: int) -> Columns:
        part = self._columns.taken(self._positions[start : start + tree_rows.BLOCK_ROWS])
        self._complete(start, part)
        return part

    @property
    def key(self) -> str:
        """As a tree's; worked out each time."""
        return tree_text.digest_of_text(chain(self._head(), map(tree_rows.lines, self._rows())))

    def write(self, take: Callable[[Iterable[bytes]], object]) -> str:
        """Write the stored form in pieces; returns the digest of its uncompressed form.

        Args:
            take: takes the pieces.
        """
        key, _ = tree_text.pack(self._head(), self._rows(), take)
        return key

    def _head(self) -> Iterator[bytes]:
        tags = {name: SomeTags(getattr(self._columns, name), self._positions) for name in TAG_FIELDS}
        return tree_text.head(len(self), tags)

    def _rows(self) -> Iterator[tree_rows.Rows]:
        return chain.from_iterable(map(tree_rows.rows_of, self.parts()))
