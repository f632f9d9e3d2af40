"""Which share of a version comes from which source, by tokens: the rules of `docs/design/007-composition.md`.

>>> from nemotron.kit.lineage.graph import Node
>>> sources = [{"uri": "hf://a", "weight": 3}, {"uri": "hf://b", "weight": 1}]
>>> said = {"source_datasets": sources, "total_tokens": 80}
>>> blend = Node(uri="art://blend:v1", kind="artifact", type="PretrainData", name="blend", metadata=said)
>>> found = composition({blend.uri: blend}, blend.uri)
>>> [(one.uri, one.share, one.tokens, one.confidence) for one in found.sources], found.unknown_share
([('hf://a', 0.75, 60.0, 'claimed'), ('hf://b', 0.25, 20.0, 'claimed')], 0.0)
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from nemotron.kit.errors import InvalidReferenceError, NotFoundError, OutsideRootError
from nemotron.kit.lineage.graph import Node
from nemotron.kit.names import SCHEME, ArtifactRef

Confidence = Literal["measured", "claimed", "estimated", "unknown"]
_ORDER: tuple[Confidence, ...] = ("measured", "claimed", "estimated", "unknown")

_DATA_TOKENS = ("train_tokens", "total_tokens")
_TRAINED_TOKENS = ("trained_tokens", "consumed_tokens", "tokens_seen")
_STAGE_TOKENS = (*_TRAINED_TOKENS, *_DATA_TOKENS)
_EPOCHS = ("epochs", "num_epochs")
_SOURCE_TOKENS = ("num_tokens", "tokens", "total_tokens")


@dataclass(frozen=True, slots=True)
class Source:
    """One source of a version.

    Attributes:
        uri: of a dataset, or of an artifact that was made from nothing that was recorded.
        share: of the version's tokens; None if it is somewhere in the unknown share.
        tokens: as many, or None.
        confidence: of the share: `measured` from the files, `claimed` by who made it, `estimated` by a rule,
            or `unknown`.
    """

    uri: str
    share: float | None
    tokens: float | None
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class Composition:
    """What a version consists of. The shares of its sources and the unknown share sum to 1.

    Attributes:
        uri: of the version.
        tokens: in all, or None.
        sources: the largest share first.
        unknown_share: of what nobody knows the source, or the amount.
    """

    uri: str
    tokens: float | None
    sources: tuple[Source, ...]
    unknown_share: float

    def to_document(self) -> dict[str, Any]:
        """As JSON values."""
        names = ("uri", "share", "tokens", "confidence")
        sources = [{name: getattr(one, name) for name in names} for one in self.sources]
        return {
            "uri": self.uri,
            "tokens": self.tokens,
            "sources": sources,
            "unknown_share": self.unknown_share,
        }


@dataclass(frozen=True, slots=True)
class _Mix:
    """Shares that sum to 1 with the unknown one, and how many tokens they are shares of."""

    shares: Mapping[str, float] = field(default_factory=dict)
    sure: Mapping[str, Confidence] = field(default_factory=dict)
    unknown: float = 0.0
    lost: frozenset[str] = frozenset()  # sources somewhere in the unknown share
    tokens: float | None = None
    tokens_sure: Confidence = "claimed"


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a mix: by its weight, relative to the others' weights, or by its tokens."""

    mix: _Mix
    weight: float | None = None
    tokens: float | None = None
    sure: Confidence = "claimed"  # of that, and of its being all if it is the only part


def composition(nodes: Mapping[str, Node], uri: str, *, stop: Collection[str] = ()) -> Composition:
    """Which share of a version comes from which source.

    Args:
        nodes: the version and its lineage upwards, by URI.
        uri: the version.
        stop: URIs that count as sources, whatever they were made from.

    Raises:
        NotFoundError: the version is not among the nodes.
    """
    if uri not in nodes:
        raise NotFoundError(f"Not in the lineage: {uri}")
    return as_composition(uri, mixes(nodes, [uri], stop=stop)[uri])


