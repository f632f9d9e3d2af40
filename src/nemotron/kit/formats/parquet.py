"""Parquet, above all packed SFT data: rows, tokens and pack size, as far as footers tell.

A footer knows the rows, and of each column how many values it has and how many of them are null. So the
tokens of a list column `input_ids` are known without reading one. It does not know how long the longest row
is, nor the sum of `loss_mask`; `loss_share` reads that column when it is asked.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron.kit.errors import MissingExtraError
from nemotron.kit.formats.reading import LOCAL, Files, PathLike, damaged, each, exact, text_of

if TYPE_CHECKING:
    import pyarrow.parquet as pq

MAGIC = b"PAR1"
ENCRYPTED = b"PARE"
FOOTER_BYTES_MAX = 64 << 20
CHUNKS_MAX = 1_000_000
# The footer of a shard is nearly always within this; one read is enough.
TAIL_BYTES = 64 << 10
TOKEN_COLUMNS = ("input_ids", "tokens")
MASK_COLUMN = "loss_mask"
STARTS_COLUMN = "seq_start_id"
SCHEMAS_MAX = 64

_sizes: dict[tuple[bytes, str], int | None] = {}


@dataclass(frozen=True, slots=True)
class Table:
    """What one file, or several, hold.

    Attributes:
        rows: in packed data, packs.
        tokens: items of the token column; None if there is no such column, or the footer does not say.
        starts: items of `seq_start_id`, the conversations in the packs; None as above.
        pack_size: items of a row, where the type of the token column fixes it; else None.
        loss_share: share of the tokens that count in the loss, where the footer tells; else None.
        columns: the names of the columns.
        shards: files.
    """

    rows: int
    tokens: int | None
    starts: int | None
    pack_size: int | None
    loss_share: float | None
    columns: tuple[str, ...]
    shards: int


def read(path: PathLike, files: Files = LOCAL) -> Table:
    """Read the footer of one file.

    Raises:
        CorruptError: the footer is damaged, or contradicts the size of the file.
        MissingExtraError: pyarrow is not installed.
    """
    where = text_of(path)
    parquet = _pyarrow(where)
    import pyarrow

    footer = _footer(where, files)
    tail = len(footer).to_bytes(4, "little") + MAGIC
    try:
        found: pq.FileMetaData = parquet.read_metadata(pyarrow.BufferReader(MAGIC + footer + tail))
        return _table(found, where, files.size(where))
    except (
        pyarrow.ArrowException,
        OSError,
        MemoryError,
        UnicodeDecodeError,
        OverflowError,
        KeyError,
    ) as error:
        said = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise damaged(where, f"its footer can't be understood ({said})") from error


def read_all(paths: Iterable[PathLike], files: Files = LOCAL) -> Table:
    """Read the footers of several files and add them up, each file once.

    Raises:
        CorruptError: one is damaged; the message names it.
    """
    names = dict.fromkeys(text_of(path) for path in paths)
    tables = each(lambda path: read(path, files), names, files)
    sizes = {table.pack_size for table in tables}
    columns = dict.fromkeys(column for table in tables for column in table.columns)
    shares = {table.loss_share for table in tables}
    return Table(
        rows=sum(table.rows for table in tables),
        tokens=_all_or_none(table.tokens for table in tables),
        starts=_all_or_none(table.starts for table in tables),
        pack_size=sizes.pop() if len(sizes) == 1 else None,
        loss_share=shares.pop() if len(shares) == 1 else None,
        columns=tuple(columns),
        shards=len(tables),
    )


def _all_or_none(numbers: Iterable[int | None]) -> int | None:
    known = list(numbers)
    return None if None in known else sum(number for number in known if number is not None)


def loss_share(path: PathLike, files: Files = LOCAL) -> float | None:
    """The share of tokens whose `loss_mask` is not zero. Reads that column, in batches.

    Returns:
        From 0 to 1; None if there is no such column, or nothing in it.

    Raises:
        CorruptError: the file is damaged.
        MissingExtraError: pyarrow is not installed.
    """
    where = text_of(path)
    parquet = _pyarrow(where)
    import pyarrow
    import pyarrow.compute as compute

    counted = items = 0
    try:
        with files.open(where) as raw, parquet.ParquetFile(raw) as file:
            if MASK_COLUMN not in file.schema_arrow.names:
                return None
            for batch in file.iter_batches(batch_size=1024, columns=[MASK_COLUMN]):
                values: Any = batch.column(0).flatten()
                items += len(values)
                counted += compute.sum(compute.not_equal(values, 0)).as_py() or 0
    except (pyarrow.ArrowException, OSError) as error:
        raise damaged(where, str(error).splitlines()[0]) from error
    return counted / items if items else None


def _pyarrow(where: str) -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(f"{where} needs pyarrow: pip install 'nemotron-kit[formats]'") from error
    return pyarrow.parquet


def _footer(where: str, files: Files) -> bytes:
    """The footer's bytes. Its length is checked before anything is read or parsed."""
    size = files.size(where)
    with files.open(where) as file:
        tail_bytes = min(size, TAIL_BYTES)
        file.seek(size - tail_bytes)
        tail = exact(file, tail_bytes, where)
        if size < 12 or tail[-4:] != MAGIC:
            what = "its footer is encrypted" if tail[-4:] == ENCRYPTED else "it does not end as Parquet does"
            raise damaged(where, f"{what}; {size:,} bytes")
        length = int.from_bytes(tail[-8:-4], "little")
        if length > min(size - 12, FOOTER_BYTES_MAX):
            raise damaged(
                where,
                f"a footer of {length:,} bytes in a file of {size:,} (at most {FOOTER_BYTES_MAX:,} are read)",
            )
        if length + 8 > tail_bytes:
            file.seek(size - length - 8)
            return exact(file, length, where)
    return tail[-8 - length : -8]


