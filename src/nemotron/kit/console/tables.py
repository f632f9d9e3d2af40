"""Tables in the house style, and how they make do with a narrow terminal."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table
    from rich.text import Text

    # The cells of a row by title, and its style.
    _Row = tuple[dict[str, Text], str]

GAP = 2
INDENT = 2
# Narrower than this, a column of several words is a bother to read.
READABLE = 24


def table(*columns: str, folding: Iterable[str] = ()) -> "Table":
    """An empty table in the house style: no lines; on a narrow terminal these columns are folded."""
    from rich.table import Table

    drawn = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column in columns:
        drawn.add_column(column, overflow="fold", no_wrap=column not in folding)
    return drawn


@dataclass
class FittingTable:
    """A table that on a narrow terminal leaves out what tells least, and never breaks a word that fits.

    What comes first is tried first: all columns; without the first of `dropped`, the first two, …; then the
    same with the first of `below` on a line of its own below each row, the first two, … Where nothing fits,
    words are folded.

    Attributes:
        columns: the titles, each once.
        folding: of the columns whose words may stand on several lines.
        dropped: of the columns that may be left out, what tells least first.
        below: of those that may go below their rows, what is longest first.
    """

    columns: Sequence[str]
    folding: Sequence[str] = ()
    dropped: Sequence[str] = ()
    below: Sequence[str] = ()
    _rows: "list[_Row]" = field(default_factory=list)

    def add_row(self, *cells: "str | Text", style: str = "") -> None:
        """Add a row: a cell for each column; a text is shown as it is, without markup."""
        from rich.text import Text

        texts = (cell if isinstance(cell, Text) else Text(cell) for cell in cells)
        self._rows.append((dict(zip(self.columns, texts, strict=True)), style))

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "Iterator[RenderableType]":
        """How rich draws it."""
        from rich.padding import Padding

        room = options.max_width
        choices = list(self._choices())
        shown = next((some for some in choices if sum(self._least(some)) <= _room(some, room)), choices[-1])
        widths = self._widths(shown, _room(shown, room))
        lower = [column for column in self.columns if column in self.below and column not in shown]
        if not lower:
            yield self._drawn(shown, widths, self._rows)
            return
        yield self._drawn(shown, widths, ())
        for cells, style in self._rows:
            yield self._drawn(shown, widths, [(cells, style)], show_header=False)
            for column in lower:
                if cells[column].plain:
                    yield Padding(_styled(cells[column], style), (0, 0, 0, INDENT))

    def _choices(self) -> Iterator[list[str]]:
        for lower in range(len(self.below) + 1):
            for many in range(len(self.dropped) + 1):
                gone = {*self.below[:lower], *self.dropped[:many]}
                yield [column for column in self.columns if column not in gone]

    def _least(self, shown: Sequence[str]) -> list[int]:
        """How narrow each of these columns can be without a broken word, and readable."""
        whole = {column: self._width(column) for column in shown}
        words = {column: self._width(column, by_word=True) for column in shown if column in self.folding}
        return [min(max(words.get(column, whole[column]), READABLE), whole[column]) for column in shown]

    def _width(self, column: str, *, by_word: bool = False) -> int:
        from rich.cells import cell_len

        texts = [column, *(cells[column].plain for cells, _ in self._rows)]
        return max(cell_len(part) for text in texts for part in (text.split() if by_word else ()) or [text])

    def _widths(self, shown: Sequence[str], room: int) -> list[int]:
        """The width of each column: the first ones get what they like, if there is room for all words."""
        widths = self._least(shown)
        while sum(widths) > room and max(widths) > 1:
            widths[widths.index(max(widths))] -= 1
        for at, column in enumerate(shown):
            wanted = self._width(column) - widths[at]
            widths[at] += min(wanted, max(0, room - sum(widths)))
        return widths

    def _drawn(
        self, shown: Sequence[str], widths: Sequence[int], rows: "Iterable[_Row]", *, show_header: bool = True
    ) -> "Table":
        is_crowded = any(width < least for width, least in zip(widths, self._least(shown), strict=True))
        drawn = table(*shown, folding=shown if is_crowded else self.folding)
        drawn.show_header = show_header
        for column, width in zip(drawn.columns, widths, strict=True):
            column.width = width
        for cells, style in rows:
            drawn.add_row(*(cells[title] for title in shown), style=style)
        return drawn


def _room(shown: Sequence[str], width: int) -> int:
    return width - GAP * (len(shown) - 1)


def _styled(text: "Text", style: str) -> "Text":
    styled = text.copy()
    styled.overflow = "fold"
    styled.stylize_before(style)
    return styled
