"""Tools that know only manifest roots read what this kit writes."""

import json
import logging

import pytest

from nemotron.kit.errors import DiskFullError, UnavailableError
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.local import LocalStore
from nemotron.kit.testing.faults import Fault, FaultyStore


def naive(root, name, version="latest"):
    """What such a tool does, in its few lines: (manifest, metadata)."""
    if version == "latest":
        version = (root / name / "latest").read_text()
    folder = root / name / version
    return json.loads((folder / "manifest.json").read_text()), json.loads(
        (folder / "metadata.json").read_text()
    )


def test_a_reference(publish, root, data):
    publish(
        "nano3/data",
        type="PretrainDataArtifact",
        metadata={"total_tokens": 3, "blend": data / "part.txt"},
        used_artifacts=("base:v2",),
        inputs=("hf://x",),
        producer="job-7",
    )
    manifest, metadata = naive(root, "nano3-data")
    assert manifest["name"] == "nano3-data"
    assert (manifest["version"], manifest["type"], manifest["path"]) == (1, "PretrainDataArtifact", str(data))
    assert (manifest["inputs"], manifest["used_artifacts"]) == (["hf://x"], ["base:v2"])
    assert manifest["producer"] == "job-7"
    assert manifest["metadata"] == {"total_tokens": 3, "blend": str(data / "part.txt")}
    assert metadata["path"] == str(data)
    assert metadata["metadata"] == manifest["metadata"]
    assert metadata["total_tokens"] == 3
    assert metadata["name"] == "nano3/data"
    assert metadata["created_at"] == manifest["created_at"]
    assert metadata["tracking"]["artifact_id"] == "nano3-data:v1"
    assert metadata["tracking"]["used_artifacts"] == ["base:v2"]


def test_the_hint_is_a_version_without_a_newline(publish, root):
    for step in (1, 2, 3):
        publish(metadata={"step": step})
        assert (root / "m/latest").read_bytes() == f"v{step}".encode()
        assert naive(root, "m")[0]["metadata"] == {"step": step}


def test_a_snapshots_path_is_its_checkout(publish, root, data, opened):
    publish(snapshot=True, metadata={"blend": data / "part.txt"})
    manifest, metadata = naive(root, "m")
    assert manifest["path"] == ".kit/checkouts/m/v1"  # relative: it moves with the root
    assert metadata["path"] == str(root / ".kit/checkouts/m/v1")
    assert metadata["metadata"]["blend"] == str(root / ".kit/checkouts/m/v1/part.txt")
    folder = opened().folder(opened().resolve("m"))
    assert json.loads((folder / "metadata.json").read_text()) == metadata


def test_metadata_does_not_overwrite_what_the_reader_looks_for(publish, root, data):
    publish(metadata={"path": "/elsewhere", "type": "other", "tracking": 3, "mine": 1})
    metadata = naive(root, "m")[1]
    assert metadata["path"] == str(data)
    assert metadata["type"] == "artifact"
    assert metadata["tracking"]["artifact_id"] == "m:v1"
    assert metadata["mine"] == 1
    assert metadata["metadata"]["path"] == "/elsewhere"


@pytest.mark.parametrize("call", [1, 2])
@pytest.mark.parametrize("error", [UnavailableError, DiskFullError])
def test_a_companion_that_can_not_be_written_is_a_warning(root, data, opened, caplog, call, error):
    fault = Fault("before", call=call, methods=frozenset({"replace"}), error=error)
    registry = Registry(FaultyStore(LocalStore(root), fault))
    with caplog.at_level(logging.WARNING):
        published = registry.publish(Draft(name="m", source=data))
    assert published.created
    assert "art://m:v1 is published; files beside it are not" in caplog.text
    assert opened().resolve("m").version == 1
    assert opened().publish(Draft(name="m", source=data, metadata={"x": 1})).record.version == 2
    assert (root / "m/latest").read_text() == "v2"
