"""Packed SFT data: several conversations in one row of Parquet, with a mask of the tokens that count.

Columns: `input_ids`; `loss_mask`, 1 for each token of an answer; `seq_start_id`, where in the row each
conversation begins.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Array = np.ndarray[Any, Any]
SCHEMA = pa.schema(
    [
        ("input_ids", pa.list_(pa.int32())),
        ("loss_mask", pa.list_(pa.uint8())),
        ("seq_start_id", pa.list_(pa.int32())),
    ]
)


@dataclass
class Pack:
    """One row."""

    input_ids: list[int] = field(default_factory=list)
    loss_mask: list[int] = field(default_factory=list)
    seq_start_id: list[int] = field(default_factory=list)

    def add(self, prompt: list[int], answer: list[int]) -> None:
        """Append a conversation."""
        self.seq_start_id.append(len(self.input_ids))
        self.input_ids += prompt + answer
        self.loss_mask += [0] * len(prompt) + [1] * len(answer)

    def prompts(self) -> Iterator[list[int]]:
        """The prompt of each conversation."""
        for start in self.seq_start_id:
            yield self.input_ids[start : self.loss_mask.index(1, start)]


def pack(conversations: Iterable[tuple[list[int], list[int]]], size: int) -> list[Pack]:
    """Fill packs of up to `size` tokens in the order given; a conversation that is longer is left out."""
    packs = [Pack()]
    for prompt, answer in conversations:
        length = len(prompt) + len(answer)
        if length > size:
            continue
        if len(packs[-1].input_ids) + length > size:
            packs.append(Pack())
        packs[-1].add(prompt, answer)
    return [pack for pack in packs if pack.input_ids]


def write(path: Path, packs: list[Pack]) -> None:
    """Write a Parquet file."""
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([vars(pack) for pack in packs], SCHEMA), path)


def read(folder: Path) -> list[Pack]:
    """Read all Parquet files of a split."""
    return [
        Pack(**row) for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()
    ]


def batch(packs: list[Pack], size: int) -> tuple[Array, Array, Array]:
    """Packs as arrays for a model that predicts the next token.

    Returns:
        Tokens, (packs, size); for each but the first its weight in the loss, (packs, size - 1), zero for
        prompts and padding and 1 in sum; and which conversation each but the last belongs to.
    """
    tokens, mask, segments = (np.zeros((len(packs), size), dtype=np.int64) for _ in range(3))
    for row, pack in enumerate(packs):
        tokens[row, : len(pack.input_ids)] = pack.input_ids
        mask[row, : len(pack.loss_mask)] = pack.loss_mask
        segments[row, pack.seq_start_id] = 1
        segments[row, len(pack.input_ids) : len(pack.input_ids) + 1] = 1  # what follows is padding
    weights = mask[:, 1:] / mask[:, 1:].sum()
    return tokens, weights, segments.cumsum(axis=1)[:, :-1]
