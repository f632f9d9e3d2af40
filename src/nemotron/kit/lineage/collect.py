"""Lineage graphs of a store: from the index, and every node shown is looked at in the store itself.

What a version was made from never changes, so upwards the index only spares reading: what it does not know
yet is read on the way, and nothing beside it. Downwards it must know every version first, see `catch_up`.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple, get_args

from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import (
    ArtifactNotFoundError,
    ArtifactVersionNotFoundError,
    MisuseError,
    NotFoundError,
    PathNotFoundError,
    WithdrawnError,
)
from nemotron.kit.lineage.graph import Edge, Graph, Node
from nemotron.kit.lineage.index import ask
from nemotron.kit.lineage.parts import covers, leaves_out, sizes_of
from nemotron.kit.lineage.query import Direction as Direction
from nemotron.kit.lineage.reading import Reader, is_external, tree_of
from nemotron.kit.lineage.roles import role_of
from nemotron.kit.lineage.search import Search
from nemotron.kit.names import SCHEME, ArtifactRef, Version
from nemotron.kit.registry.registry import Registry

_URI_OR_PATH = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*://")


def collect(
    registry: Registry,
    ref: "str | ArtifactRef | Asked",
    *,
    direction: Direction = "up",
    depth: int | None = None,
) -> Graph:
    """The graph of what an artifact was made from ("up"), or of what was made of it ("down").

    The graph has every node within the depth and all edges between them. A withdrawn version keeps its
    lineage. An input that is not in the store is a node all the same.

    Args:
        registry: the store.
        ref: an artifact; with "down" also the URI of an external input, such as `hf://datasets/org/name`.
        direction: "up" or "down".
        depth: how many steps, or None for all.

    Of a path inside an artifact, "down" gives what took it, as far as it is known; what a single file was
    made from is not recorded, so "up" gives the same as of the whole. Notes say so.

    Raises:
        NotFoundError: there is no such artifact or version, or nothing was made of the external input.
        CorruptError: the version's own manifest is damaged.
        MisuseError: the direction or the depth is none.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from nemotron.kit.registry.records import Draft
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     registry = Registry.open(f"{folder}/store")
    ...     Path(folder, "part.txt").touch()
    ...     draft = Draft(name="data", source=f"{folder}/part.txt", inputs=("hf://datasets/org/name",))
    ...     _ = registry.publish(draft)
    ...     [node.uri for node in collect(registry, "data")]
    ['art://data:v1', 'hf://datasets/org/name']
    """
    if direction not in get_args(Direction):
        raise MisuseError(f"Unknown direction: {direction!r}. Must be 'up' or 'down'")
    if direction == "down":
        return made_of(registry, ref, depth=depth)[0]
    refuse_negative(depth=depth)
    asked = asked_about(registry, ref)
    nodes = ask(registry.store, lambda index: Search(index, Reader(registry)).made_from(asked.uri, depth))
    return _graph(registry, asked.uri, nodes, notes=asked.notes)


def made_of(
    registry: Registry,
    ref: "str | ArtifactRef | Asked",
    *,
    most: int | None = None,
    depth: int | None = None,
    levels: int | None = None,
) -> tuple[Graph, int]:
    """The graph of the nearest that was made of an artifact, and how many others there are, not looked at.

    Of a part of an artifact what said that it took other files is left out.

    Args:
        registry: the store.
        ref: an artifact, a part of one, or the URI of an external input.
        most: how many to give at most, or None for all.
        depth: how many steps to go, or None for all.
        levels: how many steps are shown to a person. If no more than `most` are within these, none is left
            out by number, and of what is beyond only so much is there that it is seen where there is more.

    Raises:
        NotFoundError: there is no such artifact or version, or nothing was made of the external input.
        CorruptError: the version's own manifest is damaged.
        MisuseError: a number is negative.
    """
    refuse_negative(limit=most, depth=depth)
    asked = asked_about(registry, ref, is_foreign_known=True)
    sizes = sizes_of(_tree(registry, asked)) if asked.part else {}

    def is_other(use: InputEdge) -> bool:
        return use.uri == asked.uri and leaves_out(sizes, asked.part, use)

    def without(node: Node) -> bool:
        uses = [use for use in node.edges if use.uri == asked.uri]
        return bool(uses) and all(map(is_other, uses))

    nodes, more = ask(
        registry.store,
        lambda index: Search(index, Reader(registry)).made_of(
            asked.uri, without if asked.part else None, most, depth, levels
        ),
    )
    if nodes[0].kind == "external" and len(nodes) == 1 and not more and depth != 0:
        raise nothing_made_of(registry, asked.uri)
    if not asked.part:
        return _graph(registry, asked.uri, nodes), more
    notes = (f"What said that it took other files of {asked.uri} than {asked.part} is left out",)
    return _graph(registry, asked.uri, nodes, is_other, notes), more


def without_others(registry: Registry, graph: Graph, asked: "Asked") -> Graph:
    """The graph without the uses that said that they took other files than the part that is asked about."""
    if not asked.part:
        return graph
    sizes = sizes_of(_tree(registry, asked))
    edges = (
        edge
        for edge in graph.edges
        if edge.source != asked.uri or edge.said is None or not leaves_out(sizes, asked.part, edge.said)
    )
    return replace(graph, edges=tuple(edges))


def refuse_negative(**numbers: int | None) -> None:
    """Refuse numbers below 0, by their names.

    Raises:
        MisuseError: there is one.
    """
    for name, value in numbers.items():
        if value is not None and value < 0:
            raise MisuseError(f"Invalid {name}: {value}; expected 0 or more")


def _tree(registry: Registry, asked: "Asked") -> Tree | None:
    reader = Reader(registry)
    return tree_of(reader.versions, reader.node(asked.uri))


def _graph(
    registry: Registry,
    uri: str,
    nodes: Iterable[Node],
    is_other: Callable[[InputEdge], bool] = lambda use: False,
    notes: tuple[str, ...] = (),
) -> Graph:
    # The index holds what was recorded; data may have moved since.
    shown = tuple(replace(node, path=registry.moved(node.path)) if node.path else node for node in nodes)
    edges = (edge for edge in _edges(shown) if edge.said is None or not is_other(edge.said))
    return Graph(uri, shown, tuple(edges), notes)


def _edges(nodes: tuple[Node, ...]) -> Iterator[Edge]:
    here = {node.uri: node for node in nodes}
    for node in nodes:
        said: dict[str, list[InputEdge]] = {}
        for edge in node.edges:
            said.setdefault(edge.uri, []).append(edge)
        for uri in node.inputs:
            if uri in here:
                source = here[uri]
                # What lies outside is data if nobody says else; but each of W&B's artifacts may be anything.
                type_ = None if source.type == "external" else source.type
                role = role_of(type_, uri, node.type, node.metadata)
                uses = said.get(uri, (None,)) if said else (None,)
                yield from (Edge(uri, node.uri, (use and use.role) or role, use) for use in uses)


def nothing_made_of(registry: Registry, external: str) -> NotFoundError:
    """The error of who asks about an external input that nothing knows."""
    return NotFoundError(f"Nothing in {registry.root} was made of {external}")


class Asked(NamedTuple):
    """What a question is about.

    Attributes:
        uri: of the artifact or the external input.
        part: the path inside the artifact, or "" for all of it.
    """

    uri: str
    part: str = ""

    @property
    def named(self) -> str:
        """What was asked about, spelt as one."""
        return f"{self.uri}/{self.part}" if self.part else self.uri

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said with an answer that knows of no parts."""
        said = f"This is the answer for the whole artifact: nothing is recorded of {self.named} alone"
        return (said,) if self.part else ()


