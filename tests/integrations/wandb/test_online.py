"""The real client against a server: what arrives there, and what comes back."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nemotron.kit import context
from nemotron.kit.artifacts.inputs import InputDatasetInfo
from nemotron.kit.documents.codec import encode
from nemotron.kit.errors import (
    ConflictError,
    InvalidReferenceError,
    NotFoundError,
    PathNotFoundError,
    RefusedError,
)
from nemotron.kit.integrations.wandb import drafts
from nemotron.kit.integrations.wandb.tracker import WandbTracker
from nemotron.kit.tracking.protocol import LineageTracker, SaveOptions
from nemotron.kit.tracking.run import Run
from wandb_server import WandbServer

Make = Callable[..., Any]

# How clients look for an artifact: the newest by the first, older ones by the second.
LOOKUPS = ("ArtifactMembershipByName", "ArtifactByName")


@pytest.fixture
def run(wandb_server: WandbServer, real_wandb: ModuleType) -> Any:
    return real_wandb.init(project="proj")


@pytest.fixture
def tracker(run: Any) -> WandbTracker:
    tracker = WandbTracker()
    context.set_tracker(tracker)
    return tracker


def test_an_artifact_its_inputs_and_its_edges_are_on_the_server(
    wandb_server: WandbServer,
    run: Any,
    tracker: WandbTracker,
    make_thing: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NEMO_EXPERIMENT_ID", "exp/7")
    thing = make_thing(
        metadata={"total_tokens": 25_000_000_000, "loss": float("nan")},
        source_datasets=[
            InputDatasetInfo("hf://nvidia/Nemotron-CC", split="train", weight=0.5, num_rows=10),
            "s3://bucket/code",
        ],
        tokenizer_uri="https://huggingface.co/nvidia/Nemotron-H-8B",
    )

    record = tracker.log_artifact(thing, "nano3/pretrain/data", [])

    assert isinstance(tracker, LineageTracker)
    assert tracker.is_active()
    assert record == {
        "artifact_id": "test-entity/proj/nano3-pretrain-data:v0",
        "artifact_type": "PretrainDataArtifact",
        "run_id": run.id,
        "url": f"{wandb_server.url}/test-entity/proj/artifacts/PretrainDataArtifact/nano3-pretrain-data/v0",
        "used_artifacts": [],
        "source_uris": [
            "hf://nvidia/Nemotron-CC",
            "s3://bucket/code",
            "https://huggingface.co/nvidia/Nemotron-H-8B",
        ],
        "input_artifact_refs": [
            "test-entity/proj/nvidia-Nemotron-CC-train:v0",
            "test-entity/proj/bucket-code:v0",
            "test-entity/proj/nvidia-Nemotron-H-8B-tokenizer:v0",
        ],
    }
    artifact = wandb_server.artifact("nano3-pretrain-data:v0")
    assert artifact.type == "PretrainDataArtifact"
    assert artifact.aliases == ["exp-7", "latest"]
    assert artifact.metadata == {
        "created_at": thing.created_at,
        "total_tokens": 25_000_000_000,
        "loss": "nan",
    }
    assert artifact.references() == {
        "output/metadata.json": f"file://{thing.path}/metadata.json",
        "output/train/000.bin": f"file://{thing.path}/train/000.bin",
    }
    assert json.loads(artifact.read("metadata.json"))["metadata"]["total_tokens"] == 25_000_000_000

    dataset = wandb_server.artifact("nvidia-Nemotron-CC-train:latest")
    assert (dataset.type, dataset.description) == ("dataset", "Source: hf://nvidia/Nemotron-CC")
    assert dataset.metadata == {
        "source_uri": "hf://nvidia/Nemotron-CC",
        "raw": True,
        "split": "train",
        "weight": 0.5,
        "num_rows": 10,
    }
    assert dataset.references() == {"data": "https://huggingface.co/datasets/nvidia/Nemotron-CC"}
    tokenizer = wandb_server.artifact("nvidia-Nemotron-H-8B-tokenizer:latest")
    assert tokenizer.type == "tokenizer"
    assert tokenizer.references() == {"tokenizer": "https://huggingface.co/nvidia/Nemotron-H-8B"}

    on_server = wandb_server.only_run()
    assert sorted(a.name for a in on_server.inputs) == [  # several are sent at once
        "bucket-code:v0",
        "nvidia-Nemotron-CC-train:v0",
        "nvidia-Nemotron-H-8B-tokenizer:v0",
    ]
    assert on_server.outputs == [artifact]


def test_the_run_of_the_kit_says_on_which_page_it_is(
    run: Any, tracker: WandbTracker, make_thing: Make
) -> None:
    own = Run()
    tracker.bind_run(lambda: own)
    tracker.log_artifact(make_thing(), "data", [])
    assert own.wandb_url == run.url
    assert run.url.endswith(f"/runs/{run.id}")


def test_saved_again_it_is_the_same_version_and_asks_for_no_input_again(
    wandb_server: WandbServer, tracker: WandbTracker, make_thing: Make
) -> None:
    thing = make_thing(source_datasets=["hf://nvidia/Nemotron-CC"])
    first = tracker.log_artifact(thing, "data", [])
    # What Artifact.save writes once it knows where the artifact was recorded.
    file = thing.path / "metadata.json"
    file.write_bytes(encode({**json.loads(file.read_bytes()), "tracking": {"artifact_id": "x:v0"}}))
    asked = len(wandb_server.operations)

    second = tracker.log_artifact(thing, "data", [])

    assert second == first
    assert wandb_server.names() == ["nvidia-Nemotron-CC:v0", "data:v0"]
    assert not {*LOOKUPS, "UseArtifact", "CreateArtifactFiles"} & {*wandb_server.operations[asked:]}


def test_a_known_dataset_costs_two_requests_and_another_source_is_told_apart(
    wandb_server: WandbServer, real_wandb: ModuleType, tracker: WandbTracker, make_thing: Make
) -> None:
    tracker.log_artifact(make_thing(source_datasets=["hf://a/b"]), "first", [])
    real_wandb.finish()
    second_run = real_wandb.init(project="proj")
    tracker.log_artifact(make_thing(), "warm-up", [])
    before = wandb_server.operations.copy()

    known = tracker.log_artifact(make_thing(source_datasets=["hf://a/b"]), "second", [])
    added = wandb_server.operations[len(before) :]

    assert known["input_artifact_refs"] == ["test-entity/proj/a-b:v0"]
    assert sum(added.count(lookup) for lookup in LOOKUPS) == added.count("UseArtifact") == 1
    # `s3://a/b` has the same name and is something else: W&B's digest makes it another version.
    other = tracker.log_artifact(make_thing(source_datasets=["s3://a/b"]), "third", [])
    assert other["input_artifact_refs"] == ["test-entity/proj/a-b:v1"]
    run = wandb_server.state.run("test-entity", "proj", second_run.id)
    assert run is not None
    assert [a.metadata["source_uri"] for a in run.inputs] == ["hf://a/b", "s3://a/b"]


def test_a_name_that_another_type_has_is_left_to_it(
    wandb_server: WandbServer, tracker: WandbTracker, make_thing: Make
) -> None:
    tracker.log_artifact(make_thing(), "team-corpus", [])
    record = tracker.log_artifact(make_thing("more", source_datasets=["s3://team/corpus"]), "more", [])
    assert record["input_artifact_refs"] == ["test-entity/proj/team-corpus-dataset:v0"]


def test_what_was_loaded_is_an_input_and_is_found_by_every_spelling(
    wandb_server: WandbServer, run: Any, tracker: WandbTracker, make_thing: Make
) -> None:
    data = make_thing()
    tracker.log_artifact(data, "nano3/data", [])

    for spelling in (
        "art://test-entity/proj/nano3-data:v0",
        "art://nano3-data:v0",
        "nano3/data:latest",
        "art://nano3/data",
    ):
        assert tracker.use_artifact(spelling, "artifact") == data.path
    assert context.used() == ("art://test-entity/proj/nano3-data:v0",)

    asked = len(wandb_server.operations)
    record = tracker.log_artifact(make_thing("model"), "model", list(context.used()))
    assert record["used_artifacts"] == ["test-entity/proj/nano3-data:v0"]
    assert "UseArtifact" not in wandb_server.operations[asked:]
    assert [a.name for a in wandb_server.only_run().inputs] == ["nano3-data:v0"]


def test_used_references_become_edges(
    wandb_server: WandbServer, tracker: WandbTracker, make_thing: Make
) -> None:
    tracker.log_artifact(make_thing(), "data", [])
    used = ["test-entity/proj/data:v0", "art:///data/unpublished"]
    record = tracker.log_artifact(make_thing("model"), "model", used)
    assert record["used_artifacts"] == ["test-entity/proj/data:v0"]
    assert [a.name for a in wandb_server.only_run().inputs] == ["data:v0"]


def test_uploaded_data_is_downloaded(
    wandb_server: WandbServer, tracker: WandbTracker, make_thing: Make, tmp_path: Path
) -> None:
    thing = make_thing()
    tracker.log_artifact_with(thing, "data", [], SaveOptions(snapshot=True, aliases=("production",)))
    (thing.path / "train" / "000.bin").unlink()

    folder = tracker.use_artifact("art://data:production", "artifact")

    assert folder != thing.path
    assert (folder / "train" / "000.bin").read_bytes() == b"tokens of data"
    assert json.loads((folder / "metadata.json").read_text())["path"] == str(thing.path)


def test_what_is_not_there_is_not_found(tracker: WandbTracker, make_thing: Make) -> None:
    with pytest.raises(NotFoundError, match=r"nowhere:v3.*not found"):
        tracker.use_artifact("art://nowhere:v3", "artifact")
    with pytest.raises(InvalidReferenceError, match="inside an artifact"):
        tracker.use_artifact("art://data:v3/train/000.bin", "artifact")
    thing = make_thing()
    tracker.log_artifact(thing, "data", [])
    thing.path.rename(thing.path.with_name("moved"))
    with pytest.raises(PathNotFoundError, match=f"lies in {thing.path}, which is not on this machine"):
        tracker.use_artifact("art://data:v0", "artifact")


def test_what_the_server_refuses_is_an_error_that_says_so(
    wandb_server: WandbServer, tracker: WandbTracker, make_thing: Make
) -> None:
    wandb_server.fail("CreateArtifact", 403)
    with pytest.raises(RefusedError, match=r"W&B could not take data: .*error 403"):
        tracker.log_artifact(make_thing(), "data", [])
    for lookup in LOOKUPS:
        wandb_server.fail(lookup, 401)
    with pytest.raises(RefusedError, match=r"W&B could not find data:v0"):
        tracker.use_artifact("art://data:v0", "artifact")
    tracker.log_artifact(make_thing(), "data", [])
    with pytest.raises(ConflictError, match="already exists with type"):
        tracker.log_artifact(make_thing(type="ModelArtifact"), "data", [])


def test_references_need_no_package_and_no_folder(
    wandb_server: WandbServer,
    tracker: WandbTracker,
    make_thing: Make,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    drafts._warn.cache_clear()
    thing = make_thing(source_datasets=["s3://bucket/a", "s3://bucket/b", "/data/gone"])

    tracker.log_artifact(thing, "data", [])

    dataset = wandb_server.artifact("bucket-a:v0")
    assert dataset.references() == {"data": "s3://bucket/a"}
    assert dataset.metadata == {
        "source_uri": "s3://bucket/a",
        "raw": True,
        "references": {"data": "s3://bucket/a"},
    }
    gone = wandb_server.artifact("data-gone:v0")
    assert gone.references() == {"data": "file:///data/gone"}
    assert "references" not in gone.metadata
    (warning,) = [r.getMessage() for r in caplog.records if r.name.startswith("nemotron")]
    assert "s3:// references without boto3" in warning


def test_more_metadata_than_w_and_b_takes(
    wandb_server: WandbServer, tracker: WandbTracker, make_thing: Make
) -> None:
    thing = make_thing(metadata={f"key{n:03}": n for n in range(150)})
    tracker.log_artifact(thing, "data", [])
    artifact = wandb_server.artifact("data:v0")
    assert artifact.metadata["key000"] == 0
    assert artifact.metadata["metadata_keys_left_out"] == 58
    assert len(json.loads(artifact.read("metadata.json"))["metadata"]) == 150


def test_a_disabled_run_takes_nothing_and_raises_nothing(real_wandb: ModuleType, make_thing: Make) -> None:
    real_wandb.init(project="proj", mode="disabled")
    tracker = WandbTracker()
    assert not tracker.is_active()
    assert tracker.log_artifact(make_thing(), "data", ["art://x:v1"])["artifact_id"] is None
