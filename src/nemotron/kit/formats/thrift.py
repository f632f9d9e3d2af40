"""Thrift's compact protocol, as far as the footers of Parquet need it: chosen fields of nested structs.

Why not pyarrow: it ends the whole process where a footer contradicts its schema (a C++ exception that its
metadata calls don't catch, seen with 26.0), and loading it costs more than reading a thousand footers.
Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from typing import Any

DEPTH_MAX = 32
# Of what is wanted and so kept; what is skipped takes no memory.
STRUCTS_MAX = 500_000
ITEMS_MAX = 4_000_000
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT, _UUID = 1, 2, 3, 7, 8, 9, 10, 11, 12, 13
_INTEGERS = (4, 5, 6)
_WIDTHS = {_BYTE: 1, _DOUBLE: 8, _UUID: 16}

# The fields that are wanted of a struct: their ids, each with the fields of the struct (or list of structs)
# that it is, or None for anything else.
Wanted = dict[int, "Wanted | None"]


class ThriftError(ValueError):
    """Not thrift, or beyond the limits."""


class Compact:
    """A reader of one buffer. No length in it is believed beyond the buffer's end.

    >>> Compact(bytes([0x15, 0x06, 0x18, 0x02, 0x68, 0x69, 0x00])).struct({1: None, 2: None})
    {1: 3, 2: b'hi'}

    Args:
        data: begins with the struct.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._at, self._structs, self._items = data, 0, 0, 0

    def struct(self, wanted: Wanted, depth: int = 0) -> dict[int, Any]:
        """The wanted fields of the struct that begins here.

        Raises:
            ThriftError: it is none.
        """
        self._structs += bool(wanted)
        if depth > DEPTH_MAX or self._structs > STRUCTS_MAX:
            raise ThriftError(f"nested deeper than {DEPTH_MAX}, or more than {STRUCTS_MAX:,} structs")
        found: dict[int, Any] = {}
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._zigzag()
            kind = head & 15
            if field in wanted:
                found[field] = self._value(kind, wanted[field], depth)
            else:
                self._skip(kind, depth)
        return found

    def _value(self, kind: int, wanted: Wanted | None, depth: int) -> Any:
        if kind == _STRUCT:
            return self.struct(wanted or {}, depth + 1)
        if kind in (_LIST, _SET):
            count, item = self._list_head()
            self._items += count
            if self._items > ITEMS_MAX:
                raise ThriftError(f"lists of more than {ITEMS_MAX:,} items")
            if item in (_TRUE, _FALSE):  # in a list each is a byte of its own
                item = _BYTE
            return [self._value(item, wanted, depth + 1) for _ in range(count)]
        if kind in _INTEGERS:
            return self._zigzag()
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE
        if kind == _BINARY:
            return self._take(self._varint())
        if kind in _WIDTHS:
            return self._take(_WIDTHS[kind])
        self._skip(kind, depth)
        return None

    def _skip(self, kind: int, depth: int) -> None:
        if kind in _INTEGERS:
            self._varint()
        elif kind == _BINARY:
            self._take(self._varint())
        elif kind in _WIDTHS:
            self._take(_WIDTHS[kind])
        elif kind == _STRUCT:
            self.struct({}, depth + 1)
        elif kind in (_LIST, _SET):
            count, item = self._list_head()
            self._skip_items(count, item, depth)
        elif kind == _MAP:
            if count := self._count():
                kinds = self._byte()
                for _ in range(count):
                    self._skip_items(1, kinds >> 4, depth)
                    self._skip_items(1, kinds & 15, depth)
        elif kind not in (_TRUE, _FALSE):
            raise ThriftError(f"type {kind}")

    def _skip_items(self, count: int, item: int, depth: int) -> None:
        if depth > DEPTH_MAX:
            raise ThriftError(f"nested deeper than {DEPTH_MAX}")
        if item in (_TRUE, _FALSE, *_WIDTHS):
            self._take(count * _WIDTHS.get(item, 1))
            return
        for _ in range(count):
            self._skip(item, depth + 1)

    def _list_head(self) -> tuple[int, int]:
        head = self._byte()
        count = head >> 4
        return (self._count() if count == 15 else count), head & 15

    def _count(self) -> int:
        count = self._varint()
        if count > len(self._data) - self._at:  # each item takes a byte at least
            raise ThriftError(f"{count:,} items in {len(self._data) - self._at:,} bytes")
        return count

    def _byte(self) -> int:
        if self._at >= len(self._data):
            raise ThriftError("it ends too early")
        self._at += 1
        return self._data[self._at - 1]

    def _take(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise ThriftError(f"{count:,} bytes, and {len(self._data) - self._at:,} are left")
        self._at += count
        return self._data[self._at - count : self._at]

    def _varint(self) -> int:
        data, at = self._data, self._at
        value = shift = 0
        while True:
            if at >= len(data) or shift > 63:
                raise ThriftError("a number without end")
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                self._at = at
                return value
            shift += 7

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
