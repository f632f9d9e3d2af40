"""What all readers stand on: where files come from, limits, and errors that name the file.

A head is written by whoever wrote the file. Its lengths are checked against the size of the file before they
are believed, and what a reader holds in memory is bounded by constants, not by the file.
"""

import errno
import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, Protocol, TypeVar

from nemotron.kit.errors import CorruptError, KitError, PathNotFoundError, RefusedError, UnavailableError
from nemotron.kit.workers import Workers

JSON_BYTES_MAX = 32 << 20
JSON_CONTAINERS_MAX = 2_000_000
FILES_MAX = 1_000_000
DEPTH_MAX = 16

PathLike = str | os.PathLike[str]
Found = TypeVar("Found")


class Files(Protocol):
    """Where files are read from. `LOCAL` is the disk; `RemoteFiles` has the same calls for what is not.

    Attributes:
        workers: how many heads are read at once: one where each takes a fraction of a millisecond, more where
            each is a request.
    """

    workers: int

    def open(self, path: str) -> BinaryIO:
        """Open a file; reads may be unbuffered.

        Raises:
            KitError: it can't be opened.
        """
        ...

    def size(self, path: str) -> int:
        """Bytes of a file.

        Raises:
            KitError: there is no such file.
        """
        ...

    def what(self, path: str) -> Literal["file", "folder"] | None:
        """What lies at a path, links followed; None if nothing does."""
        ...

    def is_link(self, path: str) -> bool:
        """Whether a path is a link."""
        ...

    def list(self, folder: str) -> list[str]:
        """Names in a folder, sorted.

        Raises:
            KitError: it can't be looked into.
        """
        ...


class LocalFiles:
    """The disk."""

    workers = 1

    def open(self, path: str) -> BinaryIO:
        """See `Files.open`."""
        try:
            # A pipe or a device would block or never end.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise RefusedError(f"Cannot read {path}: it is not a plain file")
                # Some file systems of clusters (Lustre) refuse a read that may not wait for another machine.
                os.set_blocking(descriptor, True)
            except BaseException:
                os.close(descriptor)
                raise
            return os.fdopen(descriptor, "rb", buffering=0)
        except OSError as error:
            raise translate(error, path) from error

    def size(self, path: str) -> int:
        """See `Files.size`."""
        try:
            return os.stat(path).st_size
        except OSError as error:
            raise translate(error, path) from error

    def what(self, path: str) -> Literal["file", "folder"] | None:
        """See `Files.what`."""
        try:
            mode = os.stat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise translate(error, path) from error
        except ValueError:  # a null byte, which a name from a hostile blend may hold
            return None
        return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else None

    def is_link(self, path: str) -> bool:
        """See `Files.is_link`."""
        return os.path.islink(path)

    def list(self, folder: str) -> list[str]:
        """See `Files.list`."""
        try:
            return sorted(os.listdir(folder))
        except OSError as error:
            raise translate(error, folder) from error


LOCAL: Files = LocalFiles()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Something that the bytes don't tell. It is unknown, not zero.

    Attributes:
        field: what is not known, such as `total_tokens`.
        why: the reason, naming the file.
    """

    field: str
    why: str


def translate(error: OSError, path: str, doing: str = "read") -> KitError:
    """The kit's error for what the operating system said."""
    if isinstance(error, KitError):
        return error
    said = f"Cannot {doing} {_shown(path)}: {error.strerror or _shown(str(error))}"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return PathNotFoundError(f"{said}. Check the path")
    if isinstance(error, PermissionError | IsADirectoryError):
        return RefusedError(f"{said}. Check what it is, its owner and its mode")
    if error.errno == errno.ELOOP:
        return RefusedError(f"{said}. A link there leads back to itself; mend it")
    return UnavailableError(f"{said}. The file system may be down; try again")


def absent(path: str) -> KitError:
    """The error for a path at which is no file and no folder."""
    if "://" not in path and os.path.exists(path):
        return RefusedError(f"Cannot read {path}: it is neither a file nor a folder")
    return PathNotFoundError(f"Nothing is at {path}. Check the path")


