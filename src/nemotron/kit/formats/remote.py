"""Files behind a URL, read through fsspec: names and sizes come from listings, heads from range requests.

What one object of `RemoteFiles` has learned it keeps, so it serves one look at something and is then let go.
"""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Literal, cast
from urllib.parse import urlsplit

from nemotron.kit.errors import KitError, MisuseError, PathNotFoundError, RefusedError, UnavailableError
from nemotron.kit.formats.reading import translate

# One range request brings at least this much; most heads and footers are within it.
BLOCK_BYTES = 64 << 10
WORKERS = 16
MESSAGE_MAX = 200

# Errors of fsspec's backends that are no OSError, by the module that defines them. A backend that was never
# imported can't raise one, so none is imported to ask.
FOREIGN = {
    "obstore.exceptions": ("BaseError",),
    "botocore.exceptions": ("BotoCoreError", "ClientError", "UndefinedModelAttributeError"),
    "aiohttp.client_exceptions": ("ClientError",),
    "gcsfs.retry": ("HttpError",),
    "google.auth.exceptions": ("GoogleAuthError",),
    "azure.core.exceptions": ("AzureError",),
    "paramiko.ssh_exception": ("SSHException",),
}
_DENIED = ("Permission", "Unauthenticated", "NoCredentials", "CredentialRetrieval", "GoogleAuth")
_MISSING = ("NotFound", "FileNotFound")
# How S3, Azure and Google say in the body of a reply that it is not the object that is missing.
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "bucket does not exist")

_REMEDIES = dict.fromkeys(("http", "https"), "pip install requests aiohttp")


def foreign_errors() -> tuple[type[Exception], ...]:
    """The exceptions of all backends that are loaded, besides OSError."""
    return tuple(
        getattr(sys.modules[module], name)
        for module, names in FOREIGN.items()
        if module in sys.modules
        for name in names
    )


@contextmanager
def translated(doing: str, url: str) -> Iterator[None]:
    """Inside, what a backend raises becomes an error of the kit.

    Args:
        doing: what is tried, such as "read".
        url: where.

    Raises:
        KitError: the backend refused or failed; the message says what it said.
    """
    try:
        yield
    except KitError:
        raise
    except OSError as error:
        if error.strerror:
            raise translate(error, url, doing) from error
        raise _of_backend(_behind(error), doing, url) from error
    except ImportError as error:
        scheme = urlsplit(url).scheme
        raise MisuseError(
            f"Cannot {doing} {url}: no client for {scheme}:// is installed ({error}). "
            + _REMEDIES.get(scheme, "pip install 'nemotron-kit[s3]' (or gcs, azure), or fsspec's own client")
        ) from error
    except (NotImplementedError, ValueError) as error:  # a URL or an option that the backend can't take
        raise MisuseError(f"Cannot {doing} {url}: {_said(error)}") from error
    except foreign_errors() as error:
        raise _of_backend(error, doing, url) from error


def _behind(error: OSError) -> Exception:
    """What really happened: fsspec calls each failure of HTTP a file that is not found, whatever it was."""
    cause = error.__cause__
    is_known = isinstance(cause, (OSError, *foreign_errors()))
    return cause if isinstance(error, FileNotFoundError) and is_known else error  # type: ignore[return-value]


def _of_backend(error: Exception, doing: str, url: str) -> KitError:
    said, names = f"Cannot {doing} {url}: {_said(error)}", [cls.__name__ for cls in type(error).__mro__]
    status = _status(error)
    if any(mark in str(error) for mark in _NO_BUCKET):
        return PathNotFoundError(f"{said}. There is no such bucket; check its name, region and endpoint")
    if status == 404 or any(name.startswith(_MISSING) for name in names):
        return PathNotFoundError(f"{said}. Check the URL")
    if status in (401, 403) or any(name.startswith(_DENIED) for name in names):
        return RefusedError(f"{said}. Check which credentials are used, and what they may do there")
    return UnavailableError(f"{said}. Check the endpoint and the network, then try again")


