"""`art://` for everything that reads through fsspec: pandas, pyarrow, DuckDB, polars, Hugging Face datasets.

The file system is read-only and shows what the registry shows: at its top the names, below a name the
content of its latest version, below `name:v3` or `name:alias` that of a fixed one. Nothing is cached, so a
new version is there at once; who reads many files of one artifact while others publish it names a version.

Installing the kit is enough for fsspec to find it (an entry point). The store is the one of `kit.init`, else
the one at `NEMO_ARTIFACT_ROOT`, else `root` in the storage options.

    with fsspec.open("art://my-dataset:v1/part.txt", "rt") as file:
        text = file.read()
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from fsspec.implementations.local import LocalFileOpener
from fsspec.spec import AbstractFileSystem

from nemotron.kit import context
from nemotron.kit.artifacts import drift
from nemotron.kit.errors import (
    InvalidReferenceError,
    MisuseError,
    NotFoundError,
    NotInitializedError,
    OutsideRootError,
    RefusedError,
)
from nemotron.kit.names import SCHEME, ArtifactName, ArtifactRef, Version
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.scan import is_reserved
from nemotron.kit.store.system_errors import translate


class ReadOnlyError(RefusedError, ValueError):
    """`art://` shows published artifacts, and they don't change."""

    kind = "read_only"

    def __init__(self, message: str = "ArtifactFileSystem is read-only") -> None:
        super().__init__(message)


class FolderError(MisuseError, IsADirectoryError):
    """A folder was opened as if it were a file."""

    kind = "is_a_folder"


@dataclass(frozen=True, slots=True)
class _Place:
    """Something in an artifact.

    Attributes:
        registry: where the artifact is.
        record: its version.
        inside: the path in it, "" for all of it.
    """

    registry: Registry
    record: Record
    inside: str

    @property
    def uri(self) -> str:
        """With the version that is meant now."""
        return f"{self.record.uri}/{self.inside}" if self.inside else self.record.uri

    @property
    def path(self) -> Path:
        """Where it lies; it is there, and no link leads out of the artifact."""
        name = ArtifactName(self.record.manifest.semantic_name or self.record.name)
        return self.registry.inside(ArtifactRef(name, Version(self.record.version), self.inside))

    def below(self, name: str) -> "_Place":
        """A child of it."""
        return _Place(self.registry, self.record, f"{self.inside}/{name}" if self.inside else name)


class ArtifactFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """Artifacts as a read-only file system.

    What is opened becomes an input of what the current run saves.

    Args:
        root: a store other than the current one; what is read from it is no input of a run here.
        **options: fsspec's own.

    >>> import tempfile
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
        found = list(self._names() if path == "" else self._children(path))
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
        place = self._place(path)
        return _details(path, place, place.path) if place.inside else _artifact(path, place)

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
                record = registry.resolve(f"{entry.name}:v{entry.latest}")
            except NotFoundError:
                continue  # it was withdrawn meanwhile
            yield _artifact(entry.name, _Place(registry, record, ""))

    def _children(self, path: str) -> Iterator[dict[str, Any]]:
        place = self._place(path)
        here = place.path
        if place.inside and (details := _details(path, place, here))["type"] != "directory":
            yield details
            return
        # An artifact that is one file shows nothing of the folder that the file happens to lie in.
        content = place.record.manifest.content
        only = content.entry if content and content.scope == "file" else None
        try:
            names = sorted(os.listdir(here)) if only is None else [only]
        except OSError as error:
            raise translate(error, "list", here) from error
        for name in names:
            if not place.inside and is_reserved(name):
                continue
            try:
                yield _details(f"{path}/{name}", place.below(name), here / name)
            except NotFoundError:
                continue  # it went away meanwhile

    def _place(self, path: str) -> _Place:
        registry = self.registry
        record, inside = registry.find(path)
        return _Place(registry, record, inside)

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
        place = self._place(path) if path else None
        if place is None or not place.inside or (where := place.path).is_dir():
            raise FolderError(_folder_message(path, place))
        if not where.is_file():
            raise RefusedError(f"Cannot read {place.uri}: it is neither a file nor a folder")
        try:
            file = LocalFileOpener(str(where), "rb", fs=self)
        except OSError as error:
            raise translate(error, "read", where) from error
        if self._own is None:
            drift.look(place.registry, place.record)
            context.record_use(place.record.uri)
        return file

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """The bytes of a file, or a part of them: `[start:end]` means what it does for `bytes`."""
        with self.open(path, "rb") as file:
            first, last, _ = slice(start, end).indices(file.size)
            file.seek(first)
            data: bytes = file.read(max(0, last - first))
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
        readings = ref.readings()
        known = (reading for reading in readings if registry and registry.get(reading.name.semantic))
        meant = next(known, readings[-1])
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


def _artifact(name: str, place: _Place) -> dict[str, Any]:
    """The details of a whole artifact, from its record alone: a snapshot is not laid out to be listed."""
    return {
        "name": name,
        "size": 0,
        "type": "directory",
        "mtime": _seconds(place.record.created_at),
        "islink": False,
        "uri": place.uri,
    }


def _details(name: str, place: _Place, path: Path) -> dict[str, Any]:
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


def _followed(place: _Place, path: Path) -> os.stat_result | None:
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


def _folder_message(path: str, place: _Place | None) -> str:
    content = place.record.manifest.content if place else None
    entry = content.entry if content and place and not place.inside else None
    hint = f"its file is {SCHEME}{path}/{entry}" if entry else "name a file in it"
    return f"Cannot read {SCHEME}{path}: it is a folder; {hint}"


def _seconds(created_at: str) -> float:
    try:
        return datetime.fromisoformat(created_at).timestamp()
    except ValueError:  # manifests of others may say anything
        return 0.0
