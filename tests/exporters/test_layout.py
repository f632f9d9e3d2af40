"""Places: inputs left of what was made of them, nothing on top of another, edges around what they pass."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.exporters import layout as module
from nemotron.kit.exporters.layout import layout, spaced
from nemotron.kit.lineage.graph import Edge, Graph, Node

PLACES = [f"art://n{i}:v1" for i in range(8)]
PAIRS = st.sets(st.tuples(st.sampled_from(PLACES), st.sampled_from(PLACES)), max_size=20)


def graph_of(edges: set[tuple[str, str]]) -> Graph:
    nodes = tuple(Node(uri=uri, kind="artifact", type="T", name=uri) for uri in PLACES)
    return Graph(PLACES[0], nodes, tuple(Edge(*edge) for edge in sorted(edges)))


@given(PAIRS)
def test_whatever_the_graph_every_node_has_a_place_of_its_own(edges: set[tuple[str, str]]) -> None:
    graph = graph_of(edges)
    drawn = layout(graph)
    assert drawn.places.keys() == set(PLACES)
    assert min(column for column, _ in drawn.places.values()) == 0
    assert min(row for _, row in drawn.places.values()) >= 0
    for (one, first), (other, second) in itertools.combinations(drawn.places.values(), 2):
        assert one != other or abs(first - second) > 0.999
    assert len(drawn.passing) == len(graph.edges)


@given(PAIRS)
def test_without_cycles_inputs_are_left_and_a_long_edge_passes_each_column_between(
    edges: set[tuple[str, str]],
) -> None:
    graph = graph_of({(one, other) for one, other in edges if one < other})
    drawn = layout(graph)
    for edge, passing in zip(graph.edges, drawn.passing, strict=True):
        left, right = drawn.places[edge.source][0], drawn.places[edge.target][0]
        assert left < right
        assert len(passing) == right - left - 1
        for column, row in enumerate(passing, start=left + 1):
            rows = [there for at, there in drawn.places.values() if at == column]
            assert all(abs(row - there) > 0.5 for there in rows)


def test_an_input_lies_beside_what_was_made_of_it_and_edges_do_not_cross_without_need() -> None:
    a, b, c, late, *_ = PLACES
    nodes = tuple(Node(uri=uri, kind="artifact", type="T", name=uri) for uri in (c, late, b, a))
    drawn = layout(Graph(c, nodes, (Edge(a, b), Edge(b, c), Edge(late, c))))
    assert drawn.places[late][0] == drawn.places[b][0] == 1

    chains = {(PLACES[i], PLACES[i + 4]) for i in range(4)}
    places = layout(graph_of(chains)).places
    assert all(places[one][1] == places[other][1] for one, other in chains)


def test_a_run_lies_beside_what_it_made() -> None:
    a, b, c, *_ = PLACES
    run = Node(uri="run://x", kind="run", type="run", name="x")
    nodes = (*(Node(uri=uri, kind="artifact", type="T", name=uri) for uri in (c, b, a)), run)
    late = Graph(c, nodes, (Edge(a, b), Edge(b, c), Edge(run.uri, c, "run")))
    first = Graph(c, nodes, (Edge(a, b), Edge(b, c), Edge(run.uri, a, "run")))
    assert layout(late).places[run.uri][0] == layout(late).places[b][0]
    assert layout(first).places[run.uri][0] == layout(first).places[a][0] - 1 == 0


def test_a_thicket_is_drawn_straight(monkeypatch) -> None:
    monkeypatch.setattr(module, "PASSING_MAX", 0)
    a, b, c, *_ = PLACES
    drawn = layout(graph_of({(a, b), (b, c), (a, c)}))
    assert drawn.passing == ((), (), ())


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_heights_keep_their_order_and_their_room_and_stay_where_there_is_room(wanted: list[float]) -> None:
    found = spaced(list(range(len(wanted))), wanted, lambda one, other: 1.0)
    assert all(other - one > 0.999 for one, other in itertools.pairwise(found))
    if all(other - one >= 1 for one, other in itertools.pairwise(wanted)):
        assert all(abs(one - other) < 1e-6 for one, other in zip(found, wanted, strict=True))
