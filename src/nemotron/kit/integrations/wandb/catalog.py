"""A W&B project as a registry: publish, resolve, list, get, move aliases, through the client's public API.

It needs no run: what is looked up is asked of the API, and `publish` starts a short run of its own if none is
active. What is resolved while a run is active becomes an input of it.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemotron.kit.errors import (
    ArtifactNotFoundError,
    ArtifactVersionNotFoundError,
    MisuseError,
    NotFoundError,
    PathNotFoundError,
    UnavailableError,
)
from nemotron.kit.integrations.wandb import beginning
from nemotron.kit.integrations.wandb import run as wandb_run
from nemotron.kit.integrations.wandb.description import Draft, Upload
from nemotron.kit.integrations.wandb.drafts import fit_metadata
from nemotron.kit.integrations.wandb.errors import translated
from nemotron.kit.integrations.wandb.folders import folder_of
from nemotron.kit.integrations.wandb.limits import again_on_conflict
from nemotron.kit.integrations.wandb.sending import log_draft
from nemotron.kit.integrations.wandb.uris import artifact_name, artifact_type
from nemotron.kit.names import LATEST, SCHEME, Alias, parse_selector
from nemotron.kit.redaction import clean

log = logging.getLogger(__name__)

# Types that W&B keeps for itself.
_INTERNAL = frozenset({"job", "run_table"})


@dataclass(frozen=True, slots=True)
class Found:
    """One version on W&B.

    Attributes:
        name: the artifact's name in its project.
        version: its number; W&B counts from 0.
        type: its type.
        uri: `art://entity/project/name:vN`.
        created_at: as W&B says.
        metadata: what W&B has of it.
        aliases: the aliases that point at it.
    """

    name: str
    version: int
    type: str
    uri: str
    created_at: str
    metadata: dict[str, Any]
    aliases: tuple[str, ...]


class WandbCatalog:
    """The artifacts of one W&B project.

    Args:
        project: the project.
        entity: the user or team; `$WANDB_ENTITY` by default, then the account's own.

    Raises:
        ImportError: the wandb package is missing.
    """

    def __init__(self, project: str, entity: str | None = None) -> None:
        wandb_run.client()
        self.project = project
        self.entity = entity

    def publish(
        self,
        name: str,
        source: str | os.PathLike[str],
        metadata: Mapping[str, Any] | None = None,
        type: str = "artifact",
    ) -> Found:
        """Upload a folder's content, or a file, as the next version.

        The same bytes again are the same version.

        Args:
            name: the artifact; slashes become dashes.
            source: the folder or file.
            metadata: anything that JSON can hold.
            type: its W&B type.

        Raises:
            PathNotFoundError: there is no source.
            MisuseError: the active run is of another project or another's.
            UnavailableError: the active run is not online, or W&B can't be reached.
            KitError: W&B did not take it.
        """
        path = os.path.abspath(source)
        if not os.path.exists(path):
            raise PathNotFoundError(f"Nothing to publish: {path} does not exist")
        said = clean(fit_metadata(metadata or {}, {}))
        upload = Upload(path, "" if os.path.isdir(path) else os.path.basename(path))
        draft = Draft(name=artifact_name(name), type=artifact_type(type), metadata=said, uploads=(upload,))
        with self._run() as run:
            found = self._found(again_on_conflict(lambda: _log(run, draft)))
        if {key: found.metadata.get(key) for key in said} != said:
            log.warning(
                "W&B has these bytes as %s already, and keeps the metadata that it has of them", found.uri
            )
        return found

    def resolve(self, name: str, version: int | str | None = None) -> tuple[Path, Found]:
        """A folder that holds the content of a version: where it lies, if it was referred to and is there,
        else a download.

        Args:
            name: the artifact, or `entity/project/name` of another project.
            version: 3, "3" or "v3"; an alias; "latest" or None.

        Raises:
            ArtifactNotFoundError: there is no such artifact.
            ArtifactVersionNotFoundError: there is no such version or alias.
            PathNotFoundError: its data lies on another machine.
            KitError: W&B could not be asked.
        """
        artifact = self._artifact(name, version)
        folder = folder_of(artifact)  # what can't be read from here is no input
        run = wandb_run.active()
        if run is not None and wandb_run.mode(run) == "online":
            with translated(f"make {name} an input of the run"):
                run.use_artifact(artifact)
        return folder, self._found(artifact)

    def versions(self, name: str) -> list[Found]:
        """All versions of a name, oldest first; none if W&B has no such name."""
        kind = self._type(name)
        if kind is None:
            return []
        with translated(f"list the versions of {name}"):
            artifacts = list(wandb_run.api().artifacts(kind, self._path(name)))
        return sorted(map(self._found, artifacts), key=lambda found: found.version)

    def names(self) -> list[str]:
        """The names of the project's artifacts, sorted."""
        with translated(f"list the artifacts of {self._place()}"):
            types = wandb_run.api().artifact_types(self._place())
            return sorted(
                str(collection.name)
                for kind in types
                if not (kind.name in _INTERNAL or kind.name.startswith("wandb-"))
                for collection in kind.collections()
            )

    def alias(self, name: str, alias: str, version: int | str) -> Found:
        """Point an alias at a version.

        Raises:
            ArtifactNotFoundError: there is no such artifact.
            ArtifactVersionNotFoundError: there is no such version.
            MisuseError: `latest` is moved by W&B itself.
            InvalidNameError: it is no alias.
        """
        if Alias(alias) == LATEST:
            raise MisuseError("latest is moved by W&B itself; choose another alias")
        artifact = self._artifact(name, version)
        with translated(f"point {alias} at {name}:{version}"):
            artifact.aliases = wandb_run.unique([*artifact.aliases, alias])
            artifact.save()
        return self._found(artifact)

    # -- asking

    def _artifact(self, name: str, version: int | str | None) -> Any:
        selector = parse_selector(version)
        path = f"{self._path(name)}:{selector}"
        try:
            with translated(f"find {name}:{selector}"):
                return wandb_run.api().artifact(path)
        except NotFoundError as error:
            if selector != LATEST and self._type(name) is not None:
                raise ArtifactVersionNotFoundError(name, version) from error
            message = f"Artifact not found: {name} (on W&B, in {self._place()})"
            raise ArtifactNotFoundError(name, message) from error

    def _type(self, name: str) -> str | None:
        try:
            with translated(f"find {name}"):
                return str(wandb_run.api().artifact(f"{self._path(name)}:latest").type)
        except NotFoundError:
            return None

    def _path(self, name: str) -> str:
        if name.count("/") == 2 and name.startswith(f"{self._entity()}/"):
            return name
        return f"{self._place()}/{artifact_name(name)}"

    def _place(self) -> str:
        return f"{self._entity()}/{self.project}"

    def _entity(self) -> str:
        entity = self.entity or os.environ.get("WANDB_ENTITY")
        if not entity:
            with translated("say whose projects these are"):
                entity = wandb_run.api().default_entity
        if not entity:
            raise MisuseError("Whose project is it? Pass wandb_entity=…, or set WANDB_ENTITY")
        return str(entity)

    def _found(self, artifact: Any) -> Found:
        qualified = str(artifact.qualified_name)
        return Found(
            name=qualified.rpartition("/")[2].partition(":")[0],
            version=int(str(artifact.version).removeprefix("v")),
            type=str(artifact.type),
            uri=f"{SCHEME}{qualified.partition(':')[0]}:{artifact.version}",
            created_at=str(artifact.created_at),
            metadata=dict(artifact.metadata or {}),
            aliases=tuple(str(alias) for alias in artifact.aliases),
        )

    # -- writing

    @contextmanager
    def _run(self) -> Iterator[Any]:
        """The active run, or a short one for the length of a `with` block."""
        run = wandb_run.active()
        if run is None:
            beginning.start(project=self.project, entity=self.entity, job_type="publish")
            try:
                yield self._online(wandb_run.active())
            except BaseException:
                wandb_run.finish(1)  # whatever it was: the run is ours, and nobody else ends it
                raise
            wandb_run.finish()
            return
        self._online(run)
        there = getattr(run, "project", None)
        theirs = getattr(run, "entity", None) or self._entity()
        if there != self.project or theirs != self._entity():
            raise MisuseError(
                f"The active run is of the project {there} of {theirs}, and W&B would put the artifact "
                f"there: finish it before publishing to {self._place()}"
            )
        yield run

    def _online(self, run: Any) -> Any:
        if run is None:
            raise UnavailableError("Nothing can be published to W&B: no run could be started")
        if (mode := wandb_run.mode(run)) != "online":
            raise UnavailableError(f"Nothing can be published to W&B: the run is {mode}")
        return run


def _log(run: Any, draft: Draft) -> Any:
    """Log a draft, and wait until W&B has the version."""
    logged = log_draft(run, draft, ("latest",))
    with translated(f"take {draft.name}"):
        logged.wait()
    return logged
