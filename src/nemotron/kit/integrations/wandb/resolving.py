"""What a reference means on W&B: through the run, or before there is one through the client's public API."""

import logging
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nemotron.kit.documents.codec import plain
from nemotron.kit.errors import KitError, NotFoundError
from nemotron.kit.integrations.wandb import run as wandb_run
from nemotron.kit.integrations.wandb.errors import translated
from nemotron.kit.integrations.wandb.folders import referenced_folder
from nemotron.kit.integrations.wandb.patches import digests
from nemotron.kit.integrations.wandb.uris import local_path, reference_candidates
from nemotron.kit.names import SCHEME

log = logging.getLogger(__name__)

_ITERATION = re.compile(r"iter_([0-9]+)", re.ASCII)
_VERSION = re.compile(r"v[0-9]+", re.ASCII)


def find(ref: str, *, entity: str | None = None, project: str | None = None) -> dict[str, Any]:
    """Resolve a reference without a run.

    Args:
        ref: `name:alias`, `entity/project/name:v3`, with or without `art://`.
        entity: the user or team; `$WANDB_ENTITY` by default.
        project: the project; `$WANDB_PROJECT` by default.

    Returns:
        See `describe`.

    Raises:
        NotFoundError: W&B has no such artifact.
        UnavailableError: W&B can't be reached.
        RefusedError: not logged in, or not allowed.
    """
    return describe(*_look_up(ref, entity, project))


def look_up(ref: str, *, entity: str | None = None, project: str | None = None) -> Any:
    """The client's artifact that a reference means, without a run; arguments and errors as for `find`."""
    return _look_up(ref, entity, project)[0]


def _look_up(ref: str, entity: str | None, project: str | None) -> tuple[Any, str]:
    entity = entity or os.environ.get("WANDB_ENTITY") or None
    project = project or os.environ.get("WANDB_PROJECT") or None
    candidates = [_in_project(each, entity, project) for each in _candidates(ref, entity, project)]
    api = wandb_run.api()
    return _first(candidates, lambda candidate: api.artifact(candidate))


def allow_changed_references() -> None:
    """Let `http(s)://` references be downloaded although what they point to has changed, with a warning.

    Raises:
        MissingExtraError: the client is not installed.
    """
    if hasattr(wandb_run.client(), "__path__"):  # a test's fake has nothing to patch
        digests.allow_changed("http_handler")


def use(ref: str) -> dict[str, Any]:
    """Resolve a reference and make it an input of the active run.

    Raises:
        KitError: as `find`.
    """
    run = wandb_run.active()
    candidates = reference_candidates(ref, getattr(run, "entity", None))
    found, name = _first(candidates, lambda candidate: run.use_artifact(candidate))  # type: ignore[union-attr]
    return describe(found, "/".join([*wandb_run.project_of(run), name]) if name.count("/") < 2 else name)


def use_resolved(qualified_name: str) -> None:
    """Make what another rank resolved an input of this rank's run as well; a failure stops nothing."""
    run = wandb_run.active()
    if run is None or wandb_run.mode(run) != "online":
        return
    try:
        with translated(f"use {qualified_name}"):
            run.use_artifact(qualified_name)
    except KitError as error:
        log.warning("%s is used, and W&B did not take that: %s", qualified_name, error)


def _candidates(ref: str, entity: str | None, project: str | None) -> list[str]:
    candidates = reference_candidates(ref, entity)
    # Without a project of our own, three segments are W&B's own form first.
    return candidates if project else candidates[::-1]


def _in_project(candidate: str, entity: str | None, project: str | None) -> str:
    if "/" in candidate or not project:
        return candidate
    return f"{entity}/{project}/{candidate}" if entity else f"{project}/{candidate}"


def _first(candidates: list[str], get: Callable[[str], Any]) -> tuple[Any, str]:
    for candidate in candidates[:-1]:
        try:
            with translated(f"find {candidate}"):
                return get(candidate), candidate
        except NotFoundError:
            log.debug("No %s on W&B", candidate)
    with translated(f"find {candidates[-1]}"):
        return get(candidates[-1]), candidates[-1]


def describe(artifact: Any, asked: str) -> dict[str, Any]:
    """What a config can ask of a W&B artifact.

    Args:
        artifact: the client's.
        asked: how it was found, which names its project where the artifact does not.

    Returns:
        path, version, name, type, qualified_name, metadata_dir, iteration (None if there is none), fields,
        and whether the data was downloaded to this machine.
    """
    metadata = getattr(artifact, "metadata", None)
    metadata = dict(metadata) if isinstance(metadata, Mapping) else {}
    path, folder, downloaded = _place(artifact, metadata)
    iteration = None
    if match := _ITERATION.fullmatch(Path(path).name):
        path, iteration = str(Path(path).parent), int(match[1])
    return {
        "path": path,
        "version": getattr(artifact, "version", None),
        "name": str(getattr(artifact, "name", asked)),
        "type": getattr(artifact, "type", None),
        "qualified_name": _qualified(artifact, asked),
        "metadata_dir": folder,
        "iteration": iteration,
        "fields": {"metadata": plain(metadata, "metadata")},
        "downloaded": downloaded,
    }


def _qualified(artifact: Any, asked: str) -> str:
    said = getattr(artifact, "qualified_name", None)
    text = said if isinstance(said, str) and said.count("/") == 2 else wandb_run.qualified(artifact, artifact)
    text = text if text.count("/") == 2 else asked.removeprefix(SCHEME)
    version = getattr(artifact, "version", None)
    if isinstance(version, str) and _VERSION.fullmatch(version):
        return f"{text.partition(':')[0]}:{version}"
    return text


def _place(artifact: Any, metadata: Mapping[str, Any]) -> tuple[str, str, bool]:
    """Where the data lies, the folder of its `metadata.json`, and whether it was downloaded."""
    said = metadata.get("absolute_path")
    if isinstance(said, str) and said:
        return said, said, False
    entries = getattr(getattr(artifact, "manifest", None), "entries", None)
    for name, entry in entries.items() if isinstance(entries, Mapping) else ():
        ref = getattr(entry, "ref", None)
        if isinstance(ref, str) and local_path(ref):
            folder = str(referenced_folder(name, ref))
            return folder, folder, False
    with translated(f"download {getattr(artifact, 'name', 'the artifact')}"):
        root = str(artifact.download())
    return root, root, True
