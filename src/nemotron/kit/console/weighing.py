"""Shares of data as commands show them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron.kit.console import words
from nemotron.kit.console.output import View
from nemotron.kit.console.tables import FittingTable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nemotron.kit.lineage.composition import Composition


@dataclass(frozen=True)
class CompositionView(View):
    """What a version consists of."""

    composition: "Composition"

    def document(self) -> Any:
        """`{uri, tokens, sources, unknown_share}`."""
        return self.composition.to_document()

    def lines(self) -> Iterable[str]:
        """The URIs of the sources."""
        return [words.printable(source.uri) for source in self.composition.sources]

    def render(self) -> "str | RenderableType":
        """A table, what is unknown last."""
        from rich.text import Text

        columns = ("SHARE", "TOKENS", "SOURCE", "CONFIDENCE")
        drawn = FittingTable(columns, dropped=("TOKENS",), below=("CONFIDENCE",))
        for source in self.composition.sources:
            drawn.add_row(
                Text(words.percent(source.share), justify="right"),
                Text("" if source.tokens is None else words.amount(round(source.tokens)), justify="right"),
                Text(words.printable(source.uri), "cyan"),
                source.confidence,
            )
        unknown = self.composition.unknown_share
        if unknown:
            drawn.add_row(Text(words.percent(unknown), justify="right"), "", Text("unknown", "red"), "")
        return drawn
