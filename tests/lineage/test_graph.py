"""The graph as a value."""

import json
from dataclasses import FrozenInstanceError

import pytest

from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.errors import MisuseError, NotFoundError
from nemotron.kit.lineage.graph import Edge, Graph, Node
from nemotron.kit.lineage.query import leaves, roots


def node(uri: str, **fields: object) -> Node:
    return Node(uri=uri, kind="artifact", type="artifact", name=uri, **fields)  # type: ignore[arg-type]


DIAMOND = Graph(
    "d",
    tuple(node(uri) for uri in "dbca"),
    (Edge("b", "d"), Edge("c", "d"), Edge("a", "b"), Edge("a", "c")),
)


def test_it_is_looked_up_by_uri():
    assert DIAMOND.root.uri == "d"
    assert DIAMOND.node("a").uri == "a"
    assert "a" in DIAMOND
    assert "x" not in DIAMOND
    assert len(DIAMOND) == 4
    assert [one.uri for one in DIAMOND] == ["d", "b", "c", "a"]


def test_inputs_and_outputs_are_one_step_away():
    assert [one.uri for one in DIAMOND.inputs("d")] == ["b", "c"]
    assert [one.uri for one in DIAMOND.outputs("a")] == ["b", "c"]
    assert DIAMOND.inputs("a") == ()
    assert DIAMOND.outputs("d") == ()


def test_an_input_with_two_roles_is_one_input():
    graph = Graph("b", (node("b"), node("a")), (Edge("a", "b", "data"), Edge("a", "b", "eval")))
    assert [one.uri for one in graph.inputs("b")] == ["a"]
    assert [one.uri for one in graph.outputs("a")] == ["b"]
    assert [edge.role for edge in graph.edges_to("b")] == ["data", "eval"]
    assert graph.edges_to("b") == graph.edges_from("a")


@pytest.mark.parametrize("ask", ["node", "inputs", "outputs", "edges_to", "edges_from"])
def test_what_is_not_in_it_is_not_found(ask: str):
    with pytest.raises(NotFoundError, match="Not in the lineage of d: x"):
        getattr(DIAMOND, ask)("x")


@pytest.mark.parametrize(
    ("uri", "nodes", "edges"),
    [
        ("x", (node("a"),), ()),
        ("a", (node("a"),), (Edge("a", "x"),)),
        ("a", (node("a"),), (Edge("x", "a"),)),
        ("a", (node("a"), node("a")), ()),
        ("a", (node("a"), node("b")), (Edge("b", "a"), Edge("b", "a"))),
    ],
)
def test_a_graph_that_contradicts_itself_is_refused(
    uri: str, nodes: tuple[Node, ...], edges: tuple[Edge, ...]
):
    with pytest.raises(MisuseError):
        Graph(uri, nodes, edges)


def test_it_is_frozen_and_compares_by_value():
    with pytest.raises(FrozenInstanceError):
        DIAMOND.uri = "a"  # type: ignore[misc]
    assert Graph("a", (node("a"),)) == Graph("a", (node("a"),))
    assert Graph("a", (node("a"),)) != Graph("a", (node("a", note="x"),))


def test_the_document_is_json_with_everything_a_version_is_shown_with():
    model = node(
        "art://m:v2",
        version=2,
        path="/m",
        created_at="2026-01-01T00:00:00+00:00",
        metadata={"loss": 1.5},
        inputs=("art://d:v1", "hf://x/y"),
    )
    graph = Graph(model.uri, (model, node("art://d:v1")), (Edge("art://d:v1", model.uri),))
    document = json.loads(json.dumps(graph.to_document()))
    assert document["uri"] == "art://m:v2"
    assert document["edges"] == [{"from": "art://d:v1", "to": "art://m:v2", "role": "input"}]
    shown = document["nodes"][0]
    assert shown["inputs"] == ["art://d:v1", "hf://x/y"]
    assert shown["metadata"] == {"loss": 1.5}
    assert set(shown) >= {
        "uri",
        "kind",
        "name",
        "version",
        "type",
        "path",
        "created_at",
        "metadata",
        "inputs",
    }


def test_a_run_is_a_node_and_no_input() -> None:
    run = Node(uri="run://1", kind="run", type="run", name="sft")
    graph = Graph("b", (node("b"), node("a"), run), (Edge("a", "b"), Edge(run.uri, "b", "run")))
    assert graph.run_of("b") == run
    assert graph.run_of("a") is None
    assert [one.uri for one in graph.inputs("b")] == ["a"]
    assert graph.outputs(run.uri) == graph.edges_from(run.uri) == ()
    assert (roots(graph), leaves(graph)) == (("a",), ("b",))
    assert graph.to_document()["edges"][1] == {"from": "run://1", "to": "b", "role": "run"}


def test_an_edge_says_which_part_was_taken() -> None:
    said = InputEdge(uri="a", role="data", split="train", weight=0.5, token_range=(0, 9))
    document = Edge("a", "b", "data", said).to_document()
    assert document == {
        **{"from": "a", "to": "b", "role": "data"},
        **{"split": "train", "weight": 0.5, "token_range": [0, 9]},
    }