def asked_about(
    registry: Registry, ref: str | ArtifactRef | Asked, *, is_foreign_known: bool = False
) -> Asked:
    """What a reference means to lineage; a withdrawn version is asked about like any other.

    Args:
        registry: the store.
        ref: an artifact, a path inside one, or an external input.
        is_foreign_known: whether a version of W&B that is not in the store may be asked about: what was made
            of it is known here, what it was made from is not.

    Raises:
        NotFoundError: there is no such artifact or version, or nothing of that path in it.
    """
    if isinstance(ref, Asked):
        return ref
    # People write `name:v3` for `art://name:v3`; anything else without `art://` is external.
    if isinstance(ref, str) and is_external(ref) and _URI_OR_PATH.match(ref):
        return Asked(ref)
    try:
        record, inside = registry.find(ref)
        asked = Asked(record.uri, inside)
    except WithdrawnError as error:
        asked = Asked(f"{SCHEME}{error.name}:{error.version}", part_in(ArtifactRef.parse(ref), error.name))
    except (ArtifactNotFoundError, ArtifactVersionNotFoundError):
        parsed = ArtifactRef.parse(ref)
        if is_foreign_known and parsed.wandb and isinstance(parsed.selector, Version) and not parsed.inside:
            return Asked(str(parsed))
        raise
    if asked.part:
        _refuse_unlisted(_tree(registry, asked), asked)
    return asked


def part_in(ref: ArtifactRef, key: str) -> str:
    """The path inside an artifact that a reference names, if it means this artifact; "" for all of it."""
    return next((one.inside for one in ref.readings() if one.name.key == key), "")


def _refuse_unlisted(tree: Tree | None, asked: Asked) -> None:
    """Refuse a path that an artifact does not have; data is not looked at, it may be gone or far away.

    Raises:
        PathNotFoundError: the listing that was published has nothing of this name.
    """
    if tree is not None and not any(covers(asked.part, entry.path) for entry in tree.entries):
        raise PathNotFoundError(f"No {asked.part} in {asked.uri}: nothing of this name was published with it")
