"""Whatever else fsspec reaches, for reading: `sftp://`, `https://`, `zip://…::…`, a file system of your own.

fsspec's ways to create a file are check-then-write, or differ from one file system to the next: measured,
they hand one number to several writers. So nothing is published there.
"""

import builtins
import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, NoReturn, cast

from nemotron.kit.errors import (
    KitError,
    MissingExtraError,
    MisuseError,
    PathNotFoundError,
    RefusedError,
    UnavailableError,
)
from nemotron.kit.redaction import Unshown, clean_text, one_line
from nemotron.kit.store.protocol import Staging, Store, check_key

# Roots of the errors that file systems let through which are no OSError; looked up only if they are loaded.
_FOREIGN = {
    "aiohttp": ("ClientError",),
    "paramiko": ("SSHException",),
    "zipfile": ("BadZipFile",),
    "tarfile": ("TarError",),
    "ftplib": ("Error",),
}
_NOT_ALLOWED = (401, 403)
_NOT_THERE = (404, 410)


class ReadableStore(Store):
    """The files below a URL of fsspec's, read only.

    Args:
        url: any URL that fsspec opens, chained ones (`zip://::https://…`) included.
        options: passed to the file system.

    Raises:
        MisuseError: fsspec knows no such file system.
        MissingExtraError: it knows one, whose package is not installed.
    """

    at_once = 8

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        import fsspec

        self.url = clean_text(url).rstrip("/")
        self._full_url = url
        self._options = Unshown(dict(options or {}))
        self._scheme = url.partition("::")[0].partition("://")[0].lower()
        try:
            fsspec.get_filesystem_class(self._scheme)
        except ValueError as error:
            raise MisuseError(
                f"Cannot open the root {self.url}: fsspec knows no {self._scheme}://. A store lies in a "
                "folder, in a bucket (s3://, gs://, az://), at hf://, or, for reading, where fsspec reaches"
            ) from error
        except ImportError as error:
            raise MissingExtraError(f"Cannot open the root {self.url}: {one_line(str(error))}") from error

    @functools.cached_property
    def _place(self) -> tuple[Any, str]:
        """The file system, and the root's path in it; some connect when they are made."""
        import fsspec

        options = {"skip_instance_cache": True, "use_listings_cache": False} | self._options.value
        if "::" in self._full_url:
            options = self._options.value
        with self._translated("open", ""):
            fs, path = fsspec.core.url_to_fs(self._full_url, **options)
        return fs, path.rstrip("/")

    def __reduce__(self) -> tuple[Any, ...]:
        return ReadableStore, (self._full_url, self._options.value)

    # -- reading -------------------------------------------------------------------------------------------

    def read(self, key: str) -> bytes | None:
        """All bytes of a file, or None."""
        try:
            return bytes(self._call("read", key, lambda fs, path: fs.cat_file(path)))
        except PathNotFoundError:
            return None

    def exists(self, key: str) -> bool:
        """Whether there is such a file."""
        return bool(self._call("look for", key, lambda fs, path: fs.isfile(path)))

    def list(self, prefix: str = "") -> builtins.list[str]:
        """Names right under a prefix."""

        def look(fs: Any, path: str) -> builtins.list[str]:
            fs.invalidate_cache()
            start = f"{path}/" if path else ""
            found = (str(name).rstrip("/") for name in fs.ls(path, detail=False))
            return [
                name.rpartition("/")[2]
                for name in found
                if f"/{name}".find(f"/{start}") >= 0 and name != path
            ]

        try:
            return [*dict.fromkeys(self._call("list", prefix, look))]
        except PathNotFoundError:
            return []

    def open(self, key: str) -> BinaryIO:
        """Open a file for reading."""

        def begin(fs: Any, path: str) -> Any:
            if not fs.isfile(path):
                raise FileNotFoundError(path)
            return fs.open(path, "rb")

        return cast(BinaryIO, self._call("read", key, begin))

    # -- writing is refused --------------------------------------------------------------------------------

    def create(self, key: str, data: bytes, *, durable: bool = True) -> bool:
        """Refused."""
        self._refuse(key)

    def replace(self, key: str, data: bytes) -> None:
        """Refused."""
        self._refuse(key)

    def remove(self, key: str) -> None:
        """Refused."""
        self._refuse(key)

    def stage(self) -> Staging:
        """Refused."""
        self._refuse(None)

    def put(self, key: str, data: bytes) -> bool:
        """Refused."""
        self._refuse(key)

    def probe(self) -> None:
        """Refused."""
        self._refuse(None)

    def sync(self) -> None:
        """Nothing to do: nothing was written."""

    def _refuse(self, key: str | None) -> NoReturn:
        if key is not None:
            check_key(key)
        raise RefusedError(
            f"Cannot publish to {self.url}: {self._scheme}:// has no create-if-absent that is known to hold, "
            "so two writers could get one version number. It can be read; publish to a folder, a bucket or hf://"
        )

    # -- fsspec --------------------------------------------------------------------------------------------

    def _call(self, doing: str, key: str, call: Callable[[Any, str], Any]) -> Any:
        if key:
            check_key(key)
        fs, root = self._place
        path = "/".join(filter(None, (root, key))) if key else root
        with self._translated(doing, key):
            return call(fs, path or root)

    @contextmanager
    def _translated(self, doing: str, key: str) -> Iterator[None]:
        try:
            yield
        except KitError:
            raise
        except foreign() as error:
            where = f"{self.url}/{key}" if key else self.url
            raise translate(error, doing, where) from error


def foreign() -> tuple[type[Exception], ...]:
    """Every class of error that a call on a file system is known to raise."""
    others: tuple[type[Exception], ...] = tuple(
        getattr(sys.modules[module], name)
        for module, names in _FOREIGN.items()
        if module in sys.modules
        for name in names
    )
    return (
        OSError,
        EOFError,
        ValueError,
        TypeError,
        LookupError,
        RuntimeError,
        NotImplementedError,
        *_flat(others),
    )


def _flat(classes: tuple[Any, ...]) -> tuple[type[Exception], ...]:
    return tuple(kind for kind in classes if isinstance(kind, type) and issubclass(kind, Exception))


def translate(error: Exception, doing: str, where: str) -> KitError:
    """The kit's error for what a file system of fsspec's said.

    Args:
        error: from a call on `where`.
        doing: what was tried, such as "read".
        where: URL of the file.
    """
    said = f"Cannot {doing} {where}: {one_line(str(error) or type(error).__name__)}"
    status = getattr(error, "status", None)
    if isinstance(error, KitError):
        return error
    if isinstance(error, PermissionError) or status in _NOT_ALLOWED or "uthenticat" in type(error).__name__:
        return RefusedError(f"{said}. Check the credentials in storage_options or the environment")
    if status in _NOT_THERE or isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
        return PathNotFoundError(said)
    if isinstance(error, ImportError):
        return MissingExtraError(said)
    if isinstance(error, KeyError | IndexError) and doing != "open":
        return PathNotFoundError(said)
    if isinstance(error, ValueError | TypeError | NotImplementedError | LookupError):
        return MisuseError(f"{said}. Check the URL and storage_options")
    return UnavailableError(f"{said}. Check the network, then try again")
