"""Stores in buckets: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage.

Create-if-absent is one small conditional PUT (`If-None-Match: *`, on Google `ifGenerationMatch=0`), made by
obstore: measured, it is exclusive on S3 (moto, Ceph), Azure (Azurite) and, by its own code, on Google. Some
S3-likes ignore the condition and overwrite; `probe` finds that out before anything is entrusted to one.

Why obstore and not s3fs, adlfs or gcsfs: `docs/design/003-object-stores.md`.
"""

import errno
import io
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast
from urllib.parse import urlsplit

from nemotron.kit.errors import (
    ConflictError,
    KitError,
    MissingExtraError,
    MisuseError,
    NotFoundError,
    OutsideRootError,
    PathNotFoundError,
    RefusedError,
    UnavailableError,
)
from nemotron.kit.store import bucket_upkeep
from nemotron.kit.store.protocol import CHUNK_SIZE, Found, Staging, Store, check_key
from nemotron.kit.store.system_errors import translate as translate_os

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Bucket

EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
}
_STAGED_IN_MEMORY_MAX = 8 << 20
T = TypeVar("T")


class BucketStore(Store):
    """Objects below a prefix of a bucket.

    Args:
        url: `s3://bucket/prefix`, `gs://…`, `az://container/prefix` or `abfs://…`.
        options: passed to obstore as the store's configuration; they win over the environment. Client
            options of obstore (`timeout`, `proxy_url`, …) go under the key `client_options`, those of its
            retries under `retry_config`.

    Raises:
        MissingExtraError: obstore is not installed.
        MisuseError: the URL names no bucket, or an option is unknown.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        parts = urlsplit(url)
        if not parts.netloc:
            raise MisuseError(
                f"Cannot open the root {url}: it names no bucket; expected {parts.scheme}://bucket/prefix"
            )
        if parts.password or parts.query or parts.fragment:
            raise MisuseError(
                f"Cannot open the root {parts.scheme}://{parts.hostname}/…: it has credentials or parameters "
                "in its URL; give them in the environment, or as storage_options"
            )
        self.url = url.rstrip("/")
        self._prefix = parts.path.strip("/")
        if self._prefix:
            check_key(self._prefix)
        self._bucket = connect_bucket(parts.scheme.lower(), parts.netloc, dict(options or {}))

    # -- reading -------------------------------------------------------------------------------------------

    def read(self, key: str) -> bytes | None:
        """All bytes of an object, or None."""
        import obstore

        try:
            return bytes(self._call("read", key, lambda path: obstore.get(self._bucket, path).bytes()))
        except PathNotFoundError:
            return None

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        import obstore

        try:
            self._call("look for", key, lambda path: obstore.head(self._bucket, path))
        except PathNotFoundError:
            return False
        return True

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading; it is fetched in ranges."""
        import obstore

        file = self._call("read", key, lambda path: obstore.open_reader(self._bucket, path))
        return cast(BinaryIO, io.BufferedReader(_Reader(file, self._shown(key)), CHUNK_SIZE))

    def list(self, prefix: str = "") -> list[str]:
        """Names right under a prefix."""
        import obstore

        start = self._path(prefix) if prefix else self._prefix
        with _translated("list", self._shown(prefix)):
            found = obstore.list_with_delimiter(self._bucket, f"{start}/" if start else None)
        paths = [*found["common_prefixes"], *(item["path"] for item in found["objects"])]
        return list({path.rstrip("/").rpartition("/")[2] for path in paths})

    # -- writing -------------------------------------------------------------------------------------------

    def create(self, key: str, data: bytes, *, durable: bool = True) -> bool:
        """Create an object if it is absent, by one conditional PUT."""
        import obstore

        def put(path: str) -> None:
            obstore.put(self._bucket, path, data, mode="create", use_multipart=False)

        try:
            self._call("write", key, put)
        except _ThereAlready:
            return False
        return True

    def replace(self, key: str, data: bytes) -> None:
        """Write a hint."""
        import obstore

        self._call("write", key, lambda path: obstore.put(self._bucket, path, data, use_multipart=False))

    def remove(self, key: str) -> None:
        """Take an object away."""
        import obstore

        try:
            self._call("remove", key, lambda path: obstore.delete(self._bucket, path))
        except PathNotFoundError:
            return

    def stage(self) -> Staging:
        """Begin content: it is kept aside, on disk when it is large, and uploaded once its key is known."""
        return _BucketStaging(self)

    def upload(self, key: str, file: BinaryIO) -> None:
        """Write an object of any size, in parts where it is large; whoever writes the key writes the same."""
        import obstore

        self._call("write", key, lambda path: obstore.put(self._bucket, path, file))

    def sync(self) -> None:
        """Nothing to do: what an object store acknowledged is durable."""

    def walk(self, prefix: str = "") -> Iterator[Found]:
        """All objects below a prefix, a page of them for each request."""
        start = f"{self._path(prefix)}/" if prefix else f"{self._prefix}/" if self._prefix else ""
        with _translated("list", self._shown(prefix)):
            yield from bucket_upkeep.walk(self._bucket, start, len(self._prefix) + 1 if self._prefix else 0)

    def move(self, source: str, target: str) -> bool:
        """Copy an object to another key, then take the first one away."""
        aside = self._path(target)
        try:
            self._call("move", source, lambda path: bucket_upkeep.move(self._bucket, path, aside))
        except PathNotFoundError:
            return False
        return True

    def _call(self, doing: str, key: str, call: Callable[[str], T]) -> T:
        with _translated(doing, self._shown(key)):
            return call(self._path(key))

    def probe(self) -> None:
        """See whether create-if-absent holds here.

        Raises:
            RefusedError: the store overwrote an object that was there.
        """
        key = f".kit/probe/{secrets.token_hex(8)}"
        try:
            self.create(key, b"first")  # may say False of its own object, if a reply was lost and repeated
            overwrote = self.create(key, b"second")
            content = self.read(key)
        finally:
            self.remove(key)
        if overwrote or content != b"first":
            raise RefusedError(
                f"Cannot publish to {self.url}: it ignores conditional writes (If-None-Match), so two "
                "writers could get one version number. It can be read; to publish, use a server that has them"
            )

    def _path(self, key: str) -> str:
        check_key(key)
        return f"{self._prefix}/{key}" if self._prefix else key

    def _shown(self, key: str) -> str:
        return f"{self.url}/{key}"


