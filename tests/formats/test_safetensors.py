"""Heads of safetensors, written by the safetensors library."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from formats.counting import GOLDEN, CountingFiles
from nemotron.kit.errors import CorruptError, PathNotFoundError
from nemotron.kit.formats import safetensors

INDEX = GOLDEN / "hf" / safetensors.INDEX_FILE


def write(path: Path, head: Any, data: bytes = b"") -> Path:
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def test_shards_by_the_index() -> None:
    found = safetensors.read_index(INDEX)
    assert (found.tensors, found.parameters, found.shards) == (3, 13, 2)
    assert found.by_dtype == {"F16": 10, "F32": 3}


def test_never_reads_bulk_data(tmp_path: Path) -> None:
    save_file({f"w{i}": np.zeros((100, 100), np.float32) for i in range(20)}, tmp_path / "m.safetensors")
    files = CountingFiles()
    assert safetensors.read(tmp_path / "m.safetensors", files).parameters == 200_000
    assert files.read < 4000


def test_the_empty_one_and_scalars(tmp_path: Path) -> None:
    save_file({}, tmp_path / "e.safetensors")
    assert safetensors.read(tmp_path / "e.safetensors").parameters == 0
    save_file({"x": np.array(1.0), "none": np.zeros((0, 5))}, tmp_path / "s.safetensors")
    assert safetensors.read(tmp_path / "s.safetensors").parameters == 1


GOOD = {"a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}


@pytest.mark.parametrize(
    ("head", "data", "said"),
    [
        (GOOD, b"123", "4 bytes, found 3"),
        (GOOD, b"12345", "4 bytes, found 5"),
        ({"a": {**GOOD["a"], "shape": [float("nan")]}}, b"1234", "no shape"),
        ({"a": {**GOOD["a"], "shape": [-2]}}, b"1234", "no shape"),
        ({"a": {**GOOD["a"], "shape": [True, 2]}}, b"1234", "no shape"),
        ({"a": {**GOOD["a"], "shape": [1 << 70]}}, b"1234", "no shape"),
        ({"a": {**GOOD["a"], "shape": [1] * 65}}, b"1234", "no shape"),
        ({"a": {**GOOD["a"], "shape": [3]}}, b"1234", "lies in 4 bytes, expected 6"),
        ({"a": {**GOOD["a"], "data_offsets": [0, 1 << 80]}}, b"1234", "no data_offsets"),
        ({"a": {**GOOD["a"], "data_offsets": [4, 0]}}, b"1234", "expected"),
        ({"a": GOOD["a"], "b": GOOD["a"]}, b"1234", "expected it to begin at 4"),
        ({"a": {**GOOD["a"], "data_offsets": [4, 8]}}, b"12345678", "expected it to begin at 0"),
        ({"a": 3}, b"", "no object"),
        ({"a": {"shape": [], "data_offsets": [0, 0]}}, b"", "no dtype"),
        ([], b"", "no JSON object"),
        (b"{" * 100_000, b"", "not JSON"),
        (b'{"a":' * 50_000, b"", "not JSON"),
        (b"[" + b"[]," * 2_000_001 + b"1]", b"", "lists and objects"),
    ],
)
def test_a_hostile_head(tmp_path: Path, head: Any, data: bytes, said: str) -> None:
    with pytest.raises(CorruptError, match=rf"h\.safetensors is damaged: .*{said}"):
        safetensors.read(write(tmp_path / "h.safetensors", head, data))


@pytest.mark.parametrize("content", [b"", b"1234567", b"\xff" * 8, (1 << 40).to_bytes(8, "little") + b"{}"])
def test_a_length_that_lies(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "h.safetensors"
    path.write_bytes(content)
    with pytest.raises(CorruptError, match=r"h\.safetensors is damaged"):
        safetensors.read(path)


def test_index_and_shards_that_disagree(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDEN / "hf", tmp_path / "hf"))
    index = folder / safetensors.INDEX_FILE
    document = json.loads(index.read_text())
    document["weight_map"]["c"] = "model-00002-of-00002.safetensors"
    index.write_text(json.dumps(document))
    with pytest.raises(CorruptError, match=r"lacks 1 tensors .*'c' first"):
        safetensors.read_index(index)
    (folder / "model-00001-of-00002.safetensors").unlink()
    with pytest.raises(PathNotFoundError, match="model-00001-of-00002"):
        safetensors.read_index(index)


@pytest.mark.parametrize("name", ["../x.safetensors", "/etc/passwd", "..", "", 3])
def test_an_index_names_files_beside_it_only(tmp_path: Path, name: Any) -> None:
    index = tmp_path / safetensors.INDEX_FILE
    index.write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(CorruptError, match="expected a file beside the index"):
        safetensors.read_index(index)
