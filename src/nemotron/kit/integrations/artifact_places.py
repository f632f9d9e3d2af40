"""Where something inside an artifact lies, and how it is read: on a disk, at a URL, or in the store."""

import os
import stat
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileOpener
from fsspec.spec import AbstractBufferedFile

from nemotron.kit.artifacts import kinds
from nemotron.kit.artifacts.paths import to_path
from nemotron.kit.errors import (
    InvalidReferenceError,
    NotFoundError,
    OutsideRootError,
    PathNotFoundError,
    RefusedError,
    UnavailableError,
)
from nemotron.kit.formats.remote import translated
from nemotron.kit.integrations.place import Place, seconds, turns_back
from nemotron.kit.integrations.snapshot_place import InSnapshot
from nemotron.kit.names import SCHEME, ArtifactRef
from nemotron.kit.registry.insides import place as inside
from nemotron.kit.registry.reading import COPY_BUFFER_SIZE, SMALL_SIZE_MAX
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.scan import is_reserved
from nemotron.kit.store import file_copy
from nemotron.kit.store.blocks import Seen
from nemotron.kit.store.system_errors import translate

# How fsspec's file systems call the time of a file, in seconds or as a datetime.
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "created")
# What one request for a file at a URL fetches at least.
BLOCK_BYTES = 1 << 20


def find(registry: Registry, path: str) -> Place:
    """The place that an `art://` path means: as a reference, else letter by letter.

    A file may have any name, but a reference may not hold any: no line feed, no `%2f`, without a version no
    `:` and no `?`. Where there is a file of that very name, it is meant.

    Raises:
        NotFoundError: there is no such artifact or version.
        InvalidReferenceError, OutsideRootError: it is no such path.
    """
    try:
        return _at(registry, *registry.find(path))
    except (InvalidReferenceError, OutsideRootError, NotFoundError) as error:
        # Most of what is not there is asked for under a name that is one: then nothing else is looked for.
        below = path.removeprefix(SCHEME).partition("/")[2]
        if isinstance(error, NotFoundError) and ":" not in below and "?" not in below:
            raise
        if (spelt := _as_spelt(registry, path)) is None:
            raise
        return spelt


def _at(registry: Registry, record: Record, path: str) -> Place:
    if record.is_snapshot:
        return InSnapshot(registry, record, path)
    return (_AtUrl if record.is_at_url else _OnDisk)(registry, record, path)


def _as_spelt(registry: Registry, path: str) -> Place | None:
    """What is at a path whose parts are names of files, whatever is in them; None if nothing is."""
    parts = path.removeprefix(SCHEME).split("/")
    if "\x00" in path or not {"", ".", ".."}.isdisjoint(parts):
        return None
    for count in range(len(parts) - 1, 0, -1):
        try:
            ref = ArtifactRef.parse("/".join(parts[:count]))
        except (InvalidReferenceError, OutsideRootError):
            continue
        if ref.inside:
            continue
        try:
            found = _below(_at(registry, registry.resolve(ref), ""), parts[:count], parts[count:])
        except NotFoundError:
            continue
        if found is not None:
            return found
    return None


def _below(place: Place, above: Sequence[str], parts: Sequence[str]) -> Place | None:
    """What is so many parts below an artifact, if it is there.

    Raises:
        NotFoundError: it is not.
        OutsideRootError: a link on the way leads out of the artifact.
    """
    if not isinstance(place, _AtUrl):
        place = _at(place.registry, place.record, "/".join(parts))
        place.details("/".join([*above, *parts]))
        return place
    # A server may take an encoding for what it means, and so leave the folder. What is listed is there.
    if place.record.path.startswith(("http:", "https:")):
        return None
    for count, part in enumerate(parts):
        name = "/".join([*above, *parts[:count]])
        if all(child["name"] != f"{name}/{part}" for child in place.children(name)):
            return None
        place = place.below(part)
    return place


