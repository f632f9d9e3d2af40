"""Parquet footers, written by pyarrow."""

import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.counting import GOLDEN, CountingFiles
from nemotron.kit.errors import CorruptError, MissingExtraError
from nemotron.kit.formats import parquet

SHARDS = sorted((GOLDEN / "sft").rglob("*.parquet"))


def write(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


def lists(rows: list[Any], kind: Any = None) -> Any:
    return pa.array(rows, kind or pa.list_(pa.int32()))


def test_packed_data() -> None:
    table = parquet.read_all(SHARDS)
    rows = [row for shard in SHARDS for row in pq.read_table(shard).to_pylist()]
    assert table.rows == len(rows) == 4
    assert table.tokens == sum(len(row["input_ids"]) for row in rows)
    assert table.starts == sum(len(row["seq_start_id"]) for row in rows)
    assert table.shards == 2
    assert table.columns == ("input_ids", "loss_mask", "seq_start_id")
    assert table.pack_size is None
    assert table.loss_share is None


def test_a_file_named_twice_counts_once() -> None:
    assert parquet.read_all([SHARDS[0], str(SHARDS[0])]) == parquet.read_all(SHARDS[:1])


def test_the_loss_share_is_read_when_asked(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"loss_mask": lists([[0, 1, 1], [1]])})
    assert parquet.loss_share(path) == 0.75
    assert parquet.loss_share(write(tmp_path / "b.parquet", {"text": ["x"]})) is None
    other = write(tmp_path / "c.parquet", {"loss_mask": pa.array([[True, False], [], None, [None]])})
    assert parquet.loss_share(other) == 0.5
    assert parquet.loss_share([path, str(path), other]) == 4 / 6


@pytest.mark.parametrize("mask", [[1, 0], ["a"], [["a"]], [{"a": 1}]])
def test_a_mask_of_another_type(tmp_path: Path, mask: list[Any]) -> None:
    with pytest.raises(CorruptError, match=r"a\.parquet is damaged: loss_mask can't be read"):
        parquet.loss_share(write(tmp_path / "a.parquet", {"loss_mask": pa.array(mask)}))


CHANGES = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255))


@settings(max_examples=200)
@given(changes=st.lists(CHANGES, min_size=1, max_size=4))
def test_a_damaged_mask_gives_a_share_or_an_error_of_the_kit(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[float, int]]
) -> None:
    data = bytearray(SHARDS[0].read_bytes())
    for place, byte in changes:
        data[int(place * len(data))] = byte
    path = tmp_path_factory.mktemp("mask") / "a.parquet"
    path.write_bytes(data)
    share = None
    with suppress(CorruptError):
        share = parquet.loss_share(path)
    assert share is None or 0 <= share <= 1


@pytest.mark.parametrize(("value", "share"), [(0, 0.0), (1, 1.0), (2, None)])
def test_a_constant_mask_is_known_from_the_footer(tmp_path: Path, value: int, share: float | None) -> None:
    assert (
        parquet.read(write(tmp_path / "a.parquet", {"loss_mask": lists([[value] * 3])})).loss_share == share
    )


@pytest.mark.parametrize("rows", [[[1, 2, 3], [], None, [4]], [[1, None]], [[]], [None], []])
def test_empty_lists_and_nulls_are_no_tokens(tmp_path: Path, rows: list[Any]) -> None:
    found = parquet.read(write(tmp_path / "a.parquet", {"input_ids": lists(rows)}))
    assert found.tokens == sum(item is not None for row in rows for item in row or [])
    assert found.rows == len(rows)


def test_a_fixed_size_is_the_pack_size(tmp_path: Path) -> None:
    kind = pa.list_(pa.int32(), 4)
    assert parquet.read(write(tmp_path / "a.parquet", {"input_ids": lists([[1] * 4], kind)})).pack_size == 4


def test_without_statistics_tokens_are_unknown_and_not_zero(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"input_ids": lists([[1, 2]])}, write_statistics=False)
    assert parquet.read(path).tokens is None


def test_several_row_groups(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"input_ids": lists([[1, 2]] * 10)}, row_group_size=3)
    assert parquet.read(path).tokens == 20


def test_never_reads_bulk_data(tmp_path: Path) -> None:
    tokens = pa.array([list(range(1000))] * 500, pa.list_(pa.int64()))
    path = write(tmp_path / "a.parquet", {"input_ids": tokens}, compression="none", use_dictionary=False)
    files = CountingFiles()
    assert parquet.read(path, files).tokens == 500_000
    assert files.read <= parquet.TAIL_BYTES < path.stat().st_size / 10


