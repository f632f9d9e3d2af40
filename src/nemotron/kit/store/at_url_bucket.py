"""Data in a bucket that is no store of the kit's, by obstore."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from nemotron.kit.errors import ConflictError, MisuseError
from nemotron.kit.store.access_points import access_point
from nemotron.kit.store.at_url import RETRIES_MAX, TIMEOUT_S, Objects, Seen, as_in_a_listing, nanoseconds
from nemotron.kit.store.bucket_connect import EXTRAS, FSSPEC_OPTIONS, connect, translated

# S3 sends no more of a listing in one reply.
PAGE = 1000
PART = 4 << 20


class BucketObjects(Objects):
    """Objects at `s3://bucket/prefix`, `gs://…`, `az://…`."""

    is_ordered = True

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        super().__init__(url, options)
        scheme, _, rest = self.url.partition("://")
        scheme = scheme.lower()
        point = access_point(rest) if EXTRAS[scheme] == "s3" else None
        host, _, key = (point.name, "", point.prefix) if point else rest.partition("/")
        if not host:
            raise MisuseError(f"{self.url} names no bucket; expected {scheme}://bucket/path")
        retry = {"max_retries": RETRIES_MAX, "retry_timeout": timedelta(seconds=TIMEOUT_S)}
        of_client = {name: value for name, value in options.items() if name not in FSSPEC_OPTIONS}
        patient = {"retry_config": retry, **of_client}
        self._bucket, self._settings = connect(scheme, host, patient, point)
        self._start = key.strip("/")

    def one(self, path: str = "") -> Seen:
        """An object, by a HEAD request."""
        import obstore

        self.asked()
        with translated("look at", self.where(path), self._settings):
            return _seen(path, obstore.head(self._bucket, self._key(path)))

    def below(self, *, first_page: bool = False) -> Iterator[Seen]:
        """All objects below, a page of them for each request."""
        import obstore

        start, count = f"{self._start}/" if self._start else "", 0
        self.is_complete = False
        with translated("list", self.url, self._settings):
            for page in obstore.list(self._bucket, start or None, chunk_size=PAGE):
                for item in page:
                    if count % PAGE == 0:
                        self.asked()
                    count += 1
                    if item["path"] != self._start:  # the mark that some tools make for a folder
                        yield _seen(item["path"][len(start) :], item)
                if first_page and count >= PAGE:
                    return
        self.is_complete = True
        if not count:
            self.asked()

    def has_versions(self) -> bool:
        """True: no listing tells of versions."""
        return True

    def chunks(self, seen: Seen) -> Iterator[bytes]:
        """The bytes, by GET requests of ranges: a client's time limit is one for each request."""
        import obstore

        where, size = self.where(seen.path), seen.size or 0
        for start in range(0, size, PART):
            self.asked()
            with translated("read", where, self._settings):
                part = (start, min(size, start + PART))
                found = obstore.get(self._bucket, self._key(seen.path), options={"range": part})
                data = bytes(found.bytes())
            now = _seen(seen.path, found.meta)
            if (now.etag, now.size) != (seen.etag, seen.size):
                raise ConflictError(f"{where} changes while it is read; save it when its writer is done")
            yield data

    def block(self, path: str, start: int, size: int) -> bytes:
        """Some of the bytes, by a GET request of a range."""
        import obstore

        self.asked()
        with translated("read", self.where(path), self._settings):
            return bytes(obstore.get_range(self._bucket, self._key(path), start=start, length=size))

    def _key(self, path: str) -> str:
        return "/".join(filter(None, (self._start, path)))


def _seen(path: str, meta: Any) -> Seen:
    return as_in_a_listing(
        Seen(path, meta["size"], nanoseconds(meta["last_modified"]), meta["e_tag"], meta["version"])
    )
