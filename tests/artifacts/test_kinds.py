"""Every kind: its fields and their limits, what W&B gets of it, and what it was made from."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from nemotron.kit import artifacts
from nemotron.kit.artifacts import (
    Artifact,
    DataBlendsArtifact,
    EmbedDataArtifact,
    EmbedModelArtifact,
    EnergonWebDatasetArtifact,
    InputDatasetInfo,
    ModelArtifact,
    PretrainBlendsArtifact,
    PretrainDataArtifact,
    RerankDataArtifact,
    RerankModelArtifact,
    SFTDataArtifact,
    SplitJsonlDataArtifact,
    kinds,
)

RETRIEVAL_DATA = {
    "training_examples": 9,
    "eval_queries": 2,
    "hard_negatives_per_query": 4,
    "base_model": "org/m",
    "quality_threshold": 0.5,
}
RETRIEVAL_MODEL = {
    "base_model": "org/m",
    "training_examples": 9,
    "num_epochs": 1,
    "global_batch_size": 8,
    "learning_rate": 1e-5,
}
BLENDS = {"total_tokens": 9, "total_sequences": 2, "elapsed_sec": 1.5, "tokenizer_uri": "https://x/tok"}
SPLITS = {"train_tokens": 7, "valid_tokens": 1, "test_tokens": 1}
SOURCES = {"source_datasets": ["s3://b/c", InputDatasetInfo("hf://a/b", weight=0.5)]}

# kind, required fields, optional fields, fields that are at least 1, its path
KINDS: list[tuple[type[Artifact], dict[str, Any], dict[str, Any], list[str], str]] = [
    (ModelArtifact, {"step": 0}, {"final_loss": 2.5}, [], "/m"),
    (DataBlendsArtifact, {}, BLENDS | SPLITS | SOURCES, [], "/d/blend.json"),
    (PretrainDataArtifact, {}, BLENDS | SOURCES | {"num_shards": 4}, ["num_shards"], "/d"),
    (
        PretrainBlendsArtifact,
        {},
        BLENDS | SPLITS | SOURCES | {"num_shards": 4, "blend_path": "/d/blend.json"},
        ["num_shards"],
        "/d",
    ),
    (
        SFTDataArtifact,
        {},
        BLENDS
        | SOURCES
        | {"num_shards": 4, "pack_size": 4096, "blend_path": "/b", "data_format": "packed_sft_parquet"}
        | {"training_path": "/t", "validation_path": "/v", "test_path": "/e", "metadata_path": "/m"},
        ["num_shards", "pack_size"],
        "/d/splits",
    ),
    (
        SplitJsonlDataArtifact,
        {},
        SOURCES | {"total_sequences": 3, "elapsed_sec": 2.0, "train": "a", "val": "b", "test": "c"},
        [],
        "/d/manifest.json",
    ),
    (
        EnergonWebDatasetArtifact,
        {},
        SOURCES
        | {"train_samples": 5, "val_samples": 1, "test_samples": 1, "num_shards": 2, "elapsed_sec": 1.0},
        [],
        "/d",
    ),
    (EmbedDataArtifact, RETRIEVAL_DATA, {}, [], "/d"),
    (RerankDataArtifact, RETRIEVAL_DATA, {}, [], "/d"),
    (EmbedModelArtifact, RETRIEVAL_MODEL | {"temperature": 0.02}, {}, [], "/m"),
    (RerankModelArtifact, RETRIEVAL_MODEL | {"num_labels": 1}, {}, ["num_labels"], "/m"),
]
each_kind = pytest.mark.parametrize(
    ("kind", "required", "optional", "positive", "path"),
    KINDS,
    ids=lambda value: getattr(value, "__name__", ""),
)


def test_the_table_has_every_kind() -> None:
    assert {kind.__name__ for kind, *_ in KINDS} == set(kinds.KINDS)
    assert set(kinds.KINDS) | {"Artifact", "TrackingInfo", "InputDatasetInfo"} == set(artifacts.__all__)
    assert set(artifacts.__all__) <= set(dir(artifacts))
    with pytest.raises(AttributeError, match="no attribute 'Nope'"):
        artifacts.Nope  # noqa: B018


@each_kind
def test_what_is_required_suffices(
    kind: type[Artifact], required: dict[str, Any], optional: dict[str, Any], positive: list[str], path: str
) -> None:
    artifact = kind(path=path, **required)
    assert artifact.type == kind.__name__
    assert kinds.named(kind.__name__) is kind
    for name in required:
        with pytest.raises(ValidationError, match=name):
            kind(path=path, **{key: value for key, value in required.items() if key != name})


@each_kind
def test_fields_and_limits(
    kind: type[Artifact], required: dict[str, Any], optional: dict[str, Any], positive: list[str], path: str
) -> None:
    fields = required | optional
    assert set(kind._own_fields) - set(fields) <= {"data_format"}
    artifact = kind(path=path, **fields)
    for name, value in fields.items():
        assert getattr(artifact, name) == value
        assert artifact.metadata[name] == value
        if isinstance(value, int) or name == "elapsed_sec":
            least = 1 if name in positive else 0
            setattr(artifact, name, least)
            with pytest.raises(ValidationError):
                setattr(artifact, name, least - 1)


@each_kind
def test_the_output_folder(
    kind: type[Artifact], required: dict[str, Any], optional: dict[str, Any], positive: list[str], path: str
) -> None:
    artifact = kind(path=path, **required)
    folder = Path(path).parent if path.endswith(".json") else Path(path)
    assert artifact._get_output_dir() == folder
    assert artifact.get_wandb_references() == [(f"file://{folder}", "output")]


def test_inputs_of_data_are_its_sources_then_its_tokenizer() -> None:
    artifact = PretrainDataArtifact(path="/d", **(SOURCES | BLENDS))
    assert artifact.get_input_uris() == ["s3://b/c", "hf://a/b", "https://x/tok"]
    assert artifact.source_datasets == SOURCES["source_datasets"]
    assert PretrainDataArtifact(path="/d").get_input_uris() == []
    assert ModelArtifact(path="/m", step=1).get_input_uris() == []


def test_a_checkpoint_of_a_framework_calls_its_step_iteration() -> None:
    assert ModelArtifact(path="/m", metadata={"iteration": 500}).step == 500


# -- what W&B gets -----------------------------------------------------------------------------------------


def files(artifact: Artifact) -> dict[str, str]:
    return {name: str(Path(path).relative_to(Path.cwd())) for path, name in artifact.get_wandb_files()}


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("{}")


def test_files_of_a_model(tmp_path: Path) -> None:
    model = ModelArtifact(path=tmp_path / "m", step=1)
    assert files(model) == {}
    touch("m/metadata.json", "m/weights.bin")
    assert files(model) == {"metadata.json": "m/metadata.json"}


def test_files_of_blends(tmp_path: Path) -> None:
    touch("d/blend.json", "d/metadata.json", "other/blend.json")
    both = {"blend.json": "d/blend.json", "metadata.json": "d/metadata.json"}
    assert files(DataBlendsArtifact(path=tmp_path / "d/blend.json")) == both
    assert files(PretrainBlendsArtifact(path=tmp_path / "d")) == both
    elsewhere = PretrainBlendsArtifact(path=tmp_path / "d", blend_path=str(tmp_path / "other/blend.json"))
    assert files(elsewhere) == both | {"blend.json": "other/blend.json"}


def test_files_of_energon(tmp_path: Path) -> None:
    meta = [f".nv-meta/{name}" for name in ("dataset.yaml", "split.yaml", ".info.yaml", "index.uuid")]
    touch("d/metadata.json", *(f"d/{name}" for name in meta), "d/.nv-meta/index.sqlite")
    artifact = EnergonWebDatasetArtifact(path=tmp_path / "d")
    assert files(artifact) == {name: f"d/{name}" for name in ("metadata.json", *meta)}


# -- from the results of data-prep steps -------------------------------------------------------------------

BLEND = SimpleNamespace(
    datasets=[
        SimpleNamespace(
            path="hf://org/a", name="a", weight=2.0, split="train", subset="en", text_field="body"
        ),
        SimpleNamespace(path="/data/b", name=None, weight=0.0, split=None, subset=None, text_field=None),
        SimpleNamespace(path="s3://bucket/c"),
    ]
)


def test_pretrain_blends_from_result(tmp_path: Path) -> None:
    result = SimpleNamespace(output_dir=tmp_path, total_tokens=9, total_sequences=2, num_shards=1)
    artifact = PretrainBlendsArtifact.from_result(
        result, BLEND, "org/tok", tmp_path / "blend.json", elapsed_sec=1.5, name="nano3/data"
    )
    assert artifact.source_datasets == [
        InputDatasetInfo(
            "https://huggingface.co/datasets/org/a", "a", 2.0, split="train", subset="en", text_field="body"
        ),
        InputDatasetInfo("file:///data/b", weight=0.0),
        InputDatasetInfo("s3://bucket/c"),
    ]
    assert artifact.tokenizer_uri == "https://huggingface.co/org/tok"
    assert (artifact.path, artifact.blend_path) == (tmp_path, str(tmp_path / "blend.json"))
    assert (artifact.total_tokens, artifact.total_sequences, artifact.num_shards) == (9, 2, 1)
    assert (artifact.elapsed_sec, artifact.name) == (1.5, "nano3/data")


def test_sft_data_from_result(tmp_path: Path) -> None:
    (tmp_path / "splits/train").mkdir(parents=True)
    (tmp_path / "splits/valid").mkdir()
    result = SimpleNamespace(output_dir=str(tmp_path), total_tokens=9, total_sequences=2, num_shards=1)
    artifact = SFTDataArtifact.from_result(result, BLEND, "/tok", None, 4096, name="sft")
    assert artifact.path == tmp_path / "splits"
    assert (artifact.pack_size, artifact.blend_path, artifact.tokenizer_uri) == (4096, None, "file:///tok")
    assert artifact.training_path == str(tmp_path / "splits/train")
    assert artifact.validation_path == str(tmp_path / "splits/valid")
    assert artifact.test_path is None
    fields = [source.text_field for source in artifact.source_datasets if not isinstance(source, str)]
    assert fields == ["body", "messages", "messages"]


def test_a_result_without_counts(tmp_path: Path) -> None:
    artifact = PretrainBlendsArtifact.from_result(SimpleNamespace(output_dir=tmp_path), None, None, None)
    assert (artifact.total_tokens, artifact.tokenizer_uri, artifact.source_datasets) == (None, None, [])


def test_energon_from_run(tmp_path: Path) -> None:
    artifact = EnergonWebDatasetArtifact.from_run(
        dataset_path=tmp_path, split_sample_counts={"train": 90, "val": 10}, num_shards=3, name="images"
    )
    assert (artifact.train_samples, artifact.val_samples, artifact.test_samples) == (90, 10, 0)
    assert (artifact.total_samples, artifact.num_shards, artifact.name) == (100, 3, "images")
    assert artifact.data_format == "energon-webdataset"