class _Reader(io.RawIOBase):
    """obstore's reader as a raw file, with its errors translated."""

    def __init__(self, file: Any, shown: str) -> None:
        self._file = file
        self._shown = shown

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        with _translated("read", self._shown):
            data = bytes(self._file.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)


class _BucketStaging(Staging):
    def __init__(self, store: BucketStore) -> None:
        self._store = store
        self._file = tempfile.SpooledTemporaryFile(_STAGED_IN_MEMORY_MAX, prefix="kit-")  # noqa: SIM115 - see abort

    def write(self, chunk: bytes | memoryview) -> None:
        try:
            self._file.write(chunk)
        except OSError as error:
            self.abort()
            raise translate_os(error, "write", tempfile.gettempdir()) from error

    def commit(self, key: str) -> bool:
        # The key is the content's digest, so no condition is needed, and the parts of a large upload (which
        # some servers can't make conditional) do no harm.
        try:
            if self._store.exists(key):
                return False
            self._file.seek(0)
            self._store.upload(key, cast(BinaryIO, self._file))
        finally:
            self.abort()
        return True

    def abort(self) -> None:
        self._file.close()


def connect_bucket(scheme: str, bucket: str, options: dict[str, Any]) -> "Bucket":
    """Make obstore's client of a bucket.

    Args:
        scheme: `s3`, `gs`, `az`, …
        bucket: its name.
        options: as `BucketStore` takes them; they win over the environment.

    Raises:
        MissingExtraError: obstore is not installed.
        MisuseError: an option is unknown.
    """
    try:
        from obstore import store as backends
        from obstore.exceptions import BaseError
    except ImportError as error:
        extra = EXTRAS[scheme]
        raise MissingExtraError(
            f"Stores at {scheme}:// need obstore: pip install 'nemotron-kit[{extra}]'"
        ) from error
    client = dict(options.pop("client_options", {}))
    retry = options.pop("retry_config", None)
    settings: dict[str, Any] = {"config": options, "client_options": client, "retry_config": retry}
    try:
        match EXTRAS[scheme]:
            case "s3":
                return _connect_s3(bucket, options, client, retry)
            case "gcs":
                return backends.GCSStore(bucket, **settings)
            case _:
                return backends.AzureStore(bucket.partition("@")[0], **settings)
    except BaseError as error:
        raise MisuseError(f"Cannot open {scheme}://{bucket}: {_first_line(str(error))}") from error


