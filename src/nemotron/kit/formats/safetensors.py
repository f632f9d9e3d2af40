"""safetensors: parameters and dtypes from the heads, of one file or of all shards that an index names.

A file is u64 length of the head, the head as JSON `{name: {dtype, shape, data_offsets}}`, the data. The data
of the tensors lies without gaps or overlaps. Source: https://github.com/huggingface/safetensors#format
"""

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nemotron.kit.formats.reading import (
    JSON_BYTES_MAX,
    LOCAL,
    Files,
    PathLike,
    damaged,
    each,
    exact,
    is_count,
    parse_json,
    read_json,
    text_of,
)

INDEX_FILE = "model.safetensors.index.json"
DIMENSIONS_MAX = 64
# Bits of an item.
BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8),
    **dict.fromkeys(("F8_E5M2FNUZ", "F8_E4M3FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
    **{"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6},
}


@dataclass(frozen=True, slots=True)
class Tensors:
    """What one file, or all shards of a model, hold.

    Attributes:
        tensors: how many.
        parameters: items of all tensors.
        by_dtype: items by dtype, such as `{"BF16": 7_000_000_000}`.
        data_bytes: of the data, without heads.
        shards: files.
    """

    tensors: int
    parameters: int
    by_dtype: dict[str, int]
    data_bytes: int
    shards: int


def read(path: PathLike, files: Files = LOCAL) -> Tensors:
    """Read the head of one file.

    Raises:
        CorruptError: the head contradicts itself or the size of the file.
    """
    return _sum([_read(text_of(path), files)[0]])


def read_files(paths: Iterable[PathLike], files: Files = LOCAL) -> Tensors:
    """Read the heads of several files and add them up, each file once.

    Raises:
        CorruptError: one is damaged; the message names it.
    """
    names = dict.fromkeys(text_of(path) for path in paths)
    return _sum(each(lambda path: _read(path, files)[0], names, files))


def read_index(path: PathLike, files: Files = LOCAL) -> Tensors:
    """Read the heads of all shards that an index names, each once.

    Args:
        path: the `….safetensors.index.json`.
        files: where it lies.

    Raises:
        PathNotFoundError: a shard is not there.
        CorruptError: index and shards disagree, or one is damaged.
    """
    where = text_of(path)
    document = read_json(where, files)
    mapping = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(mapping, dict) or not mapping:
        raise damaged(where, "expected an object weight_map, from tensors to files")
    wanted: dict[str, set[str]] = {}
    for tensor, name in mapping.items():
        if not isinstance(name, str) or not name or "/" in name or name in (".", ".."):
            raise damaged(where, f"{tensor!r} is said to be in {name!r}, expected a file beside the index")
        wanted.setdefault(name, set()).add(tensor)
    found = []
    folder = os.path.dirname(where) or "."
    shards = {f"{folder}/{name}": tensors for name, tensors in sorted(wanted.items())}
    heads = each(lambda shard: _read(shard, files), shards, files)
    for (shard, tensors), (head, names) in zip(shards.items(), heads, strict=True):
        if missing := tensors - names:
            raise damaged(
                shard, f"it lacks {len(missing):,} tensors that {where} names, {min(missing)!r} first"
            )
        found.append(head)
    return _sum(found)


def _sum(heads: Iterable[Tensors]) -> Tensors:
    tensors = parameters = data_bytes = shards = 0
    by_dtype: dict[str, int] = {}
    for head in heads:
        tensors += head.tensors
        parameters += head.parameters
        data_bytes += head.data_bytes
        shards += head.shards
        for dtype, items in head.by_dtype.items():
            by_dtype[dtype] = by_dtype.get(dtype, 0) + items
    return Tensors(tensors, parameters, dict(sorted(by_dtype.items())), data_bytes, shards)


def _read(where: str, files: Files) -> tuple[Tensors, set[str]]:
    size = files.size(where)
    with files.open(where) as file:
        length = int.from_bytes(exact(file, 8, where), "little")
        if length > min(size - 8, JSON_BYTES_MAX):
            raise damaged(
                where,
                f"a head of {length:,} bytes in a file of {size:,} (at most {JSON_BYTES_MAX:,} are read)",
            )
        document = parse_json(exact(file, length, where), where)
    if not isinstance(document, dict):
        raise damaged(where, "its head is no JSON object")
    document.pop("__metadata__", None)
    places: list[tuple[int, int, str]] = []
    by_dtype: dict[str, int] = {}
    for name, entry in document.items():
        dtype, items, begin, end = _tensor(name, entry, where)
        places.append((begin, end, name))
        by_dtype[dtype] = by_dtype.get(dtype, 0) + items
    _check_places(places, size - 8 - length, where)
    return Tensors(len(document), sum(by_dtype.values()), by_dtype, size - 8 - length, 1), set(document)


def _tensor(name: str, entry: Any, where: str) -> tuple[str, int, int, int]:
    if not isinstance(entry, dict):
        raise damaged(where, f"tensor {name!r} is no object")
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str):
        raise damaged(where, f"tensor {name!r} has no dtype")
    if not (
        isinstance(shape, list) and len(shape) <= DIMENSIONS_MAX and all(is_count(axis) for axis in shape)
    ):
        raise damaged(where, f"tensor {name!r} has no shape of whole numbers")
    if not (isinstance(offsets, list) and len(offsets) == 2 and all(is_count(place) for place in offsets)):
        raise damaged(where, f"tensor {name!r} has no data_offsets of two whole numbers")
    items, (begin, end) = math.prod(shape), offsets
    if dtype in BITS and items * BITS[dtype] != (end - begin) * 8:
        raise damaged(
            where,
            f"tensor {name!r} of shape {shape} and dtype {dtype} lies in {end - begin:,} bytes, "
            f"expected {items * BITS[dtype] // 8:,}",
        )
    return dtype, items, begin, end


def _check_places(places: list[tuple[int, int, str]], data_bytes: int, where: str) -> None:
    """Tensors lie one after the other and fill the data."""
    at = 0
    for begin, end, name in sorted(places):
        if begin != at or end < begin:
            raise damaged(
                where, f"tensor {name!r} lies at {begin:,} to {end:,}, expected it to begin at {at:,}"
            )
        at = end
    if at != data_bytes:
        raise damaged(where, f"its tensors have {at:,} bytes, found {data_bytes:,}")
