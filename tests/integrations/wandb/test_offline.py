"""The real client without a network: what its transaction log holds."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nemotron import kit
from nemotron.kit.errors import UnavailableError
from nemotron.kit.integrations.wandb.tracker import WandbTracker
from wandb_server import read_log

Make = Callable[..., Any]


def test_artifacts_are_written_down_with_their_inputs_as_text(
    offline_wandb: ModuleType, make_thing: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = offline_wandb.init(project="proj")
    tracker = WandbTracker()
    data = make_thing(
        source_datasets=["hf://nvidia/Nemotron-CC"], tokenizer_uri="https://huggingface.co/gpt2"
    )

    record = tracker.log_artifact(data, "nano3/data", [])
    tracker.log_artifact(make_thing("model"), "model", ["team/proj/nano3-data:v4"])

    assert tracker.is_active()
    assert record["artifact_id"] is None
    assert record["run_id"] == run.id
    assert record["source_uris"] == ["hf://nvidia/Nemotron-CC", "https://huggingface.co/gpt2"]
    (warning,) = [r.getMessage() for r in caplog.records if r.name.startswith("nemotron")]
    assert "offline" in warning

    offline_wandb.finish()
    offline_wandb.teardown()  # finish() does not wait for the log
    records = read_log(tmp_path / "wandb-folders")
    artifacts = {r.artifact.name: r.artifact for r in records if r.WhichOneof("record_type") == "artifact"}
    assert list(artifacts) == ["nano3-data", "model"]
    assert artifacts["nano3-data"].type == "PretrainDataArtifact"
    assert list(artifacts["nano3-data"].aliases) == ["latest"]
    assert json.loads(artifacts["nano3-data"].metadata) == {
        "created_at": data.created_at,
        "source_uris": ["hf://nvidia/Nemotron-CC", "https://huggingface.co/gpt2"],
    }
    assert json.loads(artifacts["model"].metadata)["used_artifacts"] == ["team/proj/nano3-data:v4"]
    entries = {entry.path: entry.ref for entry in artifacts["model"].manifest.contents}
    assert entries["output/train/000.bin"] == f"file://{tmp_path}/model/train/000.bin"
    config = [r.config for r in records if r.WhichOneof("record_type") == "config"]
    updates = [json.loads(u.value_json) for c in config for u in c.update if u.key == "artifact_inputs"]
    assert updates[-1] == {
        "nano3-data": {"source_uris": ["hf://nvidia/Nemotron-CC", "https://huggingface.co/gpt2"]},
        "model": {"used_artifacts": ["team/proj/nano3-data:v4"]},
    }


def test_nothing_can_be_loaded(offline_wandb: ModuleType) -> None:
    offline_wandb.init(project="proj")
    with pytest.raises(UnavailableError, match="the run is offline"):
        WandbTracker().use_artifact("art://data:v1", "artifact")


def test_saving_raises_nothing_and_claims_no_version(offline_wandb: ModuleType, tmp_path: Path) -> None:
    kit.init(backend="wandb", wandb_project="proj")
    run = offline_wandb.init(project="proj")
    model = kit.ModelArtifact(path=tmp_path / "model", step=10)
    model.save(name="model")
    assert model.uri is None
    assert model.tracking is not None
    assert (model.tracking.run_id, model.tracking.artifact_id) == (run.id, None)
