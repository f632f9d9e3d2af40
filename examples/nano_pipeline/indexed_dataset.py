"""Megatron's indexed datasets: tokens in `PREFIX.bin`, where documents begin in `PREFIX.idx`.

The `.idx` is: magic, u64 version, u8 code of the dtype, u64 number of sequences, u64 number of document
boundaries; then the sequences' lengths (int32), their places in the `.bin` in bytes (int64), and the
boundaries, as numbers of sequences (int64). It is what megatron-core's `IndexedDatasetBuilder` writes.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MAGIC = b"MMIDIDX\x00\x00"
HEAD = struct.Struct("<9sQBQQ")
VERSION = 1
UINT16 = 8  # megatron-core's code; enough for vocabularies below 65,536


def write(prefix: Path, documents: Iterable[list[int]]) -> tuple[int, int]:
    """Write one sequence per document; returns how many sequences and tokens that was."""
    lengths = []
    with Path(f"{prefix}.bin").open("wb") as file:
        for tokens in documents:
            file.write(np.asarray(tokens, dtype="<u2").tobytes())
            lengths.append(len(tokens))
    ends = np.cumsum(lengths, dtype="<i8") if lengths else np.zeros(0, "<i8")
    with Path(f"{prefix}.idx").open("wb") as file:
        file.write(HEAD.pack(MAGIC, VERSION, UINT16, len(lengths), len(lengths) + 1))
        file.write(np.asarray(lengths, dtype="<i4").tobytes())
        file.write(((ends - lengths) * 2).astype("<i8").tobytes())
        file.write(np.arange(len(lengths) + 1, dtype="<i8").tobytes())
    return len(lengths), int(sum(lengths))


@dataclass(frozen=True)
class IndexedDataset:
    """A shard as it lies on the disk.

    Attributes:
        tokens: all of them, one document after the other, mapped and not read.
        lengths: of each sequence, in tokens.
        starts: of each sequence, in bytes.
        boundaries: at which sequences documents begin, and the end of the last.
    """

    tokens: np.ndarray[Any, Any]
    lengths: np.ndarray[Any, Any]
    starts: np.ndarray[Any, Any]
    boundaries: np.ndarray[Any, Any]

    @classmethod
    def open(cls, prefix: Path) -> "IndexedDataset":
        """Map `PREFIX.bin` as `PREFIX.idx` says."""
        index = Path(f"{prefix}.idx").read_bytes()
        magic, version, code, sequences, boundaries = HEAD.unpack_from(index)
        if (magic, version, code) != (MAGIC, VERSION, UINT16):
            raise ValueError(f"{prefix}.idx is no Megatron index of uint16 tokens")
        at = HEAD.size
        lengths = np.frombuffer(index, "<i4", sequences, at)
        starts = np.frombuffer(index, "<i8", sequences, at := at + lengths.nbytes)
        ends = np.frombuffer(index, "<i8", boundaries, at + starts.nbytes)
        return cls(np.memmap(f"{prefix}.bin", dtype="<u2", mode="r"), lengths, starts, ends)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, i: int) -> np.ndarray[Any, Any]:
        """The tokens of sequence `i`."""
        start = int(self.starts[i]) // 2
        return self.tokens[start : start + int(self.lengths[i])]
