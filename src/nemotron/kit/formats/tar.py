"""Tar shards as web datasets: samples and files, from the headers alone.

A sample is the files whose names agree up to the first dot of the base name. Source:
https://github.com/webdataset/webdataset#the-webdataset-format
"""

import re
from dataclasses import dataclass
from typing import BinaryIO

from nemotron.kit.formats.reading import LOCAL, Files, PathLike, damaged, exact, text_of

BLOCK = 512
NAME_BYTES_MAX = 1 << 20
MEMBERS_MAX = 5_000_000
_PLAIN, _LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL = b"0\x007", b"L", b"K", b"x", b"g"
_PAX_RECORD = re.compile(rb"\d{1,9} path=([^\n]*)\n")


@dataclass(frozen=True, slots=True)
class TarShard:
    """One tar file.

    Attributes:
        samples: how many; files of one sample lie together.
        files: members that are plain files.
        data_bytes: of those, in bytes.
    """

    samples: int
    files: int
    data_bytes: int


def read(path: PathLike, files: Files = LOCAL) -> TarShard:
    """Read the headers of a tar file.

    Raises:
        CorruptError: a header is damaged, or a member goes beyond the end of the file.
    """
    where = text_of(path)
    size = files.size(where)
    samples = count = data_bytes = 0
    key: bytes | None = None
    long_name: bytes | None = None
    at = members = 0
    with files.open(where) as file:
        while at + BLOCK <= size:
            file.seek(at)
            header = exact(file, BLOCK, where)
            if not any(header):
                break  # the end is marked by zeros
            members += 1
            if members > MEMBERS_MAX:
                raise damaged(where, f"it has more than {MEMBERS_MAX:,} members")
            length = _check(header, at, where)
            at += BLOCK
            if length > size - at:
                raise damaged(where, f"it ends after {size:,} bytes, within a member of {length:,} bytes")
            kind = header[156:157]
            if kind in (_LONG_NAME, _PAX):
                long_name = _name(file, length, kind, where) or long_name
            elif kind not in (_LONG_LINK, _PAX_GLOBAL):
                if kind in _PLAIN:
                    count += 1
                    data_bytes += length
                    sample = _key(long_name or _short_name(header))
                    samples += sample != key
                    key = sample
                long_name = None
            at += -(-length // BLOCK) * BLOCK
        else:
            if size == 0 or at != size:
                raise damaged(where, f"{size:,} bytes, which is no whole number of blocks of {BLOCK}")
    return TarShard(samples, count, data_bytes)


def _check(header: bytes, at: int, where: str) -> int:
    """The member's size, of a header whose sum is right."""
    plain = sum(header) - sum(header[148:156]) + 8 * 32
    if _number(header[148:156]) != plain:
        raise damaged(where, f"the header at byte {at:,} has a wrong sum")
    length = _number(header[124:136])
    if length is None or length < 0:
        raise damaged(where, f"the header at byte {at:,} has no size")
    return length


def _number(field: bytes) -> int | None:
    if field[0] in (0x80, 0xFF):  # base 256, for what octal digits can't hold
        return int.from_bytes(field[1:], "big") if field[0] == 0x80 else -1
    digits = field.strip(b" \x00")
    if not re.fullmatch(rb"[0-7]*", digits):
        return None
    return int(digits or b"0", 8)


def _name(file: BinaryIO, length: int, kind: bytes, where: str) -> bytes | None:
    if length > NAME_BYTES_MAX:
        raise damaged(where, f"a name of {length:,} bytes, more than {NAME_BYTES_MAX:,}")
    data = exact(file, length, where)
    if kind == _LONG_NAME:
        return data.rstrip(b"\x00")
    found = _PAX_RECORD.search(data)
    return found[1] if found else None


def _short_name(header: bytes) -> bytes:
    name = header[:100].partition(b"\x00")[0]
    prefix = header[345:500].partition(b"\x00")[0] if header[257:262] == b"ustar" else b""
    return prefix + b"/" + name if prefix else name


def _key(name: bytes) -> bytes:
    folder, slash, base = name.rpartition(b"/")
    return folder + slash + base.partition(b".")[0]
