"""What came of an artifact: all that was made of it, and what of that holds it, by tokens.

There may be a hundred thousand answers. Who asks for the first of them gets these at the cost of these: the
order is told from the index and the aliases, and only what is given is looked at, weighed and kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from nemotron.kit.lineage.catch_up import catch_up
from nemotron.kit.lineage.collect import Asked, asked_about, nothing_made_of, refuse_negative
from nemotron.kit.lineage.composition import mixes, share_of
from nemotron.kit.lineage.descent import Descent
from nemotron.kit.lineage.graph import Node
from nemotron.kit.lineage.index import Index, ask
from nemotron.kit.lineage.mixing import Confidence
from nemotron.kit.lineage.parts import RULE, cut, sizes_of
from nemotron.kit.lineage.reading import Reader, tree_of
from nemotron.kit.lineage.search import ATTEMPTS_MAX, Search
from nemotron.kit.names import SCHEME
from nemotron.kit.registry import layout
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.versions import Versions
from nemotron.kit.workers import Workers

T = TypeVar("T")
# So many versions for each that is to be shown are weighed by `recall`: it may be that none holds anything.
WEIGHED_FOR_EACH = 20
# Of a bucket's answers that are waited for at once.
READERS = 16


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that was made of what was asked about.

    Attributes:
        node: the version.
        path: from what was asked about to the version, the shortest way.
        aliases: what points at it, `latest` among them.
        share: of its tokens, what comes from what was asked about: 0 if it was made with it but holds
            nothing of it, None if nobody knows.
        confidence: of the share.
        rule: how the share of a part of an artifact was told from the artifact's, or None.
        path_skipped: how many steps the path leaves out behind its first, because it is very long.
    """

    node: Node
    path: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    share: float | None = None
    confidence: Confidence = "unknown"
    rule: str | None = None
    path_skipped: int = 0


@dataclass(frozen=True, slots=True)
class Holding:
    """Something that holds what was asked about.

    Attributes:
        hit: the version, the way to it, its aliases.
        share: of its tokens; None if it is somewhere in what is unknown.
        confidence: of the share.
    """

    hit: Hit
    share: float | None
    confidence: Confidence


class Found(list[T]):
    """Answers in their order, and how many more there are.

    Args:
        answers: those that were asked for.
        rest: how many versions within the depth were not looked at, because of the limit.
        deeper: how many lie beyond the depth.

    >>> found = Found(["a"], rest=2)
    >>> found, found.rest, found.deeper, found.is_whole
    (['a'], 2, 0, False)
    """

    def __init__(self, answers: Iterable[T] = (), *, rest: int = 0, deeper: int = 0) -> None:
        super().__init__(answers)
        self.rest = rest
        self.deeper = deeper

    @property
    def is_whole(self) -> bool:
        """Whether these are all."""
        return not (self.rest or self.deeper)


def impact(registry: Registry, ref: str, *, limit: int | None = None, depth: int | None = None) -> Found[Hit]:
    """Everything that was made of an artifact or an external input, with its share of it.

    What has aliases comes first, the one with the newest before the others; then what is newest.

    Args:
        registry: the store.
        ref: an artifact, a part of one (`art://data:v1/part-0.bin`), or the URI of an external input. The
            share is then the part's: of what each use took, as far as it said so, by the sizes of files.
        limit: how many to give at most, or None for all. Only these are looked at and weighed.
        depth: how many steps to go, or None for all.

    Raises:
        NotFoundError: there is no such artifact, or nothing was made of the external input.
        MisuseError: the limit or the depth is negative.
    """
    picked = _pick(registry, ref, limit, depth)
    hits = _weigh(registry, picked, picked.nodes)
    return Found(hits, rest=picked.total - len(hits), deeper=picked.deeper)


def recall(
    registry: Registry, ref: str, *, limit: int | None = None, depth: int | None = None
) -> Found[Holding]:
    """Everything that holds a dataset, shard or artifact, with its share, in the order of `impact`.

    Args:
        registry: the store.
        ref: as for `impact`.
        limit: how many to give at most, or None for all. What was made of it and holds nothing of it is
            passed over, but of no more than `WEIGHED_FOR_EACH` versions for each that is to be given.
        depth: how many steps to go, or None for all.

    Raises:
        NotFoundError: there is no such artifact, or nothing was made of the external dataset.
        MisuseError: the limit or the depth is negative.
    """
    picked = _pick(registry, ref, None if limit is None else limit * WEIGHED_FOR_EACH, depth)
    found: list[Holding] = []
    weighed = 0
    step = limit or len(picked.nodes) or 1
    while weighed < len(picked.nodes) and (limit is None or len(found) < limit):
        hits = _weigh(registry, picked, picked.nodes[weighed : weighed + step])
        for hit in hits:
            if limit is None or len(found) < limit:
                weighed += 1
                found += [Holding(hit, hit.share, hit.confidence)] if hit.share != 0 else []
    return Found(found, rest=picked.total - weighed, deeper=picked.deeper)


