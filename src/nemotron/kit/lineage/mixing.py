"""Mixes of data, and how they become one: by tokens, by weights, and what is unknown stays unknown.

The rules are those of `docs/design/007-composition.md`.

>>> found = combine([Part(of_source("hf://a"), weight=3), Part(of_source("hf://b"), weight=1)])
>>> found.shares, found.sure["hf://a"], found.unknown
({'hf://a': 0.75, 'hf://b': 0.25}, 'claimed', 0.0)
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Confidence = Literal["measured", "claimed", "estimated", "unknown"]
_ORDER: tuple[Confidence, ...] = ("measured", "claimed", "estimated", "unknown")


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares that sum to 1 with the unknown one, and how many tokens they are shares of.

    Attributes:
        shares: of the known sources, by URI.
        sure: how sure each of them is.
        unknown: the rest.
        lost: sources that are somewhere in the rest.
        tokens: in all, or None.
        tokens_sure: how sure that is.
    """

    shares: Mapping[str, float] = field(default_factory=dict)
    sure: Mapping[str, Confidence] = field(default_factory=dict)
    unknown: float = 0.0
    lost: frozenset[str] = frozenset()
    tokens: float | None = None
    tokens_sure: Confidence = "claimed"

    @property
    def is_empty(self) -> bool:
        """Whether no source is in it, known or not: it holds no data at all."""
        return not self.shares and not self.lost


EMPTY = Mix(unknown=1.0)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a mix.

    Attributes:
        mix: what the part itself consists of.
        weight: relative to the others' weights, or None.
        tokens: that it gave, or None.
        sure: how sure that is, and that it is all if it is the only part.
        is_whole: whether all of it was taken, so that its own size is what it gave.
    """

    mix: Mix
    weight: float | None = None
    tokens: float | None = None
    sure: Confidence = "claimed"
    is_whole: bool = True

    @property
    def size(self) -> float | None:
        """How many tokens it gave: what was said, or all that it has."""
        if self.tokens is not None or self.weight is not None or not self.is_whole:
            return self.tokens
        return self.mix.tokens


def stacked(layers: list[Mix]) -> Mix:
    """Training on top of training: tokens add up."""
    mixed = combine([Part(mix, None, mix.tokens, mix.tokens_sure) for mix in layers])
    if any(mix.tokens is None for mix in layers):
        return sized(mixed, None, "unknown")
    total = math.fsum(mix.tokens or 0.0 for mix in layers)
    return sized(mixed, total, worst(mix.tokens_sure for mix in layers))


def combine(parts: list[Part], sure: Confidence = "unknown", total: float | None = None) -> Mix:
    """The mix of parts: by their amounts where all have one, else unknown as far as they have none.

    Args:
        parts: at least one.
        sure: how sure the version's own count is; of one part alone it is all.
        total: that count, if the parts' tokens are to add up to it.
    """
    if len(parts) == 1:
        return blend([(parts[0].mix, 1.0, parts[0].sure if sure == "unknown" else sure)], 0.0, ())
    amounts = _amounts(parts)
    whole = math.fsum(amount or 0.0 for amount, _ in amounts)
    if whole > 0 and all(amount is not None for amount, _ in amounts):
        # Files that were counted before and after, and nothing came in or went: no rule is needed.
        is_counted = sure == "measured" and total == whole and all(map(_is_counted, parts, amounts))
        shares = [
            (part.mix, (amount or 0.0) / whole, "measured" if is_counted else level)
            for part, (amount, level) in zip(parts, amounts, strict=True)
        ]
        return blend(shares, 0.0, ())
    if total and 0 < whole <= total:
        known = [
            (part.mix, amount / total, level)
            for part, (amount, level) in zip(parts, amounts, strict=True)
            if amount is not None
        ]
        lost = (part.mix for part, (amount, _) in zip(parts, amounts, strict=True) if amount is None)
        return blend(known, 1.0 - whole / total, lost)
    return blend([], 1.0, (part.mix for part in parts))


def _amounts(parts: list[Part]) -> list[tuple[float | None, Confidence]]:
    """How much each part counts, and how surely: what was said of all of them, else also their own sizes."""
    for told in ([part.tokens for part in parts], [part.weight for part in parts]):
        if None not in told and math.fsum(one or 0.0 for one in told) > 0:
            return [(one, part.sure) for one, part in zip(told, parts, strict=True)]
    return [(part.size, part.sure if part.size == part.tokens else "estimated") for part in parts]


def _is_counted(part: Part, amount: tuple[float | None, Confidence]) -> bool:
    return part.mix.tokens_sure == "measured" and part.mix.tokens == amount[0]


def blend(parts: list[tuple[Mix, float, Confidence]], unknown: float, unweighed: Iterable[Mix]) -> Mix:
    """The sum of mixes, each times a factor; of what is not weighed only the names are kept, as lost."""
    shares: dict[str, float] = {}
    sure: dict[str, Confidence] = {}
    lost: set[str] = set()
    for mix, factor, confidence in parts:
        for uri, share in mix.shares.items():
            shares[uri] = shares.get(uri, 0.0) + share * factor
            sure[uri] = worst((sure.get(uri, "measured"), mix.sure[uri], confidence))
        unknown += mix.unknown * factor
        lost |= mix.lost
    for mix in unweighed:
        lost |= mix.lost | mix.shares.keys()
    return Mix(shares, sure, unknown, frozenset(lost))


def of_source(uri: str) -> Mix:
    """A source: all of itself."""
    return Mix({uri: 1.0}, {uri: "measured"})


def of_unknown(uri: str) -> Mix:
    """Something of which nobody knows what it consists of."""
    return Mix(unknown=1.0, lost=frozenset((uri,)))


def sized(mix: Mix, tokens: float | None, sure: Confidence) -> Mix:
    """The mix, of so many tokens."""
    return Mix(mix.shares, mix.sure, mix.unknown, mix.lost, tokens, sure)


def worst(levels: Iterable[Confidence]) -> Confidence:
    """The least sure of some levels."""
    return max(levels, key=_ORDER.index)
