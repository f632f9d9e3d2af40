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
import logging
import os
import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from nemo_runspec.artifact_backends import StoreBackend, WandbBackend
from nemo_runspec.artifact_entries import ArtifactEntry, ArtifactVersion
from nemotron.kit import context, start
from nemotron.kit.errors import KitError, MisuseError, NotInitializedError
from nemotron.kit.integrations.wandb import run as wandb_run
from nemotron.kit.registry.registry import Registry
from nemotron.kit.tracking.composite import parts_of

__all__ = [
    "ArtifactEntry",
    "ArtifactRegistry",
    "ArtifactVersion",
    "get_artifact_registry",
    "get_resolver_mode",
    "set_artifact_registry",
]

log = logging.getLogger(__name__)


class ArtifactRegistry:
    """Artifacts by name, version and alias: a store's, or a W&B project's.

    What is resolved in the current store, or while a W&B run is active, becomes an input of what the current
    run saves.

    Args:
        backend: "fsspec" for a store, "wandb" for a W&B project.
        root: the store: a path or URL; `$NEMO_ARTIFACT_ROOT` by default.
        wandb_project: the W&B project. With a store as well, what is published there goes to both, the store
            first, whose answer counts.
        wandb_entity: the W&B user or team; `$WANDB_ENTITY` by default.

    Raises:
        ValueError: an argument is missing, or the backend is unknown.
        ImportError: W&B is asked for and not installed.
    """

    def __init__(
        self,
        backend: str = "fsspec",
        root: str | os.PathLike[str] | None = None,
        wandb_project: str | None = None,
        wandb_entity: str | None = None,
    ) -> None:
        if backend == "wandb":
            if not wandb_project:
                raise MisuseError("wandb_project is required for wandb backend")
            self._set_up(WandbBackend(wandb_project, wandb_entity), None)
            return
        where = root if root is not None else os.environ.get(context.ROOT_VARIABLE) or None
        if backend not in ("fsspec", "manifest"):
            raise MisuseError(f"Unknown backend: {backend}. Must be 'fsspec' or 'wandb'")
        if where is None:
            raise MisuseError("root is required for fsspec backend")
        second = WandbBackend(wandb_project, wandb_entity) if wandb_project else None
        self._set_up(StoreBackend(Registry.open(where)), second)

    @classmethod
    def over(cls, backend: "Registry | WandbBackend", second: "WandbBackend | None" = None) -> Self:
        """The door onto what is open already.

        Args:
            backend: a registry of the kit's, or a W&B project.
            second: a W&B project that is told of what is published while a W&B run is active.
        """
        door = cls.__new__(cls)
        door._set_up(StoreBackend(backend) if isinstance(backend, Registry) else backend, second)
        door._starts_runs = False
        return door

    def _set_up(self, backend: "StoreBackend | WandbBackend", second: "WandbBackend | None") -> None:
        self._backend = backend
        self._second = second
        self._starts_runs = True
        self.backend = "fsspec" if isinstance(backend, StoreBackend) else "wandb"
        self.root = backend.registry.root if isinstance(backend, StoreBackend) else None
        self.registry = backend.registry if isinstance(backend, StoreBackend) else None

    def publish(
        self, name: str, source_path: str | os.PathLike[str], metadata: Mapping[str, Any] | None = None
    ) -> ArtifactVersion:
        """Copy a folder's content, or a single file, into the store (upload it to W&B) as the next version.

        Later changes of the source do not reach it. What is identical to the latest version is that version.

        Args:
            name: the artifact.
            source_path: the folder or file.
            metadata: anything that JSON can hold.

        Raises:
            FileNotFoundError: there is no source.
            ValueError: the name or the metadata can't be used.
            ConnectionError: W&B, where there is no store, can't be reached.
        """
        published = self._backend.publish(name, source_path, metadata)
        if self._second is not None and (self._starts_runs or wandb_run.active() is not None):
            try:
                assert isinstance(self._backend, StoreBackend)
                self._second.follow(self._backend, published, name, source_path, metadata)
            except KitError as error:
                log.warning("%s:v%d is in the store; W&B did not take it: %s", name, published.version, error)
        return published

    def resolve(self, name: str, version: int | str | None = None) -> Path:
        """The folder that holds the content of a version; from W&B where it lies, else a download.

        Args:
            name: the artifact.
            version: 3, "3" or "v3"; an alias; "latest" or None for the highest.

        Raises:
            ArtifactNotFoundError: there is no such artifact.
            ArtifactVersionNotFoundError: there is no such version or alias.
        """
        return self._backend.resolve(name, version)

    def get(self, name: str) -> ArtifactEntry | None:
        """What there is of a name, or None."""
        return self._backend.get(name)

    def list(self) -> builtins.list[ArtifactEntry]:
        """All names and what there is of each, sorted by name."""
        return [found for name in self._backend.names() if (found := self._backend.get(name))]

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
        self._backend.alias(name, alias, version)

    def __repr__(self) -> str:
        return f"ArtifactRegistry({self._backend})"


# -- the current one ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Current:
    """The door in use, and the registry of the kit that it belongs to; a later `init` outdates it."""

    door: ArtifactRegistry | None
    of: object


_current: _Current | None = None


def _get() -> ArtifactRegistry | None:
    global _current
    registry, wandb = context.current_registry(), _wandb_tracker()
    here = registry if registry is not None else wandb
    if _current is None or _current.of is not here:
        _current = _Current(None if here is None else _door(registry, wandb), here)
    return _current.door


def _door(registry: Registry | None, wandb: Any) -> ArtifactRegistry:
    second = WandbBackend(wandb.project, wandb.entity) if wandb is not None else None
    if registry is None:
        assert second is not None
        return ArtifactRegistry.over(second)
    return ArtifactRegistry.over(registry, second)


def _wandb_tracker() -> Any | None:
    """The W&B tracker of `kit.init`, alone or behind a store; None if W&B is not configured."""
    tracker = context.current_tracker()
    if tracker is None:
        return None
    from nemotron.kit.integrations.wandb.tracker import WandbTracker

    return next((one for one in parts_of(tracker) if isinstance(one, WandbTracker) and one.project), None)


def _put(door: ArtifactRegistry | None) -> None:
    global _current
    if door is not None:
        _move_context(door.registry)
        if isinstance(door._backend, WandbBackend):
            _track_on(door._backend)
    _current = _Current(door, context.current_registry() or _wandb_tracker())


def _track_on(backend: WandbBackend) -> None:
    """Let the kit save to, and load from, a W&B project."""
    from nemotron.kit.integrations.wandb.tracker import WandbTracker

    context.set_tracker(WandbTracker(backend.catalog.project, backend.catalog.entity))


def _move_context(registry: Registry | None) -> None:
    """Let the kit work with another store: saves and loads must see what this module sees."""
    if context.current_registry() is registry:
        return
    start.put_store(registry)


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
    door = _get()
    return "pre_init" if door is None or door.registry is None else "local"


class _Module(types.ModuleType):
    """This module, with an attribute that follows the kit's context and can be set."""

    @property
    def _registry(self) -> ArtifactRegistry | None:
        return _get()

    @_registry.setter
    def _registry(self, door: ArtifactRegistry | None) -> None:
        _put(door)


sys.modules[__name__].__class__ = _Module
