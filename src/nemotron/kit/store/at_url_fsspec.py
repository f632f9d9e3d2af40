"""Data wherever else fsspec reaches: `memory://`, `sftp://`, a file system of somebody's own."""

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from nemotron.kit.errors import ConflictError, KitError, MissingExtraError, MisuseError, PathNotFoundError
from nemotron.kit.redaction import one_line
from nemotron.kit.store.at_url import Objects, Seen, as_in_a_listing, nanoseconds
from nemotron.kit.store.bucket_connect import EXTRAS
from nemotron.kit.store.protocol import CHUNK_SIZE
from nemotron.kit.store.readable import foreign, translate

# What fsspec's file systems call these; the first that is there counts.
_ETAGS = ("ETag", "etag", "e_tag", "md5Hash", "content_md5", "sha256", "md5")
_VERSIONS = ("VersionId", "version_id", "generation", "version")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
FOLDERS_DEEP_MAX = 64
T = TypeVar("T")


class FsspecObjects(Objects):
    """Files below any URL of fsspec's, folder by folder."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        import fsspec

        super().__init__(url, options)
        scheme = url.partition("://")[0].rpartition("::")[2].lower()
        self._seen = _seen_in_a_bucket if scheme in EXTRAS else _seen
        try:
            fsspec.get_filesystem_class(scheme)
        except ValueError as error:
            raise MisuseError(f"Cannot look at {self.url}: fsspec knows no {scheme}://") from error
        except ImportError as error:
            raise MissingExtraError(f"Cannot look at {self.url}: {one_line(str(error))}") from error
        self._fs, self._top = self._call(
            "look at", "", lambda: fsspec.core.url_to_fs(url, **options), counts=False
        )
        self._top = self._top.rstrip("/")

    def one(self, path: str = "") -> Seen:
        """A file, by what `info` says."""
        self._fs.invalidate_cache()
        info = self._call("look at", path, lambda: self._fs.info(self._place(path)))
        if info["type"] == "directory":
            raise PathNotFoundError(f"Cannot look at {self.where(path)}: it is a folder")
        return self._seen(path, info)

    def below(self, *, first_page: bool = False) -> Iterator[Seen]:
        """All files below, a folder of them for each request."""
        self._fs.invalidate_cache()
        self.is_complete, waiting = False, [("", 0)]
        while waiting:
            here, depth = waiting.pop()
            for name, info in sorted(self._listed(here).items()):
                path = f"{here}/{name}" if here else name
                if info["type"] != "directory":
                    yield self._seen(path, info)
                elif depth < FOLDERS_DEEP_MAX and not info.get("islink"):
                    waiting.append((path, depth + 1))
            if first_page and waiting:
                return
        self.is_complete = True

    def _listed(self, folder: str) -> dict[str, Any]:
        place = self._place(folder)
        try:
            found = self._call("list", folder, lambda: self._fs.ls(place, detail=True))
        except PathNotFoundError:
            return {}
        names = ((str(item["name"]).rstrip("/"), item) for item in found)
        start = f"{place.strip('/')}/" if place.strip("/") else ""
        return {
            name.lstrip("/")[len(start) :]: item
            for name, item in names
            if name.lstrip("/").startswith(start) and name.lstrip("/") != start.rstrip("/")
        }

    def chunks(self, seen: Seen) -> Iterator[bytes]:
        """The bytes; what is told of the file before and after them must be the same, and what was seen."""
        place, before = self._place(seen.path), self.one(seen.path)
        # A listing may tell other times of a file than `info` does.
        is_seen = seen.size in (None, before.size) and seen.etag == before.etag
        if is_seen:
            with self._call("read", seen.path, lambda: self._fs.open(place, "rb")) as file:
                while chunk := self._call("read", seen.path, lambda: file.read(CHUNK_SIZE), counts=False):
                    yield bytes(chunk)
        if not is_seen or self.one(seen.path) != before:
            raise ConflictError(f"{self.where(seen.path)} changes while it is read; save it later")

    def block(self, path: str, start: int, size: int) -> bytes:
        """Some of the bytes."""
        place, end = self._place(path), start + size
        return bytes(self._call("read", path, lambda: self._fs.cat_file(place, start=start, end=end)))

    def _place(self, path: str) -> str:
        return f"{self._top}/{path}" if path else self._top

    def _call(self, doing: str, path: str, call: Callable[[], T], *, counts: bool = True) -> T:
        if counts:
            self.asked()
        try:
            return call()
        except KitError:
            raise
        except foreign() as error:
            raise translate(error, doing, self.where(path)) from error


def _seen(path: str, info: Mapping[str, Any]) -> Seen:
    etag, version = (
        next((str(info[key]) for key in keys if info.get(key) is not None), None)
        for keys in (_ETAGS, _VERSIONS)
    )
    size = info.get("size")
    moment = next((info[key] for key in _TIMES if info.get(key)), None)
    return Seen(path, size if isinstance(size, int) else None, _nanoseconds(moment), etag, version)


def _seen_in_a_bucket(path: str, info: Mapping[str, Any]) -> Seen:
    """An object as obstore would tell of it: whoever has that installed may be the next to look.

    >>> _seen_in_a_bucket("a", {"size": 4, "etag": "CJ8=", "md5Hash": "dLhzN0VCANTTP4DEZj3F5Q=="}).etag
    '"74b87337454200d4d33f80c4663dc5e5"'
    """
    seen = _seen(path, info)
    try:
        md5 = base64.b64decode(info.get("md5Hash") or "", validate=True).hex()
    except ValueError:
        md5 = ""
    return as_in_a_listing(replace(seen, etag=f'"{md5}"') if md5 else seen)


def _nanoseconds(moment: Any) -> int:
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return 0
    if isinstance(moment, datetime):
        return nanoseconds(moment)
    return int(moment * 1_000_000_000) if isinstance(moment, int | float) else 0
