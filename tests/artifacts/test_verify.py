"""`Artifact.verify`: what the registry says of the version that an artifact is."""

from pathlib import Path

import pytest

from nemotron.kit import context, start
from nemotron.kit.artifacts import Artifact, ModelArtifact
from nemotron.kit.errors import ArtifactNotFoundError, MisuseError, NotInitializedError
from nemotron.kit.registry.registry import Registry
from nemotron.kit.tracking.file import FileTracker


@pytest.fixture
def model(tmp_path: Path) -> ModelArtifact:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"w" * 100)
    return ModelArtifact(path=folder, step=1)


def test_a_saved_and_a_loaded_artifact(model: ModelArtifact, tmp_path: Path) -> None:
    start.init(root=tmp_path / "store")
    model.save("m", evidence="full")
    for artifact in (model, Artifact.from_uri("art://m"), Artifact.load(model.path)):
        found = artifact.verify()
        assert (found.uri, found.ok, found.evidence, found.bytes_read) == ("art://m:v1", True, "full", 100)
    (model.path / "weights.bin").write_bytes(b"x" * 100)
    assert [(file.path, file.verdict) for file in model.verify().files] == [("weights.bin", "changed")]
    (model.path / "weights.bin").unlink()
    assert model.verify("stat").files[0].verdict == "missing"


def test_a_snapshot_is_verified_in_the_store(model: ModelArtifact, tmp_path: Path) -> None:
    start.init(root=tmp_path / "store")
    model.save("m", snapshot=True)
    (model.path / "weights.bin").unlink()
    assert model.verify().ok


def test_a_registry_that_is_known_by_its_tracker_alone(model: ModelArtifact, tmp_path: Path) -> None:
    context.set_tracker(FileTracker(Registry.open(tmp_path / "store")))
    assert model.save("m").verify().evidence == "stat"


def test_what_is_no_version_is_refused(model: ModelArtifact, tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="is no published version"):
        model.verify()
    start.init(root=tmp_path / "store")
    model.save("m")
    start.shutdown()
    with pytest.raises(NotInitializedError):
        model.verify()
    start.init(root=tmp_path / "other")
    with pytest.raises(ArtifactNotFoundError):
        model.verify()
