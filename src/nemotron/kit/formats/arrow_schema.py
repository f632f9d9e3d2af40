"""What only the Arrow schema in a Parquet footer says: how long the rows of a fixed-size list are.

It is a flatbuffer, of which this reads the path Message → Schema → Field → FixedSizeList.
Sources: https://github.com/apache/arrow/tree/main/format (Message.fbs, Schema.fbs), https://flatbuffers.dev
"""

import binascii
import struct
from base64 import b64decode

_FIXED_SIZE_LIST = 16
# Places of the fields in their tables.
_MESSAGE_HEADER, _SCHEMA_FIELDS, _FIELD_NAME, _FIELD_KIND, _FIELD_TYPE, _LIST_SIZE = 2, 1, 0, 2, 3, 0


def list_size(schema: bytes, column: str) -> int | None:
    """Items of each row of a column, if its type is a fixed-size list.

    Args:
        schema: the value of `ARROW:schema`.
        column: of the top level.

    Returns:
        None if the type fixes nothing, or the schema can't be understood.
    """
    try:
        data = b64decode(schema, validate=True)
        # In front: a mark and a length, or in old files the length alone.
        data = data[8 if data[:4] == b"\xff\xff\xff\xff" else 4 :]
        message = _u32(data, 0)
        top = _follow(data, message, _MESSAGE_HEADER)
        fields = _follow(data, top, _SCHEMA_FIELDS) if top else None
        if not fields:
            return None
        for index in range(min(_u32(data, fields), len(data) // 4)):
            place = fields + 4 + 4 * index
            field = place + _u32(data, place)
            name = _follow(data, field, _FIELD_NAME)
            if name and data[name + 4 : name + 4 + _u32(data, name)] == column.encode():
                return _size(data, field)
    except (struct.error, binascii.Error, ValueError):
        return None  # it is an addition of one writer's; the footer says all else
    return None


def _size(data: bytes, field: int) -> int | None:
    kind = _at(data, field, _FIELD_KIND)
    if kind is None or data[kind : kind + 1] != bytes([_FIXED_SIZE_LIST]):
        return None
    table = _follow(data, field, _FIELD_TYPE)
    size = _at(data, table, _LIST_SIZE) if table else None
    found = struct.unpack_from("<i", data, size)[0] if size else 0
    return found if found > 0 else None


def _at(data: bytes, table: int, field: int) -> int | None:
    """Where a field of a table is, or None if it is left out."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    if vtable < 0 or table < 0:
        raise ValueError("beyond the buffer")
    if 4 + 2 * field >= struct.unpack_from("<H", data, vtable)[0]:
        return None
    offset = struct.unpack_from("<H", data, vtable + 4 + 2 * field)[0]
    return table + offset if offset else None


def _follow(data: bytes, table: int, field: int) -> int | None:
    place = _at(data, table, field)
    return place + _u32(data, place) if place else None


def _u32(data: bytes, at: int) -> int:
    found: int = struct.unpack_from("<I", data, at)[0]
    return found
