"""What a manifest says of its inputs: it comes back, and what can't be read costs no more than itself."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.documents.edge import InputEdge, edges_document, read_edges
from nemotron.kit.documents.manifest import Manifest

texts = st.text(max_size=20)
counts = st.integers(0, 2**63)
edges = st.builds(
    InputEdge,
    uri=texts,
    role=st.none() | texts,
    split=st.none() | texts,
    shards=st.lists(texts, max_size=3).map(tuple),
    tokens=st.none() | counts,
    token_range=st.none() | st.tuples(counts, counts).map(lambda pair: (min(pair), max(pair))),
    weight=st.none() | st.floats(0, 1e300),
    revision=st.none() | texts,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(edges, max_size=4, unique=True))
def test_they_come_back_through_a_manifest(said: list[InputEdge]) -> None:
    manifest = Manifest(name="m", version=1, edges=tuple(said))
    assert Manifest.from_bytes(manifest.to_bytes(), "here").edges == tuple(said)


@given(
    json_values, st.sampled_from(["role", "split", "shards", "tokens", "token_range", "weight", "revision"])
)
def test_a_damaged_field_costs_that_field_alone(value: object, key: str) -> None:
    document = edges_document(
        [InputEdge(uri="art://d:v1", role="data"), InputEdge(uri="art://e:v1", split="a")]
    )
    document["inputs"][0] = {"uri": "art://d:v1", "role": "data", key: value}
    first, second = read_edges(json.loads(json.dumps(document)))
    assert first.uri == "art://d:v1"
    assert key == "role" or first.role == "data"
    assert second == InputEdge(uri="art://e:v1", split="a")


@pytest.mark.parametrize("said", [None, [], "x", {}, {"format_version": 2, "inputs": [{"uri": "a"}]}, 3])
def test_what_is_no_list_of_edges_says_nothing(said: object) -> None:
    assert read_edges(said) == ()


def test_a_manifest_of_a_newer_edge_format_keeps_its_inputs() -> None:
    document = json.loads(Manifest(name="m", version=1, used_artifacts=("d:v1",)).to_bytes())
    document["edges"] = {"format_version": 9, "inputs": {"art://d:v1": "data"}}
    manifest = Manifest.from_bytes(json.dumps(document).encode(), "here")
    assert (manifest.input_uris, manifest.edges) == (["art://d:v1"], ())


def test_a_manifest_without_edges_has_no_such_field() -> None:
    assert "edges" not in json.loads(Manifest(name="m", version=1).to_bytes())


def test_a_weight_that_no_float_can_hold_costs_the_weight_alone() -> None:
    said = {"uri": "art://d:v1", "role": "data", "weight": 10**400}
    assert read_edges({"format_version": 1, "inputs": [said]}) == (InputEdge(uri="art://d:v1", role="data"),)
