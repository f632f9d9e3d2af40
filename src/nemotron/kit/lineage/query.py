"""Questions to a graph, as pure functions. None of them recurses, and cycles do them no harm.

>>> from nemotron.kit.lineage.graph import Edge, Graph, Node
>>> nodes = [Node(uri=uri, kind="artifact", type="artifact", name=uri) for uri in "abc"]
>>> graph = Graph("c", tuple(nodes), (Edge("a", "b"), Edge("b", "c")))
>>> ancestors(graph, "c"), descendants(graph, "a", depth=1), roots(graph), leaves(graph)
(('b', 'a'), ('b',), ('a',), ('c',))
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from nemotron.kit.errors import MisuseError
from nemotron.kit.lineage.graph import Edge, Graph, Node

Direction = Literal["up", "down"]
# The role of an edge that stands for a way over nodes that are not shown.
VIA = "via"


@dataclass(frozen=True, slots=True)
class Shared:
    """Something that two artifacts have in common.

    Attributes:
        node: what it is.
        steps: how far it is from the one, and from the other.
        nearest: whether no step from it towards the two is shared as well: there the two part.
    """

    node: Node
    steps: tuple[int, int]
    nearest: bool


def ancestors(graph: Graph, uri: str, *, depth: int | None = None) -> tuple[str, ...]:
    """Everything that a node was made from, the nearest first; never the node itself.

    Args:
        graph: where to look.
        uri: of the node.
        depth: how many steps to go, or None for all.

    Raises:
        NotFoundError: the node is not in the graph.
    """
    graph.node(uri)
    return reach(uri, lambda one: (edge.source for edge in graph.edges_to(one)), depth)


def descendants(graph: Graph, uri: str, *, depth: int | None = None) -> tuple[str, ...]:
    """Everything that was made of a node, the nearest first; never the node itself.

    Args:
        graph: where to look.
        uri: of the node.
        depth: how many steps to go, or None for all.

    Raises:
        NotFoundError: the node is not in the graph.
    """
    graph.node(uri)
    return reach(uri, lambda one: (edge.target for edge in graph.edges_from(one)), depth)


def roots(graph: Graph) -> tuple[str, ...]:
    """The nodes without an input in the graph: what it all began with."""
    return tuple(node.uri for node in graph if node.kind != "run" and not graph.edges_to(node.uri))


def leaves(graph: Graph) -> tuple[str, ...]:
    """The nodes that nothing in the graph was made of: what it all led to."""
    return tuple(node.uri for node in graph if node.kind != "run" and not graph.edges_from(node.uri))


def of_type(types: Iterable[str]) -> Callable[[Node], bool]:
    """Tells nodes of these types: class names in any case, with or without `Artifact`, or kinds of nodes.

    >>> data = Node(uri="art://d:v1", kind="artifact", type="PretrainDataArtifact", name="d")
    >>> of_type(["pretraindata"])(data), of_type(["external", "model"])(data)
    (True, False)
    """
    asked = {_bare(one) for one in types}
    return lambda node: _bare(node.type if node.kind == "artifact" else node.kind) in asked


def _bare(kind: str) -> str:
    return kind.lower().removesuffix("artifact") or kind.lower()


def only(graph: Graph, keep: Callable[[Node], bool]) -> Graph:
    """The graph without the nodes that are not to be kept; who was made of whom stays true.

    A way that led over them is an edge of the role `via`. The graph's own node is always kept, and so are
    runs that made something that is.

    >>> nodes = [Node(uri=uri, kind="artifact", type=uri, name=uri) for uri in "cba"]
    >>> graph = Graph("c", tuple(nodes), (Edge("a", "b"), Edge("b", "c")))
    >>> only(graph, lambda node: node.type != "b").edges
    (Edge(source='a', target='c', role='via', said=None),)
    """
    kept = {node.uri for node in graph if node.kind != "run" and (node.uri == graph.uri or keep(node))}
    edges = [edge for edge in graph.edges if edge.target in kept and _is_shown(graph, edge.source, kept)]
    for uri in kept:
        direct = {edge.source for edge in graph.edges_to(uri)}
        edges += [
            Edge(one, uri, VIA) for one in _beyond(graph, uri, kept) if one not in direct and one != uri
        ]
    shown = kept | {edge.source for edge in edges}
    return Graph(graph.uri, tuple(node for node in graph if node.uri in shown), tuple(edges), graph.notes)


def nearest(graph: Graph, most: int) -> tuple[Graph, int]:
    """The graph's own node and the nearest to it, with the runs that made these; and how many are left out.

    >>> nodes = [Node(uri=uri, kind="artifact", type="T", name=uri) for uri in "cba"]
    >>> graph = Graph("c", tuple(nodes), (Edge("a", "b"), Edge("b", "c")))
    >>> near, left_out = nearest(graph, 1)
    >>> [node.uri for node in near], near.edges, left_out
    (['c', 'b'], (Edge(source='b', target='c', role='input', said=None),), 1)

    Args:
        graph: its nodes are in order, the nearest first.
        most: how many beside the graph's own node.
    """
    near = [node for node in graph if node.kind != "run" and node.uri != graph.uri]
    left_out = {node.uri for node in near[most:]}
    if not left_out:
        return graph, 0
    edges = tuple(edge for edge in graph.edges if left_out.isdisjoint((edge.source, edge.target)))
    makers = {edge.source for edge in edges}
    nodes = (
        node for node in graph if node.uri in makers or (node.kind != "run" and node.uri not in left_out)
    )
    return Graph(graph.uri, tuple(nodes), edges, graph.notes), len(left_out)


def _is_shown(graph: Graph, uri: str, kept: Collection[str]) -> bool:
    return uri in kept or graph.node(uri).kind == "run"


def _beyond(graph: Graph, uri: str, kept: Collection[str]) -> list[str]:
    """What is kept of what it was made from, over nodes that are not."""

    def hidden(one: str) -> list[str]:
        return [] if one in kept and one != uri else [edge.source for edge in graph.edges_to(one)]

    return [one for one in reach(uri, hidden) if one in kept]


def shared(one: Graph, other: Graph, direction: Direction = "up") -> tuple[Shared, ...]:
    """What is in both lineages, the graphs' own nodes among it; the nearest to the two first.

    Args:
        one: the lineage of the one.
        other: the lineage of the other.
        direction: in which both were collected: "up", what both were made from, or "down".
    """
    steps = (_steps(one, direction), _steps(other, direction))
    both = [uri for uri in steps[0] if uri in steps[1]]
    back: Direction = "down" if direction == "up" else "up"
    towards = {
        uri: {end for graph in (one, other) for end in _next(graph, uri, back)} - {uri} for uri in both
    }
    found = [
        Shared(one.node(uri), (steps[0][uri], steps[1][uri]), towards[uri].isdisjoint(both)) for uri in both
    ]
    return tuple(sorted(found, key=lambda each: (sum(each.steps), max(each.steps))))


def _next(graph: Graph, uri: str, direction: Direction) -> list[str]:
    if direction == "up":
        return [edge.source for edge in graph.edges_to(uri)]
    return [edge.target for edge in graph.edges_from(uri)]


def _steps(graph: Graph, direction: Direction) -> dict[str, int]:
    """How far each node is from the graph's own; one that can't be reached that way is left out."""
    found = {graph.uri: 0}
    at = [graph.uri]
    while at:
        near = dict.fromkeys(end for uri in at for end in _next(graph, uri, direction) if end not in found)
        found |= dict.fromkeys(near, found[at[0]] + 1)
        at = list(near)
    return found


def reach(start: str, next_to: Callable[[str], Iterable[str]], depth: int | None = None) -> tuple[str, ...]:
    """What can be reached from `start`, breadth first; never `start` itself.

    Args:
        start: where to begin.
        next_to: what is one step away; asked once for each place within the depth.
        depth: how many steps to go, or None for all.

    Raises:
        MisuseError: the depth is negative.
    """
    if depth is not None and depth < 0:
        raise MisuseError(f"Invalid depth: {depth}; expected 0 or more")
    seen = {start: None}
    at: tuple[str, ...] = (start,)
    while at and depth != 0:
        found = dict.fromkeys(uri for place in at for uri in next_to(place) if uri not in seen)
        seen |= found
        at = tuple(found)
        depth = None if depth is None else depth - 1
    return tuple(seen)[1:]


def shortest_paths(graph: Graph, start: str, end: str, *, most: int = 20) -> tuple[tuple[str, ...], ...]:
    """The shortest ways from an input to what was made of it; none if it was not.

    Args:
        graph: where to look.
        start: URI of the input; a way begins with it.
        end: URI of what was made of it; a way ends with it.
        most: how many ways to give; there may be very many.

    Raises:
        NotFoundError: one of them is not in the graph.
    """
    graph.node(end)
    steps = {graph.node(start).uri: 0}
    at = [start]
    while at and end not in steps:
        found = dict.fromkeys(e.target for one in at for e in graph.edges_from(one) if e.target not in steps)
        steps |= dict.fromkeys(found, steps[at[0]] + 1)
        at = list(found)
    if end not in steps:
        return ()
    # Back from the end, so that no way is begun that leads nowhere.
    ways: list[tuple[str, ...]] = []
    waiting: list[tuple[str, ...]] = [(end,)]
    while waiting and len(ways) < most:
        way = waiting.pop()
        if way[0] == start:
            ways.append(way)
        sources = dict.fromkeys(edge.source for edge in graph.edges_to(way[0]))
        waiting += [(one, *way) for one in reversed(sources) if steps.get(one, -1) == steps[way[0]] - 1 >= 0]
    return tuple(ways)
