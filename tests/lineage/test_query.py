"""Ancestors and descendants, against a model that recurses over sets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.errors import MisuseError, NotFoundError
from nemotron.kit.lineage.graph import Edge, Graph, Node
from nemotron.kit.lineage.query import (
    ancestors,
    descendants,
    leaves,
    of_type,
    only,
    roots,
    shared,
    shortest_paths,
)

PLACES = [f"art://n{i}:v1" for i in range(8)]


def graph_of(edges: set[tuple[str, str]], start: str = PLACES[0]) -> Graph:
    nodes = (Node(uri=uri, kind="artifact", type="artifact", name=uri) for uri in PLACES)
    return Graph(start, tuple(nodes), tuple(Edge(*edge) for edge in sorted(edges)))


# Loops and cycles of any length are among them.
any_edges = st.sets(st.tuples(st.sampled_from(PLACES), st.sampled_from(PLACES)), max_size=30)


def naive(edges: set[tuple[str, str]], start: str, steps: int) -> dict[str, int]:
    """How far each ancestor is, by trying walks of every length."""
    far: dict[str, int] = {}
    at = {start}
    for step in range(1, steps + 1):
        at = {source for source, target in edges if target in at}
        for uri in at - far.keys() - {start}:
            far[uri] = step
    return far


@given(any_edges, st.sampled_from(PLACES))
def test_ancestors_are_what_every_walk_finds(edges: set[tuple[str, str]], start: str):
    found = ancestors(graph_of(edges), start)
    far = naive(edges, start, len(PLACES))
    assert set(found) == set(far)
    assert len(found) == len(set(found))
    assert [far[uri] for uri in found] == sorted(far.values())


@given(any_edges, st.sampled_from(PLACES), st.integers(0, 9))
def test_a_depth_keeps_what_is_that_near(edges: set[tuple[str, str]], start: str, depth: int):
    assert set(ancestors(graph_of(edges), start, depth=depth)) == set(naive(edges, start, depth))


@given(any_edges, st.sampled_from(PLACES))
def test_descendants_are_ancestors_of_the_graph_turned_round(edges: set[tuple[str, str]], start: str):
    turned = {(target, source) for source, target in edges}
    assert set(descendants(graph_of(edges), start)) == set(ancestors(graph_of(turned), start))


@given(any_edges, st.sampled_from(PLACES), st.sampled_from(PLACES))
def test_an_ancestor_has_it_as_a_descendant(edges: set[tuple[str, str]], one: str, other: str):
    graph = graph_of(edges)
    assert (one in ancestors(graph, other)) == (other in descendants(graph, one))


@given(any_edges)
def test_roots_and_leaves_are_ends(edges: set[tuple[str, str]]):
    graph = graph_of(edges)
    assert set(roots(graph)) == set(PLACES) - {target for _, target in edges}
    assert set(leaves(graph)) == set(PLACES) - {source for source, _ in edges}
    assert all(not ancestors(graph, uri) for uri in roots(graph))
    assert all(not descendants(graph, uri) for uri in leaves(graph))


def test_a_cycle_ends():
    graph = graph_of({(PLACES[0], PLACES[1]), (PLACES[1], PLACES[2]), (PLACES[2], PLACES[0])})
    assert ancestors(graph, PLACES[0]) == (PLACES[2], PLACES[1])
    assert descendants(graph, PLACES[0]) == (PLACES[1], PLACES[2])


def test_a_chain_longer_than_the_stack_is_walked():
    uris = [f"art://n:v{i}" for i in range(1, 20_001)]
    nodes = tuple(Node(uri=uri, kind="artifact", type="artifact", name="n") for uri in uris)
    graph = Graph(uris[-1], nodes, tuple(map(Edge, uris, uris[1:])))
    assert len(ancestors(graph, uris[-1])) == 19_999
    assert ancestors(graph, uris[-1])[-1] == uris[0]
    assert descendants(graph, uris[0], depth=2) == tuple(uris[1:3])


@pytest.mark.parametrize("ask", [ancestors, descendants])
def test_a_node_that_is_not_there_is_not_found(ask):
    with pytest.raises(NotFoundError):
        ask(graph_of(set()), "art://other:v1")


@pytest.mark.parametrize("ask", [ancestors, descendants])
def test_a_negative_depth_is_refused(ask):
    with pytest.raises(MisuseError, match="Invalid depth: -1"):
        ask(graph_of(set()), PLACES[0], depth=-1)


def test_shortest_paths_are_all_of_them_and_the_shortest() -> None:
    pairs = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "e"), ("a", "x"), ("x", "y"), ("y", "d")]
    uris = sorted({end for pair in pairs for end in pair})
    nodes = tuple(Node(uri=uri, kind="artifact", type="T", name=uri) for uri in uris)
    graph = Graph("e", nodes, tuple(Edge(*pair) for pair in pairs))
    assert set(shortest_paths(graph, "a", "e")) == {("a", "b", "d", "e"), ("a", "c", "d", "e")}
    assert len(shortest_paths(graph, "a", "e", most=1)) == 1
    assert shortest_paths(graph, "a", "a") == (("a",),)
    assert shortest_paths(graph, "e", "a") == ()


@given(any_edges, st.sets(st.sampled_from(PLACES)))
def test_what_is_left_out_loses_no_connection(edges: set[tuple[str, str]], kept: set[str]):
    graph = graph_of(edges)
    found = only(graph, lambda node: node.uri in kept)
    assert {node.uri for node in found} == kept | {graph.uri}
    for uri in kept:
        assert set(ancestors(found, uri)) == {one for one in ancestors(graph, uri) if one in found}
    direct = {edge for edge in found.edges if edge.role != "via"}
    assert direct == {edge for edge in graph.edges if edge.source in found and edge.target in found}


def test_a_run_is_kept_with_what_it_made():
    a, b, c, *_ = PLACES
    nodes = [Node(uri=uri, kind="artifact", type=uri, name=uri) for uri in (c, b, a)]
    runs = [Node(uri=f"run://{one}", kind="run", type="run", name=one) for one in "xy"]
    edges = (Edge(a, b), Edge(b, c), Edge("run://x", b, "run"), Edge("run://y", a, "run"))
    found = only(Graph(c, (*nodes, *runs), edges), lambda node: node.uri == a)
    assert [node.uri for node in found] == [c, a, "run://y"]
    assert set(found.edges) == {Edge(a, c, "via"), Edge("run://y", a, "run")}


@pytest.mark.parametrize("asked", ["ModelArtifact", "model", "MODEL", "modelartifact"])
def test_a_type_is_named_as_people_do(asked: str):
    model = Node(uri="art://m:v1", kind="artifact", type="ModelArtifact", name="m")
    assert of_type([asked])(model)
    assert not of_type([asked])(Node(uri="art://m:v1", kind="missing", type="ModelArtifact", name="m"))
    assert of_type(["missing"])(Node(uri="art://m:v1", kind="missing", type="artifact", name="m"))
    assert of_type(["artifact"])(Node(uri="art://m:v1", kind="artifact", type="artifact", name="m"))


def lineage_of(edges: set[tuple[str, str]], start: str) -> Graph:
    """As it is collected upwards: what is reached, and the edges between."""
    whole = graph_of(edges, start)
    here = {start, *ancestors(whole, start)}
    nodes = tuple(node for node in whole if node.uri in here)
    return Graph(start, nodes, tuple(edge for edge in whole.edges if {edge.source, edge.target} <= here))


@given(any_edges, st.sampled_from(PLACES), st.sampled_from(PLACES))
def test_what_is_shared_is_in_both_and_says_how_far(edges: set[tuple[str, str]], one: str, other: str):
    graph = graph_of(edges)
    found = shared(lineage_of(edges, one), lineage_of(edges, other))
    both = {one, *ancestors(graph, one)} & {other, *ancestors(graph, other)}
    assert {each.node.uri for each in found} == both
    for each in found:
        for start, steps in zip((one, other), each.steps, strict=True):
            assert steps == {start: 0, **naive(edges - {(start, start)}, start, 8)}[each.node.uri]
        made = {target for source, target in edges if source == each.node.uri} - {each.node.uri}
        assert each.nearest == made.isdisjoint(both)
    turned = {(target, source) for source, target in edges}
    down = shared(lineage_down(turned, one), lineage_down(turned, other), "down")
    assert [(each.node.uri, each.steps, each.nearest) for each in down] == [
        (each.node.uri, each.steps, each.nearest) for each in found
    ]


def lineage_down(edges: set[tuple[str, str]], start: str) -> Graph:
    whole = graph_of(edges, start)
    here = {start, *descendants(whole, start)}
    nodes = tuple(node for node in whole if node.uri in here)
    return Graph(start, nodes, tuple(edge for edge in whole.edges if {edge.source, edge.target} <= here))
