"""Shares of data as commands show them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron.kit.console import words
from nemotron.kit.console.output import View
from nemotron.kit.console.questions import with_rule
from nemotron.kit.console.views import table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nemotron.kit.lineage.composition import Composition
    from nemotron.kit.lineage.questions import Holding


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

        drawn = table("SHARE", "TOKENS", "SOURCE", "CONFIDENCE")
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


@dataclass(frozen=True)
class HoldingsView(View):
    """What holds a dataset."""

    holdings: Sequence["Holding"]

    def document(self) -> Any:
        """A list of objects."""
        return [
            {
                "uri": one.hit.node.uri,
                "type": one.hit.node.type,
                "share": one.share,
                "confidence": one.confidence,
                "rule": one.hit.rule,
                "path": list(one.hit.path),
                "aliases": list(one.hit.aliases),
                "withdrawn": one.hit.node.withdrawn,
            }
            for one in self.holdings
        ]

    def lines(self) -> Iterable[str]:
        """The URIs."""
        return [words.printable(one.hit.node.uri) for one in self.holdings]

    def render(self) -> "str | RenderableType":
        """A table."""
        from rich.text import Text

        if not self.holdings:
            return "Nothing holds it"
        drawn = table("SHARE", "ARTIFACT", "CONFIDENCE", "ALIASES", "BY WAY OF", folding=("BY WAY OF",))
        for one in self.holdings:
            drawn.add_row(
                Text(words.percent(one.share), justify="right"),
                Text(words.printable(one.hit.node.uri), "cyan"),
                one.confidence,
                Text(words.printable(", ".join(one.hit.aliases)), "green"),
                " → ".join(words.printable(uri) for uri in one.hit.path[1:-1]),
            )
        return with_rule(drawn, [one.hit for one in self.holdings])
