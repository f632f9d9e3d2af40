"""What the libraries of training write, read by the kit's readers and by their own.

Each test is skipped where its library is not installed; `make test-formats` installs them all. What they
wrote once is kept in tests/golden/formats, so that every other test does without them.
"""

import filecmp
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from formats.counting import GOLDEN
from nemotron.kit import start
from nemotron.kit.artifacts.base import Artifact
from nemotron.kit.artifacts.energon_webdataset import EnergonWebDatasetArtifact
from nemotron.kit.artifacts.model import ModelArtifact
from nemotron.kit.artifacts.pretrain_blends import PretrainBlendsArtifact
from nemotron.kit.artifacts.sft_data import SFTDataArtifact
from nemotron.kit.errors import CorruptError, MismatchError
from nemotron.kit.formats import jsonl, megatron_idx, parquet, safetensors, tar
from nemotron.kit.formats.detect import Kind, detect

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, of optional parts that they miss


def library(name: str) -> Any:
    return pytest.importorskip(name, reason=f"needs {name}: make test-formats", exc_type=ImportError)


@pytest.fixture(scope="module")
def megatron() -> Any:
    library("torch")
    return library("megatron.core.datasets.indexed_dataset")


def write_shard(megatron: Any, prefix: Path, documents: list[list[int]], dtype: Any = np.uint16) -> None:
    import torch

    builder = megatron.IndexedDatasetBuilder(f"{prefix}.bin", dtype=dtype)
    for lengths in documents:
        for length in lengths:
            builder.add_item(torch.from_numpy(np.arange(length).astype(dtype)))
        builder.end_document()
    builder.finalize(f"{prefix}.idx")


@pytest.fixture
def shards(megatron: Any, tmp_path: Path) -> Path:
    """Three shards of about 40 documents."""
    folder, random = tmp_path / "data", np.random.default_rng(7)
    folder.mkdir()
    for name in "abc":
        documents = [
            random.integers(0, 50, random.integers(1, 4)).tolist() for _ in range(random.integers(30, 50))
        ]
        write_shard(megatron, folder / name, documents)
    return folder


def test_a_folder_of_megatron_core(megatron: Any, shards: Path, tmp_path: Path) -> None:
    theirs = [megatron.IndexedDataset(str(shards / name)) for name in "abc"]
    tokens = sum(int(one.sequence_lengths.sum()) for one in theirs)
    start.init(root=tmp_path / "store")
    saved = PretrainBlendsArtifact(path=shards).save("data")
    assert saved.total_tokens == tokens
    assert saved.total_sequences == sum(len(one.sequence_lengths) for one in theirs)
    assert saved.metadata["total_documents"] == sum(len(one.document_indices) - 1 for one in theirs)
    assert saved.num_shards == 3
    assert saved.metadata["count_evidence"]["total_tokens"] == "measured"
    with pytest.raises(MismatchError, match=rf"said to be {tokens + 1:,}, and .* has {tokens:,}"):
        PretrainBlendsArtifact(path=shards, total_tokens=tokens + 1).save("data")
    size = (shards / "b.bin").stat().st_size
    with (shards / "b.bin").open("r+b") as file:
        file.truncate(size - 2)
    with pytest.raises(CorruptError, match=rf"b\.bin is damaged: .*{size:,} bytes; found {size - 2:,}"):
        PretrainBlendsArtifact(path=shards).save("data")
    assert Artifact.from_uri("art://data").uri == "art://data:v1"


@pytest.mark.parametrize(
    "dtype",
    [np.uint8, np.int8, np.int16, np.int32, np.int64, np.float32, np.float64, np.uint16],
)
def test_a_shard_of_each_dtype(megatron: Any, tmp_path: Path, dtype: Any) -> None:
    write_shard(megatron, tmp_path / "a", [[3, 0], [], [5]], dtype)
    theirs, ours = megatron.IndexedDataset(str(tmp_path / "a")), megatron_idx.read(tmp_path / "a")
    assert ours.tokens == int(theirs.sequence_lengths.sum()) == 8
    assert (ours.sequences, ours.documents) == (3, 3)
    assert ours.dtype == np.dtype(dtype).name


def test_shards_that_were_joined(megatron: Any, shards: Path, tmp_path: Path) -> None:
    builder = megatron.IndexedDatasetBuilder(str(tmp_path / "all.bin"), dtype=np.uint16)
    for name in "abc":
        builder.add_index(str(shards / name))
    builder.finalize(str(tmp_path / "all.idx"))
    joined = megatron_idx.read(tmp_path / "all")
    assert joined.tokens == sum(megatron_idx.read(shards / name).tokens for name in "abc")


