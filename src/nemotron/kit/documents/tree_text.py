"""The stored form of a listing: a header line and one JSON array a line, compressed with zlib.

What object stores call the states of their objects is in the header, a line of text each: readers from before
it was kept look at two fields of the header and pass over the others.
"""

import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from operator import le
from typing import TypeVar

from nemotron.kit.documents import codec, tree_rows
from nemotron.kit.documents.columns import Columns
from nemotron.kit.documents.digest import ALGORITHM, is_digest
from nemotron.kit.documents.entry import INTEGER_MAX, Entry, is_inside, shown
from nemotron.kit.documents.known_keys import KnownKeys, of_columns, of_packed
from nemotron.kit.documents.tags import TAG_FIELDS, SomeTags, Tags
from nemotron.kit.documents.tree_rows import Rows
from nemotron.kit.errors import CorruptError

TREE_FORMAT = 1
TREE_SIZE_MAX = 4 << 30

# Text that is turned into rows at a time: a listing may have millions.
_BLOCK_BYTES = 1 << 20
_PACKED_BYTES = 64 << 10
_KNOWN = KnownKeys()
T = TypeVar("T")
# Makes one of many pieces.
Join = Callable[[Iterable[bytes]], bytes]
# Does something to each piece, in order: `map`, or what lets the next piece be made meanwhile.
Each = Callable[[Callable[[bytes], bytes], Iterable[bytes]], Iterable[bytes]]


def blocks(columns: Columns) -> Iterator[bytes]:
    """The uncompressed stored form, in pieces."""
    yield from head(len(columns), _tags(columns))
    yield from map(tree_rows.lines, tree_rows.rows_of(columns))


def _tags(columns: Columns) -> dict[str, Tags]:
    return {name: getattr(columns, name) for name in TAG_FIELDS}


def head(entries: int, tags: Mapping[str, Tags | SomeTags]) -> Iterator[bytes]:
    """The first line, in pieces.

    Args:
        entries: how many lines follow.
        tags: theirs, by the names of TAG_FIELDS.
    """
    begun = json.dumps({"format_version": TREE_FORMAT, "entries": entries})
    yield begun[:-1].encode("ascii")
    for name, of_one in tags.items():
        if of_one:
            yield f', "{name}": "'.encode("ascii")
            yield from (
                tree_rows.quoted(piece)[1:-1].encode("ascii") for piece in of_one.pieces(_BLOCK_BYTES)
            )
            yield b'"'
    yield b"}\n"


def key(columns: Columns) -> str:
    """The digest of the uncompressed stored form."""
    digest = of_columns(columns)
    if (known := _KNOWN.get(digest)) is not None:
        return known
    found = digest_of_text(blocks(columns))
    _KNOWN.put(digest, found)
    return found


def digest_of_text(pieces: Iterable[bytes]) -> str:
    """The digest of the uncompressed stored form in pieces."""
    from blake3 import blake3

    hasher = blake3()
    for piece in pieces:
        hasher.update(piece)
    return f"{ALGORITHM}:{hasher.hexdigest()}"


def write(
    columns: Columns, take: Callable[[Iterable[bytes]], T], each: Each = map
) -> tuple[str, str | None, T]:
    """The digest of the uncompressed stored form, the identity, and what is made of the stored form's pieces;
    made in one pass.
    """
    identity = tree_rows.Identity(columns)
    first, rows = head(len(columns), _tags(columns)), tree_rows.rows_of(columns)
    found, taken = pack(first, rows, take, each, identity.add)
    _KNOWN.put(of_columns(columns), found)
    return found, identity.digest(), taken


def pack(
    first: Iterable[bytes],
    rows: Iterable[Rows],
    take: Callable[[Iterable[bytes]], T],
    each: Each = map,
    told: Callable[[Rows], object] | None = None,
) -> tuple[str, T]:
    """The digest of the uncompressed stored form, and what is made of the stored form's pieces.

    Args:
        first: the first line, in pieces.
        rows: all others.
        take: takes the pieces.
        each: does something to each of them, in order.
        told: hears of all rows.
    """
    from blake3 import blake3

    hasher, packer = blake3(), zlib.compressobj(1)

    def texts() -> Iterator[bytes]:
        for piece in first:
            hasher.update(piece)
            yield piece
        for some in rows:
            spelt = tree_rows.lines(some)
            yield spelt
            hasher.update(spelt)  # these two are done while the lines are packed
            if told is not None:
                told(some)

    taken = take(chain(each(packer.compress, texts()), map(packer.flush, (zlib.Z_FINISH,))))
    return f"{ALGORITHM}:{hasher.hexdigest()}", taken