def test_a_footer_longer_than_the_tail(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {f"column_{i:04}_{'x' * 50}": [1] for i in range(1000)})
    assert len(parquet.read(path).columns) == 1000


@pytest.mark.parametrize("kept", [0, 4, 11, 100, -1])
def test_truncated(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.parquet"
    path.write_bytes(SHARDS[0].read_bytes()[:kept])
    with pytest.raises(CorruptError, match=r"cut\.parquet is damaged"):
        parquet.read(path)


def test_cut_out_data_is_noticed(tmp_path: Path) -> None:
    tokens = pa.array([list(range(1000))] * 50, pa.list_(pa.int64()))
    whole = write(tmp_path / "a.parquet", {"input_ids": tokens}, compression="none").read_bytes()
    path = tmp_path / "cut.parquet"
    path.write_bytes(whole[:100] + whole[-1000:])
    with pytest.raises(CorruptError, match="beyond the end of the file"):
        parquet.read(path)


@pytest.mark.parametrize("length", [0, 1, 1 << 31, (1 << 32) - 1])
def test_a_footer_length_that_lies(tmp_path: Path, length: int) -> None:
    path = tmp_path / "liar.parquet"
    path.write_bytes(SHARDS[0].read_bytes()[:-8] + length.to_bytes(4, "little") + b"PAR1")
    with pytest.raises(CorruptError, match=r"liar\.parquet is damaged"):
        parquet.read(path)


def test_counting_needs_no_pyarrow_and_the_loss_share_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert parquet.read(SHARDS[0]).rows == 3
    with pytest.raises(MissingExtraError, match=r"pip install 'nemotron-kit\[formats\]'"):
        parquet.loss_share(SHARDS[0])


def test_a_footer_that_pyarrow_ends_the_process_for() -> None:
    # A column chunk of another type than the schema says: libparquet throws where nobody catches.
    with pytest.raises(CorruptError, match="a row group has other columns than the schema"):
        parquet.read(GOLDEN / "hostile" / "pyarrow_ends_the_process.parquet")


LEAVES = st.sampled_from([pa.int32(), pa.int64(), pa.float32(), pa.bool_(), pa.string(), pa.uint8()])
TYPES = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(pa.list_, inner)
        | st.builds(lambda item: pa.struct([("a", item), ("b", pa.int32())]), inner)
        | st.builds(lambda item: pa.map_(pa.string(), item), inner)
    ),
    max_leaves=3,
)


@given(
    tokens=st.lists(st.none() | st.lists(st.none() | st.integers(0, 9), max_size=5), max_size=20),
    beside=st.lists(TYPES, max_size=3),
    group=st.integers(1, 25),
    options=st.fixed_dictionaries(
        {
            "compression": st.sampled_from(["none", "zstd"]),
            "use_dictionary": st.booleans(),
            "data_page_version": st.sampled_from(["1.0", "2.0"]),
            "version": st.sampled_from(["1.0", "2.6"]),
        }
    ),
)
def test_says_what_pyarrow_says(tokens: Any, beside: Any, group: int, options: Any) -> None:
    columns = {"input_ids": pa.array(tokens, pa.list_(pa.int32()))}
    columns |= {f"c{index}": pa.nulls(len(tokens), kind) for index, kind in enumerate(beside)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.parquet")
        pq.write_table(pa.table(columns), path, row_group_size=group, **options)
        found, theirs = parquet.read(path), pq.read_metadata(path)
    assert (found.rows, found.columns) == (theirs.num_rows, tuple(columns))
    assert found.tokens == sum(item is not None for row in tokens if row for item in row)


def test_a_dictionary_that_is_most_of_the_file(tmp_path: Path) -> None:
    # Its page comes before the data pages, and the chunk's size counts both.
    rows = [[1000 * i + j for j in range(100)] * 2 for i in range(30)]
    path = write(tmp_path / "x.parquet", {"input_ids": lists(rows)}, compression="none")
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(0)
    assert chunk.dictionary_page_offset < chunk.data_page_offset
    assert chunk.data_page_offset + chunk.total_compressed_size > path.stat().st_size
    assert parquet.read_all([path]).tokens == 6000