class _Picked(NamedTuple):
    """What is to be shown, before it is weighed.

    Attributes:
        root: what was asked about.
        part: the path inside it that was, or "".
        nodes: in their order.
        ways: to each, and how much is left out of it.
        pointers: at each: aliases.
        total: how many there are within the depth.
        deeper: how many beyond it.
    """

    root: Node
    part: str
    nodes: list[Node]
    ways: dict[str, tuple[tuple[str, ...], int]]
    pointers: dict[str, tuple[str, ...]]
    total: int
    deeper: int


def _pick(registry: Registry, ref: str, most: int | None, depth: int | None) -> _Picked:
    refuse_negative(limit=most, depth=depth)
    asked = asked_about(registry, ref, is_foreign_known=True)
    picked = ask(registry.store, lambda index: _pick_with(index, registry, asked, most, depth))
    if picked.root.kind == "external" and not picked.total + picked.deeper:
        raise nothing_made_of(registry, asked.uri)
    return picked


def _pick_with(
    index: Index, registry: Registry, asked: Asked, most: int | None, depth: int | None
) -> _Picked:
    start = asked.uri
    reader = Reader(registry)
    search = Search(index, reader)
    catch_up(index, reader)
    for _ in range(ATTEMPTS_MAX):
        descent = Descent(index, start)
        uris, pointers = _in_order(registry, reader.versions, descent, most, depth)
        nodes = [node for uri in (start, *uris) if (node := search.node(uri)) is not None]
        if len(nodes) == len(uris) + 1:
            root, *others = nodes
            # The index holds what was recorded; data may have moved since.
            shown = [replace(one, path=registry.moved(one.path)) if one.path else one for one in others]
            total = descent.count(depth=depth)
            deeper = descent.count() - total
            ways = {uri: descent.way(uri) for uri in uris}
            return _Picked(root, asked.part, shown, ways, pointers, total, deeper)
    raise search.rearranged()


def _in_order(
    registry: Registry, versions: Versions, descent: Descent, most: int | None, depth: int | None
) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """The first descendants, and what points at them.

    Aliases of all names are looked for, because the one that matters may be on the oldest version. Where
    `latest` is, the index tells for the order, and the store for the few that are shown.
    """
    moved: dict[str, str] = {}
    told: dict[str, dict[str, dict[str, str]]] = {}
    for name in _with_aliases(versions, descent.names(depth=depth)):
        told[name] = pointers_of(registry, name)
        for uri, pointers in told[name].items():
            since = [moment for alias, moment in pointers.items() if alias != "latest"]
            moved |= {uri: max(since)} if since else {}
    rows = descent.first(most, moved, depth=depth)
    for name in {row.name for row in rows} - told.keys():
        told[name] = pointers_of(registry, name)
    return [row.uri for row in rows], {row.uri: tuple(told[row.name].get(row.uri, ())) for row in rows}


def _with_aliases(versions: Versions, names: Iterable[str]) -> list[str]:
    """The names that have aliases; a listing each, on a bucket several at once."""

    def has(name: str) -> bool:
        return bool(versions.store.list(layout.aliases(name)) or versions.older.indexed(name).aliases)

    order = sorted(names)
    if versions.store.local_path(layout.FORMAT) is not None:
        return [name for name in order if has(name)]
    with Workers(READERS, "kit-lineage") as pool:
        return [name for name, found in zip(order, pool.map(has, order), strict=True) if found]


def pointers_of(registry: Registry, name: str) -> dict[str, dict[str, str]]:
    """What points at each version of a name, by URI, and since when; `latest` first, and since ""."""
    entry = registry.get(name)
    found: dict[str, dict[str, str]] = {}
    if entry is not None:
        pointers = ({"latest": entry.latest} if entry.latest else {}) | entry.aliases
        for alias, number in pointers.items():
            log = registry.alias_log(name, alias) if alias in entry.aliases else []
            found.setdefault(f"{SCHEME}{entry.name}:v{number}", {})[alias] = log[-1].moved_at if log else ""
    return found


def _weigh(registry: Registry, picked: _Picked, nodes: Sequence[Node]) -> list[Hit]:
    part = picked.part
    shares = _shares(registry, picked.root, part, nodes)
    first = f"{picked.root.uri}/{part}" if part else picked.root.uri
    hits = []
    for node in nodes:
        way, skipped = picked.ways[node.uri]
        share, sure = shares[node.uri]
        rule = RULE if part and share else None
        hits.append(Hit(node, (first, *way[1:]), picked.pointers[node.uri], share, sure, rule, skipped))
    return hits


def _shares(
    registry: Registry, root: Node, part: str, nodes: Sequence[Node]
) -> dict[str, tuple[float | None, Confidence]]:
    """Which share of each version comes from `root`, or a part of it, whatever that was made from."""
    asked, cuts = root.uri, {}
    if part:
        asked = f"{root.uri}/{part}"
        cuts[root.uri] = cut(root.uri, part, sizes_of(tree_of(Versions(registry.store), root)))
    known: Mapping[str, Node] = {node.uri: node for node in (root, *nodes)}
    lineage = ask(registry.store, lambda index: Search(index, Reader(registry)).lineage((), known))
    found = mixes(lineage, (node.uri for node in nodes), stop=(root.uri,), cuts=cuts)
    return {node.uri: share_of(found[node.uri], asked) for node in nodes}