def packed(columns: Columns, join: Join = b"".join, each: Each = map) -> tuple[str, str | None, bytes]:
    """`write` where the stored form is wanted whole, and will be asked for its digest."""
    found, told, data = write(columns, join, each)
    _KNOWN.put(of_packed(data), found)
    return found, told, data


def identity(columns: Columns) -> str | None:
    """The digest of the content without its times; None if a file was not read."""
    told = tree_rows.Identity(columns)
    if told.is_known:
        for rows in tree_rows.rows_of(columns):
            told.add(rows)
    return told.digest()


def parsed(
    pieces: Iterable[bytes], where: str, digest: str | None = None, like: list[str] | None = None
) -> Columns:
    """Read the stored form.

    Args:
        pieces: the stored form, in pieces.
        where: it was read, for messages.
        digest: of the uncompressed form, if that is known.
        like: paths, sorted, whose texts are held instead of equal ones.

    Raises:
        CorruptError: it is damaged or cut.
        FormatTooNewError: a newer kit wrote it.
    """
    columns = Columns()
    for lines in _checked(pieces, where, digest, columns):
        start = len(columns)
        _add(columns, lines, where)
        check_order(columns.paths[max(0, start - 1) :], where)
        if like is not None:
            columns.share_paths(like, start)
    return columns


def entries(pieces: Iterable[bytes], where: str, digest: str | None = None) -> Iterator[Entry]:
    """The entries of the stored form one after another, of which few are held at a time.

    What was given is worth nothing if this raises in the end.

    Args:
        pieces: the stored form, in pieces.
        where: it was read, for messages.
        digest: of the uncompressed form, if that is known.

    Raises:
        CorruptError: it is damaged or cut.
        FormatTooNewError: a newer kit wrote it.
    """
    head, start = Columns(), 0
    for part in parts(pieces, where, digest, head):
        for at in range(len(part)):
            entry, etag, version = part.entry(at), head.etags[start + at], head.object_versions[start + at]
            yield entry._replace(etag=etag, object_version=version) if etag or version else entry
        start += len(part)


def parts(
    pieces: Iterable[bytes], where: str, digest: str | None = None, head: Columns | None = None
) -> Iterator[Columns]:
    """`entries` as columns, some after others; what object stores call all of them goes into `head`."""
    last = ""
    for lines in _checked(pieces, where, digest, Columns() if head is None else head):
        part = Columns()
        _add(part, lines, where)
        check_order([last, *part.paths], where)
        last = part.paths[-1]
        yield part


def file_at(data: bytes, where: str, digest: str, path: str) -> Entry | None:
    """The file that has a path in the stored form; of a million entries only those around it are read.

    Args:
        data: the stored form.
        where: it was read, for messages.
        digest: of the uncompressed form.
        path: of the file.

    Returns:
        None if no file is found so: there is none, or it was spelt in another way than this kit does.

    Raises:
        CorruptError: it is damaged or cut.
        FormatTooNewError: a newer kit wrote it.
    """
    spelt, found = f", {tree_rows.quoted(path)}, ".encode("ascii"), None
    for lines in _checked((data,), where, digest, Columns()):
        at = lines.find(spelt)
        if at < 0 or found is not None:
            continue
        end = lines.find(b"\n", at) + 1
        entry = Entry.from_row(_json(lines[lines.rfind(b"\n", 0, at) + 1 : end], where), where)
        found = entry if entry.path == path and entry.is_file else None
    return found


def _checked(
    pieces: Iterable[bytes], where: str, digest: str | None, columns: Columns
) -> Iterator[bytearray]:
    """The lines of entries, some at a time; the tags of all go into `columns`."""
    from blake3 import blake3

    hasher, count, found = blake3(), None, 0
    for lines in _line_blocks(pieces, where):
        hasher.update(lines)
        if count is None:
            end = lines.index(b"\n")
            count = _header(lines[:end], where, columns)
            del lines[: end + 1]
        if lines:
            found += lines.count(b"\n")
            yield lines
    if digest is not None and f"{ALGORITHM}:{hasher.hexdigest()}" != digest:
        raise CorruptError(f"{where} is damaged: its content is not what its name says")
    if count is None:
        raise CorruptError(f"{where} is damaged: it is empty")
    if count != found:
        raise CorruptError(f"{where} is damaged: expected {count} entries, found {found}")