def _shown(path: str) -> str:
    """A path for a message; a URL without its user and parameters, which may be secret.

    >>> _shown("https://me:pw@host/x.jsonl?sig=abc")
    'https://host/x.jsonl'
    """
    if "://" not in path:
        return path
    return re.sub(r"(?<=://)[^/@\s]*@", "", path.partition("?")[0])


def damaged(path: str, what: str) -> CorruptError:
    """The error for a file that contradicts itself."""
    return CorruptError(f"{path} is damaged: {what}")


def exact(file: BinaryIO, count: int, path: str) -> bytes:
    """Read so many bytes.

    Raises:
        CorruptError: the file ends before.
    """
    parts, missing = [], count
    try:
        while missing and (part := file.read(missing)):
            parts.append(part)
            missing -= len(part)
    except OSError as error:
        raise translate(error, path) from error
    if missing:
        raise damaged(path, f"it ends after {count - missing:,} of the {count:,} bytes that were expected")
    return b"".join(parts)


def parse_json(data: bytes, path: str) -> Any:
    """A JSON value, within limits on size, number of containers and depth.

    Raises:
        CorruptError: it is no JSON, or beyond the limits.
    """
    if len(data) > JSON_BYTES_MAX:
        raise damaged(path, f"{len(data):,} bytes of JSON, more than {JSON_BYTES_MAX:,}")
    if data.count(b"[") + data.count(b"{") > JSON_CONTAINERS_MAX:
        raise damaged(path, f"JSON of more than {JSON_CONTAINERS_MAX:,} lists and objects")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"not JSON ({error})") from error


def read_small(path: str, files: Files, limit: int = JSON_BYTES_MAX) -> bytes:
    """The whole of a file that is small by nature.

    Raises:
        CorruptError: it is larger than `limit`.
    """
    size = files.size(path)
    if size > limit:
        raise damaged(path, f"{size:,} bytes, more than the {limit:,} that such a file may have")
    with files.open(path) as file:
        return exact(file, size, path)


def read_json(path: str, files: Files) -> Any:
    """The JSON value in a file, within limits.

    Raises:
        CorruptError: it is no JSON, or beyond the limits.
    """
    return parse_json(read_small(path, files), path)


def walk(folder: str, files: Files) -> Iterator[str]:
    """All files below a folder, sorted within each folder; hidden and linked folders are left out.

    Raises:
        RefusedError: there are too many.
    """
    count = 0
    waiting = [(folder.rstrip("/") or "/", 0)]
    while waiting:
        here, depth = waiting.pop()
        below = []
        for name in files.list(here):
            count += 1
            if count > FILES_MAX:
                raise RefusedError(f"{folder} holds more than {FILES_MAX:,} files; name a folder inside it")
            path = f"{here}/{name}"
            what = files.what(path)
            if what == "file":
                yield path
            elif what == "folder" and not (name.startswith(".") or depth == DEPTH_MAX or files.is_link(path)):
                below.append((path, depth + 1))
        waiting += reversed(below)


def is_count(value: Any) -> bool:
    """Whether a value from a document is a whole number that can count something."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def text_of(path: PathLike) -> str:
    """A path as text, `~` expanded; a URL as it is."""
    text = path if isinstance(path, str) else str(path)  # a UPath is no os.PathLike where it is remote
    return text if "://" in text else os.path.expanduser(text)


def beside(folder: str, name: str) -> str:
    """What a file in a folder means by a name: relative ones count from the folder.

    >>> beside("/data", "../a"), beside("s3://b/data", "../a"), beside("s3://b/data", "s3://c/x")
    ('/a', 's3://b/a', 's3://c/x')
    """
    if "://" in name:
        return name
    start, mark, rest = folder.rpartition("://")
    if not mark or name.startswith("/"):
        return os.path.normpath(os.path.join(folder, name))
    return f"{start}{mark}{os.path.normpath(os.path.join(f'/{rest}', name))[1:]}"


def each(read: Callable[[str], Found], paths: Iterable[str], files: Files) -> list[Found]:
    """Read several files, in order; several at once where each has to be waited for.

    Raises:
        KitError: what the first that fails raised.
    """
    every = list(paths)
    if files.workers == 1 or len(every) < 2:
        return [read(path) for path in every]
    with Workers(min(files.workers, len(every)), "kit-heads") as pool:
        try:
            return list(pool.map(read, every))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
