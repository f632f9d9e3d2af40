"""An index of artifacts: publish a folder or a file, find it again by version or alias.

The index is the kit's store, so what is published here is seen by `Artifact.from_uri`, by `art://` and by
`nemotron kit`, and the other way round.

>>> import tempfile
>>> from pathlib import Path
>>> root = tempfile.mkdtemp()
>>> _ = Path(root, "part.txt").write_text("hello")
>>> registry = ArtifactRegistry(root=f"{root}/store")
>>> registry.publish("my-data", f"{root}/part.txt").version
1
>>> [path.name for path in registry.resolve("my-data", "latest").glob("*.txt")]
['part.txt']
"""

import builtins
import os
import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from nemotron.kit import context
from nemotron.kit.errors import ArtifactVersionNotFoundError, MisuseError, NotInitializedError, WithdrawnError
from nemotron.kit.names import ArtifactName, ArtifactRef, parse_selector
from nemotron.kit.registry.records import Draft, Record
from nemotron.kit.registry.registry import Registry
from nemotron.kit.tracking.composite import CompositeTracker
from nemotron.kit.tracking.file import FileTracker
from nemotron.kit.tracking.run import Run

__all__ = [
    "ArtifactEntry",
    "ArtifactRegistry",
    "ArtifactVersion",
    "get_artifact_registry",
    "get_resolver_mode",
    "set_artifact_registry",
]


@dataclass
class ArtifactVersion:
    """One version of an artifact.

    Attributes:
        version: its number.
        path: the folder of its content.
        created_at: ISO 8601 with zone.
        metadata: what was said of it.
    """

    version: int
    path: str
    created_at: str
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass
class ArtifactEntry:
    """One name and what there is of it.

    Attributes:
        name: the artifact's key.
        versions: the versions, oldest first.
        aliases: each alias and the version it points at.
    """

    name: str
    versions: list[ArtifactVersion] = field(default_factory=list)
    aliases: dict[str, int] = field(default_factory=dict)

    def latest_version(self) -> ArtifactVersion | None:
        """The highest version, or None if there is none."""
        return max(self.versions, key=lambda version: version.version, default=None)

    def get_version(self, version: int) -> ArtifactVersion | None:
        """The version of a number, or None."""
        return next((one for one in self.versions if one.version == version), None)

    def to_dict(self) -> dict[str, Any]:
        """The entry as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read `to_dict()` back.

        Args:
            data: `{name, versions: [{version, path, created_at, metadata}], aliases: {alias: version}}`.
        """
        versions = [ArtifactVersion(**version) for version in data.get("versions", [])]
        return cls(data["name"], versions, dict(data.get("aliases", {})))


class ArtifactRegistry:
    """A store's artifacts by name, version and alias.

    What is resolved in the current store becomes an input of what the current run saves.

    Args:
        backend: "fsspec".
        root: the store: a path or URL; `$NEMO_ARTIFACT_ROOT` by default.
        wandb_project: for the backend "wandb".
        wandb_entity: for the backend "wandb".

    Raises:
        ValueError: an argument is missing, or the backend is none that keeps an index.
    """

    def __init__(
        self,
        backend: str = "fsspec",
        root: str | os.PathLike[str] | None = None,
        wandb_project: str | None = None,
        wandb_entity: str | None = None,
    ) -> None:
        where = root if root is not None else os.environ.get(context.ROOT_VARIABLE) or None
        if backend == "wandb":
            if not wandb_project:
                raise MisuseError("wandb_project is required for wandb backend")
            raise MisuseError(
                "An ArtifactRegistry is a store on a file system: pass backend='fsspec' and root=…. "
                "W&B is told of what is saved after nemotron.kit.init(backend='wandb', wandb_project=…)"
            )
        if backend not in ("fsspec", "manifest"):
            raise MisuseError(f"Unknown backend: {backend}. Must be 'fsspec' or 'wandb'")
        if where is None:
            raise MisuseError("root is required for fsspec backend")
        self._set_up(Registry.open(where))

    @classmethod
    def over(cls, registry: Registry) -> Self:
        """The door onto a registry that is open already."""
        door = cls.__new__(cls)
        door._set_up(registry)
        return door

    def _set_up(self, registry: Registry) -> None:
        self.backend = "fsspec"
        self.root = registry.root
        self.registry = registry
        self._own_run = Run()
        self._tracker = FileTracker(registry, run=self._run)

    def _run(self) -> Run:
        """The run that uses belong to; to the current one the names of another store mean something else."""
        here = context.current_registry()
        return context.current_run() if here and here.root == self.root else self._own_run

    def publish(
        self, name: str, source_path: str | os.PathLike[str], metadata: Mapping[str, Any] | None = None
    ) -> ArtifactVersion:
        """Copy a folder's content, or a single file, into the store as the next version.

        Later changes of the source do not reach it. What is identical to the latest version is that version.

        Args:
            name: the artifact.
            source_path: the folder or file.
            metadata: anything that JSON can hold.

        Raises:
            FileNotFoundError: there is no source.
            ValueError: the name or the metadata can't be used.
        """
        run = self._run()
        draft = Draft(
            name=name,
            source=source_path,
            metadata=metadata or {},
            used_artifacts=tuple(uri.removeprefix("art://") for uri in run.used),
            producer=self._tracker.get_run_id(),
            run=run.id,
            snapshot=True,
        )
        record = self.registry.publish(draft).record
        self.registry.folder(record)  # who reads the path of this version expects the files there
        return _version(record)

    def resolve(self, name: str, version: int | str | None = None) -> Path:
        """The folder that holds the content of a version.

        Args:
            name: the artifact.
            version: 3, "3" or "v3"; an alias; "latest" or None for the highest.

        Raises:
            ArtifactNotFoundError: there is no such artifact.
            ArtifactVersionNotFoundError: there is no such version or alias.
        """
        with _as_asked(name, version):
            ref = ArtifactRef(ArtifactName.parse(name), parse_selector(version))
            return self.registry.folder(self._tracker.resolve(str(ref)))

    def get(self, name: str) -> ArtifactEntry | None:
        """What there is of a name, or None."""
        entry = self.registry.get(name)
        if entry is None:
            return None
        versions = [_version(record) for record in self.registry.versions(name)]
        return ArtifactEntry(entry.name, versions, entry.aliases)

    def list(self) -> builtins.list[ArtifactEntry]:
        """All names and what there is of each, sorted by name."""
        return [found for entry in self.registry.list() if (found := self.get(entry.name))]

    def alias(self, name: str, alias: str, version: int | str) -> None:
        """Point an alias at a version.

        Args:
            name: the artifact.
            alias: any name that does not look like a version, but `latest`.
            version: as for `resolve`.

        Raises:
            ArtifactNotFoundError: there is no such artifact.
            ArtifactVersionNotFoundError: there is no such version.
            ValueError: the alias can't be used.
        """
        with _as_asked(name, version):
            self.registry.alias(name, alias, version)

    def __repr__(self) -> str:
        return f"ArtifactRegistry(root={self.root!r})"


