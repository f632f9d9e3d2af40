"""Stores in buckets: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage.

Create-if-absent is one small conditional PUT (`If-None-Match: *`, on Google `ifGenerationMatch=0`), made by
obstore: measured, it is exclusive on S3 (moto, Ceph), Azure (Azurite) and, by its own code, on Google. Some
S3-likes ignore the condition and overwrite; `probe` finds that out before anything is entrusted to one.

Why obstore and not s3fs, adlfs or gcsfs: `docs/design/003-object-stores.md`.
"""

import io
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast
from urllib.parse import urlsplit

from nemotron.kit.errors import KitError, MisuseError, OutsideRootError, PathNotFoundError, RefusedError
from nemotron.kit.redaction import Unshown
from nemotron.kit.store import bucket_upkeep
from nemotron.kit.store.access_points import access_point
from nemotron.kit.store.blocks import Seen
from nemotron.kit.store.bucket_connect import EXTRAS, connect, translated
from nemotron.kit.store.bucket_errors import ThereAlreadyError
from nemotron.kit.store.bucket_streams import StreamedFile, in_order, in_parts
from nemotron.kit.store.protocol import CHUNK_SIZE, Found, Staging, Store, check_key
from nemotron.kit.store.system_errors import translate as translate_os

if TYPE_CHECKING:
    from nemotron.kit.store.bucket_options import Settings

_STAGED_IN_MEMORY_MAX = 8 << 20
_SENT_UNASKED_MAX = 64 << 10
T = TypeVar("T")


class BucketStore(Store):
    """Objects below a prefix of a bucket.

    Args:
        url: `s3://bucket/prefix`, `gs://…`, `az://container/prefix` or `abfs://…`. An access point of S3 is
            named by its alias, like a bucket, or by its ARN, `s3://arn:aws:s3:…:accesspoint/NAME/prefix`.
        options: in obstore's words or in those of s3fs, gcsfs and adlfs (see `bucket_options`); they win
            over the environment. Client options of obstore (`timeout`, `proxy_url`, …) go under the key
            `client_options`, those of its retries under `retry_config`.

    Raises:
        MissingExtraError: obstore is not installed.
        MisuseError: the URL names no bucket, or an option is unknown.
    """

    at_once = 128
    reads_parts = True
    walks_in_pages = True

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        parts = urlsplit(url)
        point = access_point(url.partition("://")[2]) if EXTRAS[parts.scheme.lower()] == "s3" else None
        if point is not None:
            parts = parts._replace(netloc=point.name, path=point.prefix)
        if not parts.netloc:
            raise MisuseError(
                f"Cannot open the root {url}: it names no bucket; expected {parts.scheme}://bucket/prefix"
            )
        scheme = parts.scheme.lower()
        # A secret key may itself hold a slash, and then the rest of the URL is not where it seems to be.
        marked = ":" in parts.netloc or ("@" in parts.netloc and EXTRAS[scheme] != "azure")
        if marked or parts.query or parts.fragment:
            raise MisuseError(
                f"Cannot open the root {scheme}://…: it has credentials or parameters in its URL; give them "
                f"in the environment or as storage_options, and the root as {scheme}://bucket/prefix"
            )
        self.url = url.rstrip("/")
        self._prefix = parts.path.strip("/")
        if self._prefix:
            check_key(self._prefix)
        self._is_azure = EXTRAS[scheme] == "azure"
        self._options = Unshown(dict(options or {}))
        self._bucket, self._settings = connect(scheme, parts.netloc, self._options.value, point)

    def __reduce__(self) -> tuple[Any, ...]:
        return BucketStore, (self.url, self._options.value)

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
        return cast(BinaryIO, io.BufferedReader(_Reader(file, self._shown(key), self._settings), CHUNK_SIZE))

    def chunks(self, key: str, start: int = 0) -> Iterator[bytes]:
        """The bytes of an object, from one of them on, a few ranges at the same time."""
        import obstore

        def fetch(begin: int, end: int) -> bytes:
            return bytes(
                self._call(
                    "read", key, lambda path: obstore.get_range(self._bucket, path, start=begin, end=end)
                )
            )

        size = self._call("read", key, lambda path: obstore.head(self._bucket, path))["size"]
        return in_order(fetch, start, size)

    def list(self, prefix: str = "") -> list[str]:
        """Names right under a prefix."""
        import obstore

        start = self._path(prefix) if prefix else self._prefix
        with translated("list", self._shown(prefix), self._settings):
            found = obstore.list_with_delimiter(self._bucket, f"{start}/" if start else None)
        paths = [*found["common_prefixes"], *(item["path"] for item in found["objects"])]
        # Consoles and Hadoop put an empty object `prefix/` there for a folder: not a name in that folder.
        return list({path.rstrip("/").rpartition("/")[2] for path in paths if path.rstrip("/") != start})

    # -- writing -------------------------------------------------------------------------------------------

    def create(self, key: str, data: bytes, *, durable: bool = True) -> bool:
        """Create an object if it is absent, by one conditional PUT."""
        import obstore

        def put(path: str) -> None:
            obstore.put(self._bucket, path, data, mode="create", use_multipart=False)

        try:
            self._call("write", key, put)
        except ThereAlreadyError:
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

        parts = in_parts(file.seek(0, io.SEEK_END))
        file.seek(0)
        self._call("write", key, lambda path: obstore.put(self._bucket, path, file, **parts))

    def stream(self, key: str, source: StreamedFile, told: Callable[[int], object] | None = None) -> bool:
        """Write an object from a file, in parts; False, and nothing is there, if the file has changed.

        Args:
            key: of the object.
            source: the file, which was read once.
            told: hears of the bytes that are sent.
        """
        import obstore

        parts = in_parts(source.size)
        try:
            self._call(
                "write", key, lambda path: obstore.put(self._bucket, path, source.again(told), **parts)
            )
        except KitError:
            if source.has_changed:
                return False
            raise
        return True

    def put(self, key: str, data: bytes) -> bool:
        """Store content under the key of its digest: of what is small, sending it costs less than asking."""
        return self.create(key, data) if len(data) <= _SENT_UNASKED_MAX else super().put(key, data)

    def sync(self) -> None:
        """Nothing to do: what an object store acknowledged is durable."""

    def walk(self, prefix: str = "") -> Iterator[Found]:
        """All objects below a prefix, a page of them for each request."""
        start = f"{self._path(prefix)}/" if prefix else f"{self._prefix}/" if self._prefix else ""
        with translated("list", self._shown(prefix), self._settings):
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
        with translated(doing, self._shown(key), self._settings):
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
        if self._is_azure and "\\" in key:
            raise OutsideRootError(f"Not a key of a store in Azure, which takes \\ for /: {key[:80]!r}")
        return f"{self._prefix}/{key}" if self._prefix else key

    def _shown(self, key: str) -> str:
        return f"{self.url}/{key}"


