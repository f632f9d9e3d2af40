"""What a folder is, which artifact fits, and what is measured."""

import json
import os
import shutil
from pathlib import Path

import pytest

from formats.counting import GOLDEN
from nemotron.kit.errors import CorruptError, PathNotFoundError, RefusedError
from nemotron.kit.formats import counts, reading
from nemotron.kit.formats.detect import Kind, detect


def copy(source: str, target: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / source, target))


def shards(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        for suffix in (".bin", ".idx"):
            shutil.copy(GOLDEN / "megatron" / f"uint16{suffix}", folder / f"{name}{suffix}")
    return folder


def test_shards_without_a_blend(tmp_path: Path) -> None:
    found = detect(shards(tmp_path / "d", "a", "b"))
    assert (found.kind, found.type) == (Kind.MEGATRON, "PretrainDataArtifact")
    assert found.measured == {
        "total_tokens": 38,
        "total_sequences": 12,
        "total_documents": 6,
        "num_shards": 2,
    }
    assert found.unreadable == ()


def test_a_blend_counts_each_shard_it_names_once(tmp_path: Path) -> None:
    folder = shards(tmp_path / "d", "a", "b", "not-named")
    (folder / "blend.json").write_text(
        json.dumps({"train": ["3", "a", "1", "b", "1", "a"], "valid": ["1", "b"]})
    )
    found = detect(folder)
    assert (found.kind, found.type, found.path) == (
        Kind.MEGATRON_BLEND,
        "PretrainBlendsArtifact",
        str(folder),
    )
    assert found.measured == {
        "total_tokens": 38,
        "total_sequences": 12,
        "total_documents": 6,
        "num_shards": 2,
        "train_tokens": 38,
        "valid_tokens": 19,
        "blend_weights": {"train": {"a": 4.0, "b": 1.0}, "valid": {"b": 1.0}},
    }
    assert detect(folder / "blend.json").type == "DataBlendsArtifact"
    assert detect(folder / "blend.json").measured == found.measured


@pytest.mark.parametrize("content", [[], {"datasets": []}, ["1", "gone"], ["1", "\x00"]])
def test_a_blend_that_tells_nothing_is_unreadable_and_not_zero(tmp_path: Path, content: object) -> None:
    folder = shards(tmp_path / "d", "a")
    (folder / "blend.json").write_text(json.dumps(content))
    found = detect(folder)
    assert found.measured == {}
    assert {item.field for item in found.unreadable} >= {"total_tokens", "num_shards"}
    assert all("blend.json" in item.why for item in found.unreadable)


def test_packed_data(tmp_path: Path) -> None:
    found = detect(copy("sft", tmp_path / "d"))
    assert (found.kind, found.type) == (Kind.PACKED_SFT, "SFTDataArtifact")
    assert found.measured == {
        "total_tokens": 29,
        "total_sequences": 4,
        "num_shards": 2,
        "total_conversations": 8,
    }
    assert [item.field for item in found.unreadable] == ["pack_size", "loss_share"]


def test_a_hugging_face_folder(tmp_path: Path) -> None:
    found = detect(copy("hf", tmp_path / "checkpoint-500"))
    assert (found.kind, found.type) == (Kind.CHECKPOINT, "ModelArtifact")
    assert found.measured["step"] == 500
    assert found.measured["parameters"] == 13
    assert found.measured["architecture"] == "NemotronHForCausalLM"
    assert found.measured["has_tokenizer"] is True


def test_a_megatron_checkpoint(tmp_path: Path) -> None:
    for step in (100, 200):
        folder = tmp_path / "c" / f"iter_{step:07}"
        folder.mkdir(parents=True)
        (folder / "__0_0.distcp").write_bytes(b"x" * step)
        (folder / "common.pt").write_bytes(b"not a pickle")
        (folder / ".metadata").write_bytes(b"")
    (tmp_path / "c/latest_checkpointed_iteration.txt").write_text("100\n")
    found = detect(tmp_path / "c")
    assert found.type == "ModelArtifact"
    assert (found.measured["step"], found.measured["steps"]) == (100, [100, 200])
    assert (found.measured["files"], found.measured["bytes"], found.measured["pickles"]) == (3, 112, 2)
    assert detect(tmp_path / "c/iter_0000200").measured["step"] == 200


@pytest.mark.parametrize("latest", ["", "x", "-1", "9" * 200, "300"])
def test_a_latest_iteration_that_is_none(tmp_path: Path, latest: str) -> None:
    (tmp_path / "iter_0000100").mkdir()
    (tmp_path / "latest_checkpointed_iteration.txt").write_text(latest)
    with pytest.raises(CorruptError, match="latest_checkpointed_iteration"):
        detect(tmp_path)


def test_json_lines(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("{}\n{}\nx\n")
    (tmp_path / "val.jsonl").write_text("{}\n")
    assert detect(tmp_path).measured["total_sequences"] == 4
    assert detect(tmp_path).measured["broken_lines"] == 1
    assert "_sequences" not in detect(tmp_path).measured  # nothing divides them
    (tmp_path / "manifest.json").write_text('{"train": "train.jsonl", "val": ["val.jsonl", "val.jsonl"]}')
    found = detect(tmp_path)
    assert (found.type, found.path) == ("SplitJsonlDataArtifact", str(tmp_path / "manifest.json"))
    assert found.measured["total_sequences"] == 4
    assert (found.measured["train_sequences"], found.measured["val_sequences"]) == (3, 1)
    assert found.measured["broken_at"] == {str(tmp_path / "train.jsonl"): [3]}


def test_others(tmp_path: Path) -> None:
    assert detect(GOLDEN / "webdataset").measured["total_samples"] == 4
    (tmp_path / "notes.txt").write_text("hello")
    found = detect(tmp_path)
    assert (found.kind, found.type, found.measured) == (Kind.UNKNOWN, "Artifact", {"files": 1, "bytes": 5})
    with pytest.raises(PathNotFoundError, match="Nothing is at"):
        detect(tmp_path / "gone")


def test_links_in_circles_end(tmp_path: Path) -> None:
    folder = shards(tmp_path / "d", "a")
    for name in "bcde":
        os.symlink(folder, folder / name)
    assert detect(folder).measured["num_shards"] == 1


def test_too_many_files_to_look_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "FILES_MAX", 3)
    folder = shards(tmp_path / "d", "a", "b")
    with pytest.raises(RefusedError, match="holds more than 3 files"):
        detect(folder)
    assert next(item.field for item in counts.of_shards(str(folder)).unreadable) == "total_tokens"