def _version(record: Record) -> ArtifactVersion:
    return ArtifactVersion(record.version, record.folder, record.created_at, record.metadata)


@contextmanager
def _as_asked(name: str, version: int | str | None) -> Iterator[None]:
    """Errors speak of the version as the caller spelt it."""
    try:
        yield
    except WithdrawnError:
        raise
    except ArtifactVersionNotFoundError as error:
        asked = "latest" if version is None else version
        message = error.message.replace(f"{error.name}:{error.version}", f"{name}:{asked}", 1)
        raise ArtifactVersionNotFoundError(name, asked, message) from error


# -- the current one ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Current:
    """The door in use, and the registry of the kit that it belongs to; a later `init` outdates it."""

    door: ArtifactRegistry | None
    of: Registry | None


_current: _Current | None = None


def _get() -> ArtifactRegistry | None:
    global _current
    here = context.current_registry()
    if _current is None or _current.of is not here:
        _current = _Current(None if here is None else ArtifactRegistry.over(here), here)
    return _current.door


def _put(door: ArtifactRegistry | None) -> None:
    global _current
    if door is not None:
        _move_context(door.registry)
    _current = _Current(door, context.current_registry())


def _move_context(registry: Registry | None) -> None:
    """Let the kit work with another store: saves and loads must see what this module sees."""
    if context.current_registry() is registry:
        return
    tracker = context.current_tracker()
    context.set_registry(registry)
    others = tracker.trackers if isinstance(tracker, CompositeTracker) else (tracker,) if tracker else ()
    kept = [other for other in others if not isinstance(other, FileTracker)]
    if registry is not None:
        kept.insert(0, FileTracker(registry, evidence=context.settings().evidence))
    context.set_tracker(CompositeTracker(kept) if len(kept) > 1 else kept[0] if kept else None)


def get_artifact_registry() -> ArtifactRegistry:
    """The registry in force: that of `kit.init`, or the one that was set here since.

    Raises:
        RuntimeError: there is none.
    """
    door = _get()
    if door is None:
        raise NotInitializedError("Artifact registry not initialized. Call kit.init() first.")
    return door


def set_artifact_registry(registry: ArtifactRegistry | None) -> None:
    """Make a registry the one in force, for the whole kit; None for none."""
    if registry is None:
        _move_context(None)
    elif not isinstance(registry, ArtifactRegistry):
        raise MisuseError(f"Expected an ArtifactRegistry or None, found {type(registry).__name__}")
    _put(registry)


def get_resolver_mode() -> str:
    """How references in configs are resolved: "local" where there is a store, else "pre_init"."""
    return "pre_init" if _get() is None else "local"


class _Module(types.ModuleType):
    """This module, with an attribute that follows the kit's context and can be set."""

    @property
    def _registry(self) -> ArtifactRegistry | None:
        return _get()

    @_registry.setter
    def _registry(self, door: ArtifactRegistry | None) -> None:
        _put(door)


sys.modules[__name__].__class__ = _Module
