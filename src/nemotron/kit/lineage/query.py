"""Questions to a graph, as pure functions. None of them recurses, and cycles do them no harm.

>>> from nemotron.kit.lineage.graph import Edge, Graph, Node
>>> nodes = [Node(uri=uri, kind="artifact", type="artifact", name=uri) for uri in "abc"]
>>> graph = Graph("c", tuple(nodes), (Edge("a", "b"), Edge("b", "c")))
>>> ancestors(graph, "c"), descendants(graph, "a", depth=1), roots(graph), leaves(graph)
(('b', 'a'), ('b',), ('a',), ('c',))
"""

from collections.abc import Callable, Iterable

from nemotron.kit.errors import MisuseError
from nemotron.kit.lineage.graph import Graph


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


def ways_down(graph: Graph) -> dict[str, tuple[str, ...]]:
    """For each node that was made of the graph's own, a shortest way to it, both ends included."""
    ways: dict[str, tuple[str, ...]] = {graph.uri: (graph.uri,)}
    at = [graph.uri]
    while at:
        found = []
        for one in at:
            for edge in graph.edges_from(one):
                if edge.target not in ways:
                    ways[edge.target] = (*ways[one], edge.target)
                    found.append(edge.target)
        at = found
    return ways
