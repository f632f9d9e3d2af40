"""One question to a lineage index, and to the store itself where the index is not enough."""

from collections.abc import Callable, Iterable, Mapping

from nemotron.kit.errors import RefusedError, UnavailableError
from nemotron.kit.lineage.catch_up import BATCH, catch_up
from nemotron.kit.lineage.descent import Descent
from nemotron.kit.lineage.graph import Node
from nemotron.kit.lineage.index import Index
from nemotron.kit.lineage.query import Direction, reach
from nemotron.kit.lineage.reading import Reader, Reading, is_external

# How often a graph is begun anew because the store was changed by hand below it.
ATTEMPTS_MAX = 5


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

    def made_from(self, start: str, depth: int | None) -> tuple[Node, ...]:
        """The node asked about, then what it was made from, the nearest first."""
        for _ in range(ATTEMPTS_MAX):
            if nodes := self._looked_at(self._up(start, depth)):
                return tuple(nodes[uri] for uri in _in_order(start, nodes, "up"))
        raise self.rearranged()

    def made_of(
        self,
        start: str,
        without: Callable[[Node], bool] | None,
        most: int | None,
        depth: int | None,
        levels: int | None,
    ) -> tuple[tuple[Node, ...], int]:
        """The node asked about, then the nearest that was made of it; and how many more were."""
        catch_up(self._index, self._reader)
        for _ in range(ATTEMPTS_MAX):
            descent = Descent(self._index, start, without)
            within = levels if depth is None or levels is None else min(depth, levels)
            if within is not None and most is not None and descent.count(depth=within) <= most:
                uris, more = descent.nearest(depth=within), 0
                uris += [] if within == depth else [one for one in descent.beyond(within) if one not in uris]
            else:
                uris = descent.nearest(most, depth=depth)
                more = descent.count(depth=depth) - len(uris)
            if nodes := self._looked_at([start, *uris]):
                return tuple(nodes[uri] for uri in _in_order(start, nodes, "down")), more
        raise self.rearranged()

    def _looked_at(self, uris: list[str]) -> dict[str, Node] | None:
        """The nodes as they are now; None if the index was wrong about one, and knows better now."""
        nodes = {uri: node for uri in uris if (node := self.node(uri))}
        return nodes if len(nodes) == len(uris) else None

    def rearranged(self) -> UnavailableError:
        """The error of a question that was begun anew too often."""
        return UnavailableError(
            f"{self._reader.root} is being rearranged by hand; ask again when that is done"
        )

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
