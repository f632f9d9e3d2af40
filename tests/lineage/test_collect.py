"""Lineage out of a store."""

import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.errors import (
    ArtifactNotFoundError,
    ArtifactVersionNotFoundError,
    CorruptError,
    InvalidReferenceError,
    MisuseError,
    NotFoundError,
    PathNotFoundError,
)
from nemotron.kit.lineage.collect import collect
from nemotron.kit.lineage.graph import Edge, Graph, Node
from nemotron.kit.lineage.query import ancestors, descendants
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.memory import MemoryStore


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry.open(tmp_path / "store")


def make(registry: Registry, name: str, *used: str, inputs: tuple[str, ...] = (), **metadata: object) -> str:
    """Publish a version whose content does not matter; its URI."""
    draft = Draft(
        name=name, source="s3://bucket/data", used_artifacts=used, inputs=inputs, metadata=metadata, type="T"
    )
    published = registry.publish(draft)
    assert published.created
    return published.record.uri


@pytest.fixture
def pipeline(registry: Registry) -> Registry:
    """data → base → sft → rl, with eval data and a tokenizer on the side."""
    make(registry, "data", inputs=("hf://datasets/org/corpus", "https://huggingface.co/org/tok"))
    make(registry, "base", "data:v1", loss=2.5)
    make(registry, "sft-data", inputs=("hf://datasets/org/pairs", "https://huggingface.co/org/tok"))
    make(registry, "sft", "base:v1", "sft-data:v1")
    make(registry, "rl", "sft:v1", "data:v1")
    return registry


def uris(graph: Graph) -> list[str]:
    return [node.uri for node in graph]


def pairs(graph: Graph) -> set[tuple[str, str]]:
    return {(edge.source, edge.target) for edge in graph.edges}


def test_up_is_everything_it_was_made_from_nearest_first(pipeline: Registry):
    graph = collect(pipeline, "art://rl:latest")
    assert graph.uri == "art://rl:v1"
    assert uris(graph) == [
        "art://rl:v1",
        "art://sft:v1",
        "art://data:v1",
        "art://base:v1",
        "art://sft-data:v1",
        "hf://datasets/org/corpus",
        "https://huggingface.co/org/tok",
        "hf://datasets/org/pairs",
    ]
    assert pairs(graph) == {
        ("art://sft:v1", "art://rl:v1"),
        ("art://data:v1", "art://rl:v1"),
        ("art://base:v1", "art://sft:v1"),
        ("art://sft-data:v1", "art://sft:v1"),
        ("art://data:v1", "art://base:v1"),
        ("hf://datasets/org/corpus", "art://data:v1"),
        ("https://huggingface.co/org/tok", "art://data:v1"),
        ("hf://datasets/org/pairs", "art://sft-data:v1"),
        ("https://huggingface.co/org/tok", "art://sft-data:v1"),
    }


def test_down_is_everything_that_was_made_of_it(pipeline: Registry):
    graph = collect(pipeline, "data:v1", direction="down")
    assert set(uris(graph)) == {"art://data:v1", "art://base:v1", "art://rl:v1", "art://sft:v1"}
    assert uris(graph)[0] == "art://data:v1"
    assert pairs(graph) == {
        ("art://data:v1", "art://base:v1"),
        ("art://data:v1", "art://rl:v1"),
        ("art://base:v1", "art://sft:v1"),
        ("art://sft:v1", "art://rl:v1"),
    }


def test_down_from_an_external_input_says_what_it_reached(pipeline: Registry):
    graph = collect(pipeline, "hf://datasets/org/pairs", direction="down")
    assert uris(graph) == ["hf://datasets/org/pairs", "art://sft-data:v1", "art://sft:v1", "art://rl:v1"]
    assert graph.root.kind == "external"
    with pytest.raises(NotFoundError, match=r"Nothing in .* was made of hf://datasets/org/other"):
        collect(pipeline, "hf://datasets/org/other", direction="down")


def test_up_from_an_external_input_is_itself_alone(pipeline: Registry):
    assert uris(collect(pipeline, "hf://datasets/org/pairs")) == ["hf://datasets/org/pairs"]


