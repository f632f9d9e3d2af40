"""The kit's own artifacts through the doors, with W&B alone and behind a store."""

from pathlib import Path
from types import ModuleType

import pytest

from nemotron import kit
from nemotron.kit import ModelArtifact, PretrainBlendsArtifact, context
from nemotron.kit.errors import NotFoundError, RefusedError
from nemotron.kit.trackers import InputDatasetInfo
from wandb_server import WandbServer


def folder(path: Path) -> Path:
    path.mkdir()
    (path / "part.bin").write_bytes(b"part")
    return path


def save_data(path: Path) -> PretrainBlendsArtifact:
    data = PretrainBlendsArtifact(
        path=path,
        total_tokens=1000,
        source_datasets=[InputDatasetInfo("hf://nvidia/Nemotron-CC", split="train")],
        tokenizer_uri="https://huggingface.co/nvidia/Nemotron-H-8B",
    )
    data.save(name="nano3/pretrain/data")
    return data


def test_with_w_and_b_alone_the_graph_is_there(
    wandb_server: WandbServer, real_wandb: ModuleType, tmp_path: Path
) -> None:
    kit.init(backend="wandb", wandb_project="proj")
    run = real_wandb.init(project="proj")
    data = save_data(folder(tmp_path / "data"))
    assert data.uri == "art://test-entity/proj/nano3-pretrain-data:v0"
    assert data.producer == run.id
    real_wandb.finish()

    real_wandb.init(project="proj")
    loaded = kit.Artifact.from_uri("art://nano3/pretrain/data")
    assert isinstance(loaded, PretrainBlendsArtifact)
    assert (loaded.uri, loaded.path, loaded.total_tokens) == (data.uri, data.path, 1000)
    model = ModelArtifact(path=folder(tmp_path / "model"), step=10, loss=1.5)
    model.save(name="nano3-model", aliases=["candidate"])
    real_wandb.finish()

    first, second = wandb_server.state.runs.values()
    assert sorted(a.name for a in first.inputs) == [
        "nvidia-Nemotron-CC-train:v0",
        "nvidia-Nemotron-H-8B-tokenizer:v0",
    ]
    assert [a.name for a in first.outputs] == [a.name for a in second.inputs] == ["nano3-pretrain-data:v0"]
    assert [a.name for a in second.outputs] == ["nano3-model:v0"]
    on_server = wandb_server.artifact("nano3-model:candidate")
    assert on_server.type == model.type
    assert (on_server.metadata["step"], on_server.metadata["final_loss"]) == (10, 1.5)
    assert model.tracking is not None
    assert model.tracking.used_artifacts == ["test-entity/proj/nano3-pretrain-data:v0"]


def test_behind_a_store_w_and_b_has_the_same_graph_under_its_own_numbers(
    wandb_server: WandbServer, real_wandb: ModuleType, tmp_path: Path
) -> None:
    kit.init(root=tmp_path / "store", wandb_project="proj")
    real_wandb.init(project="proj")
    save_data(folder(tmp_path / "data"))
    kit.Artifact.from_uri("art://nano3/pretrain/data:latest")
    model = ModelArtifact(path=folder(tmp_path / "model"), step=10)
    model.save(name="nano3-model", aliases=["candidate"])
    assert wandb_server.artifact("nano3-model:v0").aliases == ["candidate", "latest"]
    assert model.uri == "art://nano3-model:v1"
    assert [str(node.uri) for node in kit.lineage_of("nano3-model").nodes if "data" in node.uri]
    run = wandb_server.only_run()
    assert [a.name for a in run.outputs] == ["nano3-pretrain-data:v0", "nano3-model:v0"]
    assert run.inputs[-1].name == "nano3-pretrain-data:v0"


def test_what_the_server_refuses_stops_no_job_that_has_a_store(
    wandb_server: WandbServer, real_wandb: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kit.init(root=tmp_path / "store", wandb_project="proj")
    real_wandb.init(project="proj")
    wandb_server.fail("CreateArtifact", 403)
    model = ModelArtifact(path=folder(tmp_path / "model"), step=10)
    model.save(name="nano3-model")
    assert model.uri == "art://nano3-model:v1"
    (warning,) = [r.getMessage() for r in caplog.records if r.name.startswith("nemotron")]
    assert "WandbTracker did not take it: RefusedError: W&B could not take nano3-model" in warning
    assert wandb_server.names() == []

    kit.shutdown()
    kit.init(backend="wandb", wandb_project="proj")
    wandb_server.fail("CreateArtifact", 403)
    with pytest.raises(RefusedError):
        model.save(name="nano3-model")


def test_without_a_run_it_is_looked_up_and_becomes_an_input_of_the_next_save(
    wandb_server: WandbServer, real_wandb: ModuleType, tmp_path: Path
) -> None:
    kit.init(backend="wandb", wandb_project="proj", wandb_entity="test-entity")
    with real_wandb.init(project="proj"):
        data = save_data(folder(tmp_path / "data"))
    context.current_run().forget()

    for spelling in ("art://nano3/pretrain/data", "art://test-entity/proj/nano3-pretrain-data:v0"):
        loaded = kit.Artifact.from_uri(spelling)
        assert isinstance(loaded, PretrainBlendsArtifact)
        assert (loaded.uri, loaded.path) == (data.uri, data.path)
    with pytest.raises(NotFoundError, match="could not find"):
        kit.Artifact.from_uri("art://nowhere")

    run = real_wandb.init(project="proj")
    ModelArtifact(path=folder(tmp_path / "model"), step=10).save(name="nano3-model")
    on_server = wandb_server.state.run("test-entity", "proj", run.id)
    assert on_server is not None
    assert [artifact.name for artifact in on_server.inputs] == ["nano3-pretrain-data:v0"]
