"""The difference between two versions as a command shows it."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from nemotron.kit.console import words
from nemotron.kit.console.lineage import use_words
from nemotron.kit.console.output import Rows, View
from nemotron.kit.lineage.fields import parts_changed
from nemotron.kit.lineage.graph import Edge

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nemotron.kit.lineage.diff import Difference, FileChange, InputChange
    from nemotron.kit.lineage.diff_uses import UseChange
    from nemotron.kit.lineage.fields import FieldChange
    from nemotron.kit.lineage.questions import Compared

FILES_SHOWN_MAX = 20
CHANGES_SHOWN_MAX = 20
SHARDS_SHOWN_MAX = 3
# Of what changed further up: where it began, and what is nearest.
FIRST_SHOWN_MAX = 5
NEAREST_SHOWN_MAX = 15
_SIGNS = {"added": "+", "removed": "-", "changed": "~", "touched": "?"}


@dataclass(frozen=True)
class DiffView(View):
    """What is different between two versions."""

    compared: "Compared"

    def document(self) -> Any:
        """The difference, and `upstream`: the same for the inputs that changed."""
        upstream = [one.to_document() for one in self.compared.upstream]
        here = self.compared.here
        files = None if here.files is None else Rows(here.files, lambda file: file.to_document())
        told = replace(here, files=None).to_document()
        notes = {"notes": list(here.notes)} if here.notes else {}
        return {**told, "same": here.same, "files": files, **notes, "upstream": upstream}

    def lines(self) -> Iterable[str]:
        """What differs, a word and a name a line."""
        here = self.compared.here
        yield from (["type"] if here.type else [])
        yield from (f"input {words.printable(one.after or one.before or '')}" for one in here.inputs)
        used = (one.after or one.before for one in here.uses)
        yield from dict.fromkeys(f"use {words.printable(one.uri)}" for one in used if one)
        for name, changes in here.made_differently.items():
            yield from (f"{name} {words.printable(one.key)}" for one in changes or ())
        yield from (f"metadata {words.printable(one.key)}" for one in here.metadata)
        yield from (f"content {words.printable(one.key)}" for one in here.content)
        yield from (f"total {one.key}" for one in here.totals)
        yield from (f"file {words.printable(one.path)}" for one in here.files or ())
        yield from (["place"] if here.place else [])

    def render(self) -> "str | RenderableType":
        """First what comes from further up, then what is different here."""
        return "\n".join(compared_lines(self.compared))


def compared_lines(compared: "Compared") -> Iterable[str]:
    """The difference as text, the first cause first; of a long way up, both its ends."""
    upstream = compared.upstream
    left_out = range(FIRST_SHOWN_MAX, len(upstream) - NEAREST_SHOWN_MAX)
    for at, one in enumerate((*upstream, compared.here)):
        if at in left_out:
            if at == left_out.start:
                yield f"… {words.many(len(left_out), 'more version')} that changed between: --json shows all"
            continue
        yield f"{words.printable(one.before)} → {words.printable(one.after)}"
        yield from _difference_lines(one)


def _difference_lines(one: "Difference") -> Iterable[str]:
    if one.same:
        yield "  nothing that was recorded is different" + _but(one)
    yield from ([f"  type      {_pair(*one.type)}"] if one.type else [])
    yield from _limited("input", [_input(change) for change in one.inputs])
    yield from _limited("use", [line for change in one.uses for line in _use(change)])
    for name, changes in one.made_differently.items():
        label = {"composition": "share", "packages": "package", "metrics": "metric"}.get(name, name)
        write = {"composition": _share, "code": _digest, "run": _started}.get(name, _field)
        yield from _limited(label, [write(change) for change in changes or ()])
    said = [part for change in one.metadata for part in parts_changed(change)]
    yield from _limited("metadata", [_field(change) for change in said])
    yield from _limited("content", [_field(change) for change in one.content])
    shown = (_file(change) for change in one.files or () if change.verdict != "touched")
    count = sum(change.verdict != "touched" for change in one.files or ())
    if len(one.unlisted) == 1 or (one.unlisted and one.same):  # else the rest tells that they are different
        without = words.printable(" and ".join(one.unlisted))
        yield f"  files     can't be compared: no listing of {without} can be read"
    yield from _limited("file", islice(shown, FILES_SHOWN_MAX), FILES_SHOWN_MAX, "more file", count)
    yield from (f"  file      ? {note}" for note in one.notes)
    yield from _limited("total", [_field(change) for change in one.totals])
    if one.place and not count:  # other files are what matters, wherever they lie
        yield f"  place     {_pair(*(side or 'in the store' for side in one.place))}"


def _but(one: "Difference") -> str:
    """What is different all the same, and says nothing of what it is."""
    also = [*(["the place"] if one.place else []), *(["times"] if one.files else [])]
    return f", but {' and '.join(also)} of files" if also else ""


def _limited(
    label: str,
    lines: Iterable[str],
    most: int = CHANGES_SHOWN_MAX,
    what: str = "more change",
    count: int | None = None,
) -> Iterable[str]:
    """The first lines, and how many there are besides, of `count` where not all are given."""
    given = list(lines)
    yield from (f"  {label:<9} {line}" for line in given[:most])
    if (more := (len(given) if count is None else count) - most) > 0:
        yield f"  {label:<9} … {words.many(more, what)}: --json shows all"


def _use(change: "UseChange") -> Iterable[str]:
    """A line for what was said of a new use, or of one that is gone; else one for each field that changed."""
    if (use := change.after or change.before) is None:
        return
    uri = words.printable(use.uri)
    if change.before is None or change.after is None:
        sign = "-" if change.after is None else "+"
        yield f"{sign} {uri}  {use_words([Edge(use.uri, '', use.role or 'input', use)])}".rstrip()
        return
    role = f" as {words.printable(change.role)}" if change.role else ""
    for one in change.fields:
        if one.key == "role":
            yield f"~ {uri} role: {_pair(*(side or 'unsaid' for side in (one.before, one.after)))}"
        elif one.key == "shards":
            yield f"~ {uri}{role} shards: {_shards(one.before or (), one.after or ())}"
        else:
            sides = (one.before, one.after)
            yield f"~ {uri}{role} {one.key}: {_pair(*(_part(one.key, side) for side in sides))}"


def _part(key: str, value: Any) -> str:
    if value is None:
        return "unsaid"
    return f"{value[0]:,} to {value[1]:,}" if key == "token_range" else words.value(value)


def _shards(before: Sequence[str], after: Sequence[str]) -> str:
    """How many, and the first of those that are new or gone."""
    told = [words.many(len(some), "shard") if some else "all" for some in (before, after)]
    signs = {"-": [one for one in before if one not in set(after)]} if before and after else {}
    signs |= {"+": [one for one in after if one not in set(before)]} if before and after else {}
    named = [f"{sign} {words.printable(one)}" for sign, some in signs.items() for one in some]
    more = len(named) - SHARDS_SHOWN_MAX
    named = [*named[:SHARDS_SHOWN_MAX], *([f"… {more:,} more"] if more > 0 else [])]
    return " → ".join(told) + (f" ({', '.join(named)})" if named else "")


def _started(change: "FieldChange") -> str:
    """As `_field`, a command as a shell takes it."""
    if change.key != "command":
        return _field(change)
    told = [words.printable(shlex.join(one)) if one else "unsaid" for one in (change.before, change.after)]
    return f"~ command: {' → '.join(told)}"


def _share(change: "FieldChange") -> str:
    told = words.percents(change.before, change.after)
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
    unsure = "" if change.is_sure else " (written again with the same size; its bytes may be the same)"
    return f"{_SIGNS[change.verdict]} {words.printable(change.path)}{unsure}"