def test_a_node_shows_the_version(pipeline: Registry):
    node = collect(pipeline, "base").root
    assert (node.kind, node.type, node.name, node.version) == ("artifact", "T", "base", 1)
    assert node.path == "s3://bucket/data"
    assert node.metadata == {"loss": 2.5}
    assert node.inputs == ("art://data:v1",)
    assert node.created_at
    assert (node.withdrawn, node.note) == (None, None)


@pytest.mark.parametrize("direction", ["up", "down"])
def test_depth_cuts_and_keeps_every_edge_between_what_is_left(pipeline: Registry, direction):
    full = collect(pipeline, "data" if direction == "down" else "rl", direction=direction)
    for depth in range(5):
        cut = collect(pipeline, full.uri, direction=direction, depth=depth)
        reach = ancestors if direction == "up" else descendants
        assert set(uris(cut)) == {full.uri, *reach(full, full.uri, depth=depth)}
        assert pairs(cut) == {edge for edge in pairs(full) if set(edge) <= set(uris(cut))}


def test_what_lies_beyond_the_depth_is_still_named_as_input(pipeline: Registry):
    graph = collect(pipeline, "sft", depth=0)
    assert graph.root.inputs == ("art://base:v1", "art://sft-data:v1")
    assert graph.edges == ()


def test_any_reference_will_do(pipeline: Registry):
    pipeline.alias("rl", "production", 1)
    assert uris(collect(pipeline, "art://rl:production")) == uris(collect(pipeline, "rl"))
    assert uris(collect(pipeline, "art://rl:v1/some/file")) == uris(collect(pipeline, "rl"))


def test_a_path_inside_is_looked_up_in_what_was_published_not_in_the_data(registry: Registry, tmp_path):
    data = tmp_path / "shards"
    data.mkdir()
    (data / "part-0.bin").write_text("x")
    (data / "part-0.idx").write_text("x")
    registry.publish(Draft(name="local", source=data))
    shutil.rmtree(data)
    for inside in ("part-0.bin", "part-0"):
        assert uris(collect(registry, f"art://local:v1/{inside}")) == ["art://local:v1"]
    with pytest.raises(PathNotFoundError, match=r"No part-1\.bin in art://local:v1"):
        collect(registry, "art://local:v1/part-1.bin")


def test_semantic_names_are_their_keys(registry: Registry):
    make(registry, "nano3/pretrain/data")
    make(registry, "model", "nano3/pretrain/data:v1")
    make(registry, "other", "nano3-pretrain-data:v1")
    make(registry, "third", inputs=("art://nano3/pretrain/data:v1/train",))
    for name in ("model", "other", "third"):
        assert uris(collect(registry, name))[1:] == ["art://nano3-pretrain-data:v1"]
    down = collect(registry, "nano3/pretrain/data", direction="down")
    assert set(uris(down)[1:]) == {"art://model:v1", "art://other:v1", "art://third:v1"}


def test_an_input_named_twice_is_one_edge(registry: Registry):
    make(registry, "data")
    make(registry, "model", "data:v1", inputs=("art://data:v1", "art://data:v1/train"))
    graph = collect(registry, "model")
    assert graph.edges == (Edge("art://data:v1", "art://model:v1"),)


def test_a_withdrawn_version_keeps_its_lineage_and_says_why(pipeline: Registry):
    pipeline.withdraw("base:v1", "trained on the test set")
    up = collect(pipeline, "rl")
    assert up.node("art://base:v1").withdrawn == "trained on the test set"
    assert up.node("art://base:v1").kind == "artifact"
    assert "art://data:v1" in uris(up)
    itself = collect(pipeline, "base:v1", direction="down")
    assert uris(itself) == ["art://base:v1", "art://sft:v1", "art://rl:v1"]
    assert collect(pipeline, "base:v1").root.withdrawn == "trained on the test set"


def test_a_withdrawn_descendant_is_shown(pipeline: Registry):
    pipeline.withdraw("sft:v1", "bad")
    down = collect(pipeline, "base", direction="down")
    assert uris(down) == ["art://base:v1", "art://sft:v1", "art://rl:v1"]
    assert down.node("art://sft:v1").withdrawn == "bad"


