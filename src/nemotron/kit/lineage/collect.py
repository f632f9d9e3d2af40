"""Lineage graphs of a store: from the index, and every node shown is looked at in the store itself.

What a version was made from never changes, so upwards the index only spares reading: what it does not know
yet is read on the way, and nothing beside it. Downwards it must know every version first, see `catch_up`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import get_args

from nemotron.kit.documents.edge import InputEdge
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
from nemotron.kit.lineage.parts import covers
from nemotron.kit.lineage.query import Direction as Direction
from nemotron.kit.lineage.reading import Reader, is_external
from nemotron.kit.lineage.roles import role_of
from nemotron.kit.lineage.search import Search
from nemotron.kit.names import SCHEME, ArtifactRef, Version
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.registry import Registry

_URI_OR_PATH = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*://")


def collect(
    registry: Registry,
    ref: str | ArtifactRef,
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
    _refuse_negative(depth=depth)
    start = start_of(registry, ref)
    nodes = ask(registry.store, lambda index: Search(index, Reader(registry)).made_from(start, depth))
    return _graph(registry, start, nodes)


def made_of(
    registry: Registry,
    ref: str | ArtifactRef,
    *,
    most: int | None = None,
    depth: int | None = None,
    levels: int | None = None,
) -> tuple[Graph, int]:
    """The graph of the nearest that was made of an artifact, and how many others there are, not looked at.

    Args:
        registry: the store.
        ref: an artifact, or the URI of an external input.
        most: how many to give at most, or None for all.
        depth: how many steps to go, or None for all.
        levels: how many steps are shown to a person. If no more than `most` are within these, none is left
            out by number, and of what is beyond only so much is there that it is seen where there is more.

    Raises:
        NotFoundError: there is no such artifact or version, or nothing was made of the external input.
        CorruptError: the version's own manifest is damaged.
        MisuseError: a number is negative.
    """
    _refuse_negative(limit=most, depth=depth)
    start = start_of(registry, ref, is_foreign_known=True)
    nodes, more = ask(
        registry.store, lambda index: Search(index, Reader(registry)).made_of(start, most, depth, levels)
    )
    if nodes[0].kind == "external" and len(nodes) == 1 and not more and depth != 0:
        raise nothing_made_of(registry, start)
    return _graph(registry, start, nodes), more


def _refuse_negative(**numbers: int | None) -> None:
    for name, value in numbers.items():
        if value is not None and value < 0:
            raise MisuseError(f"Invalid {name}: {value}; expected 0 or more")


def _graph(registry: Registry, uri: str, nodes: Iterable[Node]) -> Graph:
    # The index holds what was recorded; data may have moved since.
    shown = tuple(replace(node, path=registry.moved(node.path)) if node.path else node for node in nodes)
    return Graph(uri, shown, tuple(_edges(shown)))


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


def start_of(registry: Registry, ref: str | ArtifactRef, *, is_foreign_known: bool = False) -> str:
    """The URI of what is asked about; a withdrawn version is asked about like any other.

    Args:
        registry: the store.
        ref: an artifact, or an external input.
        is_foreign_known: whether a version of W&B that is not in the store may be asked about: what was made
            of it is known here, what it was made from is not.

    Raises:
        NotFoundError: there is no such artifact or version.
    """
    # People write `name:v3` for `art://name:v3`; anything else without `art://` is external.
    if isinstance(ref, str) and is_external(ref) and _URI_OR_PATH.match(ref):
        return ref
    try:
        record, inside = registry.find(ref)
        if inside:
            _refuse_unlisted(registry, record, inside)
    except WithdrawnError as error:
        return f"{SCHEME}{error.name}:{error.version}"
    except (ArtifactNotFoundError, ArtifactVersionNotFoundError):
        parsed = ArtifactRef.parse(ref)
        if is_foreign_known and parsed.wandb and isinstance(parsed.selector, Version) and not parsed.inside:
            return str(parsed)
        raise
    return record.uri


def _refuse_unlisted(registry: Registry, record: Record, part: str) -> None:
    """Refuse a path that an artifact does not have; data is not looked at, it may be gone or far away.

    Raises:
        PathNotFoundError: the listing that was published has nothing of this name.
    """
    tree = registry.tree(record)
    if tree is not None and not any(covers(part, entry.path) for entry in tree.entries):
        raise PathNotFoundError(f"No {part} in {record.uri}: nothing of this name was published with it")
