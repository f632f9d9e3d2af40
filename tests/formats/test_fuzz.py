"""Whatever the bytes, a reader gives a value or an error of the kit, soon and in little memory."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from formats.counting import GOLDEN
from nemotron.kit.errors import KitError
from nemotron.kit.formats import blend, detect, energon, jsonl, megatron_idx, npy, parquet, safetensors, tar

NPY = (
    b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }".ljust(127)
    + b"\n"
    + b"\0" * 8
)
READERS: dict[str, tuple[Callable[[Path], object], str, bytes]] = {
    "idx": (megatron_idx.read, "f.idx", (GOLDEN / "megatron/uint16.idx").read_bytes()),
    "blend": (blend.read, "blend.json", b'{"train": ["0.5", "a", "0.5", "b"]}'),
    "parquet": (parquet.read, "f.parquet", next((GOLDEN / "sft").rglob("*.parquet")).read_bytes()),
    "jsonl": (jsonl.read, "f.jsonl", b'{"a": [1, 2]}\n{}\n'),
    "safetensors": (
        safetensors.read,
        "f.safetensors",
        (GOLDEN / "hf/model-00001-of-00002.safetensors").read_bytes(),
    ),
    "npy": (npy.read, "f.npy", NPY),
    "tar": (tar.read, "f.tar", (GOLDEN / "webdataset/shard_000000.tar").read_bytes()),
    "energon": (
        lambda path: energon.read(path.parent.parent),
        ".nv-meta/.info.yaml",
        b"shard_counts:\n  a.tar: 3\n",
    ),
    "detect": (detect.detect, "blend.json", b'["1", "a"]'),
}
MEMORY_MAX = 64 << 20


@pytest.mark.parametrize("name", READERS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_mutations(name: str, tmp_path: Path, data: st.DataObject) -> None:
    reader, file, good = READERS[name]
    content = bytearray(good)
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(content)))
        match data.draw(st.sampled_from(["set", "cut", "add", "huge"])):
            case "set":
                content[at : at + 1] = bytes([data.draw(st.integers(0, 255))])
            case "cut":
                del content[at : at + data.draw(st.integers(1, 64))]
            case "add":
                content[at:at] = data.draw(st.binary(max_size=32))
            case "huge":
                content[at : at + 8] = b"\xff" * 8
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    (tmp_path / "f.bin").write_bytes(b"\0" * 38)
    said = str(tmp_path)
    tracemalloc.start()
    try:
        reader(path)
    except KitError as error:
        said = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MEMORY_MAX
    assert str(tmp_path) in said