def as_composition(uri: str, mix: _Mix) -> Composition:
    """A mix as it is shown."""
    if mix.shares.keys() == {uri}:  # all of itself, as surely as it was counted
        counted = "claimed" if mix.tokens is None else mix.tokens_sure
        mix = replace(mix, sure={uri: counted})
    weighed = [
        Source(one, share, None if mix.tokens is None else share * mix.tokens, mix.sure[one])
        for one, share in mix.shares.items()
    ]
    lost = [Source(one, None, None, "unknown") for one in sorted(mix.lost - mix.shares.keys())]
    weighed.sort(key=lambda source: (-(source.share or 0.0), source.uri))
    return Composition(uri, mix.tokens, (*weighed, *lost), mix.unknown)


def share_of(mix: _Mix, uri: str) -> tuple[float | None, Confidence]:
    """The share of one source in a mix, and how sure it is: 0 if it is not in there, None if nobody knows."""
    if uri in mix.shares:
        return mix.shares[uri], mix.sure[uri]
    return (None, "unknown") if uri in mix.lost else (0.0, "estimated")


def mixes(nodes: Mapping[str, Node], uris: Iterable[str], *, stop: Collection[str] = ()) -> dict[str, _Mix]:
    """The mixes of versions and of all above them, inputs first; no recursion, lineage may be deep."""
    done: dict[str, _Mix] = {}
    begun: set[str] = set()
    waiting = list(uris)
    while waiting:
        uri = waiting[-1]
        if uri in done:
            waiting.pop()
            continue
        node = nodes.get(uri)
        if node is None or node.kind != "artifact":
            done[uri] = _unknown(uri) if node is not None and node.kind == "missing" else _source(uri)
            continue
        above = [one for one in _made_from(node) if one not in done]
        if uri not in begun and above:
            begun.add(uri)
            waiting += above
            continue
        # What is still not done is made of this very version: a cycle, of which nobody knows the shares.
        mixed = _mix(node, nodes, done)
        done[uri] = _sized(_source(uri), mixed.tokens, mixed.tokens_sure) if uri in stop else mixed
    return done


def _made_from(node: Node) -> list[str]:
    said = [uri for uri, _, _ in _said_sources(node)]
    tokenizer = node.metadata.get("tokenizer_uri")
    models = [] if not said or not _is_model(node) else list(node.inputs)
    return [uri for uri in dict.fromkeys((*(said or node.inputs), *models)) if uri != tokenizer]


def _mix(node: Node, nodes: Mapping[str, Node], done: Mapping[str, _Mix]) -> _Mix:
    return _model_mix(node, nodes, done) if _is_model(node) else _data_mix(node, nodes, done)


def _data_mix(node: Node, nodes: Mapping[str, Node], done: Mapping[str, _Mix]) -> _Mix:
    total, sure = _told(node, _DATA_TOKENS)
    parts = _data_parts(node, nodes, done)
    mixed = _combine(parts, sure, total) if parts else _source(node.uri)
    if (
        total is None
        and parts
        and all(part.mix.tokens is not None for part in parts)
        and not _said_sources(node)
    ):
        return _sized(mixed, sum(part.mix.tokens or 0.0 for part in parts), "estimated")
    return _sized(mixed, total, sure)


def _data_parts(node: Node, nodes: Mapping[str, Node], done: Mapping[str, _Mix]) -> list[_Part]:
    """What a version says of its sources is all of them; else its inputs are, by their tokens."""
    if said := _said_sources(node):
        return [_Part(done.get(uri, _unknown(uri)), weight, tokens) for uri, weight, tokens in said]
    parts = []
    for uri in _made_from(node):
        if uri not in nodes or _is_data(nodes[uri]):
            mix = done.get(uri, _unknown(uri))
            parts.append(_Part(mix, None, mix.tokens, "estimated"))
    return parts