class _Reader(io.RawIOBase):
    """obstore's reader as a raw file, with its errors translated."""

    def __init__(self, file: Any, shown: str, settings: "Settings") -> None:
        self._file = file
        self._shown = shown
        self._settings = settings

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        with translated("read", self._shown, self._settings):
            data = bytes(self._file.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)


class _BucketStaging(Staging):
    def __init__(self, store: BucketStore) -> None:
        self._store = store
        self._source: StreamedFile | None = None
        self._file = tempfile.SpooledTemporaryFile(_STAGED_IN_MEMORY_MAX, prefix="kit-")  # noqa: SIM115 - see abort

    def write(self, chunk: bytes | memoryview) -> None:
        try:
            self._file.write(chunk)
        except OSError as error:
            self.abort()
            raise translate_os(error, "write", tempfile.gettempdir()) from error

    def fill(self, source: int, seen: Seen, buffer_size: int, *, ahead: bool = False) -> int:
        """Show what a file holds; it is read once more, and uploaded, if the bucket does not have it yet."""
        self._source = StreamedFile(source, buffer_size)
        return self._source.read(self._telling(seen, have_arrived=False), ahead)

    def commit(self, key: str) -> bool:
        # The key is the content's digest, so no condition is needed, and the parts of a large upload (which
        # some servers can't make conditional) do no harm.
        try:
            if self._store.exists(key):
                if self._source is not None and self.told is not None:
                    self.told(self._source.size)
                return False
            if self._source is not None:
                return self._store.stream(key, self._source, self.told)
            self._store.upload(key, cast(BinaryIO, self._file))
        finally:
            self.abort()
        return True

    def abort(self) -> None:
        self._file.close()