def test_an_input_that_is_not_in_the_store_is_missing(registry: Registry):
    make(registry, "model", "gone:v3", "unpinned", "aliased:prod", "not a name:v1")
    graph = collect(registry, "model")
    gone = graph.node("art://gone:v3")
    assert (gone.kind, gone.name, gone.version) == ("missing", "gone", 3)
    assert gone.note == f"not in {registry.root}"
    assert graph.node("art://unpinned").note == "no version was recorded"
    assert graph.node("art://aliased:prod").note == "no version was recorded"
    odd = graph.node("art://not a name:v1")
    assert odd.kind == "missing"
    assert odd.note is not None
    assert odd.note.startswith("Invalid art:// URI")


def test_an_artifact_of_weights_and_biases_is_external(registry: Registry):
    make(registry, "model", "team/project/data:v7")
    node = collect(registry, "model").nodes[1]
    assert (node.uri, node.kind, node.type) == ("art://team/project/data:v7", "external", "wandb")
    assert (node.name, node.version) == ("team/project/data", 7)


def test_an_artifact_of_weights_and_biases_is_not_mixed_up_with_a_key_of_the_store(registry: Registry):
    make(registry, "team-project-data")
    make(registry, "model", "team/project/data:v1")
    assert collect(registry, "model").nodes[1].kind == "external"


def test_an_absolute_path_is_external(registry: Registry):
    make(registry, "model", inputs=("art:///data/run1", "/data/run2", "corpus"))
    graph = collect(registry, "model")
    assert {node.uri: node.kind for node in graph.nodes[1:]} == {
        "art:///data/run1": "external",
        "/data/run2": "external",
        "corpus": "external",
    }
    assert uris(collect(registry, "/data/run2", direction="down")) == ["/data/run2", "art://model:v1"]


def test_a_damaged_manifest_is_missing_and_spoils_nothing(pipeline: Registry):
    for name in ("base", "sft-data"):
        Path(pipeline.root, name, "v1", "manifest.json").write_bytes(b"{")
    graph = collect(Registry.open(pipeline.root), "rl")
    assert graph.node("art://base:v1").kind == "missing"
    assert "is damaged" in (graph.node("art://base:v1").note or "")
    assert "hf://datasets/org/corpus" in uris(graph)
    down = collect(Registry.open(pipeline.root), "data", direction="down")
    assert set(uris(down)) == {"art://data:v1", "art://rl:v1"}


def test_the_damaged_version_itself_is_an_error(pipeline: Registry):
    Path(pipeline.root, "base", "v1", "manifest.json").write_bytes(b"{")
    with pytest.raises(CorruptError):
        collect(Registry.open(pipeline.root), "base:v1")


