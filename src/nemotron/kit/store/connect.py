"""From a root, as people write it, to the store behind it."""

import os
import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from nemotron.kit.errors import MisuseError
from nemotron.kit.store.local import LocalStore
from nemotron.kit.store.protocol import Store

if TYPE_CHECKING:
    from nemotron.kit.store.memory import MemoryStore

BUCKETS = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss")
_PROVIDERS = {"s3a": "s3", "gcs": "gs", "abfs": "az", "abfss": "az"}
# A scheme; or the first of a chain, as in `simplecache::https://…`.
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)(?:://|::(?=.*://))")
_memory: "dict[str, MemoryStore]" = {}
_memory_lock = threading.RLock()


def open_store(root: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None) -> Store:
    """Open the store at a root; nothing is written or looked at yet.

    Args:
        root: a path (`~` is expanded), `file://…`, `memory://NAME` (one per process and name), a bucket
            (`s3://`, `gs://`, `az://` or `abfs://`), a repository of the Hugging Face Hub (`hf://org/repo`),
            or, for reading, any other URL of fsspec's.
        storage_options: options of the client, such as `endpoint`; see `BucketStore`, `HubStore` and
            `ReadableStore`.

    Raises:
        MisuseError: the root is empty, or of a kind that nobody knows.
        MissingExtraError: the client for it is not installed.
        RefusedError: the root is a file.
    """
    text = os.fspath(root)
    if not text or "\x00" in text:
        raise MisuseError(f"Not a root: {text!r}; expected a folder or a URL")
    scheme = _scheme_of(text)
    if scheme in ("", "file", "memory") and storage_options:
        raise MisuseError(f"storage_options are not used by {text}: {', '.join(sorted(storage_options))}")
    if not scheme:
        return LocalStore(text)
    if scheme == "file":
        return LocalStore(_path_of(text))
    if scheme == "memory":
        from nemotron.kit.store.memory import MemoryStore

        with _memory_lock:
            return _memory.setdefault(text, MemoryStore(text))
    if scheme in BUCKETS:
        from nemotron.kit.store.object import BucketStore

        return BucketStore(text, storage_options)
    if scheme == "hf":
        from nemotron.kit.store.hub import HubStore

        return HubStore(text, storage_options)
    if scheme == "art":
        raise MisuseError(f"Cannot open the root {text}: art:// names an artifact in a store, not a store")
    from nemotron.kit.store.readable import ReadableStore

    return ReadableStore(text, storage_options)


def are_alike(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    """Whether what opens one root may be told to the other: buckets of one provider, or one server.

    >>> are_alike("s3://bucket/a", "s3a://other/b"), are_alike("https://a.example/x", "https://b.example/x")
    (True, False)
    >>> are_alike("/data/a", "/data/b")
    False
    """
    schemes = [_scheme_of(os.fspath(root)) for root in (one, other)]
    providers = [_PROVIDERS.get(scheme, scheme) for scheme in schemes]
    if providers[0] != providers[1] or providers[0] in ("", "file", "memory"):
        return False
    return (
        schemes[0] in (*BUCKETS, "hf") or urlsplit(os.fspath(one)).netloc == urlsplit(os.fspath(other)).netloc
    )


def _scheme_of(root: str) -> str:
    match = _URL.match(root)
    return match[1].lower() if match else ""


def _path_of(url: str) -> str:
    """The path in `file:///path`; all of it, since a folder may have `?` or `#` in its name."""
    path = url[len("file://") :]
    path = path.removeprefix("localhost") if path.startswith("localhost/") else path
    if not path.startswith("/"):
        raise MisuseError(f"Not a root: {url}; expected file:///absolute/path")
    return unquote(path)
