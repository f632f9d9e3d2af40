"""What other readers of a store find in it: fields of documents, and defaults of stand-in configs."""

import json
from pathlib import Path

from nemotron import kit
from nemotron.kit import megatron_stub

MANIFEST = [
    "name",
    "version",
    "type",
    "path",
    "created_at",
    "producer",
    "metadata",
    "inputs",
    "used_artifacts",
]
METADATA = ["path", "type", "metadata", "created_at", "producer", "tracking", "name"]


def test_a_version_on_disk(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with kit.using(root=tmp_path / "store"):
        model = kit.ModelArtifact(path=data, step=3, final_loss=float("nan")).save(name="m")
    assert model.uri == "art://m:v1"
    assert (model._name, model._version, model._used_artifacts) == ("m", 1, [])
    assert model._get_output_dir() == data
    folder = tmp_path / "store/m/v1"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(MANIFEST) <= set(manifest)
    assert (manifest["name"], manifest["version"], manifest["type"]) == ("m", 1, "ModelArtifact")
    assert (folder.parent / "latest").read_bytes() == b"v1"
    assert (folder / "metadata.json").exists()
    text = (data / "metadata.json").read_text()
    told = json.loads(text)
    assert [*METADATA, "step", "final_loss"] == list(told)
    assert (told["metadata"]["step"], told["step"], told["tracking"]["artifact_id"]) == (3, 3, "m:v1")
    assert "NaN" in text
    assert text.startswith('{\n  "path": ')


def test_a_checkpoint_on_disk(tmp_path: Path) -> None:
    from nemo_runspec.manifest_tracker import ManifestTracker

    (tmp_path / "iter_0000007").mkdir()
    ManifestTracker(tmp_path / "store").log_model_checkpoint("ckpt", tmp_path / "iter_0000007", 7)
    manifest = json.loads((tmp_path / "store/ckpt/v1/manifest.json").read_text())
    assert manifest["type"] == "model"
    assert manifest["metadata"] == {"iteration": 7, "absolute_path": str(tmp_path / "iter_0000007")}


def test_the_stand_in_configs() -> None:
    config = megatron_stub.ConfigContainer()
    assert list(vars(config)) == ["data", "model", "optimizer", "training", "checkpoint"]
    said = vars(config.checkpoint)
    assert said == {"dir": Path("checkpoints"), "save_on_train_end": True, "resume_from": None}
