"""Trackers over the kit's own store."""

import logging
import os
import re
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from nemotron.kit.documents.manifest import Evidence
from nemotron.kit.errors import ArtifactVersionNotFoundError, MisuseError, NotFoundError, WithdrawnError
from nemotron.kit.names import SCHEME, ArtifactRef, Version
from nemotron.kit.registry.records import Draft, Record
from nemotron.kit.registry.registry import Registry
from nemotron.kit.tracking.protocol import SaveOptions
from nemotron.kit.tracking.run import Run

log = logging.getLogger(__name__)

_HF_ROOT = re.compile(r"hf://[^/]+/[^/]+(/.*)?")


class FileTracker:
    """Commits artifacts to a store and resolves them from it.

    Args:
        registry: the store.
        evidence: how closely references are looked at when a save does not say.
        run: gives the run that uses and saves belong to; set by the context for the current tracker.
    """

    def __init__(
        self, registry: Registry, *, evidence: Evidence = "stat", run: Callable[[], Run] | None = None
    ) -> None:
        # `nemo_runspec`'s registry is a door onto ours.
        inner = getattr(registry, "registry", None)
        self.registry = inner if isinstance(inner, Registry) else registry
        self._evidence = evidence
        own = Run()
        self._run: Callable[[], Run] = run or (lambda: own)

    @property
    def root(self) -> str:
        """Where the store is."""
        return self.registry.root

    def bind_run(self, run: Callable[[], Run]) -> None:
        """Let uses and saves belong to the run that `run()` gives."""
        self._run = run

    def is_active(self) -> bool:
        """Always True."""
        return True

    def get_run_id(self) -> str:
        """Inside `kit.run` that run's id, else `$NEMO_EXPERIMENT_ID`, else "local"."""
        run = self._run()
        return run.id if run.name is not None else os.environ.get("NEMO_EXPERIMENT_ID") or "local"

    def resolve(self, ref: str) -> Record:
        """The version that a reference names, remembered as an input of the current run.

        Raises:
            NotFoundError: there is no such artifact or version.
        """
        record, inside = self.registry.find(ref)
        if inside:
            raise MisuseError(f"{ref} names {inside} inside {record.uri}; name the artifact alone")
        self._run().use(record.uri, ref)
        return record

    def use_artifact(self, ref: str, artifact_type: str = "artifact") -> Path:
        """Mark an artifact as an input of the current run and return where it lies.

        Args:
            ref: `art://name:v3`, `name:v3`, `name:alias` or `name`.
            artifact_type: what the caller expects; the store knows better and does not insist.

        Raises:
            NotFoundError: there is no such artifact or version.
        """
        return self.registry.location(self.resolve(ref))

    def log_artifact(self, artifact: Any, name: str, used_refs: list[str]) -> dict[str, Any]:
        """Commit an artifact under a name; see `LineageTracker`."""
        return self.log_artifact_with(artifact, name, used_refs, SaveOptions())

    def log_artifact_with(
        self, artifact: Any, name: str, used_refs: list[str], options: SaveOptions
    ) -> dict[str, Any]:
        """Commit an artifact as the caller's options say.

        Raises:
            KitError: it was not committed; the message says why.
        """
        source, entry = _place(artifact)
        draft = Draft(
            name=name,
            source=source,
            entry=entry,
            type=artifact.type,
            metadata=artifact.metadata,
            inputs=(*_input_uris(artifact), *options.external_inputs),
            edges=options.edges,
            used_artifacts=tuple(self._fixed(ref) for ref in used_refs),
            producer=self.get_run_id(),
            run=self._run().id,
            created_at=artifact.created_at,
            snapshot=bool(options.snapshot),
            evidence=options.evidence or self._evidence,
            follow_links=options.follow_links,
            aliases=options.aliases,
            at_url=dict(getattr(artifact.path, "storage_options", {})) if "://" in source else None,
        )
        return self._published(draft, options)

    def log_model_checkpoint(self, name: str, path: str | os.PathLike[str], iteration: int) -> dict[str, Any]:
        """Record a checkpoint folder as a version of type "model".

        Args:
            name: the artifact.
            path: the checkpoint's folder, or its URL.
            iteration: the training step.
        """
        is_url = "://" in str(path)
        place = str(path) if is_url else os.path.abspath(path)
        draft = Draft(
            name=name,
            source=path,
            type="model",
            metadata={"iteration": iteration, "absolute_path": place},
            used_artifacts=tuple(self._fixed(uri) for uri in self._run().used),
            producer=self.get_run_id(),
            run=self._run().id,
            at_url={} if is_url else None,
        )
        return self._published(draft)

    def _published(self, draft: Draft, options: SaveOptions | None = None) -> dict[str, Any]:
        executor, showing = (options.executor, options.showing) if options else (None, None)
        with showing("Copying" if draft.snapshot else "Reading") if showing else nullcontext() as progress:
            published = self.registry.publish(draft, executor=executor, progress=progress)
        self._run().saved(self.registry.store, published.record.uri, created=published.created)
        manifest = published.record.manifest
        return {
            "artifact_id": f"{manifest.name}:v{manifest.version}",
            "artifact_type": manifest.type,
            "run_id": manifest.producer,
            "url": None,
            "used_artifacts": list(manifest.used_artifacts),
            "created": published.created,
        }

    def _fixed(self, ref: str) -> str:
        """`name:vN` of a reference; `latest` and aliases are pinned to what they are now."""
        parsed = ArtifactRef.parse(ref)
        try:
            record = self.registry.resolve(parsed)
        except NotFoundError as error:
            # It was there when it was loaded (withdrawn since) or lies elsewhere (W&B): still an input.
            if not isinstance(parsed.selector, Version):
                raise
            log.info("%s is recorded as an input by name alone: %s", ref, error)
            return (str(parsed) if parsed.wandb else parsed.uri).removeprefix(SCHEME)
        return f"{record.name}:v{record.version}"