class _OnDisk(Place):
    """In a local folder that is referred to."""

    @property
    def path(self) -> Path:
        """Where it lies; it is there, and no link leads out of the artifact."""
        folder = self.registry.folder(self.record)
        return inside(self.record, self.inside, folder, self.registry.follows)

    def _details(self, name: str) -> dict[str, Any]:
        return _looked_at(name, self, self.path)

    def link(self) -> str | None:
        top = os.path.realpath(self.registry.folder(self.record))
        path = f"{top}/{self.inside}"
        try:
            text = os.readlink(path)
        except OSError:
            return None
        above, real = os.path.dirname(path), os.path.realpath(path)
        if os.path.realpath(above) != above:
            return None  # seen from the folder that it is in, which is elsewhere, it says something else
        stays = _is_below(real, top)
        if not stays and not self.registry.follows(self.record, self.inside):
            return None  # as spelt it may seem to stay: through another link
        if turns_back(text):
            if not os.path.exists(path):
                return None
        elif not os.path.isabs(text) and _is_below(os.path.normpath(os.path.join(above, text)), top):
            return text
        return os.path.relpath(real, os.path.realpath(above)) if stays else None

    def children(self, name: str) -> Iterator[dict[str, Any]]:
        here = self.path
        if self.inside and (details := _looked_at(name, self, here))["type"] != "directory":
            yield details
            return
        # An artifact that is one file shows nothing of the folder that the file happens to lie in.
        content = self.record.manifest.content
        only = content.entry if content and content.scope == "file" else None
        try:
            names = sorted(os.listdir(here)) if only is None else [only]
        except OSError as error:
            raise translate(error, "list", here) from error
        for child in names:
            if is_reserved(f"{self.inside}/{child}" if self.inside else child):
                continue
            try:
                yield _looked_at(f"{name}/{child}", self.below(child), here / child)
            except NotFoundError:
                continue  # it went away meanwhile

    def open(self, name: str, fs: Any, block_size: int | None = None) -> Any:
        if not self.inside or (where := self.path).is_dir():
            raise self._refuse_folder(name)
        if not where.is_file():
            raise RefusedError(f"Cannot read {self.uri}: it is neither a file nor a folder")
        try:
            return LocalFileOpener(str(where), "rb", fs=fs)
        except OSError as error:
            raise translate(error, "read", where) from error

    def copy(self, name: str, fs: Any, target: BinaryIO, seen: Seen) -> None:
        with self.open(name, fs) as file:
            if file.size > SMALL_SIZE_MAX:
                file_copy.copy(file.fileno(), target.fileno(), seen, COPY_BUFFER_SIZE)
            else:
                data = file.read()
                target.write(data)
                seen(memoryview(data))


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top.rstrip('/')}/")


def _looked_at(name: str, place: Place, path: Path) -> dict[str, Any]:
    try:
        info = os.lstat(path)
    except OSError as error:
        raise translate(error, "look at", path) from error
    islink = stat.S_ISLNK(info.st_mode)
    target = _followed(place, path) if islink else info
    return {
        "name": name,
        "size": target.st_size if target and stat.S_ISREG(target.st_mode) else 0,
        "type": _kind(target) if target else "link",
        "mtime": (target or info).st_mtime,
        "islink": islink,
        "uri": place.uri,
    }


def _kind(info: os.stat_result) -> str:
    if stat.S_ISREG(info.st_mode):
        return "file"
    return "directory" if stat.S_ISDIR(info.st_mode) else "other"


def _followed(place: Place, path: Path) -> os.stat_result | None:
    """What a link leads to; None if that is out of the artifact, nothing, or a folder that the link is in."""
    top = place.registry.folder(place.record)
    above = [os.path.realpath(folder) for folder in path.parents if folder == top or top in folder.parents]
    real = os.path.realpath(path)
    if real in above or not (
        real.startswith(f"{os.path.realpath(top)}/")
        or place.registry.follows(place.record, path.relative_to(top).as_posix())
    ):
        return None
    try:
        return os.stat(real)
    except OSError:
        return None  # it leads nowhere


