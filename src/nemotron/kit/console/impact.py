"""What came of an artifact, and what holds it, as commands show them; of very many the first."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron.kit.console import words
from nemotron.kit.console.output import View
from nemotron.kit.console.tables import FittingTable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nemotron.kit.lineage.impact import Found, Hit, Holding

# Of a longer way the ends are shown.
STEPS_SHOWN_MAX = 8


@dataclass(frozen=True)
class HitsView(View):
    """What was made of something.

    Attributes:
        hits: the answers.
        is_bounded: whether a limit or a depth was asked for: the document then says what it leaves out.
    """

    hits: "Found[Hit]"
    is_bounded: bool = False

    def document(self) -> Any:
        """A list of objects; `share` is null where nobody knows, and 0 where nothing of it is held."""
        return _bounded(self.hits, [_document(hit) for hit in self.hits], self.is_bounded)

    def lines(self) -> Iterable[str]:
        """The URIs."""
        return [words.printable(hit.node.uri) for hit in self.hits]

    def render(self) -> "str | RenderableType":
        """A table."""
        from rich.text import Text

        if not self.hits and self.hits.is_whole:
            return "Nothing was made of it"
        drawn = FittingTable(
            ("ARTIFACT", "SHARE", "TYPE", "CREATED", "ALIASES", "BY WAY OF"),
            folding=("ALIASES", "BY WAY OF"),
            dropped=("CREATED", "TYPE"),
            below=("BY WAY OF", "ALIASES"),
        )
        for hit in self.hits:
            way = _way(hit)
            if hit.node.withdrawn is not None:
                way = f"{way}  withdrawn: {words.printable(hit.node.withdrawn)}".strip()
            drawn.add_row(
                Text(words.printable(hit.node.uri), "cyan"),
                Text(words.percent(hit.share), justify="right"),
                words.printable(hit.node.type),
                words.ago(hit.node.created_at or ""),
                Text(words.printable(", ".join(hit.aliases)), "green"),
                way,
            )
        return _with_notes(drawn, [*_rules(self.hits), *_more(self.hits, "shown")])


@dataclass(frozen=True)
class HoldingsView(View):
    """What holds a dataset.

    Attributes:
        holdings: the answers.
        is_bounded: whether a limit or a depth was asked for: the document then says what it leaves out.
    """

    holdings: "Found[Holding]"
    is_bounded: bool = False

    def document(self) -> Any:
        """A list of objects."""
        documents = [
            {**_document(one.hit), "share": one.share, "confidence": one.confidence} for one in self.holdings
        ]
        return _bounded(self.holdings, documents, self.is_bounded)

    def lines(self) -> Iterable[str]:
        """The URIs."""
        return [words.printable(one.hit.node.uri) for one in self.holdings]

    def render(self) -> "str | RenderableType":
        """A table."""
        from rich.text import Text

        if not self.holdings and self.holdings.is_whole:
            return "Nothing holds it; nemotron kit impact shows what was made with it"
        drawn = FittingTable(
            ("SHARE", "ARTIFACT", "CONFIDENCE", "ALIASES", "BY WAY OF"),
            folding=("ALIASES", "BY WAY OF"),
            below=("BY WAY OF", "ALIASES", "CONFIDENCE"),
        )
        for one in self.holdings:
            drawn.add_row(
                Text(words.percent(one.share), justify="right"),
                Text(words.printable(one.hit.node.uri), "cyan"),
                one.confidence,
                Text(words.printable(", ".join(one.hit.aliases)), "green"),
                _way(one.hit),
            )
        rules = _rules([one.hit for one in self.holdings])
        return _with_notes(drawn, [*rules, *_more(self.holdings, "weighed and shown")])


def _document(hit: "Hit") -> dict[str, Any]:
    return {
        "uri": hit.node.uri,
        "type": hit.node.type,
        "share": hit.share,
        "confidence": hit.confidence,
        "rule": hit.rule,
        "path": list(hit.path),
        "path_skipped": hit.path_skipped,
        "aliases": list(hit.aliases),
        "withdrawn": hit.node.withdrawn,
    }


def _bounded(found: "Found[Any]", documents: list[dict[str, Any]], is_bounded: bool) -> Any:
    """The list; or where its bounds were asked for, an object that tells of what is beyond them."""
    return {"found": documents, "rest": found.rest, "deeper": found.deeper} if is_bounded else documents


def _way(hit: "Hit") -> str:
    """What lies between, the ends of a long way."""
    between = [words.printable(uri) for uri in hit.path[1:-1]]
    left_out = hit.path_skipped + max(0, len(between) - STEPS_SHOWN_MAX)
    if left_out:
        half = STEPS_SHOWN_MAX // 2
        first = [] if hit.path_skipped else between[:half]
        left_out = hit.path_skipped + len(between) - len(first) - half
        between = [*first, f"… {left_out:,} more …", *between[-half:]]
    return " → ".join(between)


def _rules(hits: Sequence["Hit"]) -> list[str]:
    return [f"Shares of a part: {rule}" for rule in dict.fromkeys(hit.rule for hit in hits if hit.rule)]


def _more(found: "Found[Any]", done: str) -> Iterator[str]:
    if found.rest:
        yield (
            f"The first {len(found):,} are {done}, the newest aliases first; {found.rest:,} more were made of"
            " it: --limit 0 for all"
        )
    if found.deeper:
        yield f"{found.deeper:,} more lie deeper than --depth reaches"


def _with_notes(drawn: "RenderableType", notes: Sequence[str]) -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    return Group(drawn, *(Text(note, "dim") for note in notes)) if notes else drawn
