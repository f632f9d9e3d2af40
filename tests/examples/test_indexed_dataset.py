import struct
from pathlib import Path

import indexed_dataset
import numpy as np
import pytest
from indexed_dataset import IndexedDataset

DOCUMENTS = [[1, 2, 3], [65_535], [0, 7]]


def test_the_files_are_as_megatron_specifies_them(tmp_path: Path) -> None:
    """The bytes spelt out, so that writer and reader can't be wrong together."""
    assert indexed_dataset.write(tmp_path / "shard", DOCUMENTS) == (3, 6)
    assert (tmp_path / "shard.bin").read_bytes() == struct.pack("<6H", 1, 2, 3, 65_535, 0, 7)
    assert (tmp_path / "shard.idx").read_bytes() == (
        b"MMIDIDX\x00\x00"
        + struct.pack("<Q", 1)  # version
        + struct.pack("<B", 8)  # uint16
        + struct.pack("<QQ", 3, 4)  # sequences, document boundaries
        + struct.pack("<3i", 3, 1, 2)  # lengths in tokens
        + struct.pack("<3q", 0, 6, 8)  # places in bytes
        + struct.pack("<4q", 0, 1, 2, 3)  # boundaries
    )


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    prefix = tmp_path / "train-a.b"  # a dot in a name is no suffix
    indexed_dataset.write(prefix, DOCUMENTS)
    read = IndexedDataset.open(prefix)
    assert [read[i].tolist() for i in range(len(read))] == DOCUMENTS
    assert read.tokens.tolist() == [1, 2, 3, 65_535, 0, 7]
    last = int(read.starts[-1]) + int(read.lengths[-1]) * 2
    assert last == (tmp_path / "train-a.b.bin").stat().st_size


def test_a_token_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OverflowError):
        indexed_dataset.write(tmp_path / "shard", [[65_536]])


def test_another_file_is_refused(tmp_path: Path) -> None:
    indexed_dataset.write(tmp_path / "shard", DOCUMENTS)
    index = tmp_path / "shard.idx"
    index.write_bytes(b"X" + index.read_bytes()[1:])
    with pytest.raises(ValueError, match=r"shard.idx is no Megatron index"):
        IndexedDataset.open(tmp_path / "shard")


def test_a_blend_is_drawn_from_by_its_weights(tmp_path: Path) -> None:
    from pretrain import Blend

    indexed_dataset.write(tmp_path / "train-a", [[1] * 50])
    indexed_dataset.write(tmp_path / "train-b", [[2, 3]])
    (tmp_path / "blend.json").write_text('{"train": ["0.75", "train-a", "0.25", "train-b"], "valid": []}')
    windows = Blend(tmp_path, "train").draw(4000, 5, np.random.default_rng(0))
    assert windows.shape == (4000, 5)
    assert (windows[:, 0] == 1).mean() == pytest.approx(0.75, abs=0.03)
    assert {tuple(window) for window in windows} == {(1, 1, 1, 1, 1), (2, 3, 2, 3, 2)}