def test_the_golden_files_are_what_is_written_today(tmp_path: Path) -> None:
    for name in ("torch", "megatron.core", "webdataset"):
        library(name)
    script = GOLDEN / "write.py"
    spec = importlib.util.spec_from_file_location("write_golden", script)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for part in ("megatron", "hf", "webdataset", "sft"):
        write: Callable[[Path], None] = getattr(module, f"write_{part}")
        write(tmp_path / part)
        here = sorted(path.relative_to(GOLDEN) for path in (GOLDEN / part).rglob("*") if path.is_file())
        assert here == sorted(path.relative_to(tmp_path) for path in (tmp_path / part).rglob("*.*"))
        if part != "sft":  # whose footers name the version of the library
            same, *_ = filecmp.cmpfiles(GOLDEN, tmp_path, [str(path) for path in here], shallow=False)
            assert len(same) == len(here), set(map(str, here)) - set(same)
    assert detect(tmp_path / "sft").measured == detect(GOLDEN / "sft").measured


def test_hugging_face_datasets_write_packed_parquet(tmp_path: Path) -> None:
    datasets = library("datasets")
    rows = [{"input_ids": [1] * length, "loss_mask": [1] * length} for length in (8, 3, 0, 5)]
    data = datasets.Dataset.from_list(rows)
    (tmp_path / "train").mkdir()
    data.to_parquet(str(tmp_path / "train/0.parquet"))
    data.to_json(str(tmp_path / "rows.jsonl.gz"), compression="gzip")
    table = parquet.read(tmp_path / "train/0.parquet")
    assert (table.rows, table.tokens) == (len(data), sum(len(row) for row in data["input_ids"]))
    assert jsonl.read(tmp_path / "rows.jsonl.gz").records == len(data)
    found = SFTDataArtifact.inspect(tmp_path)
    assert (found.total_tokens, found.total_sequences) == (16, 4)


def test_transformers_write_models(tmp_path: Path) -> None:
    library("torch")
    transformers = library("transformers")
    config = transformers.LlamaConfig(
        vocab_size=128,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        tie_word_embeddings=False,
    )
    model = transformers.LlamaForCausalLM(config)
    folder = tmp_path / "checkpoint-20"
    model.save_pretrained(folder, max_shard_size="20KB")
    assert (folder / safetensors.INDEX_FILE).exists()
    found = ModelArtifact.inspect(folder)
    assert found.step == 20
    assert found.metadata["parameters"] == sum(part.numel() for part in model.parameters())
    assert found.metadata["architecture"] == "LlamaForCausalLM"
    assert found.metadata["hidden_size"] == 32


def test_webdataset_writes_shards(tmp_path: Path) -> None:
    webdataset = library("webdataset")
    with webdataset.ShardWriter(str(tmp_path / "shard-%06d.tar"), maxcount=4, verbose=0) as sink:
        for number in range(10):
            sink.write({"__key__": f"s{number:04}", "json": {"n": number}, "txt": "x" * number})
    paths = sorted(tmp_path.glob("*.tar"))
    theirs = sum(1 for _ in webdataset.WebDataset([str(path) for path in paths], shardshuffle=False))
    assert sum(tar.read(path).samples for path in paths) == theirs == 10
    assert detect(tmp_path).kind is Kind.WEBDATASET


def test_energon_prepares_a_dataset(tmp_path: Path) -> None:
    webdataset = library("webdataset")
    wds = library("megatron.energon.flavors.webdataset")
    from megatron.energon.epathlib import EPath

    with webdataset.ShardWriter(str(tmp_path / "shard-%03d.tar"), maxcount=5, verbose=0) as sink:
        for number in range(23):
            sink.write({"__key__": f"s{number:04}", "txt": "x"})
    names = sorted(path.name for path in tmp_path.glob("*.tar"))
    wds.BaseWebdatasetFactory.prepare_dataset(
        EPath(tmp_path), names, split_parts_ratio=[("train", 3), ("val", 1), ("test", 1)], workers=1
    )
    info = json.loads((tmp_path / ".nv-meta/.info.json").read_text())
    found = EnergonWebDatasetArtifact.inspect(tmp_path)
    assert found.num_shards == len(info["shard_counts"]) == 5
    assert found.total_samples == sum(info["shard_counts"].values()) == 23
    assert found.train_samples > found.val_samples > 0


def test_torch_writes_distributed_checkpoints(tmp_path: Path) -> None:
    torch = library("torch")
    import torch.distributed.checkpoint as dcp

    folder = tmp_path / "iter_0000030"
    dcp.save({"w": torch.zeros(10)}, checkpoint_id=str(folder), no_dist=True)
    (tmp_path / "latest_checkpointed_iteration.txt").write_text("30")
    found = detect(folder)
    assert found.kind is Kind.CHECKPOINT
    assert (found.measured["layout"], found.measured["step"]) == ("torch_dist", 30)
    assert ModelArtifact.inspect(tmp_path).step == 30


def test_safetensors_of_torch(tmp_path: Path) -> None:
    torch = library("torch")
    from safetensors.torch import save_file

    tensors = {"a": torch.zeros(3, 5, dtype=torch.bfloat16), "b": torch.zeros(7, dtype=torch.float8_e4m3fn)}
    save_file(tensors, str(tmp_path / "model.safetensors"))
    found = safetensors.read(tmp_path / "model.safetensors")
    assert found.by_dtype == {"BF16": 15, "F8_E4M3": 7}
