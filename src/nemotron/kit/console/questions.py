"""Answers about lineage as commands show them: impact, paths, differences, reasons, history."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron.kit.console import words
from nemotron.kit.console.lineage import use_words
from nemotron.kit.console.output import View
from nemotron.kit.console.tables import table
from nemotron.kit.lineage.diff import parts_changed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nemotron.kit.lineage.diff import Difference, FieldChange, FileChange, InputChange
    from nemotron.kit.lineage.graph import Node
    from nemotron.kit.lineage.query import Shared
    from nemotron.kit.lineage.questions import Compared, Event, Reasons

FILES_SHOWN_MAX = 20
CHANGES_SHOWN_MAX = 20
_SIGNS = {"added": "+", "removed": "-", "changed": "~", "touched": "?"}


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
        drawn = table("", "COMMON", "TYPE", "STEPS FROM A", "FROM B")
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
class DiffView(View):
    """What is different between two versions."""

    compared: "Compared"

    def document(self) -> Any:
        """The difference, and `upstream`: the same for the inputs that changed."""
        upstream = [one.to_document() for one in self.compared.upstream]
        return {**self.compared.here.to_document(), "upstream": upstream}

    def lines(self) -> Iterable[str]:
        """What differs, a word and a name a line."""
        here = self.compared.here
        yield from (f"input {words.printable(one.after or one.before or '')}" for one in here.inputs)
        for name, changes in here.made_differently.items():
            yield from (f"{name} {words.printable(one.key)}" for one in changes or ())
        yield from (f"metadata {words.printable(one.key)}" for one in here.metadata)
        yield from (f"file {words.printable(one.path)}" for one in here.files or ())

    def render(self) -> "str | RenderableType":
        """First what comes from further up, then what is different here."""
        return "\n".join(compared_lines(self.compared))


def compared_lines(compared: "Compared") -> Iterable[str]:
    """The difference as text, the first cause first."""
    for one in (*compared.upstream, compared.here):
        yield f"{words.printable(one.before)} → {words.printable(one.after)}"
        yield from _difference_lines(one)


def _difference_lines(one: "Difference") -> Iterable[str]:
    if one.same:
        yield "  nothing that was recorded is different" + (", but times of files" if one.files else "")
        return
    yield from ([f"  type      {_pair(*one.type)}"] if one.type else [])
    yield from (f"  input     {_input(change)}" for change in one.inputs)
    for name, changes in one.made_differently.items():
        yield from _made_lines(name, changes or ())
    said = [part for change in one.metadata for part in parts_changed(change)]
    yield from (f"  metadata  {_field(change)}" for change in said[:CHANGES_SHOWN_MAX])
    if (more := len(said) - CHANGES_SHOWN_MAX) > 0:
        yield f"  metadata  … {words.many(more, 'more change')}: --json shows all"
    shown = [change for change in one.files or () if change.verdict != "touched"]
    yield from (f"  file      {_file(change)}" for change in shown[:FILES_SHOWN_MAX])
    if more := len(shown) - FILES_SHOWN_MAX:
        yield from ([f"  file      … {words.many(more, 'more file')}: --json shows all"] if more > 0 else [])
    touched = len(one.files or ()) - len(shown)
    yield from ([f"  file      ? {words.many(touched, 'file')} with another time only"] if touched else [])


def _made_lines(name: str, changes: "Sequence[FieldChange]") -> Iterable[str]:
    label = {"composition": "share", "packages": "package"}.get(name, name)
    write = _share if name == "composition" else _digest if name == "code" else _field
    yield from (f"  {label:<9} {write(change)}" for change in changes[:CHANGES_SHOWN_MAX])
    if (more := len(changes) - CHANGES_SHOWN_MAX) > 0:
        yield f"  {label:<9} … {words.many(more, 'more change')}: --json shows all"


def _share(change: "FieldChange") -> str:
    told = ["unknown" if one is None else f"{one:.2%}" for one in (change.before, change.after)]
    sign, what = ("~", " → ".join(told)) if change.present == (True, True) else ("+", told[1])
    sign, what = (sign, what) if change.present[1] else ("-", told[0])
    return f"{sign} {words.printable(change.key)}: {what}"


def _digest(change: "FieldChange") -> str:
    """As much of commits and digests as people compare."""
    told = [str(one).removeprefix("blake3:")[:12] if one else "none" for one in (change.before, change.after)]
    return f"~ {words.printable(change.key)}: {_pair(*told)}"


def _pair(before: str, after: str) -> str:
    return f"{words.printable(before)} → {words.printable(after)}"


def _input(change: "InputChange") -> str:
    if change.before and change.after:
        return f"~ {_pair(change.before, change.after)}"
    return (
        f"+ {words.printable(change.after)}" if change.after else f"- {words.printable(change.before or '')}"
    )


def _field(change: "FieldChange") -> str:
    key = words.printable(change.key)
    if change.present == (True, True):
        return f"~ {key}: {words.value(change.before)} → {words.value(change.after)}"
    return (
        f"+ {key}: {words.value(change.after)}"
        if change.present[1]
        else f"- {key}: {words.value(change.before)}"
    )


def _file(change: "FileChange") -> str:
    return f"{_SIGNS[change.verdict]} {words.printable(change.path)}"


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
        lines += [f"from      {self._from(one)}" for one in self.reasons.inputs] or [
            "from      nothing that was recorded"
        ]
        direct = {one.uri for one in self.reasons.inputs}
        lines += [f"began at  {_said(one)}" for one in self.reasons.sources if one.uri not in direct]
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

        drawn = table("WHEN", "", "WHAT", "VERSION", "BY", "WHY", folding=("BY", "WHY"))
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
