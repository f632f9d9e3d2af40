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
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.errors import InvalidReferenceError, NotFoundError, OutsideRootError
from nemotron.kit.lineage.graph import Node
from nemotron.kit.lineage.mixing import (
    EMPTY,
    Confidence,
    Mix,
    Part,
    blend,
    combine,
    of_source,
    of_unknown,
    sized,
    stacked,
)
from nemotron.kit.names import SCHEME, ArtifactRef

_DATA_TOKENS = ("train_tokens", "total_tokens")
_TRAINED_TOKENS = ("trained_tokens", "consumed_tokens", "tokens_seen")
_STAGE_TOKENS = (*_TRAINED_TOKENS, *_DATA_TOKENS)
DATA_ROLE, BASE_ROLE = "data", "base_model"
_EPOCHS = ("epochs", "num_epochs")
_DATA_WORDS = ("data", "blend", "jsonl")
_SOURCE_TOKENS = ("num_tokens", "tokens", "total_tokens")

# What one use of an artifact consists of, given what all of it does.
Cut = Callable[[Mix, InputEdge], Mix]


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


def as_composition(uri: str, mix: Mix) -> Composition:
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


def share_of(mix: Mix, uri: str) -> tuple[float | None, Confidence]:
    """The share of one source in a mix, and how sure it is: 0 if it is not in there, None if nobody knows."""
    if uri in mix.shares:
        return mix.shares[uri], mix.sure[uri]
    return (None, "unknown") if uri in mix.lost else (0.0, "estimated")


class _Done(dict[str, Mix]):
    """Mixes that are known, and those whose uses may differ from them."""

    cuts: Mapping[str, Cut]

    def taken(self, uri: str, use: InputEdge) -> Mix:
        """What a use of it consists of."""
        mix = self.get(uri) or of_unknown(uri)
        return self.cuts[uri](mix, use) if uri in self.cuts else mix


def mixes(
    nodes: Mapping[str, Node],
    uris: Iterable[str],
    *,
    stop: Collection[str] = (),
    cuts: Mapping[str, Cut] | None = None,
) -> dict[str, Mix]:
    """The mixes of versions and of all above them, inputs first; no recursion, lineage may be deep.

    Args:
        nodes: the versions and their lineage upwards, by URI.
        uris: the versions.
        stop: URIs that count as sources, whatever they were made from.
        cuts: for a URI, what each use of it consists of, where uses differ in that.
    """
    done = _Done()
    done.cuts = cuts or {}
    begun: set[str] = set()
    waiting = list(uris)
    while waiting:
        uri = waiting[-1]
        if uri in done:
            waiting.pop()
            continue
        node = nodes.get(uri)
        if node is None or node.kind != "artifact":
            done[uri] = of_unknown(uri) if node is not None and node.kind == "missing" else of_source(uri)
            continue
        above = [one for one in _made_from(node) if one not in done]
        if uri not in begun and above:
            begun.add(uri)
            waiting += above
            continue
        # What is still not done is made of this very version: a cycle, of which nobody knows the shares.
        mixed = _mix(node, nodes, done)
        done[uri] = sized(of_source(uri), mixed.tokens, mixed.tokens_sure) if uri in stop else mixed
    return done


def _made_from(node: Node) -> list[str]:
    said = [uri for uri, _, _ in _said_sources(node)]
    tokenizer = node.metadata.get("tokenizer_uri")
    models = [] if not said or not _is_model(node) else list(node.inputs)
    return [uri for uri in dict.fromkeys((*(said or node.inputs), *models)) if uri != tokenizer]


def _mix(node: Node, nodes: Mapping[str, Node], done: _Done) -> Mix:
    return _model_mix(node, nodes, done) if _is_model(node) else _data_mix(node, nodes, done)


