"""What artifacts were made from that is in no store: W&B's alone, an older tool's, what is gone, datasets."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from nemotron.kit.errors import ArtifactNotFoundError, NotFoundError
from nemotron.kit.exporters import FORMATS, export
from nemotron.kit.lineage.collect import collect
from nemotron.kit.lineage.questions import impact
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

DATA, BASE = "art://team/project/data:v7", "art://team/project/base:v2"
# OpenLineage names a dataset by a namespace and a name, never by its URI.
WITH_URIS = [to for to in FORMATS if to != "openlineage"]


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """`model` v1, made of two artifacts of W&B, a version that is gone, and a dataset."""
    registry = Registry.open(tmp_path / "store")
    draft = Draft(
        name="model",
        source="s3://bucket/model",
        type="ModelArtifact",
        used_artifacts=("team/project/data:v7", "team/project/base:v2", "gone:v3"),
        inputs=("hf://datasets/org/name",),
        metadata={"base_model": BASE},
    )
    registry.publish(draft)
    return registry


def test_a_graph_tells_them_apart(registry: Registry) -> None:
    graph = collect(registry, "model")
    assert {node.uri: (node.kind, node.type) for node in graph.nodes[1:]} == {
        DATA: ("external", "wandb"),
        BASE: ("external", "wandb"),
        "art://gone:v3": ("missing", "artifact"),
        "hf://datasets/org/name": ("external", "external"),
    }
    # Of an artifact that only W&B has, nobody here knows whether it is data; a field may say what it was for.
    assert {edge.source: edge.role for edge in graph.edges} == {
        DATA: "input",
        BASE: "base_model",
        "art://gone:v3": "input",
        "hf://datasets/org/name": "data",
    }


@pytest.mark.parametrize("to", WITH_URIS)
def test_an_export_has_each_of_them_as_what_it_is(registry: Registry, to: str) -> None:
    text = export(collect(registry, "model"), to)
    for uri in (DATA, BASE, "art://gone:v3", "hf://datasets/org/name"):
        spelt = {"mermaid": uri.replace(":", "#58;"), "prov": quote(uri, safe="")}.get(to, uri)
        assert spelt in text
    assert all(kind in text for kind in ("wandb", "missing", "external"))


def test_what_was_made_of_an_artifact_of_weights_and_biases_is_known(registry: Registry) -> None:
    assert [node.uri for node in collect(registry, DATA, direction="down")] == [DATA, "art://model:v1"]
    assert [hit.node.uri for hit in impact(registry, "team/project/data:v7")] == ["art://model:v1"]
    other = "art://team/project/data:v8"
    for ask in (lambda: collect(registry, other, direction="down"), lambda: impact(registry, other)):
        with pytest.raises(NotFoundError, match=rf"Nothing in .* was made of {other}"):
            ask()
    for ref in (DATA, "art://team/project/data"):  # what it was made from, or which version is meant
        with pytest.raises(ArtifactNotFoundError):
            collect(registry, ref)


def test_what_an_older_tool_used_is_in_the_graph_whether_it_is_there_or_not(tmp_path: Path) -> None:
    folder = tmp_path / "store" / "model" / "v1"
    folder.mkdir(parents=True)
    used = ["data:v4", "team/project/data:v7"]
    manifest = {"name": "model", "version": 1, "type": "model", "path": str(tmp_path), "metadata": {}}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "used_artifacts": used}))
    graph = collect(Registry.open(tmp_path / "store"), "model")
    assert {node.uri: node.kind for node in graph.nodes[1:]} == {"art://data:v4": "missing", DATA: "external"}
    assert "art#58;//data#58;v4<br/>missing" in export(graph, "mermaid")
    assert json.loads(export(graph, "json"))["nodes"][1]["note"].startswith("not in ")
