"""The real client without a network: what its transaction log holds."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nemotron import kit
from nemotron.kit.errors import NotInitializedError, UnavailableError
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


@pytest.mark.parametrize("mode", ["online", "offline"])
@pytest.mark.parametrize("others", [{}, {"openlineage": "events.jsonl"}])
def test_w_and_b_alone_without_a_run_warns_and_what_was_known_can_be_saved_in_one(
    real_wandb: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    mode: str,
    others: dict[str, Any],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    kit.init(backend="wandb", wandb_project="proj", **others)
    model = kit.ModelArtifact(path=tmp_path / "model", step=10, loss=1.5)
    model.save(name="org/m")
    said = [text for text in caplog.messages if "No active W&B run" in text]
    assert [text.partition(" is not recorded")[0] for text in said] == ["org/m"]
    told = (
        " by WandbTracker, only told to OpenLineageTracker; metadata.json is" if others else ", only metadata"
    )
    assert said[0].startswith(f"org/m is not recorded{told}")
    assert "wandb.init(project='proj')" in said[0]
    assert "kit.init(root=" in said[0]
    with pytest.raises(NotInitializedError, match="No active W&B run") as refused:
        WandbTracker().log_artifact(model, "org/m", [])
    assert isinstance(refused.value, RuntimeError)
    assert model.uri is None
    assert (model.tracking and model.tracking.artifact_id) is None

    # What was known of it is beside the data, and is enough to go on from.
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = real_wandb.init(project="proj")
    again = kit.Artifact.load(tmp_path / "model")
    assert again.save().tracking.run_id == run.id
    assert (again.name, again.metrics) == ("org/m", {"step": 10.0, "final_loss": 1.5})
    real_wandb.finish()
    caplog.clear()
    again.save(name="another")
    assert "another is not recorded" in caplog.text


@pytest.mark.parametrize("others", [{}, {"openlineage": "events.jsonl"}])
@pytest.mark.parametrize("how", ["environment", "run"])
def test_disabled_it_records_nothing_and_stops_nothing(
    real_wandb: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    others: dict[str, Any],
) -> None:
    monkeypatch.chdir(tmp_path)
    kit.init(backend="wandb", wandb_project="proj", **others)
    model = kit.ModelArtifact(path=tmp_path / "model", step=10)
    if how == "environment":
        monkeypatch.setenv("WANDB_MODE", "disabled")
        assert model.save(name="m").uri is None
    else:
        with real_wandb.init(project="proj", mode="disabled"):
            assert model.save(name="m").uri is None
        assert model.save(name="n").uri is None
