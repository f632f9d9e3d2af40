"""Tables in the house style, and how they make do with a narrow terminal."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
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
# Longer than this, a cell pads no other row: its own stands alone.
LONG = 100


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
        is_crowded = any(width < least for width, least in zip(widths, self._least(shown), strict=True))
        folding = shown if is_crowded else self.folding
        lower = [column for column in self.columns if column in self.below and column not in shown]
        if not lower:
            yield from self._one_below_the_other(shown, widths, folding, _room(shown, room))
            return
        yield _drawn(shown, widths, (), folding)
        for cells, style in self._rows:
            yield _drawn(shown, widths, [(cells, style)], folding, show_header=False)
            for column in lower:
                if cells[column].plain:
                    yield Padding(_styled(cells[column], style), (0, 0, 0, INDENT))

    def _one_below_the_other(
        self, shown: Sequence[str], widths: Sequence[int], folding: Sequence[str], room: int
    ) -> "Iterator[RenderableType]":
        """All rows. Where there is room for all, as in a pipe, a long one does not pad the others."""
        if max(widths[:-1], default=0) <= LONG or sum(map(self._width, shown)) > room:
            yield _drawn(shown, widths, self._rows, folding)
            return
        bound = [*(self._width(column, most=LONG) for column in shown[:-1]), widths[-1]]
        yield _drawn(shown, bound, (), folding)
        for is_long, rows in groupby(self._rows, lambda row: _is_long(row, shown)):
            if is_long:
                yield from (_in_one_line([cells[column] for column in shown], style) for cells, style in rows)
            else:
                yield _drawn(shown, bound, rows, folding, show_header=False)

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

    def _width(self, column: str, *, by_word: bool = False, most: int | None = None) -> int:
        """What the longest cell of a column needs, or its longest word; of those within a limit."""
        from rich.cells import cell_len

        texts = [column, *(cells[column].plain for cells, _ in self._rows)]
        sizes = (cell_len(part) for text in texts for part in (text.split() if by_word else ()) or [text])
        return max(size for size in sizes if most is None or size <= most)

    def _widths(self, shown: Sequence[str], room: int) -> list[int]:
        """The width of each column: the first ones get what they like, if there is room for all words."""
        widths = self._least(shown)
        while sum(widths) > room and max(widths) > 1:
            widths[widths.index(max(widths))] -= 1
        for at, column in enumerate(shown):
            wanted = self._width(column) - widths[at]
            widths[at] += min(wanted, max(0, room - sum(widths)))
        return widths


@dataclass
class Facts:
    """Labels with what is to be said of each beside them; a long label stands alone, whole, before its own.

    Attributes:
        rows: label and text.
    """

    rows: Sequence[tuple[str, str]]

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "Iterator[RenderableType]":
        """How rich draws it."""
        from rich.cells import cell_len
        from rich.text import Text

        most = max(READABLE, min(LONG, options.max_width - READABLE))
        width = max((size for label, _ in self.rows if (size := cell_len(label)) <= most), default=0)
        for is_long, rows in groupby(self.rows, lambda row: cell_len(row[0]) > most):
            if is_long:
                yield from (_in_one_line([Text(label, "dim"), Text(text)]) for label, text in rows)
                continue
            drawn = facts()
            drawn.columns[0].width = width
            for label, text in rows:
                drawn.add_row(label, Text(text, overflow="fold"))
            yield drawn


def facts() -> "Table":
    """An empty table of labels, dim, and what is to be said of each."""
    from rich.table import Table

    drawn = Table.grid(padding=(0, GAP, 0, 0))
    drawn.add_column(style="dim", no_wrap=True)
    drawn.add_column(overflow="fold")
    return drawn


def _drawn(
    shown: Sequence[str],
    widths: Sequence[int],
    rows: "Iterable[_Row]",
    folding: Sequence[str],
    *,
    show_header: bool = True,
) -> "Table":
    drawn = table(*shown, folding=folding)
    drawn.show_header = show_header
    for column, width in zip(drawn.columns, widths, strict=True):
        column.width = width
    for cells, style in rows:
        drawn.add_row(*(cells[title] for title in shown), style=style)
    return drawn


def _is_long(row: "_Row", shown: Sequence[str]) -> bool:
    """Whether a cell is long that others stand behind."""
    from rich.cells import cell_len

    return any(cell_len(row[0][column].plain) > LONG for column in shown[:-1])


def _in_one_line(cells: "Sequence[Text]", style: str = "") -> "Text":
    """The cells of a row one after another, which goes on in the next line of a terminal, unbroken."""
    from rich.text import Text

    line = Text(" " * GAP, no_wrap=True, overflow="ignore").join(cells)
    line.stylize_before(style)
    return line


def _room(shown: Sequence[str], width: int) -> int:
    return width - GAP * (len(shown) - 1)


def _styled(text: "Text", style: str) -> "Text":
    styled = text.copy()
    styled.overflow = "fold"
    styled.stylize_before(style)
    return styled
