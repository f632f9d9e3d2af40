"""The other artifact modules: names, messages, and that nothing is loaded before it is used."""

import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

import nemo_runspec
from nemo_runspec import exceptions, filesystem, manifest_tracker
from nemotron.kit import errors
from nemotron.kit.tracking.protocol import LineageTracker


@pytest.fixture
def tracker(tmp_path: Path) -> manifest_tracker.ManifestTracker:
    return manifest_tracker.ManifestTracker(tmp_path / "store")


def test_the_errors_are_the_kits_own():
    assert exceptions.ArtifactNotFoundError is errors.ArtifactNotFoundError
    assert exceptions.ArtifactVersionNotFoundError is errors.ArtifactVersionNotFoundError


def test_their_messages():
    assert str(exceptions.ArtifactNotFoundError("n")) == "Artifact not found: n"
    assert str(exceptions.ArtifactNotFoundError("n", "gone")) == "gone"
    assert str(exceptions.ArtifactVersionNotFoundError("n", 3)) == "Artifact version not found: n:3"
    assert str(exceptions.ArtifactVersionNotFoundError("n", 3, message="gone")) == "gone"
    assert exceptions.ArtifactVersionNotFoundError("n", 3).version == 3


def test_the_tracker_is_exported_by_the_package():
    assert nemo_runspec.ManifestTracker is manifest_tracker.ManifestTracker
    assert "ManifestTracker" in dir(nemo_runspec)
    with pytest.raises(AttributeError, match="module 'nemo_runspec' has no attribute 'nothing'"):
        _ = nemo_runspec.nothing  # type: ignore[attr-defined]


def test_the_tracker_resolves_and_records(tracker: manifest_tracker.ManifestTracker, tmp_path: Path):
    assert isinstance(tracker, LineageTracker)
    assert tracker.root == str(tmp_path / "store")
    assert tracker.is_active()
    (tmp_path / "iter_0000100").mkdir()
    (tmp_path / "iter_0000100/model.bin").write_bytes(b"0")
    record = tracker.log_model_checkpoint("model", tmp_path / "iter_0000100", 100)
    assert (record["artifact_id"], record["artifact_type"]) == ("model:v1", "model")
    assert tracker.use_artifact("art://model:v1", "model") == tmp_path / "iter_0000100"
    metadata = tracker.registry.resolve("model").metadata
    assert metadata == {"iteration": 100, "absolute_path": str(tmp_path / "iter_0000100")}


def test_a_checkpoint_at_a_url_keeps_its_url(tracker: manifest_tracker.ManifestTracker):
    tracker.log_model_checkpoint("model", "memory://models/iter_7", 7)
    assert tracker.registry.resolve("model").metadata["absolute_path"] == "memory://models/iter_7"


def test_what_the_tracker_does_not_have(tracker: manifest_tracker.ManifestTracker, tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"^Artifact not found: model"):
        tracker.use_artifact("model:v1", "model")
    tracker.log_model_checkpoint("model", tmp_path, 1)
    with pytest.raises(FileNotFoundError, match=r"^Version not found: model:v7"):
        tracker.use_artifact("model:v7", "model")


def test_a_hub_root_must_name_a_repository():
    with pytest.raises(
        ValueError, match=r"^HF Hub root must be 'hf://org/repo' or 'hf://org/repo/subdir', got: hf://org$"
    ):
        manifest_tracker.ManifestTracker("hf://org")


def test_the_file_system_is_the_one_that_fsspec_finds():
    assert fsspec.get_filesystem_class("art") is filesystem.ArtifactFileSystem
    assert filesystem._parse_uri("art://model:v2/a/b.txt") == ("model", 2, "a/b.txt")


def test_importing_the_package_loads_nothing():
    code = (
        "import sys, nemo_runspec\n"
        "assert not [name for name in sys.modules if name.startswith('nemotron')]\n"
        "import nemo_runspec.artifact_registry, nemo_runspec.manifest_tracker, nemo_runspec.exceptions\n"
        "heavy = {'fsspec', 'wandb', 'omegaconf', 'pydantic', 'typer', 'rich', 'numpy', 'pyarrow'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
