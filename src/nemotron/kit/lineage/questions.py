"""Questions to a store about what was made from what: impact, paths, differences, reasons, history."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from nemotron.kit.documents.manifest import Content
from nemotron.kit.errors import (
    ArtifactVersionNotFoundError,
    CorruptError,
    MisuseError,
    NotFoundError,
    RefusedError,
)
from nemotron.kit.lineage.collect import Asked, asked_about, collect, part_in, without_others
from nemotron.kit.lineage.composition import Composition
from nemotron.kit.lineage.composition import composition as compose
from nemotron.kit.lineage.diff import Difference, difference, name_of, shares
from nemotron.kit.lineage.diff_runs import with_runs
from nemotron.kit.lineage.fields import FieldChange
from nemotron.kit.lineage.graph import Edge, Graph, Node
from nemotron.kit.lineage.impact import Found as Found
from nemotron.kit.lineage.impact import Hit as Hit
from nemotron.kit.lineage.impact import Holding as Holding
from nemotron.kit.lineage.impact import impact as impact
from nemotron.kit.lineage.impact import recall as recall
from nemotron.kit.lineage.order import inputs_first
from nemotron.kit.lineage.query import Direction, Shared, shared, shortest_paths
from nemotron.kit.lineage.reading import tree_of
from nemotron.kit.lineage.runs import node_of, read_run
from nemotron.kit.names import SCHEME, ArtifactName, ArtifactRef
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.versions import Versions

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Compared:
    """Two versions, and what of their difference comes from further up.

    Attributes:
        here: the difference between the two.
        upstream: differences between inputs that changed, the first cause first.
    """

    here: Difference
    upstream: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Reasons:
    """Why a version is as it is.

    Attributes:
        node: the version.
        inputs: what it was made from, one step.
        sources: where it all began: nodes of its lineage without inputs.
        previous: the version before it, and what is different; None for a first one.
        edges: from its inputs: what they were for, and which part of them was taken.
        run: that made it; None if there is no record of it.
        notes: what is to be said with it.
    """

    node: Node
    inputs: tuple[Node, ...]
    sources: tuple[Node, ...]
    previous: Compared | None
    edges: tuple[Edge, ...] = ()
    run: Node | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a name.

    Attributes:
        at: ISO 8601.
        what: `published`, `withdrawn` or `alias`.
        uri: of the version.
        by: the run or person.
        why: the reason, if one was given.
        details: what is special to it: `alias`, `previous`.
    """

    at: str
    what: str
    uri: str
    by: str | None = None
    why: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


class Told(tuple[T, ...]):
    """Answers, and what is to be said with them.

    Attributes:
        notes: such as that they are for a whole artifact, where a path inside it was asked about.
    """

    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, answers: Iterable[T], notes: tuple[str, ...]) -> "Told[T]":
        """Both together."""
        told = cls(answers)
        told.notes = notes
        return told


def composition(registry: Registry, ref: str) -> Composition:
    """Which share of an artifact comes from which source, by tokens.

    Raises:
        NotFoundError: there is no such artifact or version.
        MisuseError: it is no artifact, or a path inside one.
    """
    asked = asked_about(registry, ref)
    graph = collect(registry, asked)
    if graph.root.kind == "external":
        raise MisuseError(
            f"{ref} is no artifact: nobody knows what it consists of. Ask `recall` what holds it"
        )
    if asked.part:
        raise MisuseError(
            f"{ref} names {asked.part} inside {asked.uri}: of which sources a part consists is not recorded. "
            "Name the artifact alone, or ask `recall` what holds the part"
        )
    return compose({node.uri: node for node in graph}, graph.uri)


def paths(registry: Registry, one: str, other: str, *, most: int = 20) -> "Told[tuple[str, ...]]":
    """The shortest ways from one to the other, whichever was made of which; each from the input on.

    From a path inside an artifact lead ways by what took it, or did not say which files it took.

    Raises:
        NotFoundError: one of them is not there, or neither was made of the other.
    """
    both = (asked_about(registry, one), asked_about(registry, other))
    graphs = tuple(collect(registry, asked) for asked in both)
    for start, graph in ((both[0], graphs[1]), (both[1], graphs[0])):
        if start.uri in graph:
            found = shortest_paths(without_others(registry, graph, start), start.uri, graph.uri, most=most)
            if not found:
                raise NotFoundError(
                    f"{graph.uri} was made of {start.uri}, but took other files of it than {start.part}"
                )
            return Told.of(((start.named, *way[1:]) for way in found), graph.notes)
    raise NotFoundError(f"Neither of {graphs[0].uri} and {graphs[1].uri} was made of the other")


def common(
    registry: Registry, one: str, other: str, *, direction: Direction = "up"
) -> tuple[Graph, Graph, tuple[Shared, ...]]:
    """What both were made from, or what was made of both; the nearest first.

    Returns:
        Their lineages, and what these share.

    Raises:
        NotFoundError: one of them is not there.
        MisuseError: one of them is external, and nobody knows what it was made from.
    """
    graphs = (collect(registry, one, direction=direction), collect(registry, other, direction=direction))
    for graph in graphs:
        if direction == "up" and graph.root.kind == "external":
            raise MisuseError(f"{graph.uri} is no artifact: nobody knows what it was made from")
    return *graphs, shared(*graphs, direction)