class ManifestTracker(FileTracker):
    """A `FileTracker` over the store at a root.

    Args:
        root: a path or URL.

    Raises:
        MisuseError: the root is none.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        text = os.fspath(root)
        if text.startswith("hf:") and not _HF_ROOT.fullmatch(text):
            raise MisuseError(f"HF Hub root must be 'hf://org/repo' or 'hf://org/repo/subdir', got: {text}")
        super().__init__(Registry.open(text))

    def use_artifact(self, ref: str, artifact_type: str = "artifact") -> Path:
        """Mark an artifact as an input and return where it lies.

        Raises:
            FileNotFoundError: `Artifact not found: n`, or `Version not found: n:vN`.
        """
        try:
            return super().use_artifact(ref, artifact_type)
        except WithdrawnError:
            raise
        except ArtifactVersionNotFoundError as error:
            message = error.message.removeprefix("Artifact version not found: ")
            raise ArtifactVersionNotFoundError(
                error.name, error.version, f"Version not found: {message}"
            ) from error


def _place(artifact: Any) -> tuple[str, str | None]:
    """The folder or file to publish, and the file in it that the artifact's path names."""
    path = os.fspath(artifact.path) if "://" not in str(artifact.path) else str(artifact.path)
    output = getattr(artifact, "_get_output_dir", None)
    folder = str(output()) if callable(output) else path
    if folder == path:
        return path, None
    if "://" in path:
        return (folder, path[len(folder) + 1 :]) if path.startswith(f"{folder}/") else (path, None)
    path, folder = os.path.abspath(path), os.path.abspath(folder)
    return (folder, path[len(folder) + 1 :]) if path.startswith(f"{folder}/") else (path, None)


def _input_uris(artifact: Any) -> list[str]:
    uris = getattr(artifact, "get_input_uris", None)
    return list(uris()) if callable(uris) else []
