"""Megatron's indexed datasets.

megatron-core 0.16.1 wrote the golden files; `said.json` is what its own reader says of them.
"""

import json
import shutil
import struct
import sys
from pathlib import Path

import pytest

from formats.counting import GOLDEN, CountingFiles
from nemotron.kit.errors import CorruptError, PathNotFoundError
from nemotron.kit.formats import megatron_idx

MEGATRON = GOLDEN / "megatron"
SAID = json.loads((MEGATRON / "said.json").read_text())


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """A shard that can be damaged: 6 sequences, 3 documents, 19 tokens of 2 bytes."""
    for suffix in (".bin", ".idx"):
        shutil.copy(MEGATRON / f"uint16{suffix}", tmp_path / f"shard{suffix}")
    return tmp_path / "shard"


@pytest.mark.parametrize("name", SAID)
def test_reads_what_megatron_core_reads(name: str) -> None:
    shard = megatron_idx.read(MEGATRON / name)
    said = SAID[name]
    assert (shard.sequences, shard.documents, shard.tokens) == (
        said["sequences"],
        said["documents"],
        said["tokens"],
    )
    assert (shard.dtype, shard.multimodal) == (said["dtype"], said["multimodal"])


@pytest.mark.parametrize("numpy", [True, False])
def test_with_and_without_numpy_the_same(numpy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if numpy:
        import numpy as module  # noqa: F401
    else:
        monkeypatch.delitem(sys.modules, "numpy", raising=False)
    assert megatron_idx.read(MEGATRON / "uint16").tokens == 19


def test_a_shard_is_named_by_prefix_or_by_either_file() -> None:
    prefix = MEGATRON / "int32"
    assert (
        megatron_idx.read(prefix) == megatron_idx.read(f"{prefix}.idx") == megatron_idx.read(f"{prefix}.bin")
    )


def test_a_truncated_bin_is_refused_by_name(shard: Path) -> None:
    data = shard.with_suffix(".bin")
    data.write_bytes(data.read_bytes()[:-2])
    with pytest.raises(
        CorruptError, match=r"shard\.bin is damaged: .*19 tokens of 2 bytes, 38 bytes; found 36"
    ):
        megatron_idx.read(shard)


@pytest.mark.parametrize("missing", [".bin", ".idx"])
def test_a_missing_half_is_not_found(shard: Path, missing: str) -> None:
    shard.with_suffix(missing).unlink()
    with pytest.raises(PathNotFoundError, match=rf"shard\{missing}"):
        megatron_idx.read(shard)


@pytest.mark.parametrize("kept", [0, 8, 33, 34, 60, 137])
def test_a_truncated_idx_is_damaged(shard: Path, kept: int) -> None:
    index = shard.with_suffix(".idx")
    index.write_bytes(index.read_bytes()[:kept])
    with pytest.raises(CorruptError, match=r"shard\.idx is damaged"):
        megatron_idx.read(shard)


@pytest.mark.parametrize(
    ("place", "layout", "value", "said"),
    [
        (0, "9s", b"MMIDIDY\0\0", "begins with"),
        (9, "<Q", 2, "version 2"),
        (17, "<B", 9, "dtype code 9"),
        (17, "<B", 0, "dtype code 0"),
        (18, "<Q", 1 << 63, "need"),
        (18, "<Q", 7, "need"),
        (26, "<Q", 0, "no document boundaries"),
        (26, "<Q", (1 << 64) - 1, "need"),
        (34, "<i", -3, "a sequence of -3 tokens"),
        (34, "<i", 2**31 - 1, "overlap or leave gaps"),
        (34 + 24 + 40, "<q", -1, "overlap or leave gaps"),
        (34 + 72, "<q", 1, "documents begin at sequence 1"),
        (34 + 72 + 24, "<q", 5, "end at 5, expected 0 and 6"),
    ],
)
def test_a_head_that_contradicts_itself(
    shard: Path, place: int, layout: str, value: object, said: str
) -> None:
    index = shard.with_suffix(".idx")
    data = bytearray(index.read_bytes())
    struct.pack_into(layout, data, place, value)
    index.write_bytes(data)
    with pytest.raises(CorruptError, match=said):
        megatron_idx.read(shard)


def test_only_heads_lengths_and_some_places_are_read(tmp_path: Path) -> None:
    sequences = 100_000
    with (tmp_path / "s.idx").open("wb") as file:
        file.write(megatron_idx.HEAD.pack(megatron_idx.MAGIC, 1, 8, sequences, 2))
        file.write(struct.pack("<i", 10) * sequences)
        file.write(b"".join(struct.pack("<q", 20 * i) for i in range(sequences)))
        file.write(struct.pack("<qq", 0, sequences))
    with (tmp_path / "s.bin").open("wb") as file:
        file.truncate(20 * sequences)
    files = CountingFiles()
    assert megatron_idx.read(tmp_path / "s", files).tokens == 10 * sequences
    assert files.read == megatron_idx.HEAD.size + 4 * sequences + 8 * (1 << 16) + 8 + 16


@pytest.mark.parametrize("numpy", [True, False])
@pytest.mark.parametrize("sequence", [0, 1, 4])
def test_a_place_in_the_middle_that_lies(
    shard: Path, monkeypatch: pytest.MonkeyPatch, sequence: int, numpy: bool
) -> None:
    if not numpy:
        monkeypatch.delitem(sys.modules, "numpy", raising=False)
    index = bytearray(shard.with_suffix(".idx").read_bytes())
    at = megatron_idx.HEAD.size + 4 * 6 + 8 * sequence
    right = int.from_bytes(index[at : at + 8], "little")
    index[at : at + 8] = (right + 2).to_bytes(8, "little")
    shard.with_suffix(".idx").write_bytes(index)
    said = rf"sequence {sequence} begins at byte {right + 2}, and those before it end at {right}"
    with pytest.raises(CorruptError, match=said):
        megatron_idx.read(shard)


def test_each_piece_of_a_long_index_begins_where_the_last_one_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(megatron_idx, "CHUNK_BYTES", 4 * 8)
    monkeypatch.setattr(megatron_idx, "PLACES_CHECKED", 2)
    lengths = list(range(20))
    places = [2 * sum(lengths[:number]) for number in range(20)]
    good = struct.pack("<20i", *lengths), places, struct.pack("<2q", 0, 20)
    (tmp_path / "a.bin").write_bytes(b"\0" * (2 * sum(lengths)))

    def write(places: list[int]) -> None:
        head = megatron_idx.HEAD.pack(megatron_idx.MAGIC, 1, 8, 20, 2)
        (tmp_path / "a.idx").write_bytes(head + good[0] + struct.pack("<20q", *places) + good[2])

    write(places)
    assert megatron_idx.read(tmp_path / "a").tokens == sum(lengths)
    for number in (8, 9, 16, 17):
        write([place + 2 * (index == number) for index, place in enumerate(places)])
        with pytest.raises(CorruptError, match=f"sequence {number} begins"):
            megatron_idx.read(tmp_path / "a")