def _model_mix(node: Node, nodes: Mapping[str, Node], done: Mapping[str, _Mix]) -> _Mix:
    """A stage of training on data, on top of the models that it began with."""
    base = node.metadata.get("base_model")
    models = [uri for uri in node.inputs if uri in nodes and _is_model(nodes[uri])]
    models = [uri for uri in models if uri == base] or models
    bases = [done.get(uri, _unknown(uri)) for uri in models]
    data = _data_parts(node, nodes, done)
    if not data:
        return _without_data(node, bases)
    seen, sure = _told(node, _STAGE_TOKENS)
    epochs, _ = _told(node, _EPOCHS)
    known = [part.tokens if part.tokens is not None else part.mix.tokens for part in data]
    if seen is None and all(tokens is not None for tokens in known):
        seen, sure = sum(tokens or 0.0 for tokens in known) * (1.0 if epochs is None else epochs), "estimated"
    stage = _sized(_combine(data, sure), seen, sure)
    return _stacked([*bases, stage]) if bases else stage


def _without_data(node: Node, bases: list[_Mix]) -> _Mix:
    """A model whose data nobody recorded: its bases in another form, unless it says that it was trained."""
    if not bases:
        return _unknown(node.uri)
    base = bases[0] if len(bases) == 1 else _merged(node, bases)
    seen, sure = _told(node, _TRAINED_TOKENS)
    if seen:
        return _stacked([base, _sized(_unknown(node.uri), seen, sure)])
    if len(bases) > 1:
        return base
    return _sized(_blend([(base, 1.0, "estimated")], 0.0, ()), base.tokens, base.tokens_sure)


def _merged(node: Node, bases: list[_Mix]) -> _Mix:
    """Models alone: the mean of their mixes, by the merge's weights, else by their tokens."""
    said = node.metadata.get("merge_weights")
    weights = [_number(one) for one in said] if isinstance(said, list | tuple) else []
    if len(weights) != len(bases) or None in weights:
        parts = [_Part(mix, None, mix.tokens, "estimated") for mix in bases]
        weights = [mix.tokens for mix in bases]
    else:
        parts = [_Part(mix, weight) for mix, weight in zip(bases, weights, strict=True)]
    mixed = _combine(parts)
    whole = math.fsum(weight or 0.0 for weight in weights)
    if not whole or any(mix.tokens is None for mix in bases):
        return _sized(mixed, None, "unknown")
    mean = math.fsum((w or 0.0) * (mix.tokens or 0.0) for w, mix in zip(weights, bases, strict=True)) / whole
    return _sized(mixed, mean, "estimated")


def _stacked(layers: list[_Mix]) -> _Mix:
    """Training on top of training: tokens add up."""
    mixed = _combine([_Part(mix, None, mix.tokens, mix.tokens_sure) for mix in layers])
    if any(mix.tokens is None for mix in layers):
        return _sized(mixed, None, "unknown")
    total = math.fsum(mix.tokens or 0.0 for mix in layers)
    return _sized(mixed, total, _worst(mix.tokens_sure for mix in layers))


def _combine(parts: list[_Part], sure: Confidence = "unknown", total: float | None = None) -> _Mix:
    """The mix of parts: by their amounts where all have one, else unknown as far as they have none.

    Args:
        parts: at least one.
        sure: how sure the version's own count is; of one part alone it is all.
        total: that count, if the parts' tokens are to add up to it.
    """
    if len(parts) == 1:
        return _blend([(parts[0].mix, 1.0, parts[0].sure if sure == "unknown" else sure)], 0.0, ())
    amounts = _amounts(parts)
    whole = math.fsum(amount or 0.0 for amount, _ in amounts)
    if whole > 0 and all(amount is not None for amount, _ in amounts):
        # Files that were counted before and after, and nothing came in or went: no rule is needed.
        is_counted = sure == "measured" and total == whole and all(map(_is_counted, parts, amounts))
        shares = [
            (part.mix, (amount or 0.0) / whole, "measured" if is_counted else level)
            for part, (amount, level) in zip(parts, amounts, strict=True)
        ]
        return _blend(shares, 0.0, ())
    if total and 0 < whole <= total:
        known = [
            (part.mix, amount / total, level)
            for part, (amount, level) in zip(parts, amounts, strict=True)
            if amount is not None
        ]
        lost = (part.mix for part, (amount, _) in zip(parts, amounts, strict=True) if amount is None)
        return _blend(known, 1.0 - whole / total, lost)
    return _blend([], 1.0, (part.mix for part in parts))


