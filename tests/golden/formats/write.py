"""Write the golden files of this folder anew, with the libraries that training uses.

    make test-formats        compares what is here with what this script writes now
    .venv/peers/bin/python tests/golden/formats/write.py tests/golden/formats

`megatron/` is by megatron-core 0.16.1, `sft/` by pyarrow, `hf/` by safetensors, `webdataset/` by webdataset.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

# The lengths of the sequences of each document, in tokens.
DOCUMENTS = ((3, 5), (7,), (1, 1, 2))
DTYPES = ("uint8", "int8", "int16", "int32", "int64", "float64", "float32", "uint16")


def write_megatron(folder: Path) -> None:
    """A shard of each dtype, a multimodal one, an empty one, and one with empty sequences."""
    from megatron.core.datasets.indexed_dataset import IndexedDataset, IndexedDatasetBuilder
    from torch import tensor

    folder.mkdir(parents=True, exist_ok=True)
    said: dict[str, Any] = {}

    def write(name: str, dtype: str, documents: Any, modes: Any = None) -> None:
        builder = IndexedDatasetBuilder(
            str(folder / f"{name}.bin"), dtype=np.dtype(dtype).type, multimodal=modes is not None
        )
        at = 0
        for index, lengths in enumerate(documents):
            for number, length in enumerate(lengths):
                tokens = tensor((np.arange(at, at + length) * 7 % 100).astype(dtype))
                builder.add_item(tokens, *([modes[index][number]] if modes else []))
                at += length
            builder.end_document()
        builder.finalize(str(folder / f"{name}.idx"))
        read = IndexedDataset(str(folder / name), multimodal=modes is not None, mmap=False)
        said[name] = {
            "sequences": len(read.sequence_lengths),
            "documents": len(read.document_indices) - 1,
            "tokens": int(read.sequence_lengths.sum()),
            "dtype": dtype,
            "multimodal": modes is not None,
        }

    for dtype in DTYPES:
        write(dtype, dtype, DOCUMENTS)
    write("multimodal", "int32", ((3, 1), (2,)), ((0, 1), (1,)))
    write("empty", "uint16", ())
    write("empty_sequences", "uint16", ((2, 0), (1,), (0,)))
    (folder / "said.json").write_text(f"{json.dumps(said, indent=2)}\n")


def write_sft(folder: Path) -> None:
    """Packed data of two splits: lists of tokens, of loss masks and of where conversations begin."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("input_ids", pa.list_(pa.int32())),
            ("loss_mask", pa.list_(pa.uint8())),
            ("seq_start_id", pa.list_(pa.int32())),
        ]
    )
    for split, lengths in (("train", (8, 7, 6)), ("valid", (8,))):
        rows = [
            {
                "input_ids": list(range(length)),
                "loss_mask": [index % 2 for index in range(length)],
                "seq_start_id": [0, 4],
            }
            for length in lengths
        ]
        (folder / split).mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema), folder / split / "shard_000000.parquet")


def write_hf(folder: Path) -> None:
    """A model of two shards."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    shards = {
        names[0]: {"a.weight": np.zeros((2, 3), np.float16), "a.bias": np.zeros(3, np.float32)},
        names[1]: {"b.weight": np.zeros(4, np.float16)},
    }
    for name, tensors in shards.items():
        save_file(tensors, folder / name, metadata={"format": "pt"})
    mapping = {tensor: name for name, tensors in shards.items() for tensor in tensors}
    documents = {
        "model.safetensors.index.json": {"metadata": {"total_size": 32}, "weight_map": mapping},
        "config.json": {
            "architectures": ["NemotronHForCausalLM"],
            "model_type": "nemotron_h",
            "vocab_size": 131072,
            "hidden_size": 64,
        },
        "generation_config.json": {},
        "tokenizer.json": {},
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document))


def write_webdataset(folder: Path) -> None:
    """Four samples, one of them with a name too long for the header."""
    from webdataset import TarWriter

    folder.mkdir(parents=True, exist_ok=True)
    with TarWriter(str(folder / "shard_000000.tar"), mtime=0) as writer:
        for number in range(3):
            writer.write({"__key__": f"sample{number:03}", "json": {"n": number}, "txt": "hello"})
        writer.write({"__key__": f"long/{'x' * 150}", "txt": "x"})


def main() -> None:
    """Write all of them below a folder."""
    folder = Path(sys.argv[1])
    write_megatron(folder / "megatron")
    write_sft(folder / "sft")
    write_hf(folder / "hf")
    write_webdataset(folder / "webdataset")


if __name__ == "__main__":
    main()