def _data_mix(node: Node, nodes: Mapping[str, Node], done: _Done) -> Mix:
    total, sure = _told(node, _DATA_TOKENS)
    parts = _data_parts(node, nodes, done)
    if not parts and _is_report(node, nodes, done):
        return EMPTY
    mixed = combine(parts, sure, total) if parts else of_source(node.uri)
    sizes = [part.size for part in parts]
    if total is None and parts and None not in sizes and not _said_sources(node):
        return sized(mixed, math.fsum(size or 0.0 for size in sizes), "estimated")
    return sized(mixed, total, sure)


def _data_parts(node: Node, nodes: Mapping[str, Node], done: _Done) -> list[Part]:
    """What a version says of its sources is all of them; else its inputs are, by their tokens."""
    if said := _said_sources(node):
        return [Part(done.taken(uri, _all_uses(node, uri)), weight, tokens) for uri, weight, tokens in said]
    parts = [(use, done.taken(uri, use)) for uri, use in _uses(node) if _is_part(nodes.get(uri), use)]
    # Who trained on a report all the same says so by its role; then it is a source like any other.
    return [
        _taken(of_source(use.uri) if mix.is_empty else mix, use)
        for use, mix in parts
        if use.role == DATA_ROLE or not mix.is_empty
    ]


def _uses(node: Node) -> list[tuple[str, InputEdge]]:
    """Each use of each input, with what its author said of it."""
    said: dict[str, list[InputEdge]] = {}
    for edge in node.edges:
        said.setdefault(edge.uri, []).append(edge)
    return [(uri, use) for uri in _made_from(node) for use in said.get(uri, [InputEdge(uri=uri)])]


def _all_uses(node: Node, uri: str) -> InputEdge:
    """All uses of an input as one: what they took of it together."""
    uses = [edge for edge in node.edges if edge.uri == uri]
    if len(uses) == 1:
        return uses[0]
    has_all = any(not edge.shards for edge in uses)
    return InputEdge(uri=uri, shards=() if has_all else tuple(one for edge in uses for one in edge.shards))


def _is_part(node: Node | None, use: InputEdge) -> bool:
    """Whether an input gave data: what its author said it was for tells, else what it is."""
    return use.role == DATA_ROLE if use.role is not None else node is None or _is_data(node)


def _taken(mix: Mix, use: InputEdge) -> Part:
    """The part of a version that an input is; of a part of the input the size is what was said of it."""
    tokens = _tokens_taken(use)
    is_whole = use.split is None and not use.shards and tokens is None
    if not is_whole and len(mix.shares) + len(mix.lost) > 1:
        mix = blend([(mix, 1.0, "estimated")], 0.0, ())  # that a part is mixed like the whole is a rule
    if use.weight is not None or tokens is not None:
        return Part(mix, use.weight, tokens)
    return Part(mix, None, mix.tokens if is_whole else None, "estimated", is_whole)


def _tokens_taken(use: InputEdge) -> float | None:
    if use.tokens is None and use.token_range is not None:
        return float(use.token_range[1] - use.token_range[0])
    return _number(use.tokens)


def _model_mix(node: Node, nodes: Mapping[str, Node], done: _Done) -> Mix:
    """A stage of training on data, on top of the models that it began with."""
    bases = _bases(node, nodes)
    below = [done.taken(uri, use) for uri, use in bases]
    data = _data_parts(node, nodes, done)
    if not data:
        return _without_data(node, below, [use.weight for _, use in bases])
    seen, sure = _told(node, _STAGE_TOKENS)
    epochs, _ = _told(node, _EPOCHS)
    sizes = [part.size for part in data]
    if seen is None and None not in sizes:
        taken = math.fsum(size or 0.0 for size in sizes)
        seen, sure = taken * (1.0 if epochs is None else epochs), "estimated"
    stage = sized(combine(data, sure), seen, sure)
    return stacked([*below, stage]) if below else stage


