"""What is different in what was said of inputs: what they were for, and which part of them was taken. Pure.

>>> old = InputEdge(uri="art://data:v1", role="data", weight=0.5)
>>> new = InputEdge(uri="art://data:v2", role="data", weight=0.7)
>>> found = uses_changed([("art://data:v1", "art://data:v2")], [old], [new])
>>> [(one.role, [(field.key, field.before, field.after) for field in one.fields]) for one in found]
[('data', [('weight', 0.5, 0.7)])]
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.lineage.fields import FieldChange, fields_changed

_ORDER = [one.name for one in fields(InputEdge)]
# Two uses of one input are one that changed if they agree in this; what comes first is tried first.
_LIKENESS: Sequence[Callable[[InputEdge], Hashable]] = (
    lambda use: replace(use, uri=""),
    lambda use: (use.role, use.split, use.shards),
    lambda use: (use.role, use.split),
    lambda use: use.role,
    lambda use: (),
)


@dataclass(frozen=True, slots=True)
class UseChange:
    """One use of an input that is not the same: `before` is None for a new one, `after` for an old one."""

    before: InputEdge | None
    after: InputEdge | None

    @property
    def role(self) -> str | None:
        """What it is for: in the later version, if it has this use; None where nobody said so."""
        use = self.after or self.before
        return use.role if use else None

    @property
    def fields(self) -> list[FieldChange]:
        """What was said that is not the same."""
        said = [one.to_document() if one else {} for one in (self.before, self.after)]
        found = fields_changed(*({key: one[key] for key in one if key != "uri"} for one in said))
        return sorted(found, key=lambda change: _ORDER.index(change.key))

    def to_document(self) -> dict[str, Any]:
        """`{a, b, role, fields}`: the URIs of the input, and what is not the same of it."""
        return {
            "a": self.before.uri if self.before else None,
            "b": self.after.uri if self.after else None,
            "role": self.role,
            "fields": {change.key: change.to_document() for change in self.fields},
        }


def uses_changed(
    inputs: Iterable[tuple[str | None, str | None]], before: Sequence[InputEdge], after: Sequence[InputEdge]
) -> Iterator[UseChange]:
    """The uses that are not the same, input by input.

    Args:
        inputs: the same input in the one version and in the other, by URI; None where it is none.
        before: what the one says of its inputs.
        after: what the other says of them.
    """
    said = (_by_input(before), _by_input(after))
    for pair in inputs:
        old, new = (
            [] if uri is None else uses.get(uri, [InputEdge(uri=uri)])
            for uri, uses in zip(pair, said, strict=True)
        )
        yield from (one for one in _matched(old, new) if one.fields)


def _by_input(uses: Iterable[InputEdge]) -> dict[str, list[InputEdge]]:
    found: dict[str, list[InputEdge]] = {}
    for use in uses:
        found.setdefault(use.uri, []).append(use)
    return found


def _matched(old: Sequence[InputEdge], new: Sequence[InputEdge]) -> Iterator[UseChange]:
    """Each use of the one beside the use of the other that is most like it; then those that are new."""
    partner: dict[int, int] = {}
    for likeness in _LIKENESS:
        taken = set(partner.values())
        waiting: dict[Hashable, list[int]] = {}
        for at in reversed(range(len(new))):
            if at not in taken:
                waiting.setdefault(likeness(new[at]), []).append(at)
        for at, use in enumerate(old):
            if at not in partner and (alike := waiting.get(likeness(use))):
                partner[at] = alike.pop()
    for at, use in enumerate(old):
        yield UseChange(use, new[partner[at]] if at in partner else None)
    taken = set(partner.values())
    yield from (UseChange(None, use) for at, use in enumerate(new) if at not in taken)