class _AtUrl(Place):
    """At a URL, which fsspec reads: an artifact that refers to data in a bucket."""

    @cached_property
    def _files(self) -> Any:
        """The file system there; the local one too, which a version may name by a URL."""
        url: Any = self.record.path
        return fsspec.filesystem("file") if url.startswith("file:") else to_path(url).fs  # type: ignore[attr-defined]

    @property
    def _url(self) -> str:
        """Where it lies. An artifact that is a file is the only thing in it, under the file's own name."""
        url = self.record.path.rstrip("/")
        if not self.inside:
            return url
        folder, _, name = url.rpartition("/")
        kind = kinds.named(self.record.type)
        if self.inside == name and not self._exists(f"{url}/{name}"):
            return url
        if kind is not None and kind._is_file:  # blend.json, whose folder belongs to it
            return f"{folder}/{self.inside}"
        return f"{url}/{self.inside}"

    def _exists(self, url: str) -> bool:
        with translated("look at", url):
            return bool(self._files.exists(url))

    def _info(self) -> dict[str, Any]:
        url = self._url
        try:
            with translated("look at", url):
                info: dict[str, Any] = self._files.info(url)
                return info
        except PathNotFoundError as error:
            raise PathNotFoundError(
                f"No {self.inside or 'data'} in {self.record.uri}: looked at {url}"
            ) from error

    def _details(self, name: str) -> dict[str, Any]:
        return self._spelt(name, self._info())

    def _spelt(self, name: str, info: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": name,
            "size": info.get("size") or 0,
            "type": info["type"],
            "mtime": next((_moment(info[key]) for key in _TIMES if info.get(key)), 0.0),
            "islink": False,
            "uri": self.uri,
        }

    def children(self, name: str) -> Iterator[dict[str, Any]]:
        info = self._info()
        if info["type"] != "directory":
            if self.inside:
                yield self._spelt(name, info)
                return
            own = self._url.rpartition("/")[2]
            kind = kinds.named(self.record.type)
            if kind is None or not kind._is_file:
                yield self.below(own)._details(f"{name}/{own}")
                return
        url = self._url if info["type"] == "directory" else self._url.rpartition("/")[0]
        fs = self._files
        with translated("list", url):
            fs.invalidate_cache(url)
            found = fs.ls(url, detail=True)
        top = fs._strip_protocol(url).rstrip("/")
        for item in sorted(found, key=lambda item: str(item["name"])):
            place = str(item["name"]).rstrip("/")
            child = place.rpartition("/")[2]
            # The mark that some tools make for a folder, and keys that are no path.
            if place == top or child in ("", ".", ".."):
                continue
            if is_reserved(f"{self.inside}/{child}" if self.inside else child):
                continue
            yield self.below(child)._spelt(f"{name}/{child}", item)  # type: ignore[attr-defined]

    def open(self, name: str, fs: Any, block_size: int | None = None) -> Any:
        if not self.inside or (info := self._info())["type"] == "directory":
            raise self._refuse_folder(name)
        if info.get("size") is not None:
            return UrlFile(fs, name, self._files, self._url, info["size"], block_size)
        with translated("read", self._url):  # a server that does not say how long it is: as it comes
            return self._files.open(self._url, "rb", **({"block_size": block_size} if block_size else {}))

    def range(self, name: str, fs: Any, start: int | None, end: int | None) -> bytes:
        info = self._info()
        if not self.inside or info["type"] == "directory":
            raise self._refuse_folder(name)
        first, last, _ = slice(start, end).indices(info["size"])
        if last <= first:
            return b""
        with translated("read", self._url):
            data: bytes = self._files.cat_file(self._url, start=first, end=last)
            return data


class UrlFile(AbstractBufferedFile):  # type: ignore[misc]
    """A file at a URL, read in blocks; what its backend raises becomes an error of the kit.

    Args:
        fs: the file system that it was opened by.
        path: as it was opened there.
        backend: the file system that reads the URL.
        url: where it lies.
        size: in bytes.
        block_size: bytes to fetch at once; 1 MiB by default.
    """

    def __init__(
        self, fs: Any, path: str, backend: Any, url: str, size: int, block_size: int | None = None
    ) -> None:
        self._backend, self._url = backend, url
        super().__init__(fs, path, "rb", block_size or BLOCK_BYTES, size=size)

    def _fetch_range(self, start: int, end: int) -> bytes:
        with translated("read", self._url):
            data: bytes = self._backend.cat_file(self._url, start=start, end=end)
        if len(data) != end - start:
            raise UnavailableError(
                f"Cannot read {self._url}: bytes {start:,} to {end:,} were asked for, {len(data):,} came. "
                "It may be changing; try again"
            )
        return data


def _moment(value: Any) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value) if isinstance(value, int | float) else seconds(str(value))
