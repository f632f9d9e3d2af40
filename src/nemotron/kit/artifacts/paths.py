"""Where artifacts lie: local paths, and URLs that stay URLs."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from nemotron.kit.errors import MissingExtraError, MisuseError
from nemotron.kit.store.connect import BUCKETS

if TYPE_CHECKING:
    from nemotron.kit.formats.reading import Files

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# pathlib folds the two slashes of a URL: Path("s3://bucket/x") is s3:/bucket/x, a folder that nobody means.
_FOLDED = re.compile(r"(s3a?|gc?s|az|abfss?|hf|https?|memory|file):/(?!/)")
# The field of each split and the folders that it may be in.
_SPLITS = {
    "training_path": ("train", "training"),
    "validation_path": ("valid", "validation", "val"),
    "test_path": ("test",),
}


def is_url(path: Any) -> bool:
    """Whether a path, or its text, is a URL.

    >>> is_url("s3://bucket/data"), is_url("/data"), is_url("file:///data")
    (True, False, True)
    """
    return _URL.match(str(path)) is not None


def to_path(value: Any) -> Path:
    """The path of what people write: `~` is the home folder, `file://` is local, other URLs become a `UPath`.

    Raises:
        MisuseError: it is no path.
        MissingExtraError: it is a URL and universal-pathlib is not installed.
    """
    if not isinstance(value, str | os.PathLike):
        if is_url(value):  # a UPath: universal-pathlib's are no os.PathLike where they are remote
            return value  # type: ignore[no-any-return]
        raise MisuseError(f"Not a path: {value!r}; expected text or a pathlib path")
    text = os.fspath(value)
    if isinstance(text, bytes) or not text or "\x00" in text:
        raise MisuseError(f"Not a path: {text!r}")
    if folded := _FOLDED.match(text):
        text = f"{folded[1]}://{text[folded.end() :]}"
    if not is_url(text):
        expanded = os.path.expanduser(text)
        return value if isinstance(value, Path) and expanded == text else Path(expanded)
    scheme = text.partition("://")[0].lower()
    if scheme == "file":
        # All of it: a file may have ? or # in its name.
        path = unquote(text.partition("://")[2].removeprefix("localhost"))
        if not path.startswith("/"):
            raise MisuseError(f"Not a path: {text}; expected file:///absolute/path")
        return Path(path)
    if scheme == "art":
        raise MisuseError(f"{text} names an artifact; load it with Artifact.from_uri({text!r})")
    return _remote(text)


def to_path_field(value: Any) -> Path:
    """`to_path` for pydantic, which would wrap a `MissingExtraError` (a ValueError) in one of its own."""
    try:
        return to_path(value)
    except MissingExtraError as error:
        raise ImportError(error.message) from error


def _remote(url: str) -> Path:
    try:
        from upath import UPath
    except ImportError as error:
        raise MissingExtraError(
            f"{url} is a URL, which needs universal-pathlib: pip install 'nemotron-kit[remote]'"
        ) from error
    scheme, _, rest = url.partition("://")
    if scheme in BUCKETS:
        if not rest.strip("/"):
            raise MisuseError(f"{url} names no bucket; expected {scheme}://bucket/path")
        _serve(scheme)
    try:
        path: Any = UPath(url)
    except ValueError:
        path = None
    if not is_url(path):
        raise MisuseError(f"{url} is a URL that no file system here reads; check what stands before ://")
    return path  # type: ignore[no-any-return]


def _serve(scheme: str) -> None:
    """Let the kit's own client read buckets, where fsspec has none."""
    try:
        from nemotron.kit.store.bucket_files import serve
    except ImportError:
        return  # whoever reads or writes there is told what to install
    serve(scheme)


def files_of(path: Any) -> "Files":
    """Where the files at a path are read from: the disk, or what its URL names.

    Args:
        path: as `to_path` gives it; a `UPath` brings its storage options along.

    Raises:
        MisuseError: nothing that could read such a URL is installed.
    """
    from nemotron.kit.formats.reading import LOCAL

    if not is_url(path):
        return LOCAL
    from nemotron.kit.formats.remote import RemoteFiles, translated

    with translated("read", str(path)):
        return RemoteFiles(path.fs, str(path).partition("://")[0])


def absolute(path: Any) -> str:
    """The text of a path: absolute, or a URL."""
    return str(path) if is_url(path) else os.path.abspath(path)


def to_uri(path: Any) -> str:
    """A path as a URI: `file://…`, or the URL that it is."""
    return str(path) if is_url(path) else f"file://{os.path.abspath(path)}"


def split_paths(splits: Any, files: "Files | None" = None) -> dict[str, str]:
    """The folders of the splits that are there."""
    files = files or files_of(splits)
    found = {
        field: [where for name in names if files.what(where := f"{splits}/{name}") == "folder"]
        for field, names in _SPLITS.items()
    }
    return {field: folders[0] for field, folders in found.items() if folders}
