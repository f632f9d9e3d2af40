"""NetworkX reads it back, whatever the text."""

from io import BytesIO
from xml.etree import ElementTree

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.exporters import graphml
from nemotron.kit.lineage.graph import Edge, Graph, Node

TEXT = st.text(alphabet=st.characters(codec=None), max_size=30)


def read(graph: Graph) -> nx.MultiDiGraph:
    return nx.read_graphml(BytesIO(graphml.write(graph).encode()), force_multigraph=True)


def unescaped(text: str) -> str:
    """What an id stands for."""
    out, at = "", 0
    while at < len(text):
        if text[at] != "\\":
            out, at = out + text[at], at + 1
        elif text[at + 1] == "\\":
            out, at = out + "\\", at + 2
        else:
            out, at = out + chr(int(text[at + 2 : at + 6], 16)), at + 6
    return out


def test_nodes_edges_and_what_is_known_of_them() -> None:
    said = InputEdge(uri="hf://web", role="data", split="train", token_range=(0, 10), tokens=10, weight=0.5)
    model = Node(
        uri="art://m:v3",
        kind="artifact",
        type="ModelArtifact",
        name="m",
        version=3,
        metadata={"step": 1, "x": [1.5]},
    )
    web = Node(uri="hf://web", kind="external", type="external", name="hf://web")
    twice = (Edge(web.uri, model.uri, "data", said), Edge(web.uri, model.uri, "eval"))
    found = read(Graph(model.uri, (model, web), twice))
    assert found.is_directed()
    assert found.nodes["art://m:v3"] == {
        **{"kind": "artifact", "type": "ModelArtifact", "name": "m", "version": 3, "asked": True},
        "metadata": '{"step": 1, "x": [1.5]}',
    }
    assert found.nodes["hf://web"] == {"kind": "external", "type": "external", "name": "hf://web"}
    assert [(one, other) for one, other in found.edges()] == [("hf://web", "art://m:v3")] * 2
    first, second = (use for _, _, use in found.edges(data=True))
    assert first == {"role": "data", "split": "train", "tokens": 10, "token_range": "[0, 10]", "weight": 0.5}
    assert second == {"role": "eval"}
    assert nx.ancestors(found, "art://m:v3") == {"hf://web"}


@given(TEXT, TEXT)
def test_any_text_comes_back(one: str, other: str) -> None:
    uris = [f"art://{one}", f"s3://{other}"]
    nodes = tuple(
        Node(uri=uri, kind="artifact", type=one, name=other, note=one, metadata={one: other}) for uri in uris
    )
    found = read(Graph(uris[0], nodes, (Edge(uris[1], uris[0], other),)))
    assert [unescaped(uri) for uri in found.nodes] == uris
    for _, said in found.nodes(data=True):
        assert [unescaped(said.get(key, "")) for key in ("type", "name", "note")] == [one, other, one]


@pytest.mark.parametrize(
    "pair", [("\x00", "\\u0000"), ("\\", "\\\\"), ("\ud800", "\\ud800"), ("a\nb", "a b")]
)
def test_two_ids_stay_two(pair: tuple[str, str]) -> None:
    nodes = tuple(Node(uri=uri, kind="external", type="external", name=uri) for uri in pair)
    assert len(read(Graph(pair[0], nodes))) == 2


def test_it_names_its_schema() -> None:
    node = Node(uri="art://m:v3", kind="artifact", type="T", name="m")
    root = ElementTree.fromstring(graphml.write(Graph(node.uri, (node,))))
    assert root.tag == "{http://graphml.graphdrawing.org/xmlns}graphml"


@given(st.lists(TEXT.filter(bool), max_size=2))
def test_what_is_to_be_known_of_the_whole_is_the_graphs_own(notes: list[str]) -> None:
    node = Node(uri="art://m:v3", kind="artifact", type="T", name="m")
    found = read(Graph(node.uri, (node,), notes=tuple(notes)))
    assert unescaped(found.graph.get("notes", "")) == "\n".join(notes)
