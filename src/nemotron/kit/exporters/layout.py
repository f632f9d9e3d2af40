"""Where the nodes of a graph are drawn: in layers from left to right, inputs before what was made of them.

The usual four steps of layered drawing (Sugiyama, Tagawa and Toda 1981): layers, points where long edges pass
a layer, an order in each layer that crosses few edges, and heights that keep edges straight.
"""

import itertools
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from nemotron.kit.lineage.graph import Edge, Graph
from nemotron.kit.lineage.order import levels

# A long edge takes a point in each layer that it passes. With more of them than this the drawing is a thicket
# whichever way, and edges are drawn straight.
PASSING_MAX = 20_000
SWEEPS = 8
# How much room an edge that passes takes, in rows.
PASSING_ROWS = 0.35

_Point = Hashable


@dataclass(frozen=True, slots=True)
class Layout:
    """Places in columns and rows; both begin at 0.

    Attributes:
        places: column and row of each node, by URI.
        passing: for each edge of the graph, the rows at which it passes the columns between its ends.
    """

    places: dict[str, tuple[int, float]]
    passing: tuple[tuple[float, ...], ...]


def layout(graph: Graph) -> Layout:
    """The drawing of a graph.

    >>> from nemotron.kit.lineage.graph import Node
    >>> nodes = tuple(Node(uri=uri, kind="artifact", type="T", name=uri) for uri in "cab")
    >>> layout(Graph("c", nodes, (Edge("a", "c"), Edge("b", "c")))).places
    {'a': (0, 0.0), 'b': (0, 1.0), 'c': (1, 0.5)}
    """
    columns = _columns(graph)
    layers: list[list[_Point]] = [[] for _ in range(1 + max(columns.values()))]
    for node in graph:
        layers[columns[node.uri]].append(node.uri)
    before: dict[_Point, list[_Point]] = {}
    after: dict[_Point, list[_Point]] = {}
    ways = _ways(graph.edges, columns)
    for way, edge in zip(ways, graph.edges, strict=True):
        for offset, point in enumerate(way[1:-1], start=1):
            layers[columns[edge.source] + offset].append(point)
        if len(way) - 1 == columns[edge.target] - columns[edge.source]:
            for one, other in itertools.pairwise(way):
                after.setdefault(one, []).append(other)
                before.setdefault(other, []).append(one)
    _order(layers, before, after)
    rows = _rows(layers, before, after)
    places = {
        str(point): (at, rows[point])
        for at, layer in enumerate(layers)
        for point in layer
        if point in columns
    }
    return Layout(places, tuple(tuple(rows[point] for point in way[1:-1]) for way in ways))


def _columns(graph: Graph) -> dict[str, int]:
    """The longest way from an input; what has no inputs, a run too, lies beside what came of it first."""
    depth = levels(graph)
    below: dict[str, int] = {}
    for edge in graph.edges:  # of runs too, which are no inputs
        below[edge.source] = min(depth[edge.target], below.get(edge.source, depth[edge.target]))
    depth |= {uri: below[uri] - 1 for uri, column in depth.items() if column == 0 and uri in below}
    lowest = min(depth.values())
    return {uri: column - lowest for uri, column in depth.items()}


def _ways(edges: Sequence[Edge], columns: dict[str, int]) -> list[list[_Point]]:
    """For each edge its ends and the points between them; none for an edge that goes back, in a cycle."""
    spans = [max(0, columns[edge.target] - columns[edge.source] - 1) for edge in edges]
    if sum(spans) > PASSING_MAX:
        spans = [0] * len(edges)
    return [
        [edge.source, *((at, offset) for offset in range(span)), edge.target]
        for at, (edge, span) in enumerate(zip(edges, spans, strict=True))
    ]


def _order(
    layers: list[list[_Point]], before: dict[_Point, list[_Point]], after: dict[_Point, list[_Point]]
) -> None:
    """Put each layer in the order of the middles of its neighbours, forth and back."""
    at = {point: float(place) for layer in layers for place, point in enumerate(layer)}
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 0
        for layer in layers if forth else reversed(layers):
            near = before if forth else after
            middles = {point: _mean((at[one] for one in near.get(point, ())), at[point]) for point in layer}
            layer.sort(key=middles.__getitem__)
            at.update((point, float(place)) for place, point in enumerate(layer))


def _rows(
    layers: list[list[_Point]], before: dict[_Point, list[_Point]], after: dict[_Point, list[_Point]]
) -> dict[_Point, float]:
    """Heights in that order, each as near to the mean of its neighbours as the room between them allows."""
    rows: dict[_Point, float] = {}
    for layer in layers:
        height = 0.0
        for above, point in zip((None, *layer), layer, strict=False):
            height += 0.0 if above is None else _room(above, point)
            rows[point] = height
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 0
        near = before if forth else after
        for layer in layers if forth else reversed(layers):
            wanted = [_mean((rows[one] for one in near.get(point, ())), rows[point]) for point in layer]
            rows.update(zip(layer, spaced(layer, wanted, _room), strict=True))
    highest = min(rows.values())
    return {point: row - highest for point, row in rows.items()}


def spaced(
    points: Sequence[_Point], wanted: Sequence[float], room: Callable[[_Point, _Point], float]
) -> list[float]:
    """Heights in order with at least the room between neighbours, nearest to those wanted in squares.

    With the room taken off it is isotonic regression, which pools neighbours that are out of order.

    >>> spaced("abc", [0.0, 0.0, 5.0], lambda one, other: 1.0)
    [-0.5, 0.5, 5.0]
    """
    offsets = [0.0]
    for one, other in itertools.pairwise(points):
        offsets.append(offsets[-1] + room(one, other))
    pools: list[tuple[float, int]] = []  # mean, how many
    for height, offset in zip(wanted, offsets, strict=False):
        mean, many = height - offset, 1
        while pools and pools[-1][0] > mean:
            other, others = pools.pop()
            mean, many = (mean * many + other * others) / (many + others), many + others
        pools.append((mean, many))
    flat = (mean for mean, many in pools for _ in range(many))
    return [mean + offset for mean, offset in zip(flat, offsets, strict=False)]


def _room(one: _Point, other: _Point) -> float:
    """Rows between two neighbours: a node takes half a row on its side, an edge less."""
    return sum(0.5 if isinstance(point, str) else PASSING_ROWS / 2 for point in (one, other))


def _mean(values: Iterable[float], otherwise: float) -> float:
    found = list(values)
    return sum(found) / len(found) if found else otherwise
