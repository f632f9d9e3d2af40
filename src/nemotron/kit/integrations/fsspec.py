"""`art://` for everything that reads through fsspec: pandas, pyarrow, DuckDB, polars, Hugging Face datasets.

The file system is read-only and shows what the registry shows: at its top the names, below a name the
content of its latest version, below `name:v3` or `name:alias` that of a fixed one. Nothing is cached, so a
new version is there at once; who reads many files of one artifact while others publish it names a version.

Installing the kit is enough for fsspec to find it (an entry point). The store is the one of `kit.init`, else
the one at `NEMO_ARTIFACT_ROOT`, else `root` in the storage options.

A file of a snapshot is compared with its digest, but for parts of one above 8 MiB in a bucket: they are as
the bucket gives them, since no part can be compared with the digest of the whole.

    with fsspec.open("art://my-dataset:v1/part.txt", "rt") as file:
        text = file.read()
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn, Self

from fsspec.spec import AbstractFileSystem

from nemotron.kit import context
from nemotron.kit.artifacts import drift
from nemotron.kit.errors import (
    InvalidReferenceError,
    NotFoundError,
    NotInitializedError,
    OutsideRootError,
    RefusedError,
)
from nemotron.kit.integrations.artifact_places import find
from nemotron.kit.integrations.place import FolderError, Place, folder_error
from nemotron.kit.names import ArtifactRef, Version
from nemotron.kit.registry.registry import Registry

__all__ = ["ArtifactFileSystem", "FolderError", "ReadOnlyError"]


class ReadOnlyError(RefusedError, ValueError):
    """`art://` shows published artifacts, and they don't change."""

    kind = "read_only"

    def __init__(self, message: str = "ArtifactFileSystem is read-only") -> None:
        super().__init__(message)


class ArtifactFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """Artifacts as a read-only file system.

    What is opened becomes an input of what the current run saves.

    Args:
        root: a store other than the current one; what is read from it is no input of a run here.
        **options: fsspec's own.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from nemotron.kit.registry.records import Draft
    >>> root = tempfile.mkdtemp()
    >>> _ = Path(root, "part.txt").write_text("hello")
    >>> _ = Registry.open(f"{root}/store").publish(Draft(name="my-data", source=f"{root}/part.txt"))
    >>> fs = ArtifactFileSystem(root=f"{root}/store")
    >>> fs.ls("", detail=False), fs.cat_file("art://my-data:v1/part.txt")
    (['my-data'], b'hello')
    """

    protocol = "art"
    root_marker = ""

    def __init__(self, root: str | os.PathLike[str] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._own = None if root is None else Registry.open(root)

    @classmethod
    def over(cls, registry: Registry) -> Self:
        """The file system of a store that is open already."""
        fs = cls(skip_instance_cache=True)
        fs._own = registry
        return fs

    @property
    def registry(self) -> Registry:
        """Where it looks now.

        Raises:
            NotInitializedError: there is no store; the message says how to name one.
        """
        return self._own or context.require_registry()

    # -- what there is -------------------------------------------------------------------------------------

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """What is right below a path: dicts as `info` gives them, or paths alone.

        Raises:
            FileNotFoundError: there is no such artifact, version or path.
        """
        path = self._strip_protocol(path)
        found = list(self._names() if path == "" else find(self.registry, path).children(path))
        return found if detail else [info["name"] for info in found]

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """What a path is.

        Returns:
            `name`, `size` in bytes, `type` ("file", "directory", or "link" for one that is not followed),
            `mtime` in seconds since the epoch, `islink`, and `uri` with the version that is meant now.

        Raises:
            FileNotFoundError: there is no such artifact, version or path.
            OutsideRootError: it is a link that leaves the artifact.
        """
        path = self._strip_protocol(path)
        if path == "":
            return {"name": "", "size": 0, "type": "directory"}
        return find(self.registry, path).details(path)

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Whether there is something at a path; False for what no path can name."""
        return self._type(path) is not None

    def lexists(self, path: str, **kwargs: Any) -> bool:
        """The same as `exists`."""
        return self.exists(path)

    def isfile(self, path: str) -> bool:
        """Whether a path is a file."""
        return self._type(path) == "file"

    def isdir(self, path: str) -> bool:
        """Whether a path is a folder; artifacts are."""
        return self._type(path) == "directory"

    def modified(self, path: str) -> datetime:
        """When a file was changed last, or an artifact was created; in UTC."""
        return datetime.fromtimestamp(self.info(path).get("mtime", 0.0), UTC)

    def _type(self, path: str) -> str | None:
        try:
            kind: str = self.info(path)["type"]
        except NotInitializedError:
            raise
        except (NotFoundError, InvalidReferenceError, OutsideRootError):
            return None  # any other error is not an absence
        return kind

    def _names(self) -> Iterator[dict[str, Any]]:
        registry = self.registry
        for entry in registry.list():
            if entry.latest is None:
                continue
            try:
                yield find(registry, f"{entry.name}:v{entry.latest}").details(entry.name)
            except NotFoundError:
                continue  # it was withdrawn meanwhile

    # -- reading -------------------------------------------------------------------------------------------

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **kwargs: Any) -> Any:
        """Open for reading in binary; `open` does the rest.

        Raises:
            ReadOnlyError: any other mode.
            FolderError: it is a folder.
        """
        if set(mode) != {"r", "b"}:
            raise ReadOnlyError
        path = self._strip_protocol(path)
        place = self._file(path)
        file = place.open(path, self, block_size)
        self._used(place)
        return file

    def _file(self, path: str) -> Place:
        if not path:
            raise folder_error(path)
        return find(self.registry, path)

    def _used(self, place: Place) -> None:
        if self._own is None:
            drift.look(place.registry, place.record)
            context.record_use(place.record.uri)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """The bytes of a file, or a part of them: `[start:end]` means what it does for `bytes`."""
        path = self._strip_protocol(path)
        place = self._file(path)
        data = place.range(path, self, start, end)
        self._used(place)
        return data

    @classmethod
    def _parse_uri(cls, path: str) -> tuple[str, int | None, str]:
        """(name, version, path inside); the version is None for the latest.

        Where slashes leave a choice and no store decides, the name ends at the first one. An alias is
        looked up.
        """
        ref = ArtifactRef.parse(cls._strip_protocol(path))
        registry = context.current_registry()
        if ref.selector is not None and not ref.is_latest:
            number = ref.selector.number if isinstance(ref.selector, Version) else None
            if number is None:
                number = context.require_registry().resolve(ref).version
            return ref.name.semantic, number, ref.inside
        meant = ref.readings()[-1] if registry is None else _meant(registry, ref)
        return meant.name.semantic, None, meant.inside

    # -- writing: refused ----------------------------------------------------------------------------------

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Always refused.

        Raises:
            ReadOnlyError: always.
        """
        raise ReadOnlyError

    mkdir = makedir = makedirs = mkdirs = rmdir = _refuse
    rm = _rm = rm_file = delete = _refuse
    cp = cp_file = copy = mv = mv_file = move = rename = _refuse
    put = put_file = upload = _refuse
    pipe = pipe_file = write_bytes = write_text = touch = _refuse


def _meant(registry: Registry, ref: ArtifactRef) -> ArtifactRef:
    """The reading that the store finds; of what it does not find, the one with the longest name it knows."""
    readings = ref.readings()
    if len(readings) == 1:
        return ref
    try:
        inside = registry.find(ref)[1]
    except NotFoundError:
        known = (reading for reading in readings if registry.get(reading.name.semantic))
        return next(known, readings[-1])
    return next(reading for reading in readings if reading.inside == inside)
