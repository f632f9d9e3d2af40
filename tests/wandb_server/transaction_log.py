"""What the client wrote while it was offline: LevelDB's record format around protobuf messages."""

import struct
from pathlib import Path
from typing import Any

HEADER_SIZE = 7
BLOCK_SIZE = 32 * 1024
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def read_log(folder: Path) -> list[Any]:
    """The records of the one offline run under a folder, in order.

    Args:
        folder: `WANDB_DIR`, or the run's own folder.
    """
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.rglob("*.wandb")
    data = path.read_bytes()
    records, parts, at = [], b"", HEADER_SIZE
    while at + HEADER_SIZE <= len(data):
        left = BLOCK_SIZE - at % BLOCK_SIZE
        if left < HEADER_SIZE:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        if kind not in (FULL, FIRST, MIDDLE, LAST):
            break
        at += HEADER_SIZE
        parts = (b"" if kind in (FULL, FIRST) else parts) + data[at : at + length]
        at += length
        if kind in (FULL, LAST):
            records.append(Record.FromString(parts))
    return records