def _status(error: Exception) -> int | None:
    """The HTTP status in an error, wherever its library keeps it."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        response = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return response if isinstance(response, int) else None
    for name in ("status_code", "status", "code"):
        value = getattr(error, name, None)
        if isinstance(value, int):
            return value
        if isinstance(value, str) and value.isdigit():
            return int(value)
    return None


def _said(error: Exception) -> str:
    """What a person needs of a backend's message: its head, without signed URLs."""
    text = str(error) or type(error).__name__
    head = text.split("\n\nDebug source")[0].replace("<?xml", "<xml").split("?")[0]
    return " ".join(head.split())[:MESSAGE_MAX].rstrip(" :<.")


class RemoteFiles:
    """`Files` of one fsspec file system. Paths are whole URLs.

    Args:
        fs: the file system.
        scheme: of the URLs, such as `s3`; others are not looked at.
    """

    workers = WORKERS

    def __init__(self, fs: Any, scheme: str) -> None:
        self._fs = fs
        self._start = f"{scheme}://"
        # What is known: kind and size of a path, None for what is not there; and the names in a folder.
        self._known: dict[str, tuple[Literal["file", "folder"], int] | None] = {}
        self._names: dict[str, list[str]] = {}
        fs.invalidate_cache()  # of an earlier look, which a save may have followed

    def open(self, path: str) -> BinaryIO:
        """See `Files.open`."""
        raw = _Ranges(self._fs, path, self.size(path))
        return cast(BinaryIO, io.BufferedReader(raw, BLOCK_BYTES))

    def size(self, path: str) -> int:
        """See `Files.size`."""
        found = self._look(path)
        if found is None:
            raise PathNotFoundError(f"Cannot read {path}: there is no such object. Check the URL")
        if found[0] != "file":
            raise RefusedError(f"Cannot read {path}: it is a folder. Name a file in it")
        return found[1]

    def what(self, path: str) -> Literal["file", "folder"] | None:
        """See `Files.what`."""
        found = self._look(path)
        return found and found[0]

    def is_link(self, path: str) -> bool:
        """See `Files.is_link`: object stores have none."""
        return False

    def list(self, folder: str) -> list[str]:
        """See `Files.list`."""
        folder = folder.rstrip("/")
        if folder not in self._names:
            with translated("list", folder):
                entries = self._fs.ls(folder, detail=True)
            own = self._fs._strip_protocol(folder).rstrip("/")
            names = []
            for entry in entries:
                place = str(entry["name"]).rstrip("/")
                if place == own or not place:
                    continue  # the mark that some tools make for a folder
                names.append(name := place.rpartition("/")[2])
                kind: Literal["file", "folder"] = "folder" if entry["type"] == "directory" else "file"
                self._known[f"{folder}/{name}"] = kind, int(entry.get("size") or 0)
            self._names[folder] = sorted(names)
        return self._names[folder]

    def _look(self, path: str) -> tuple[Literal["file", "folder"], int] | None:
        if not path.startswith(self._start) or "\x00" in path:
            return None  # a blend in a bucket that names a local file means somebody else's
        path = path.rstrip("/")
        if path not in self._known:
            folder = path.rpartition("/")[0]
            above = self._known.get(folder)
            if above and above[0] == "folder":
                self.list(folder)  # as dear as one look, and tells of all that is beside it
                return self._known.setdefault(path, None)
            self._known[path] = self._ask(path)
        return self._known[path]

    def _ask(self, path: str) -> tuple[Literal["file", "folder"], int] | None:
        try:
            with translated("look at", path):
                info = self._fs.info(path)
        except PathNotFoundError:
            return None
        if info["type"] == "directory":
            return "folder", 0
        return "file", int(info.get("size") or 0)


class _Ranges(io.RawIOBase):
    """A file of which each read is one range request."""

    def __init__(self, fs: Any, url: str, size: int) -> None:
        self._fs, self._url, self._size, self._at = fs, url, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._size, self._at + len(buffer))
        if end <= self._at:
            return 0
        with translated("read", self._url):
            data = self._fs.cat_file(self._url, start=self._at, end=end)
        count = min(len(data), len(buffer))
        buffer[:count] = data[:count]
        self._at += count
        return count
