"""Counts are read from the bytes: filled where nobody gave them, checked where somebody did."""

import gzip
import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from formats.counting import GOLDEN
from nemotron.kit import start
from nemotron.kit.artifacts import measuring
from nemotron.kit.artifacts.base import Artifact
from nemotron.kit.artifacts.data_blends import DataBlendsArtifact
from nemotron.kit.artifacts.energon_webdataset import EnergonWebDatasetArtifact
from nemotron.kit.artifacts.model import ModelArtifact
from nemotron.kit.artifacts.pretrain_blends import PretrainBlendsArtifact
from nemotron.kit.artifacts.pretrain_data import PretrainDataArtifact
from nemotron.kit.artifacts.sft_data import SFTDataArtifact
from nemotron.kit.artifacts.split_jsonl import SplitJsonlDataArtifact
from nemotron.kit.errors import ConflictError, CorruptError, MismatchError, MisuseError, PathNotFoundError


@pytest.fixture(autouse=True)
def _every_test_is_a_process() -> Iterator[None]:
    measuring._say_once.cache_clear()
    yield
    measuring._filled.clear()


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Three shards of megatron-core's, each of 19 tokens, 6 sequences, 3 documents."""
    folder = tmp_path / "shards"
    folder.mkdir()
    for name in "abc":
        for suffix in (".bin", ".idx"):
            shutil.copy(GOLDEN / "megatron" / f"uint16{suffix}", folder / f"{name}{suffix}")
    return folder


def evidence(artifact: Artifact) -> Any:
    return artifact.metadata.get(measuring.EVIDENCE_KEY)


def test_counts_that_were_not_given_are_filled_and_recorded(store, shards: Path) -> None:
    PretrainBlendsArtifact(path=shards).save(name="data")
    loaded = Artifact.from_uri("art://data")
    assert (loaded.total_tokens, loaded.total_sequences, loaded.num_shards) == (57, 18, 3)
    assert loaded.metadata["total_documents"] == 9
    assert set(evidence(loaded).values()) == {"measured"}
    said = json.loads((shards / "metadata.json").read_text())
    assert said["total_tokens"] == said["metadata"]["total_tokens"] == 57


def test_right_claims_are_measured_and_the_same_version(store, shards: Path) -> None:
    first = PretrainBlendsArtifact(path=shards).save(name="data")
    again = PretrainBlendsArtifact(path=shards, total_tokens=57, num_shards=3).save(name="data")
    assert again.uri == first.uri


def test_off_by_one_is_refused_with_both_numbers_and_the_place(store, shards: Path) -> None:
    artifact = PretrainBlendsArtifact(path=shards, total_tokens=58)
    with pytest.raises(MismatchError, match=rf"total_tokens is said to be 58, and {shards} has 57"):
        artifact.save(name="data")
    assert artifact.uri is None
    assert store.list() == []
    assert not (shards / "metadata.json").exists()
    assert issubclass(MismatchError, ConflictError)
    assert issubclass(MismatchError, ValueError)


@pytest.mark.parametrize("reaction", ["warn", "ignore"])
def test_other_reactions_keep_the_claim_and_mark_it(
    tmp_path: Path, shards: Path, reaction: Any, caplog: pytest.LogCaptureFixture
) -> None:
    start.init(root=tmp_path / "store", on_mismatch=reaction)
    artifact = PretrainBlendsArtifact(path=shards, total_tokens=58).save(name="data")
    assert artifact.total_tokens == 58
    assert evidence(artifact)["total_tokens"] == "claimed"
    assert evidence(artifact)["num_shards"] == "measured"
    assert ("58" in caplog.text and "57" in caplog.text) == (reaction == "warn")