def test_a_manifest_of_a_newer_kit_is_missing(pipeline: Registry):
    path = Path(pipeline.root, "base", "v1", "manifest.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99}))
    note = collect(Registry.open(pipeline.root), "rl").node("art://base:v1").note or ""
    assert "upgrade" in note


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_manifest_that_may_not_be_read_is_missing(pipeline: Registry):
    Path(pipeline.root, "base", "v1", "manifest.json").chmod(0)
    note = collect(Registry.open(pipeline.root), "rl").node("art://base:v1").note or ""
    assert "Cannot read" in note


def test_a_damaged_tombstone_is_still_a_withdrawal(pipeline: Registry):
    pipeline.withdraw("base:v1", "why")
    Path(pipeline.root, "base", "v1", "tombstone.json").write_bytes(b"")
    assert "can't be read" in (collect(pipeline, "rl").node("art://base:v1").withdrawn or "")


def test_what_is_not_there_is_not_found(pipeline: Registry):
    with pytest.raises(ArtifactNotFoundError):
        collect(pipeline, "nothing")
    with pytest.raises(ArtifactVersionNotFoundError):
        collect(pipeline, "rl:v9")
    with pytest.raises(InvalidReferenceError):
        collect(pipeline, "art://../x")


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_wrong_call_is_refused(pipeline: Registry, direction):
    with pytest.raises(MisuseError, match="Unknown direction: 'sideways'"):
        collect(pipeline, "rl", direction="sideways")  # type: ignore[arg-type]
    with pytest.raises(MisuseError, match="Invalid depth"):
        collect(pipeline, "rl", direction=direction, depth=-1)


def test_a_cycle_between_versions_ends(registry: Registry):
    make(registry, "a", "b:v1")
    make(registry, "b", "a:v1")
    for direction in ("up", "down"):
        graph = collect(registry, "a", direction=direction)
        assert pairs(graph) == {("art://a:v1", "art://b:v1"), ("art://b:v1", "art://a:v1")}


def test_the_next_version_sees_what_another_process_published(pipeline: Registry):
    other = Registry.open(pipeline.root)
    make(other, "base", "data:v1", loss=2.0)
    down = collect(pipeline, "data", direction="down", depth=1)
    assert set(uris(down)) == {"art://data:v1", "art://base:v1", "art://base:v2", "art://rl:v1"}


NAMES = [f"n{i}" for i in range(5)]
ALL = st.sampled_from(["hf://x", "art://gone:v1", *(f"art://{name}:v1" for name in NAMES)])


@given(st.lists(st.sets(ALL, max_size=4), min_size=5, max_size=5), st.integers(0, 4), st.integers(0, 5))
def test_collecting_agrees_with_the_graph_of_all(made_from: list[set[str]], at: int, depth: int):
    registry = Registry(MemoryStore())
    for name, inputs in zip(NAMES, made_from, strict=True):
        used = tuple(uri.removeprefix("art://") for uri in sorted(inputs) if uri.startswith("art://"))
        make(registry, name, *used, inputs=tuple(uri for uri in inputs if uri == "hf://x"))
    edges = {(uri, f"art://{name}:v1") for name, ins in zip(NAMES, made_from, strict=True) for uri in ins}
    everything = {f"art://{name}:v1" for name in NAMES} | {source for source, _ in edges}
    nodes = (Node(uri=uri, kind="artifact", type="T", name=uri) for uri in sorted(everything))
    start = f"art://{NAMES[at]}:v1"
    full = Graph(start, tuple(nodes), tuple(Edge(*edge) for edge in sorted(edges)))
    up, down = collect(registry, start, depth=depth), collect(registry, start, direction="down", depth=depth)
    assert set(uris(up)[1:]) == set(ancestors(full, start, depth=depth))
    assert set(uris(down)[1:]) == set(descendants(full, start, depth=depth))
    for graph in (up, down):
        assert pairs(graph) == {edge for edge in edges if set(edge) <= set(uris(graph))}


def roles(graph: Graph) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for edge in graph.edges:
        found.setdefault(edge.source, []).append(edge.role)
    return found


def test_roles_are_known_by_what_things_are(registry: Registry) -> None:
    for name, type_ in (("base", "ModelArtifact"), ("text", "PretrainDataArtifact"), ("other", "T")):
        registry.publish(Draft(name=name, source="s3://b/x", type=type_))
    draft = Draft(
        name="model",
        source="s3://b/x",
        type="ModelArtifact",
        used_artifacts=("base:v1", "text:v1", "other:v1", "gone:v1"),
        inputs=("hf://datasets/org/a@v2", "https://huggingface.co/org/tok"),
        metadata={"tokenizer_uri": "https://huggingface.co/org/tok"},
    )
    registry.publish(draft)
    graph = collect(registry, "model")
    assert roles(graph) == {
        "art://base:v1": ["base_model"],
        "art://text:v1": ["data"],
        "art://other:v1": ["input"],
        "art://gone:v1": ["input"],
        "hf://datasets/org/a@v2": ["data"],
        "https://huggingface.co/org/tok": ["tokenizer"],
    }
    assert graph.node("hf://datasets/org/a@v2").metadata == {"revision": "v2"}


def test_what_was_said_of_an_input_is_on_its_edges(registry: Registry) -> None:
    make(registry, "text")
    edges = (
        InputEdge(uri="art://text:v1", role="data", split="train", weight=0.75),
        InputEdge(uri="art://text:v1", role="eval", split="valid"),
        InputEdge(uri="art://nowhere:v1", role="data"),
    )
    published = registry.publish(
        Draft(name="model", source="s3://b/x", used_artifacts=("text:v1",), edges=edges)
    )
    for _ in range(2):  # read from the manifest, then from the index
        graph = collect(registry, "model")
        assert [(edge.role, edge.said) for edge in graph.edges] == [("data", edges[0]), ("eval", edges[1])]
    again = Draft(name="model", source="s3://b/x", used_artifacts=("text:v1",), edges=edges[::-1])
    assert not registry.publish(again).created
    other = Draft(name="model", source="s3://b/x", used_artifacts=("text:v1",), edges=edges[:1])
    assert registry.publish(other).created
    assert published.record.manifest.edges == edges