def _bases(node: Node, nodes: Mapping[str, Node]) -> list[tuple[str, InputEdge]]:
    """The models that it began with: those that are said to be, else all models among its inputs."""
    uses = [(uri, use) for uri, use in _uses(node) if uri in node.inputs]
    if said := [one for one in uses if one[1].role == BASE_ROLE]:
        return said
    models = [one for one in uses if one[1].role is None and one[0] in nodes and _is_model(nodes[one[0]])]
    return [one for one in models if one[0] == node.metadata.get("base_model")] or models


def _without_data(node: Node, bases: list[Mix], said: list[float | None]) -> Mix:
    """A model whose data nobody recorded: its bases in another form, unless it says that it was trained."""
    if not bases:
        return of_unknown(node.uri)
    base = bases[0] if len(bases) == 1 else _merged(node, bases, said)
    seen, sure = _told(node, _TRAINED_TOKENS)
    if seen:
        return stacked([base, sized(of_unknown(node.uri), seen, sure)])
    if len(bases) > 1:
        return base
    return sized(blend([(base, 1.0, "estimated")], 0.0, ()), base.tokens, base.tokens_sure)


def _merged(node: Node, bases: list[Mix], weights: list[float | None]) -> Mix:
    """Models alone: the mean of their mixes, by the merge's weights, else by their tokens."""
    said = node.metadata.get("merge_weights")
    if None in weights and isinstance(said, list | tuple):
        weights = [_number(one) for one in said]
    if len(weights) != len(bases) or None in weights:
        parts = [Part(mix, None, mix.tokens, "estimated") for mix in bases]
        weights = [mix.tokens for mix in bases]
    else:
        parts = [Part(mix, weight) for mix, weight in zip(bases, weights, strict=True)]
    mixed = combine(parts)
    whole = math.fsum(weight or 0.0 for weight in weights)
    if not whole or any(mix.tokens is None for mix in bases):
        return sized(mixed, None, "unknown")
    mean = math.fsum((w or 0.0) * (mix.tokens or 0.0) for w, mix in zip(weights, bases, strict=True)) / whole
    return sized(mixed, mean, "estimated")


def _is_model(node: Node) -> bool:
    return node.kind == "artifact" and "model" in node.type.lower()


def _is_data(node: Node) -> bool:
    """Whether it can be a part: a tokenizer or an evaluation has no tokens to give."""
    kind = node.type.lower()
    return node.kind != "artifact" or not any(word in kind for word in ("model", "tokenizer", "eval"))


def _is_report(node: Node, nodes: Mapping[str, Node], done: _Done) -> bool:
    """Whether something that was made of no data holds none: a score of a model, say, or what says of one.

    What is data by its type or its count was made by the model, and is a source.
    """
    kind = node.type.lower()
    if any(word in kind for word in _DATA_WORDS) or _told(node, _STAGE_TOKENS)[0] is not None:
        return False
    above = [(nodes.get(uri), done.get(uri)) for uri in _made_from(node)]
    return any((mix and mix.is_empty) or (one and _judged(one)) for one, mix in above)


def _judged(node: Node) -> bool:
    return _is_model(node) or (node.kind == "artifact" and "eval" in node.type.lower())


def _said_sources(node: Node) -> list[tuple[str, float | None, float | None]]:
    """URI, weight and tokens of each source that the version itself speaks of."""
    said = node.metadata.get("source_datasets")
    uses = {edge.uri: edge for edge in node.edges}  # what the one does not say, the other may
    found: list[tuple[str, float | None, float | None]] = []
    for one in said if isinstance(said, list | tuple) else ():
        told = one if isinstance(one, Mapping) else {"uri": one}
        if isinstance(told.get("uri"), str):
            uri = _canonical(told["uri"])
            tokens = next((n for key in _SOURCE_TOKENS if (n := _number(told.get(key))) is not None), None)
            weight = _number(told.get("weight"))
            if weight is None and tokens is None and uri in uses:
                weight, tokens = uses[uri].weight, _tokens_taken(uses[uri])
            found.append((uri, weight, tokens))
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
