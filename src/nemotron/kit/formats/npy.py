"""NumPy arrays: dtype and shape from the head of a `.npy`. Pickled objects are never loaded."""

import ast
import math
import re
import struct
from dataclasses import dataclass
from typing import Any

from nemotron.kit.formats.reading import LOCAL, Files, PathLike, damaged, exact, is_count, text_of

MAGIC = b"\x93NUMPY"
HEAD_BYTES_MAX = 10_000  # numpy's own limit
DIMENSIONS_MAX = 64
_PLAIN = re.compile(r"[<>|=][biufcSV](\d{1,9})")


@dataclass(frozen=True, slots=True)
class Array:
    """The head of one array.

    Attributes:
        dtype: as numpy spells it, such as `<f4`; `structured` for records.
        shape: items along each axis.
        items: the product of the shape.
    """

    dtype: str
    shape: tuple[int, ...]
    items: int


def read(path: PathLike, files: Files = LOCAL) -> Array:
    """Read the head of an array.

    Raises:
        CorruptError: it is none, or the file is not as long as it says.
    """
    where = text_of(path)
    size = files.size(where)
    with files.open(where) as file:
        start = exact(file, 8, where)
        if start[:6] != MAGIC or start[6] not in (1, 2, 3):
            raise damaged(where, "it does not begin as a NumPy array of version 1, 2 or 3")
        wide = start[6] > 1
        length = struct.unpack("<I" if wide else "<H", exact(file, 4 if wide else 2, where))[0]
        if length > HEAD_BYTES_MAX:
            raise damaged(where, f"a head of {length:,} bytes, more than {HEAD_BYTES_MAX:,}")
        head = exact(file, length, where)
    described = _parse(head, where)
    dtype, shape = described.get("descr"), described.get("shape")
    if not (
        isinstance(shape, tuple) and len(shape) <= DIMENSIONS_MAX and all(is_count(axis) for axis in shape)
    ):
        raise damaged(where, f"shape {shape!r}, expected whole numbers")
    items = math.prod(shape)
    plain = _PLAIN.fullmatch(dtype) if isinstance(dtype, str) else None
    if plain:
        expected = 8 + (4 if wide else 2) + length + items * int(plain[1])
        if size != expected:
            raise damaged(where, f"shape {shape} of {dtype} makes {expected:,} bytes, found {size:,}")
    return Array(dtype if isinstance(dtype, str) else "structured", shape, items)


def _parse(head: bytes, where: str) -> dict[str, Any]:
    try:
        described = ast.literal_eval(head.decode("utf-8").strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError) as error:
        raise damaged(where, f"its head can't be understood ({type(error).__name__})") from error
    if not isinstance(described, dict):
        raise damaged(where, "its head is no dictionary")
    return described