def _table(found: "pq.FileMetaData", where: str, size: int) -> Table:
    groups = found.num_row_groups
    rows = [found.row_group(index).num_rows for index in range(groups)]
    if found.num_rows < 0 or any(count < 0 for count in rows) or sum(rows) != found.num_rows:
        raise damaged(where, f"{found.num_rows:,} rows, and {sum(rows):,} in its row groups")
    if groups * max(found.num_columns, 1) > CHUNKS_MAX:
        raise damaged(where, f"more than {CHUNKS_MAX:,} column chunks")
    paths = [found.schema.column(index).path for index in range(found.num_columns)]
    columns = {path.partition(".")[0]: index for index, path in reversed(list(enumerate(paths)))}
    tokens = next((columns[name] for name in TOKEN_COLUMNS if name in columns), None)
    return Table(
        rows=found.num_rows,
        tokens=None if tokens is None else _items(found, tokens, where, size),
        starts=_items(found, columns[STARTS_COLUMN], where, size) if STARTS_COLUMN in columns else None,
        pack_size=None if tokens is None else _fixed_size(found, paths[tokens].partition(".")[0]),
        loss_share=_constant(found, columns[MASK_COLUMN]) if MASK_COLUMN in columns else None,
        columns=tuple(reversed(columns)),
        shards=1,
    )


def _items(found: "pq.FileMetaData", column: int, where: str, size: int) -> int | None:
    """Items of a column: values that are neither null nor the mark of an empty list.

    Without statistics, lists that can't be told from empty ones leave it open.
    """
    total = 0
    for index in range(found.num_row_groups):
        group = found.row_group(index)
        chunk = group.column(column)
        # A chunk begins with its dictionary, where it has one, and its size counts that too.
        starts = [chunk.data_page_offset, chunk.dictionary_page_offset if chunk.has_dictionary_page else None]
        start = min(offset for offset in starts if offset is not None)
        if not (0 <= start <= size and 0 <= chunk.total_compressed_size <= size - min(start, size)):
            raise damaged(where, f"column {chunk.path_in_schema} lies beyond the end of the file")
        if chunk.num_values < 0:
            raise damaged(where, f"column {chunk.path_in_schema} has {chunk.num_values:,} values")
        if chunk.num_values == 0:
            continue
        statistics = chunk.statistics
        if statistics is None or not statistics.has_null_count:
            return None
        if not 0 <= statistics.null_count <= chunk.num_values:
            raise damaged(where, f"column {chunk.path_in_schema} has more nulls than values")
        total += chunk.num_values - statistics.null_count
    return total


def _constant(found: "pq.FileMetaData", column: int) -> float | None:
    """The share of a mask that is the same everywhere: 0 or 1."""
    values = set()
    for index in range(found.num_row_groups):
        statistics = found.row_group(index).column(column).statistics
        if statistics is None or not statistics.has_min_max:
            return None
        values |= {statistics.min, statistics.max}
    return float(values.pop()) if len(values) == 1 and values <= {0, 1} else None


def _fixed_size(found: "pq.FileMetaData", name: str) -> int | None:
    """The size of a fixed-size list, which only the Arrow schema in the footer knows."""
    schema = (found.metadata or {}).get(b"ARROW:schema")
    if schema is None:
        return None
    # Unpacking it costs as much as all else; the shards of one dataset have the same one.
    if (schema, name) not in _sizes:
        if len(_sizes) >= SCHEMAS_MAX:
            _sizes.clear()
        size = getattr(found.schema.to_arrow_schema().field(name).type, "list_size", None)
        _sizes[schema, name] = size if isinstance(size, int) and size > 0 else None
    return _sizes[schema, name]


def is_parquet(path: str) -> bool:
    """Whether a file is named like Parquet."""
    return os.path.splitext(path)[1] in (".parquet", ".pq")
