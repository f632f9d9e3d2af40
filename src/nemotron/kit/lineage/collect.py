"""Lineage graphs of a store: from the index, and every node shown is looked at in the store itself.

What a version was made from never changes, so upwards the index only spares reading: what it does not know
yet is read on the way, and nothing beside it. Downwards it must know every version first, see `catch_up`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import get_args

from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.errors import (
    ArtifactNotFoundError,
    ArtifactVersionNotFoundError,
    MisuseError,
    NotFoundError,
    PathNotFoundError,
    RefusedError,
    UnavailableError,
    WithdrawnError,
)
from nemotron.kit.lineage.catch_up import BATCH, catch_up
from nemotron.kit.lineage.graph import Edge, Graph, Node
from nemotron.kit.lineage.index import Index, ask
from nemotron.kit.lineage.parts import covers
from nemotron.kit.lineage.query import Direction as Direction
from nemotron.kit.lineage.query import reach
from nemotron.kit.lineage.reading import Reader, Reading, is_external
from nemotron.kit.lineage.roles import role_of
from nemotron.kit.names import SCHEME, ArtifactRef, Version
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.registry import Registry

_URI_OR_PATH = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*://")
# How often a graph is begun anew because the store was changed by hand below it.
ATTEMPTS_MAX = 5


def collect(
    registry: Registry, ref: str | ArtifactRef, *, direction: Direction = "up", depth: int | None = None
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
    if depth is not None and depth < 0:
        raise MisuseError(f"Invalid depth: {depth}; expected 0 or more")
    start = start_of(registry, ref, is_foreign_known=direction == "down")
    nodes = ask(registry.store, lambda index: Search(index, Reader(registry)).nodes(start, direction, depth))
    if nodes[0].kind == "external" and direction == "down" and len(nodes) == 1 and depth != 0:
        raise nothing_made_of(registry, start)
    # The index holds what was recorded; data may have moved since.
    shown = tuple(replace(node, path=registry.moved(node.path)) if node.path else node for node in nodes)
    return Graph(start, shown, tuple(_edges(shown)))


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


class Search:
    """One question to an index, and to the store where the index is not enough.

    Args:
        index: what was read so far.
        reader: of the store.
    """

    def __init__(self, index: Index, reader: Reader) -> None:
        self._index = index
        self._reader = reader
        self._looked_up: set[str] = set()

    def lineage(self, uris: Iterable[str], known: Mapping[str, Node]) -> dict[str, Node]:
        """Nodes and all that they were made from, each looked at once.

        Args:
            uris: of the nodes.
            known: nodes that were looked at already; what they were made from is looked for.
        """
        found = dict(known)
        inputs = (one for node in known.values() for one in node.inputs)
        for start in dict.fromkeys((*uris, *inputs)):
            if start in found:
                continue
            for _ in range(ATTEMPTS_MAX):
                new = {uri: self.node(uri) for uri in self._up(start, None) if uri not in found}
                if None not in new.values():
                    break
            else:
                raise self.rearranged()
            found |= {uri: node for uri, node in new.items() if node is not None}
        return found

    def nodes(self, start: str, direction: Direction, depth: int | None) -> tuple[Node, ...]:
        """The node asked about, then the others, the nearest first."""
        if direction == "down":
            catch_up(self._index, self._reader)
        for _ in range(ATTEMPTS_MAX):
            uris = self._up(start, depth) if direction == "up" else self._down(start, depth)
            nodes = {uri: node for uri in uris if (node := self.node(uri))}
            if len(nodes) == len(uris):
                return tuple(nodes[uri] for uri in _in_order(start, nodes, direction))
        raise self.rearranged()

    def rearranged(self) -> UnavailableError:
        """The error of a question that was begun anew too often."""
        return UnavailableError(
            f"{self._reader.root} is being rearranged by hand; ask again when that is done"
        )

    def _down(self, start: str, depth: int | None) -> list[str]:
        found = self._index.descendants(start) if depth is None else reach(start, self._index.outputs, depth)
        return [start, *found]

    def _up(self, start: str, depth: int | None) -> list[str]:
        if depth is not None:
            return [start, *reach(start, self._inputs, depth)]
        while unread := [uri for uri in self._index.unread_ancestors(start) if self._can_be_read(uri)]:
            self._read_on(unread)
        return [start, *self._index.ancestors(start)]

    def _read_on(self, unread: list[str]) -> None:
        """Read these, and what they were made from, as far as the index does not know it."""
        readings: list[Reading] = []
        while unread:
            uri = unread.pop()
            if self._can_be_read(uri) and not self._index.knows(uri):
                self._looked_up.add(uri)
                reading = self._reader.read(uri)
                if reading.node.kind == "artifact":
                    readings.append(reading)
                    unread += reading.node.inputs
            if len(readings) >= BATCH or not unread:
                self._add(readings)
                readings = []

    def _add(self, readings: list[Reading]) -> None:
        with self._index.writing():
            self._index.add(readings)

    def _can_be_read(self, uri: str) -> bool:
        return uri not in self._looked_up and not is_external(uri)

    def _inputs(self, uri: str) -> tuple[str, ...]:
        """What a node was made from, read now if it was not yet."""
        if self._can_be_read(uri) and not self._index.knows(uri):
            self._looked_up.add(uri)
            reading = self._reader.read(uri)
            if reading.node.kind == "artifact":
                self._add([reading])
        return self._index.inputs(uri)

    def node(self, uri: str) -> Node | None:
        """The node as it is now; None if the index was wrong about it, and knows better now."""
        reading = self._index.reading(uri)
        if reading is None:
            return self._unread_node(uri)
        node = reading.node
        if reading.write_id:
            try:
                files = self._reader.store.list(f"{node.name}/v{node.version}")
            except RefusedError:
                files = []
            if "manifest.json" in files:
                return self._reader.with_state(node) if "tombstone.json" in files else node
        now = self._reader.read(uri)  # gone, or of an older tool, which may have written it again
        if now == reading:
            return self._reader.with_state(node)
        with self._index.writing():
            self._index.forget([uri])
            if now.node.kind == "artifact":
                self._index.add([now])
        return None

    def _unread_node(self, uri: str) -> Node | None:
        canonical = self._reader.canonical(uri)
        if canonical != uri:  # what was W&B's when it was read is in the store now
            with self._index.writing():
                self._index.forget(self._index.outputs(uri))
            return None
        reading = self._reader.read(uri)
        if reading.node.kind != "artifact":
            return reading.node
        self._add([reading])  # it was published in this moment
        return None


def _in_order(start: str, nodes: dict[str, Node], direction: Direction) -> list[str]:
    """The nearest first, then as inputs are named, or by name and version: the same whoever asks."""
    if direction == "up":
        return [start, *reach(start, lambda uri: [one for one in nodes[uri].inputs if one in nodes])]
    outputs: dict[str, list[str]] = {}
    for node in sorted(nodes.values(), key=lambda node: (node.name, node.version or 0)):
        for uri in node.inputs:
            outputs.setdefault(uri, []).append(node.uri)
    return [start, *reach(start, lambda uri: outputs.get(uri, ()))]