def diff(registry: Registry, one: str, other: str) -> Compared:
    """What is different between two versions, and between the inputs of theirs that changed.

    Raises:
        NotFoundError: one of them is not there.
        MisuseError: one of them is no artifact, or a path inside one.
    """
    before, after = (collect(registry, ref) for ref in (one, other))
    for ref, graph in ((one, before), (other, after)):
        if graph.root.kind != "artifact":
            raise MisuseError(
                f"{graph.uri} is no artifact of {registry.root}: nothing is known of it to compare"
            )
        named = ArtifactRef.parse(ref)
        if named.inside or named.name.key != graph.root.name:
            raise MisuseError(
                f"{ref} names a path inside {graph.uri}, and versions are compared as a whole; "
                "name the artifact alone"
            )
    return _compared(registry, before, after)


def _compared(registry: Registry, before: Graph, after: Graph) -> Compared:
    versions = Versions(registry.store)
    here = _difference(versions, before.root, after.root)
    pairs = {(before.uri, after.uri): replace(here, composition=_shares_changed(before, after))}
    waiting = list(pairs)
    order = []
    while waiting:
        found = pairs[waiting.pop(0)]
        for change in found.inputs:
            pair = (change.before or "", change.after or "")
            if pair in pairs or pair[0] not in before or pair[1] not in after:
                continue
            old, new = before.node(pair[0]), after.node(pair[1])
            if old.kind == new.kind == "artifact":
                pairs[pair] = _difference(versions, old, new)
                waiting.append(pair)
                order.append(pairs[pair])
    at = {uri: at for at, uri in enumerate(inputs_first(after))}
    return Compared(pairs[before.uri, after.uri], tuple(sorted(order, key=lambda one: at[one.after])))


def _difference(versions: Versions, before: Node, after: Node) -> Difference:
    tree = tree_of(versions, before)
    trees = (tree, tree_of(versions, after, like=tree))
    found = difference(before, after, trees, (_content_of(versions, before), _content_of(versions, after)))
    runs = [read_run(versions.store, node.run) if node.run else None for node in (before, after)]
    return with_runs(found, *runs)


def _content_of(versions: Versions, node: Node) -> Content | None:
    """What a version says of its content, or None where it can't be read: the rest is told."""
    assert node.version is not None
    try:
        manifest = versions.read(node.name, node.version)
    except (CorruptError, RefusedError):
        return None
    return manifest.content if manifest else None


def _shares_changed(before: Graph, after: Graph) -> tuple[FieldChange, ...]:
    """How the shares of the sources differ; a version that has no sources is none of the other's either."""
    found = (compose({node.uri: node for node in graph}, graph.uri) for graph in (before, after))
    return shares(*({one.uri: one.share for one in mix.sources if one.uri != mix.uri} for mix in found))


def why(registry: Registry, ref: str) -> Reasons:
    """Why a version is as it is: what it was made from, and what is different from the version before.

    Raises:
        NotFoundError: there is no such artifact or version.
        MisuseError: it is no artifact.
    """
    graph = collect(registry, ref)
    node = graph.root
    if node.kind != "artifact":
        raise MisuseError(f"{ref} is no artifact of {registry.root}: nobody knows how it came to be")
    sources = tuple(one for one in graph.nodes[1:] if not graph.edges_to(one.uri))
    previous = _previous(registry, node)
    compared = None if previous is None else _compared(registry, collect(registry, previous), graph)
    record = read_run(registry.store, node.run, whole=False) if node.run else None
    run = None if record is None else node_of(record)
    inputs, uses = graph.inputs(node.uri), graph.edges_to(node.uri)
    return Reasons(node, inputs, sources, compared, uses, run, graph.notes)


def _previous(registry: Registry, node: Node) -> str | None:
    """The version before, withdrawn or not."""
    assert node.version is not None
    versions = Versions(registry.store)
    numbers = range(node.version - 1, 0, -1)
    found = next((number for number in numbers if versions.read_whole(node.name, number)), None)
    return None if found is None else f"{SCHEME}{node.name}:v{found}"


def log(registry: Registry, ref: str) -> Told[Event]:
    """What happened to a name, or to one version of it, oldest first.

    Raises:
        ArtifactNotFoundError: there is no such name.
        NotFoundError: there is no such version.
    """
    parsed = ArtifactRef.parse(ref)
    is_name = parsed.is_latest and ":" not in ref.removeprefix(SCHEME)
    named = _named(registry, parsed) if is_name else asked_about(registry, ref)
    name, only = name_of(named.uri), None if is_name else named.uri
    versions = Versions(registry.store)
    events: list[Event] = []
    for number in range(1, versions.newest(name) + 1):
        uri = f"{SCHEME}{name}:v{number}"
        manifest = versions.read_whole(name, number)
        if manifest is None or only not in (None, uri):
            continue
        events.append(Event(manifest.created_at, "published", uri, manifest.producer))
        if stone := versions.withdrawal(name, number):
            events.append(Event(stone.withdrawn_at, "withdrawn", uri, stone.withdrawn_by, stone.reason))
    events += _moves(registry, name, only)
    return Told.of(sorted(events, key=lambda event: event.at), named.notes)


def _named(registry: Registry, ref: ArtifactRef) -> Asked:
    """A version of the name that is meant; it may have no living one, and has a history all the same."""
    try:
        return asked_about(registry, ref)
    except ArtifactVersionNotFoundError as error:
        key = ArtifactName.parse(error.name).key
        newest = Versions(registry.store).newest(key)
        return Asked(f"{SCHEME}{key}:v{newest}", part_in(ref, key))


def _moves(registry: Registry, name: str, only: str | None) -> Iterable[Event]:
    for alias in registry.aliases(name):
        for move in registry.alias_log(name, alias):
            uri = f"{SCHEME}{name}:v{move.version}"
            if only in (None, uri):
                details = {"alias": alias, "previous": move.previous}
                yield Event(move.moved_at, "alias", uri, move.moved_by, move.why, details)
