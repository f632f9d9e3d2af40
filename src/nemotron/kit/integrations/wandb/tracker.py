"""The tracker that tells Weights & Biases."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nemotron.kit.errors import NotFoundError, NotInitializedError, PathNotFoundError, UnavailableError
from nemotron.kit.integrations.wandb import run as wandb_run
from nemotron.kit.integrations.wandb.drafts import METADATA_FILE, References, add_file, fit_metadata
from nemotron.kit.integrations.wandb.errors import translated
from nemotron.kit.integrations.wandb.inputs import Inputs, Source, sources_of
from nemotron.kit.integrations.wandb.uris import (
    alias,
    artifact_name,
    is_reference,
    local_path,
    reference_candidates,
)
from nemotron.kit.names import SCHEME
from nemotron.kit.tracking.protocol import SaveOptions, empty_record
from nemotron.kit.tracking.run import Run

log = logging.getLogger(__name__)

OUTPUT = "output"


class WandbTracker:
    """Records artifacts and their inputs on the active W&B run.

    What W&B does not take is an error of the kit's (`UnavailableError`, `RefusedError`, …); behind a store,
    `CompositeTracker` turns it into a warning. Offline, artifacts go into the client's own log; it can't
    record edges there, so inputs are kept in the artifact's metadata and the run's config.

    Raises:
        ImportError: the wandb package is missing.
    """

    def __init__(self) -> None:
        wandb_run.client()
        self._references = References()
        self._inputs = Inputs(self._references)
        # (run, reference as it was written) → `entity/project/name:vN`: the edges that W&B has.
        self._used: dict[tuple[str, str], str] = {}
        self._told_of_offline: set[str] = set()
        own = Run()
        self._kit_run: Callable[[], Run] = lambda: own

    def bind_run(self, run: Callable[[], Run]) -> None:
        """Let what is loaded become an input of the kit's run that `run()` gives."""
        self._kit_run = run

    def is_active(self) -> bool:
        """Whether there is a run that takes anything: not before `wandb.init`, not in disabled mode."""
        run = wandb_run.active()
        return run is not None and wandb_run.mode(run) != "disabled"

    def get_run_id(self) -> str | None:
        """The id of the active W&B run, or None."""
        run = wandb_run.active()
        return None if run is None else run.id

    def use_artifact(self, ref: str, artifact_type: str = "artifact") -> Path:
        """Make an artifact an input of the run and return a folder that holds it.

        Args:
            ref: `art://entity/project/name:v3`, `art://name:v3`, `name:alias`, …
            artifact_type: what the caller expects; W&B knows better and is not asked to insist.

        Returns:
            The folder that the artifact refers to where this machine has it, else a download.

        Raises:
            RuntimeError: no run is active.
            NotFoundError: W&B has no such artifact, or its data is not on this machine.
            UnavailableError: the run is offline, or W&B can't be reached.
        """
        run = self._run()
        if (mode := wandb_run.mode(run)) != "online":
            raise UnavailableError(f"{ref} can't be loaded from W&B: the run is {mode}")
        used = self._use(run, ref)
        name = wandb_run.qualified(run, used)
        folder = _folder(used)
        self._used[run.id, ref] = self._used[run.id, f"{SCHEME}{name}"] = name
        self._kit_run().use(f"{SCHEME}{name}")
        return folder

    def log_artifact(self, artifact: Any, name: str, used_refs: list[str]) -> dict[str, Any]:
        """Record an artifact and its inputs; see `log_artifact_with`."""
        return self.log_artifact_with(artifact, name, used_refs, SaveOptions())

    def log_artifact_with(
        self, artifact: Any, name: str, used_refs: list[str], options: SaveOptions
    ) -> dict[str, Any]:
        """Record the inputs, then the artifact.

        Args:
            artifact: what to record.
            name: its name; slashes become dashes.
            used_refs: references of the artifacts that it was made from.
            options: `aliases` and `external_inputs` are used; with `snapshot` the data is uploaded.

        Returns:
            A `TrackingRecord`; `artifact_id` is None offline, where W&B has not given a version yet.

        Raises:
            RuntimeError: no run is active.
            KitError: W&B did not take it.
        """
        run = self._run()
        sources = sources_of(artifact, options.external_inputs)
        mode = wandb_run.mode(run)
        if mode == "disabled":
            return empty_record(artifact.type)
        if mode == "offline":
            return self._log_offline(run, artifact, name, used_refs, sources, options)
        inputs = [self._inputs.use(run, source) for source in sources]
        used = [self._edge(run, ref) for ref in used_refs if is_reference(ref)]
        logged = self._log(run, artifact, name, options, {})
        with translated(f"take {name}"):
            logged.wait()
        record = _record(run, artifact, sources)
        record["artifact_id"] = wandb_run.qualified(run, logged)
        record["url"] = _page(run, logged, artifact.type)
        record["used_artifacts"] = wandb_run.unique(used)
        record["input_artifact_refs"] = wandb_run.unique(inputs)
        return record

    def _run(self) -> Any:
        run = wandb_run.active()
        if run is None:
            raise NotInitializedError(
                "No active W&B run. Call wandb.init() first, or nemotron.kit.init_wandb_if_configured()"
            )
        return run

    def _edge(self, run: Any, ref: str) -> str:
        """Make an artifact that was used an input of the run, if it is not one already."""
        key = (run.id, ref)
        if key not in self._used:
            self._used[key] = wandb_run.qualified(run, self._use(run, ref))
        return self._used[key]

    def _use(self, run: Any, ref: str) -> Any:
        candidates = reference_candidates(ref, getattr(run, "entity", None))
        for candidate in candidates[:-1]:
            try:
                with translated(f"find {candidate}"):
                    return run.use_artifact(candidate)
            except NotFoundError:
                log.debug("%s: no %s on W&B", ref, candidate)
        with translated(f"find {candidates[-1]}"):
            return run.use_artifact(candidates[-1])

    def _log(self, run: Any, artifact: Any, name: str, options: SaveOptions, added: dict[str, Any]) -> Any:
        """Fill the artifact and log it."""
        draft = self._draft(artifact, artifact_name(name), options, added)
        experiment = os.environ.get("NEMO_EXPERIMENT_ID")
        aliases = ["latest", *([experiment] if experiment else []), *options.aliases]
        with translated(f"log {name}"):
            logged = run.log_artifact(draft, aliases=wandb_run.unique(map(alias, aliases)))
        return logged if logged is not None else draft

    def _draft(self, artifact: Any, name: str, options: SaveOptions, added: dict[str, Any]) -> Any:
        metadata = fit_metadata(artifact.metadata, {"created_at": artifact.created_at, **added})
        with translated(f"make an artifact {name}"):
            draft = wandb_run.client().Artifact(name=name, type=artifact.type, metadata=metadata)
        for path, entry in artifact.get_wandb_files():
            with translated(f"upload {path}"):
                add_file(draft, path, entry)
        left_out = {}
        for uri, entry in artifact.get_wandb_references():
            path = local_path(uri)
            if options.snapshot and path is not None:
                with translated(f"upload {path}"):
                    draft.add_dir(path, name=entry)
            elif not self._references.add(draft, uri, entry):
                left_out[entry] = uri
        if left_out:
            draft.metadata = {**metadata, "references": left_out}
        return draft

    def _log_offline(
        self,
        run: Any,
        artifact: Any,
        name: str,
        used_refs: list[str],
        sources: list[Source],
        options: SaveOptions,
    ) -> dict[str, Any]:
        """Let the client write the artifact into its log, with its inputs as text beside it."""
        record = _record(run, artifact, sources)
        record["used_artifacts"] = list(used_refs)
        inputs = {"used_artifacts": list(used_refs), "source_uris": record["source_uris"]}
        inputs = {key: texts for key, texts in inputs.items() if texts}
        if inputs:
            self._tell_of_offline(run)
            with translated(f"record the inputs of {name}"):
                known = dict(run.config.get("artifact_inputs") or {})
                run.config.update(
                    {"artifact_inputs": {**known, artifact_name(name): inputs}}, allow_val_change=True
                )
        self._log(run, artifact, name, options, inputs)
        return record

    def _tell_of_offline(self, run: Any) -> None:
        if run.id not in self._told_of_offline:
            self._told_of_offline.add(run.id)
            log.warning(
                "W&B is offline and can't record what an artifact was made from: the inputs are kept in the "
                "artifact's metadata and in the run's config, and are no edges on W&B yet"
            )


