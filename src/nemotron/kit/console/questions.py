"""Answers about lineage as commands show them: paths, what is common, reasons, history."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron.kit.console import words
from nemotron.kit.console.differences import DiffView as DiffView
from nemotron.kit.console.differences import compared_lines
from nemotron.kit.console.lineage import use_words
from nemotron.kit.console.output import View
from nemotron.kit.console.tables import FittingTable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nemotron.kit.lineage.graph import Node
    from nemotron.kit.lineage.query import Shared
    from nemotron.kit.lineage.questions import Event, Reasons

NODES_SHOWN_MAX = 20


@dataclass(frozen=True)
class PathsView(View):
    """Ways from an input to what was made of it."""

    paths: Sequence[Sequence[str]]

    def document(self) -> Any:
        """`{from, to, paths}`."""
        return {"from": self.paths[0][0], "to": self.paths[0][-1], "paths": [list(way) for way in self.paths]}

    def lines(self) -> Iterable[str]:
        """The first way, a URI a line."""
        return [words.printable(uri) for uri in self.paths[0]]

    def render(self) -> "str | RenderableType":
        """A way a line."""
        return "\n".join(" → ".join(words.printable(uri) for uri in way) for way in self.paths)


@dataclass(frozen=True)
class SharedView(View):
    """What two lineages have in common.

    Attributes:
        one: the URI of the one.
        other: of the other.
        found: the nearest first.
    """

    one: str
    other: str
    found: Sequence["Shared"]

    def document(self) -> Any:
        """`{a, b, common}`."""
        found = [
            {
                "uri": each.node.uri,
                "kind": each.node.kind,
                "type": each.node.type,
                "steps": {"a": each.steps[0], "b": each.steps[1]},
                "nearest": each.nearest,
            }
            for each in self.found
        ]
        return {"a": self.one, "b": self.other, "common": found}

    def lines(self) -> Iterable[str]:
        """The URIs."""
        return [words.printable(each.node.uri) for each in self.found]

    def render(self) -> "str | RenderableType":
        """A table."""
        from rich.text import Text

        if not self.found:
            return "They have nothing in common"
        columns = ("", "COMMON", "TYPE", "STEPS FROM A", "FROM B")
        drawn = FittingTable(columns, dropped=("TYPE", "FROM B", "STEPS FROM A"))
        for each in self.found:
            drawn.add_row(
                "*" if each.nearest else "",
                Text(words.printable(each.node.uri), "cyan"),
                words.printable(each.node.type),
                str(each.steps[0]),
                str(each.steps[1]),
            )
        return drawn


@dataclass(frozen=True)
class ReasonsView(View):
    """Why a version is as it is."""

    reasons: "Reasons"

    def document(self) -> Any:
        """The version, its run, inputs and sources, and what is different from the one before."""
        node, previous = self.reasons.node, self.reasons.previous
        run = self.reasons.run
        return {
            **node.to_document(),
            "made_by": None if run is None else {"id": run.run, "name": run.name, **run.metadata},
            "made_from": [{**_short(one), "uses": self._uses(one)} for one in self.reasons.inputs],
            "sources": [_short(one) for one in self.reasons.sources],
            "previous": None if previous is None else DiffView(previous).document(),
        }

    def lines(self) -> Iterable[str]:
        """The URIs of its inputs."""
        return [words.printable(one.uri) for one in self.reasons.inputs]

    def render(self) -> "str | RenderableType":
        """A few paragraphs."""
        node, previous = self.reasons.node, self.reasons.previous
        lines = [f"{node.uri}  {words.printable(node.type)}"]
        made = f"{words.when(node.created_at or '')} {words.ago(node.created_at or '')}".strip()
        lines.append(f"made      {made}" + (f" by {words.printable(node.producer)}" if node.producer else ""))
        lines += [f"run       {self._run()}"] if node.run else []
        lines += [f"withdrawn {words.printable(node.withdrawn)}"] if node.withdrawn is not None else []
        made_from = [self._from(one) for one in self.reasons.inputs] or ["nothing that was recorded"]
        lines += _limited("from", made_from, "more input")
        direct = {one.uri for one in self.reasons.inputs}
        began_at = [_said(one) for one in self.reasons.sources if one.uri not in direct]
        lines += _limited("began at", began_at, "more source")
        if previous is None:
            return "\n".join([*lines, "", "The first version of its name."])
        return "\n".join([*lines, "", "Different from the version before:", *compared_lines(previous)])

    def _run(self) -> str:
        node, run = self.reasons.node, self.reasons.run
        if run is None:
            return f"{words.printable(node.run or '')}, of which nothing is recorded here"
        status = str(run.metadata.get("status", "unknown"))
        return words.printable(f"{run.name}  {status}  {run.run}")

    def _from(self, one: "Node") -> str:
        uses = use_words(edge for edge in self.reasons.edges if edge.source == one.uri)
        return f"{_said(one)}  {uses}".rstrip()

    def _uses(self, one: "Node") -> list[dict[str, Any]]:
        uses = (edge.to_document() for edge in self.reasons.edges if edge.source == one.uri)
        return [{key: value for key, value in use.items() if key not in ("from", "to")} for use in uses]


def _limited(label: str, lines: Sequence[str], what: str) -> Iterable[str]:
    yield from (f"{label:<9} {line}" for line in lines[:NODES_SHOWN_MAX])
    if (more := len(lines) - NODES_SHOWN_MAX) > 0:
        yield f"{label:<9} … {words.many(more, what)}: --json shows all"


def _short(node: "Node") -> dict[str, Any]:
    return {"uri": node.uri, "kind": node.kind, "type": node.type}


def _said(node: "Node") -> str:
    facts = ", ".join((node.type if node.kind == "artifact" else node.kind, *words.telling(node.metadata)))
    return f"{words.printable(node.uri)}  {words.printable(facts)}"


@dataclass(frozen=True)
class EventsView(View):
    """What happened to a name, oldest first."""

    events: Sequence["Event"]

    def document(self) -> Any:
        """A list of objects."""
        return [
            {"at": one.at, "what": one.what, "uri": one.uri, "by": one.by, "why": one.why, **one.details}
            for one in self.events
        ]

    def lines(self) -> Iterable[str]:
        """What, and to which version."""
        return [f"{one.what} {words.printable(one.uri)}" for one in self.events]

    def render(self) -> "str | RenderableType":
        """A table."""
        from rich.text import Text

        drawn = FittingTable(
            ("WHEN", "", "WHAT", "VERSION", "BY", "WHY"),
            folding=("WHAT", "WHY"),
            dropped=("",),
            below=("WHY", "BY", "VERSION"),
        )
        for one in self.events:
            alias = one.details.get("alias")
            drawn.add_row(
                words.when(one.at),
                Text(words.ago(one.at), "dim"),
                words.printable(f"{one.what} {alias}" if alias else one.what),
                Text(words.printable(one.uri), "cyan"),
                words.printable(one.by or ""),
                words.printable(one.why or ""),
            )
        return drawn