def _add(columns: Columns, lines: bytearray, where: str) -> None:
    # No row holds a newline of its own: JSON escapes it.
    rows = _json(b"[" + lines[:-1].replace(b"\n", b",") + b"]", where)
    if not isinstance(rows, list) or len(rows) != lines.count(b"\n"):
        raise CorruptError(f"{where} is damaged: expected one entry a line")
    for row in rows:
        if _is_plain(row):
            columns.append_file(*row)
        else:
            columns.append(Entry.from_row(row, where), is_read=True)


def check_order(paths: list[str], where: str) -> None:
    """See that paths are sorted: who looks for one among others would not find it, and not say so.

    Raises:
        CorruptError: they are not.
    """
    if not all(map(le, paths, islice(paths, 1, None))):
        raise CorruptError(f"{where} is damaged: its entries are not in order")


def _is_plain(row: object) -> bool:
    """Whether a row is one of a file that nothing is wrong with, as most are."""
    if type(row) is not list or len(row) != 5:
        return False
    code, path, size, mtime_ns, last = row
    return (
        (code == 0 or code == 1)
        and type(code) is type(size) is type(mtime_ns) is int
        and 0 <= size <= INTEGER_MAX
        and -INTEGER_MAX <= mtime_ns <= INTEGER_MAX
        and type(path) is str
        and is_inside(path)
        and (last is None or is_digest(last))
    )


def is_packed(data: bytes, key: str) -> bool:
    """Whether some bytes are the stored form of the listing with that key."""
    digest = of_packed(data)
    if (known := _KNOWN.get(digest)) is not None:
        return known == key
    found = _key_of((data,))
    if found is not None:
        _KNOWN.put(digest, found)
    return found == key


def are_packed(pieces: Iterable[bytes], key: str) -> bool:
    """`is_packed`, of pieces of which one is held at a time."""
    return _key_of(pieces) == key


def _key_of(pieces: Iterable[bytes]) -> str | None:
    try:
        return digest_of_text(_unpacked(pieces, ""))
    except CorruptError:
        return None


def _unpacked(packed: Iterable[bytes], where: str) -> Iterator[bytes]:
    """The uncompressed form, in pieces of bounded size."""
    unpacker, size = zlib.decompressobj(), 0
    try:
        # A little at a time: what was not consumed of it is copied for each piece.
        for rest in chain.from_iterable(map(_cut, packed)):
            while rest and not unpacker.eof:
                piece = unpacker.decompress(rest, _BLOCK_BYTES)
                rest = unpacker.unconsumed_tail
                size += len(piece)
                if size > TREE_SIZE_MAX:
                    break
                if piece:
                    yield piece
    except zlib.error as error:
        raise CorruptError(f"{where} is damaged: {error}") from error
    if not unpacker.eof or size > TREE_SIZE_MAX:
        raise CorruptError(f"{where} is damaged: it is cut short, or larger than {TREE_SIZE_MAX} bytes")


def _cut(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _PACKED_BYTES] for start in range(0, len(data), _PACKED_BYTES))


def _line_blocks(packed: Iterable[bytes], where: str) -> Iterator[bytearray]:
    """The uncompressed form in pieces of whole lines; the first line may be long."""
    begun = bytearray()
    for piece in _unpacked(packed, where):
        end = piece.rfind(b"\n") + 1
        begun += piece[:end] if end else piece
        if end:
            yield begun
            begun = bytearray(piece[end:])
    if begun:
        raise CorruptError(f"{where} is damaged: its last line is cut")


def _header(head: bytearray, where: str, columns: Columns) -> int:
    """The number of entries that the first line speaks of; their tags go into the columns."""
    document = _json(head, where)
    if not isinstance(document, dict):
        raise CorruptError(f"{where} is damaged: its first line is {shown(document)}")
    codec.format_of(document, where, "tree", TREE_FORMAT)
    if not isinstance(count := document.get("entries"), int):
        raise CorruptError(f"{where} is damaged: its first line is {shown(document)}")
    for name in TAG_FIELDS:
        setattr(columns, name, Tags.of(document.get(name), count, where))
    return count


def _json(text: bytes | bytearray, where: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CorruptError(f"{where} is damaged: {error}") from error