def _record(run: Any, artifact: Any, sources: list[Source]) -> dict[str, Any]:
    return {
        "artifact_id": None,
        "artifact_type": artifact.type,
        "run_id": run.id,
        "url": None,
        "used_artifacts": [],
        "source_uris": [source.uri for source in sources],
        "input_artifact_refs": [],
    }


def _page(run: Any, logged: Any, artifact_type: str) -> str | None:
    """The page that shows a logged artifact.

    The client's own `url` of an artifact costs two requests, so it is put together as the client does it,
    from the address that the client says the project has. Queries are cut: they can hold a key.
    """
    project = _text(getattr(run, "project_url", None))
    name, _, version = wandb_run.qualified(run, logged).rpartition("/")[2].partition(":")
    if project and version:
        return f"{project.partition('?')[0]}/artifacts/{quote(artifact_type)}/{quote(name)}/{version}"
    url = _text(getattr(logged, "url", None)) or _text(getattr(run, "url", None))
    return url.partition("?")[0] if url else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _folder(artifact: Any) -> Path:
    """Where the artifact's data lies, or a download of it.

    Raises:
        PathNotFoundError: it refers to a folder that this machine does not have.
    """
    entries = getattr(getattr(artifact, "manifest", None), "entries", None)
    references = {} if not isinstance(entries, dict) else {p: e.ref for p, e in entries.items() if e.ref}
    folders = [_referenced_folder(path, ref) for path, ref in references.items() if local_path(ref)]
    for folder in folders:
        if folder.is_dir():
            return folder
    if folders and len(folders) == len(references):
        raise PathNotFoundError(
            f"The data of {artifact.name} lies in {folders[0]}, which is not on this machine"
        )
    with translated(f"download {artifact.name}"):
        root = Path(artifact.download())
    # Data that was uploaded with the artifact keeps the name that its reference would have.
    inner = root / OUTPUT
    return inner if (inner / METADATA_FILE).is_file() else root


def _referenced_folder(entry: str, uri: str) -> Path:
    """The folder that was referred to, from one file of it: `output/a/b.bin` and `file:///data/a/b.bin`."""
    path, inside = Path(local_path(uri) or "/"), Path(entry)
    same = 0
    for mine, theirs in zip(reversed(path.parts), reversed(inside.parts[1:]), strict=False):
        if mine != theirs:
            break
        same += 1
    return path.parents[max(same, 1) - 1]