def _connect_s3(bucket: str, options: dict[str, Any], client: dict[str, Any], retry: Any) -> "Bucket":
    from obstore.store import S3Store

    endpoint = str(
        options.get("endpoint")
        or options.get("endpoint_url")
        or os.environ.get("AWS_ENDPOINT_URL_S3")
        or os.environ.get("AWS_ENDPOINT_URL")
        or ""
    )
    options.pop("endpoint_url", None)
    if endpoint:
        options["endpoint"] = endpoint
        # Whoever writes http:// means it; boto3 and s3fs ask for no second word.
        client.setdefault("allow_http", endpoint.startswith("http://") or None)
    client = {key: value for key, value in client.items() if value is not None}
    options = {_S3_NAMES.get(key, key): value for key, value in options.items()}
    return S3Store(bucket, config=options, client_options=client, retry_config=retry)  # type: ignore[arg-type]


# What users of s3fs call the same options.
_S3_NAMES = {
    "key": "access_key_id",
    "secret": "secret_access_key",
    "token": "session_token",
    "anon": "skip_signature",
}


class _ThereAlready(ConflictError):
    """The condition of a write did not hold."""


@contextmanager
def _translated(doing: str, where: str) -> Iterator[None]:
    """Turn what obstore raises into the kit's errors."""
    from obstore.exceptions import BaseError

    try:
        yield
    except KitError:
        raise
    except (BaseError, OSError, NotImplementedError) as error:
        raise translate(error, doing, where) from error


def translate(error: Exception, doing: str, where: str) -> KitError:
    """The kit's error for what obstore said.

    Args:
        error: from a call on `where`.
        doing: what was tried, such as "write".
        where: URL of the object.
    """
    from obstore import exceptions

    text = str(error)
    said = f"Cannot {doing} {where}: {_first_line(text)}"
    if any(mark in text for mark in _NO_BUCKET):
        return NotFoundError(f"{said}. There is no such bucket; check its name, region and endpoint")
    match error:
        case exceptions.AlreadyExistsError() | exceptions.PreconditionError() | FileExistsError():
            return _ThereAlready(said)
        case exceptions.NotFoundError() | FileNotFoundError():
            return PathNotFoundError(said)
        case exceptions.PermissionDeniedError() | exceptions.UnauthenticatedError() | PermissionError():
            return RefusedError(
                f"{said}. Check which credentials are used, and what they may do in this bucket"
            )
        case exceptions.InvalidPathError():
            return OutsideRootError(said)
        case (
            exceptions.NotSupportedError() | exceptions.UnknownConfigurationKeyError() | NotImplementedError()
        ):
            return MisuseError(said)
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return translate_os(error, doing, where)
    return UnavailableError(f"{said}. Check the endpoint and the network, then try again")


# How S3, Azure and Google say in the reply's body that it is not the object that is missing.
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")


def _first_line(text: str) -> str:
    """What a person needs of obstore's message: its head, without the debug dump and without signed URLs."""
    head = text.split("\n\nDebug source")[0].replace("<?xml", "<xml").split("?")[0]
    return " ".join(head.split())[:200].rstrip(" :<")