def test_a_truncated_bin_is_refused_by_name(store, shards: Path) -> None:
    (shards / "b.bin").write_bytes(b"")
    with pytest.raises(CorruptError, match=r"shards/b\.bin is damaged"):
        PretrainBlendsArtifact(path=shards).save(name="data")
    start.init(root=store.root, on_mismatch="ignore")
    assert PretrainBlendsArtifact(path=shards, total_tokens=5).save(name="data").total_tokens == 5


def test_a_blend_counts_what_it_names_once_and_keeps_its_weights(store, shards: Path) -> None:
    blend = {"train": ["0.6", "a", "0.4", "b", "0.1", "a"], "valid": ["1", "b"]}
    (shards / "blend.json").write_text(json.dumps(blend))
    artifact = PretrainBlendsArtifact(path=shards).save()
    assert (artifact.total_tokens, artifact.train_tokens, artifact.valid_tokens) == (38, 38, 19)
    assert artifact.num_shards == 2
    assert artifact.metadata["blend_weights"] == {"train": {"a": 0.7, "b": 0.4}, "valid": {"b": 1.0}}
    assert DataBlendsArtifact(path=shards / "blend.json").save().total_tokens == 38


def test_the_blend_of_a_moved_folder(store, shards: Path) -> None:
    (shards / "blend.json").write_text('["a"]')
    artifact = PretrainBlendsArtifact(path=shards, blend_path="/old/place/blend.json")
    assert artifact.save().total_tokens == 19


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"datasets": []}', '["1", "gone"]'])
def test_an_unreadable_blend_leaves_claims_and_says_so_once(
    store, shards: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    (shards / "blend.json").write_text(content)
    for _ in range(2):
        artifact = PretrainBlendsArtifact(path=shards, total_tokens=25).save(name="data")
    assert (artifact.total_tokens, artifact.total_sequences) == (25, None)
    assert evidence(artifact) == {"total_tokens": "claimed"}
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "blend.json" in caplog.text


def test_what_nobody_said_and_nothing_tells_is_unknown_and_said_once(
    store, shards: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (shards / "blend.json").write_text('{"shape": "of another tool"}')
    for _ in range(2):
        artifact = PretrainBlendsArtifact(path=shards).save()
    assert (artifact.total_tokens, evidence(artifact)) == (None, None)
    assert [record.getMessage() for record in caplog.records] == [
        f"Counts of {shards}/blend.json are unknown: {shards}/blend.json is no blend: expected a list of "
        "weights and paths, or one for train, valid and test; found an object with shape"
    ]


def test_page_one(store, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "output" / "data"
    artifact = PretrainBlendsArtifact(path=path, total_tokens=25_000_000_000).save(name="my-artifact")
    assert artifact.total_tokens == 25_000_000_000
    assert evidence(artifact) == {"total_tokens": "claimed"}
    assert caplog.records == []


def test_what_the_kit_filled_in_is_nobodys_claim(store, shards: Path) -> None:
    artifact = PretrainDataArtifact(path=shards).save(name="data")
    for suffix in (".bin", ".idx"):
        os.unlink(shards / f"c{suffix}")
    assert artifact.save(name="data").total_tokens == 38
    assert artifact.uri == "art://data:v2"
    assert len(measuring._filled) == 1
    del artifact
    assert measuring._filled == {}


def test_packed_data(store, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDEN / "sft", tmp_path / "sft"))
    artifact = SFTDataArtifact(path=folder, pack_size=8).save(name="sft")
    assert (artifact.total_tokens, artifact.total_sequences, artifact.num_shards) == (29, 4, 2)
    assert evidence(artifact)["pack_size"] == "claimed"
    assert SFTDataArtifact(path=folder, total_sequences=8).save().total_sequences == 8  # conversations
    with pytest.raises(MismatchError, match=r"pack_size is said to be 7, .* at least 8"):
        SFTDataArtifact(path=folder, pack_size=7).save()
    train = SFTDataArtifact(path=folder, training_path=str(folder / "train")).save()
    assert train.total_sequences == 3


def test_json_lines(store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.jsonl.gz").write_bytes(gzip.compress(b"{}\n" * 5))
    (tmp_path / "manifest.json").write_text('{"train": "train.jsonl.gz"}')
    assert SplitJsonlDataArtifact(path=tmp_path / "manifest.json").save().total_sequences == 5
    named = SplitJsonlDataArtifact(path=tmp_path / "manifest.json", train="train.jsonl.gz", total_sequences=6)
    with pytest.raises(MismatchError, match=r"said to be 6, and .*manifest\.json has 5"):
        named.save()
    monkeypatch.setattr(measuring, "BYTES_BY_THE_WAY_MAX", 3)
    assert named.save().total_sequences == 6


def test_energon_where_zero_is_the_default(store, tmp_path: Path) -> None:
    folder = tmp_path / "wds"
    (folder / ".nv-meta").mkdir(parents=True)
    artifact = EnergonWebDatasetArtifact(path=folder).save()
    assert evidence(artifact)["train_samples"] == "unreadable"
    (folder / ".nv-meta/.info.json").write_text('{"shard_counts": {"a.tar": 7, "b.tar": 2}}')
    (folder / ".nv-meta/split.yaml").write_text("split_parts: {train: [a.tar], val: [b.tar]}")
    assert EnergonWebDatasetArtifact(path=folder).save().total_samples == 9
    with pytest.raises(MismatchError, match="train_samples is said to be 8"):
        EnergonWebDatasetArtifact(path=folder, train_samples=8).save()


def test_kinds_without_counts_are_left_alone(store, shards: Path) -> None:
    (shards / "a.bin").write_bytes(b"")
    assert evidence(Artifact(path=shards, total_tokens=3).save()) is None
    assert evidence(ModelArtifact(path=shards, step=3).save()) is None


def test_a_kind_of_ones_own_is_measured_as_its_base(store, shards: Path) -> None:
    class Mine(PretrainDataArtifact):
        note: str = ""

    assert Mine(path=shards).save().total_tokens == 57


def test_inspect_builds_each_kind(shards: Path, tmp_path: Path) -> None:
    found = Artifact.inspect(shards)
    assert type(found) is PretrainDataArtifact
    assert found.total_tokens == PretrainBlendsArtifact.inspect(shards).total_tokens == 57
    assert not (shards / "metadata.json").exists()
    packed = SFTDataArtifact.inspect(GOLDEN / "sft")
    assert packed.training_path == str(GOLDEN / "sft" / "train")
    assert packed.total_tokens == 29
    model = Path(shutil.copytree(GOLDEN / "hf", tmp_path / "checkpoint-500"))
    assert ModelArtifact.inspect(model).step == 500
    assert Artifact.inspect(model).metadata["parameters"] == 13
    (shards / "blend.json").write_text('["a"]')
    assert type(Artifact.inspect(shards)) is PretrainBlendsArtifact
    assert DataBlendsArtifact.inspect(shards).path == shards / "blend.json"
    assert Artifact.inspect(shards / "blend.json").total_tokens == 19


def test_inspect_refuses(tmp_path: Path, shards: Path) -> None:
    with pytest.raises(PathNotFoundError, match="Nothing is at"):
        Artifact.inspect(tmp_path / "gone")
    with pytest.raises(MisuseError, match=r"says step; pass it to ModelArtifact"):
        ModelArtifact.inspect(GOLDEN / "hf")
    with pytest.raises(MisuseError, match="no-such-scheme://x is a URL that no file system here reads"):
        Artifact.inspect("no-such-scheme://x")
    with pytest.raises(MisuseError, match="s3:// names no bucket"):
        Artifact.inspect("s3://")
    (shards / "a.bin").write_bytes(b"")
    with pytest.raises(CorruptError, match=r"a\.bin"):
        PretrainDataArtifact.inspect(shards)
    assert type(Artifact.inspect(GOLDEN / "hf")) is Artifact  # a model, but of no known step
