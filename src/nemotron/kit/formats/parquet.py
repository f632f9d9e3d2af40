"""Parquet, above all packed SFT data: rows, tokens and pack size, as far as footers tell.

A footer knows the rows, and of each column how many values it has and how many of them are null. So the
tokens of a list column `input_ids` are known without reading one. It does not know how long the longest row
is, nor the sum of `loss_mask`; `loss_share` reads that column when it is asked.
"""

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nemotron.kit.errors import MissingExtraError
from nemotron.kit.formats.arrow_schema import list_size
from nemotron.kit.formats.reading import LOCAL, Files, PathLike, damaged, each, exact, text_of
from nemotron.kit.formats.thrift import Compact, ThriftError, Wanted

MAGIC = b"PAR1"
ENCRYPTED = b"PARE"
FOOTER_BYTES_MAX = 16 << 20
# The footer of a shard is nearly always within this; one read is enough.
TAIL_BYTES = 64 << 10
TOKEN_COLUMNS = ("input_ids", "tokens")
MASK_COLUMN = "loss_mask"
STARTS_COLUMN = "seq_start_id"
SCHEMAS_MAX = 64

# Fields of a footer by their numbers.
# Source: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
_SCHEMA, _ROWS, _GROUPS, _PAIRS = 2, 3, 4, 5  # of FileMetaData
_NAME, _CHILDREN = 4, 5  # of SchemaElement, beside its type
_CHUNKS, _GROUP_ROWS = 1, 3  # of RowGroup
_META = 3  # of ColumnChunk
_TYPE, _PATH, _VALUES, _SIZE, _DATA_PAGE, _DICTIONARY_PAGE, _STATISTICS = (
    1,
    3,
    5,
    7,
    9,
    11,
    12,
)  # its meta_data
_MOST_OLD, _LEAST_OLD, _NULLS, _MOST, _LEAST = 1, 2, 3, 5, 6  # of Statistics
_KEY, _VALUE = 1, 2  # of KeyValue
_FILE: Wanted = {
    _SCHEMA: dict.fromkeys((_TYPE, _NAME, _CHILDREN)),
    _ROWS: None,
    _GROUPS: {
        _CHUNKS: {
            _META: {
                **dict.fromkeys((_TYPE, _PATH, _VALUES, _SIZE, _DATA_PAGE, _DICTIONARY_PAGE)),
                _STATISTICS: dict.fromkeys((_MOST_OLD, _LEAST_OLD, _NULLS, _MOST, _LEAST)),
            }
        },
        _GROUP_ROWS: None,
    },
    _PAIRS: dict.fromkeys((_KEY, _VALUE)),
}
# How a value of a physical type is spelt in statistics: BOOLEAN, INT32, INT64, FLOAT, DOUBLE.
_PHYSICAL = {
    code: struct.Struct(form) for code, form in ((0, "?"), (1, "<i"), (2, "<q"), (4, "<f"), (5, "<d"))
}

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
    """
    where = text_of(path)
    footer = _footer(where, files)
    try:
        found = Compact(footer).struct(_FILE)
        return _table(found, where, files.size(where))
    except (ThriftError, TypeError, UnicodeDecodeError, LookupError, AttributeError) as error:
        said = str(error) if isinstance(error, ThriftError) else "a field is missing or of another type"
        raise damaged(where, f"its footer can't be understood ({said[:200]})") from error


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


def loss_share(paths: PathLike | Iterable[PathLike], files: Files = LOCAL) -> float | None:
    """The share of tokens whose `loss_mask` is not zero. Reads that column of one or more files, in batches.

    It is read by pyarrow, after the kit's own look at each footer: what a damaged page makes of memory is
    pyarrow's. So neither `save()` nor `inspect` does it unasked.

    Returns:
        From 0 to 1; None if there is no such column, or nothing in it.

    Raises:
        CorruptError: a file is damaged, or its mask is no list of numbers; the message names it.
        MissingExtraError: pyarrow is not installed.
    """
    names = [paths] if isinstance(paths, str | os.PathLike) else paths
    counts = [_masked(where, files) for where in dict.fromkeys(map(text_of, names))]
    items = sum(items for _, items in counts)
    return sum(counted for counted, _ in counts) / items if items else None


def _masked(where: str, files: Files) -> tuple[int, int]:
    """How many tokens of a file count in the loss, and how many have a mask."""
    parquet = _pyarrow(where)
    # pyarrow ends the process where some footers contradict themselves.
    if MASK_COLUMN not in read(where, files).columns:
        return 0, 0
    import pyarrow
    import pyarrow.compute as compute

    counted = items = 0
    try:
        with files.open(where) as raw, parquet.ParquetFile(raw) as file:
            for batch in file.iter_batches(batch_size=1024, columns=[MASK_COLUMN], use_threads=False):
                values: Any = batch.column(0).flatten()
                items += len(values) - values.null_count
                counted += compute.sum(compute.not_equal(values.cast("float64"), 0)).as_py() or 0
    # A name that is no UTF-8, and a column that is no list: pyarrow has no error of its own for these.
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError, AttributeError, LookupError) as error:
        raise damaged(where, f"{MASK_COLUMN} can't be read ({str(error).splitlines()[0][:200]})") from error
    return counted, items


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


def _table(found: dict[int, Any], where: str, size: int) -> Table:
    groups, total = found.get(_GROUPS, []), found[_ROWS]
    rows = [group[_GROUP_ROWS] for group in groups]
    if total < 0 or any(count < 0 for count in rows) or sum(rows) != total:
        raise damaged(where, f"{total:,} rows, and {sum(rows):,} in its row groups")
    names, types = _columns(found[_SCHEMA], where)
    columns: dict[str, list[dict[int, Any]]] = {name: [] for name in names}
    for group in groups:
        chunks = [chunk[_META] for chunk in group[_CHUNKS]]
        if [chunk[_TYPE] for chunk in chunks] != types:
            raise damaged(where, "a row group has other columns than the schema")
        for chunk in chunks:
            # It belongs to the column of the top level that its path begins with.
            columns[chunk[_PATH][0].decode()].append(chunk)
    tokens = next((name for name in TOKEN_COLUMNS if name in columns), None)
    return Table(
        rows=total,
        tokens=None if tokens is None else _items(columns[tokens], tokens, where, size),
        starts=_items(columns[STARTS_COLUMN], STARTS_COLUMN, where, size)
        if STARTS_COLUMN in columns
        else None,
        pack_size=None if tokens is None else _fixed_size(found, tokens),
        loss_share=_constant(columns[MASK_COLUMN]) if MASK_COLUMN in columns else None,
        columns=tuple(columns),
        shards=1,
    )


def _columns(schema: list[dict[int, Any]], where: str) -> tuple[list[str], list[int]]:
    """The names right below the root, and the physical types of all leaves.

    The schema is its elements, each before its children.
    """
    names: list[str] = []
    types: list[int] = []
    left: list[int] = []  # how many children each open element still has
    for element in schema:
        if len(left) == 1:
            names.append(element[_NAME].decode())
        if left:
            left[-1] -= 1
        children = element.get(_CHILDREN, 0)
        if children > 0 or not left:
            left.append(children)
        else:
            types.append(element[_TYPE])
        while len(left) > 1 and not left[-1]:
            left.pop()
    if not schema or any(left):
        raise damaged(where, "its schema is not a tree of columns")
    return names, types


def _items(chunks: list[dict[int, Any]], name: str, where: str, size: int) -> int | None:
    """Items of a column: values that are neither null nor the mark of an empty list.

    Without statistics, lists that can't be told from empty ones leave it open.
    """
    total = 0
    for chunk in chunks:
        # A chunk begins with its dictionary, where it has one, and its size counts that too.
        start = min(chunk[_DATA_PAGE], chunk.get(_DICTIONARY_PAGE) or chunk[_DATA_PAGE])
        if not (0 <= start <= size and 0 <= chunk[_SIZE] <= size - start):
            raise damaged(where, f"column {name} lies beyond the end of the file")
        if chunk[_VALUES] < 0:
            raise damaged(where, f"column {name} has {chunk[_VALUES]:,} values")
        if chunk[_VALUES] == 0:
            continue
        nulls = chunk.get(_STATISTICS, {}).get(_NULLS)
        if nulls is None:
            return None
        if not 0 <= nulls <= chunk[_VALUES]:
            raise damaged(where, f"column {name} has more nulls than values")
        total += chunk[_VALUES] - nulls
    return total


def _constant(chunks: list[dict[int, Any]]) -> float | None:
    """The share of a mask that is the same everywhere: 0 or 1."""
    values = set()
    for chunk in chunks:
        spelt, statistics = _PHYSICAL.get(chunk[_TYPE]), chunk.get(_STATISTICS, {})
        for new, old in ((_LEAST, _LEAST_OLD), (_MOST, _MOST_OLD)):
            data = statistics.get(new, statistics.get(old))
            if spelt is None or data is None or len(data) != spelt.size:
                return None
            values.add(spelt.unpack(data)[0])
    return float(values.pop()) if len(values) == 1 and values <= {0, 1} else None


def _fixed_size(found: dict[int, Any], name: str) -> int | None:
    """The size of a fixed-size list, which only the Arrow schema in the footer knows."""
    pairs = found.get(_PAIRS, [])
    schema = next((pair.get(_VALUE) for pair in pairs if pair.get(_KEY) == b"ARROW:schema"), None)
    if schema is None:
        return None
    # The shards of one dataset have the same one.
    if (schema, name) not in _sizes:
        if len(_sizes) >= SCHEMAS_MAX:
            _sizes.clear()
        _sizes[schema, name] = list_size(schema, name)
    return _sizes[schema, name]


def is_parquet(path: str) -> bool:
    """Whether a file is named like Parquet."""
    return os.path.splitext(path)[1] in (".parquet", ".pq")
