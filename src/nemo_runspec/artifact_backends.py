"""Where an `ArtifactRegistry` keeps artifacts: a store of the kit's, or a W&B project."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import Any

from nemo_runspec.artifact_entries import ArtifactEntry, ArtifactVersion
from nemotron.kit import context
from nemotron.kit.errors import ArtifactVersionNotFoundError, KitError, WithdrawnError
from nemotron.kit.names import SCHEME, ArtifactName, ArtifactRef, parse_selector
from nemotron.kit.registry.records import Draft, Record
from nemotron.kit.registry.registry import Registry
from nemotron.kit.tracking.file import FileTracker
from nemotron.kit.tracking.run import Run

log = logging.getLogger(__name__)


class StoreBackend:
    """A store of the kit's."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._own_run = Run()
        self._tracker = FileTracker(registry, run=self._run)

    def __str__(self) -> str:
        return f"root={self.registry.root!r}"

    def _run(self) -> Run:
        """The run that uses belong to; to the current one the names of another store mean something else."""
        here = context.current_registry()
        return context.current_run() if here and here.root == self.registry.root else self._own_run

    def publish(
        self, name: str, source_path: str | os.PathLike[str], metadata: Mapping[str, Any] | None
    ) -> ArtifactVersion:
        """See `ArtifactRegistry.publish`."""
        run = self._run()
        draft = Draft(
            name=name,
            source=source_path,
            metadata=metadata or {},
            used_artifacts=tuple(uri.removeprefix(SCHEME) for uri in run.used),
            producer=self._tracker.get_run_id(),
            run=run.id,
            snapshot=True,
        )
        record = self.registry.publish(draft).record
        self.registry.folder(record)  # who reads the path of this version expects the files there
        return _version(record)

    def resolve(self, name: str, version: int | str | None) -> Path:
        """See `ArtifactRegistry.resolve`."""
        with _as_asked(name, version):
            ref = ArtifactRef(ArtifactName.parse(name), parse_selector(version))
            return self.registry.folder(self._tracker.resolve(str(ref)))

    def get(self, name: str) -> ArtifactEntry | None:
        """See `ArtifactRegistry.get`."""
        entry = self.registry.get(name)
        if entry is None:
            return None
        versions = [_version(record) for record in self.registry.versions(name)]
        return ArtifactEntry(entry.name, versions, entry.aliases)

    def names(self) -> list[str]:
        """All names, sorted."""
        return [entry.name for entry in self.registry.list()]

    def alias(self, name: str, alias: str, version: int | str) -> None:
        """See `ArtifactRegistry.alias`."""
        with _as_asked(name, version):
            self.registry.alias(name, alias, version)


class WandbBackend:
    """A W&B project.

    Args:
        project: the project.
        entity: the user or team.

    Raises:
        ImportError: the wandb package is missing.
    """

    def __init__(self, project: str, entity: str | None = None) -> None:
        from nemotron.kit.integrations.wandb.catalog import WandbCatalog

        self.catalog = WandbCatalog(project, entity)

    def __str__(self) -> str:
        return f"wandb_project={self.catalog.project!r}, wandb_entity={self.catalog.entity!r}"

    def publish(
        self, name: str, source_path: str | os.PathLike[str], metadata: Mapping[str, Any] | None
    ) -> ArtifactVersion:
        """See `ArtifactRegistry.publish`."""
        return _on_wandb(self.catalog.publish(name, source_path, metadata))

    def follow(
        self,
        store: StoreBackend,
        published: ArtifactVersion,
        name: str,
        source_path: str | os.PathLike[str],
        metadata: Mapping[str, Any] | None,
    ) -> None:
        """Publish what a store has; what W&B does not take now is kept in the store's outbox.

        Args:
            store: has it already.
            published: what the store has made of it.
            name: the artifact.
            source_path: its files.
            metadata: what is said of it.

        Raises:
            KitError: W&B did not take it, and it is not kept.
        """
        from nemotron.kit.integrations.wandb import published as behind

        subject = f"{SCHEME}{ArtifactName.parse(name).key}:v{published.version}"
        try:
            found = self.catalog.publish(name, source_path, metadata)
        except KitError as error:
            if not behind.keep(self.catalog, store.registry, subject, error):
                raise
            log.warning(
                "%s is in the store; W&B did not take it: %s. It is kept in the store's outbox. "
                "To send it: nemotron kit sync --root %s",
                subject.removeprefix(SCHEME),
                str(error).rstrip("."),
                quote(str(store.registry.root)),
            )
        else:
            behind.remember(self.catalog, store.registry, subject, found)

    def resolve(self, name: str, version: int | str | None) -> Path:
        """See `ArtifactRegistry.resolve`."""
        folder, found = self.catalog.resolve(name, version)
        context.record_use(found.uri)
        return folder

    def get(self, name: str) -> ArtifactEntry | None:
        """See `ArtifactRegistry.get`."""
        found = self.catalog.versions(name)
        if not found:
            return None
        aliases = {alias: one.version for one in found for alias in one.aliases if alias != "latest"}
        return ArtifactEntry(found[0].name, [_on_wandb(one) for one in found], aliases)

    def names(self) -> list[str]:
        """All names, sorted."""
        return self.catalog.names()

    def alias(self, name: str, alias: str, version: int | str) -> None:
        """See `ArtifactRegistry.alias`."""
        self.catalog.alias(name, alias, version)


def _version(record: Record) -> ArtifactVersion:
    return ArtifactVersion(record.version, record.folder, record.created_at, record.metadata)


def _on_wandb(found: Any) -> ArtifactVersion:
    """A version on W&B; its path is its URI, since it lies in no folder before it is resolved."""
    return ArtifactVersion(found.version, found.uri, found.created_at, found.metadata)


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