def _amounts(parts: list[_Part]) -> list[tuple[float | None, Confidence]]:
    """How much each part counts, and how surely: what was said of all of them, else also their own sizes."""
    for told in ([part.tokens for part in parts], [part.weight for part in parts]):
        if None not in told and math.fsum(one or 0.0 for one in told) > 0:
            return [(one, part.sure) for one, part in zip(told, parts, strict=True)]
    return [
        (part.mix.tokens, "estimated")
        if part.tokens is None and part.weight is None
        else (part.tokens, part.sure)
        for part in parts
    ]


def _is_counted(part: _Part, amount: tuple[float | None, Confidence]) -> bool:
    return part.mix.tokens_sure == "measured" and part.mix.tokens == amount[0]


def _blend(parts: list[tuple[_Mix, float, Confidence]], unknown: float, unweighed: Iterable[_Mix]) -> _Mix:
    shares: dict[str, float] = {}
    sure: dict[str, Confidence] = {}
    lost: set[str] = set()
    for mix, factor, confidence in parts:
        for uri, share in mix.shares.items():
            shares[uri] = shares.get(uri, 0.0) + share * factor
            sure[uri] = _worst((sure.get(uri, "measured"), mix.sure[uri], confidence))
        unknown += mix.unknown * factor
        lost |= mix.lost
    for mix in unweighed:
        lost |= mix.lost | mix.shares.keys()
    return _Mix(shares, sure, unknown, frozenset(lost))


def _source(uri: str) -> _Mix:
    return _Mix({uri: 1.0}, {uri: "measured"})


def _unknown(uri: str) -> _Mix:
    return _Mix(unknown=1.0, lost=frozenset((uri,)))


def _sized(mix: _Mix, tokens: float | None, sure: Confidence) -> _Mix:
    return _Mix(mix.shares, mix.sure, mix.unknown, mix.lost, tokens, sure)


def _worst(levels: Iterable[Confidence]) -> Confidence:
    return max(levels, key=_ORDER.index)


def _is_model(node: Node) -> bool:
    return node.kind == "artifact" and "model" in node.type.lower()


def _is_data(node: Node) -> bool:
    """Whether it can be a part: a tokenizer or an evaluation has no tokens to give."""
    kind = node.type.lower()
    return node.kind != "artifact" or not any(word in kind for word in ("model", "tokenizer", "eval"))


def _said_sources(node: Node) -> list[tuple[str, float | None, float | None]]:
    """URI, weight and tokens of each source that the version itself speaks of."""
    said = node.metadata.get("source_datasets")
    found: list[tuple[str, float | None, float | None]] = []
    for one in said if isinstance(said, list | tuple) else ():
        if isinstance(one, str):
            found.append((_canonical(one), None, None))
        elif isinstance(one, Mapping) and isinstance(one.get("uri"), str):
            tokens = next((n for key in _SOURCE_TOKENS if (n := _number(one.get(key))) is not None), None)
            found.append((_canonical(one["uri"]), _number(one.get("weight")), tokens))
    return found


def _canonical(uri: str) -> str:
    """As the graph spells it: by key and version alone."""
    if not uri.startswith(SCHEME):
        return uri
    try:
        ref = ArtifactRef.parse(uri)
    except (InvalidReferenceError, OutsideRootError):
        return uri
    return ArtifactRef(ref.name, ref.selector).uri


def _told(node: Node, keys: Iterable[str]) -> tuple[float | None, Confidence]:
    """The first of these counts that there is, and whether it was read from the files."""
    for key in keys:
        number = _number(node.metadata.get(key))
        if number is not None:
            evidence = node.metadata.get("count_evidence")
            is_measured = isinstance(evidence, Mapping) and evidence.get(key) == "measured"
            return number, "measured" if is_measured else "claimed"
    return None, "unknown"


def _number(value: Any) -> float | None:
    """A usable amount: a number, not negative, not infinite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < math.inf else None
