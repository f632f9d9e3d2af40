"""Loading: from a folder, a pipe, a store or another tracker, as the class that was saved."""

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from nemotron.kit import context
from nemotron.kit.artifacts import drift, kinds, pipe
from nemotron.kit.artifacts.migrating import migrated
from nemotron.kit.artifacts.ondisk import read, remembered
from nemotron.kit.artifacts.paths import absolute, is_url, to_path
from nemotron.kit.artifacts.value import STORED, ArtifactValue, TrackingInfo, split_id
from nemotron.kit.errors import (
    CorruptError,
    InvalidNameError,
    InvalidReferenceError,
    MisuseError,
    NotFoundError,
    PathNotFoundError,
)
from nemotron.kit.names import SCHEME, ArtifactRef, local_path
from nemotron.kit.redaction import clean
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.resolved import rebase
from nemotron.kit.registry.scan import METADATA_FILE
from nemotron.kit.tracking.composite import CompositeTracker
from nemotron.kit.tracking.file import FileTracker
from nemotron.kit.tracking.protocol import LineageTracker

log = logging.getLogger(__name__)

Kind = TypeVar("Kind", bound=ArtifactValue)


def load(cls: type[Kind], path: str | os.PathLike[str] | None, tracked_artifact: str | None) -> Kind:
    """See `Artifact.load`."""
    if tracked_artifact is not None:
        return _load_tracked(cls, tracked_artifact)
    if path is not None:
        return _load_path(cls, path)
    entry = pipe.entry(lambda type_name: _fits(cls, type_name), cls.__name__)
    return _load_path(cls, entry["path"])


def _fits(cls: type[ArtifactValue], type_name: str) -> bool:
    found = kinds.named(type_name)
    return type_name == cls.type_name() or (found is not None and issubclass(found, cls))


def from_uri(cls: type[Kind], uri: str) -> Kind:
    """See `Artifact.from_uri`."""
    if not str(uri).startswith(SCHEME):
        raise InvalidReferenceError(f"Invalid art:// URI: {clean(str(uri))!r}; expected art://NAME[:VERSION]")
    if (where := local_path(uri)) is not None:
        return _load_path(cls, where)
    if is_url(rest := uri.removeprefix(SCHEME)):
        return _load_path(cls, rest)
    ref = _reference(uri)
    tracker = _active_tracker()
    registry = context.current_registry()
    if registry is not None:
        try:
            return _from_store(cls, registry, ref)
        except NotFoundError:
            if ref.wandb is None or not isinstance(tracker, CompositeTracker):
                raise
    elif tracker is None:
        if (where := remembered(ref.name.semantic)) and ref.is_latest:
            return _load_path(cls, where)
        # W&B without a run: what it has can be looked up all the same.
        if callable(find := getattr(context.current_tracker(), "find_artifact", None)):
            return _from_tracker(cls, find, str(ref).removeprefix(SCHEME))
        context.require_registry()
    assert tracker is not None
    return _from_tracker(cls, tracker.use_artifact, str(ref).removeprefix(SCHEME))


def _reference(uri: str) -> ArtifactRef:
    try:
        return ArtifactRef.parse(uri)
    except (InvalidReferenceError, InvalidNameError) as error:
        if error.message.startswith("Invalid art:// URI: "):
            raise
        raise InvalidReferenceError(f"Invalid art:// URI: {clean(uri)!r}: {error}") from error


def _active_tracker() -> LineageTracker | None:
    tracker = context.current_tracker()
    return tracker if tracker is not None and tracker.is_active() else None


def store_of(tracker: LineageTracker | None) -> Registry | None:
    """The registry behind a tracker, if it has one."""
    first = tracker.first if isinstance(tracker, CompositeTracker) else tracker
    return first.registry if isinstance(first, FileTracker) else None


# -- from a store ------------------------------------------------------------------------------------------


def _from_store(cls: type[Kind], registry: Registry, ref: str | ArtifactRef) -> Kind:
    record, inside = registry.find(ref)
    if inside:
        raise MisuseError(
            f"{ref} names {inside} inside {record.uri}; load the artifact without it, "
            "or open the file with fsspec"
        )
    artifact = from_record(cls, registry, record)
    drift.look(registry, record)
    context.record_use(record.uri, str(ref))
    return artifact


def from_record(cls: type[Kind], registry: Registry, record: Record) -> Kind:
    """The typed artifact of a version.

    Args:
        cls: the class that was asked for; the version may be of one that is derived from it.
        registry: where it is.
        record: the version.

    Raises:
        MisuseError: it is of another kind.
        CorruptError: it lacks what its kind requires.
    """
    manifest = record.manifest
    chosen = kinds.choose(cls, manifest.type, record.uri)
    if record.is_at_url:
        path, metadata = record.path, record.metadata
    else:
        folder = str(registry.folder(record, look=True))  # of a snapshot: laid out now, if it was not
        entry = manifest.content.entry if manifest.content else None
        path, metadata = f"{folder}/{entry}" if entry else folder, record.metadata_in(folder)
    document = {
        "path": path,
        "type": manifest.type,
        "metadata": metadata,
        "created_at": manifest.created_at or None,
        "producer": manifest.producer,
        "tracking": TrackingInfo(
            artifact_id=f"{record.name}:v{record.version}",
            artifact_type=manifest.type,
            run_id=manifest.producer,
            used_artifacts=list(manifest.used_artifacts),
        ),
        "name": manifest.semantic_name,
    }
    artifact = build(chosen, document, record.uri)
    artifact._name, artifact._version = record.name, record.version
    return artifact


def build(cls: type[Kind], document: dict[str, Any], where: str) -> Kind:
    """An artifact from what was stored; unknown fields are kept in metadata.

    Raises:
        CorruptError: it is not what the class requires.
        FormatTooNewError: a newer version of the class wrote it.
    """
    document = migrated(cls, document, where)
    try:
        return cls.model_validate(document, context=STORED)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()
        )
        raise CorruptError(f"{where} does not hold a {cls.__name__}: {problems}") from error


# -- from a tracker ----------------------------------------------------------------------------------------


def _load_tracked(cls: type[Kind], reference: str) -> Kind:
    tracker = _active_tracker()
    if tracker is None:
        raise MisuseError(
            f"Cannot load tracked artifact: no active tracker for {reference}. "
            "Call nemotron.kit.init(root=…), or start a W&B run, first"
        )
    registry = store_of(tracker)
    if registry is not None:
        try:
            return _from_store(cls, registry, reference)
        except NotFoundError:
            if not isinstance(tracker, CompositeTracker):
                raise
    return _from_tracker(cls, tracker.use_artifact, reference.removeprefix(SCHEME))


def _from_tracker(cls: type[Kind], use: Callable[[str, str], Path], reference: str) -> Kind:
    """Load what a tracker without a store of ours has."""
    before = context.used()
    place = to_path(use(reference, cls.type_name()))
    recorded = [uri for uri in context.used() if uri not in before]
    try:
        file, document = _find(place)
    except PathNotFoundError:
        document = {"path": place, "type": cls.type_name()}
    else:
        if not os.path.exists(str(document.get("path", ""))):
            document = relocated(cls, document, file.parent)
    artifact = build(kinds.choose(cls, str(document.get("type")), reference), document, reference)
    # The tracker may have said which version it was; a reference to `latest` does not.
    identity = recorded[0].removeprefix(SCHEME) if len(recorded) == 1 else reference
    name, version = split_id(identity)
    if version is not None:
        artifact._name, artifact._version = name, version
        artifact.tracking = (artifact.tracking or TrackingInfo(artifact_type=artifact.type)).model_copy(
            update={"artifact_id": identity}
        )
    if not recorded:
        context.record_use(f"{SCHEME}{identity}")
    return artifact


# -- from a folder -----------------------------------------------------------------------------------------


def _load_path(cls: type[Kind], path: str | os.PathLike[str]) -> Kind:
    if str(path).startswith(SCHEME):
        return from_uri(cls, str(path))
    place = to_path(path)
    place = place if is_url(place) else Path(absolute(place))
    file, document = _find(place)
    if not ("path" in document or "type" in document):
        raise CorruptError(
            f"{file} describes no artifact: it has neither 'path' nor 'type'. If the record is in a store, "
            "load it with from_uri"
        )
    chosen = kinds.choose(cls, str(document.get("type") or "artifact"), str(file))
    artifact = build(chosen, relocated(chosen, document, file.parent), str(file))
    _recognise(artifact)
    return artifact


def _find(place: Path) -> tuple[Path, dict[str, Any]]:
    """The metadata file of a folder, of a file in a folder, or itself."""
    inside = place / METADATA_FILE
    beside = place.parent / METADATA_FILE
    tries = [place] if place.name == METADATA_FILE else []
    for file in (*tries, inside, beside):
        document = read(file)
        if document is None:
            continue
        its = _last(document.get("path"))
        of_another = its != place.name and (place.parent / its).is_file()
        if file in (place, inside) or its == place.name or (place.is_file() and not of_another):
            return file, document
    raise PathNotFoundError(
        f"Artifact metadata not found: {place if tries else inside}. Was the artifact saved there? "
        "What is in a store is loaded with from_uri"
    )


def _last(path: Any) -> str:
    return os.path.basename(str(path))


def relocated(cls: type[ArtifactValue], document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The document of an artifact as it reads where it lies now, if its folder was moved or copied.

    Args:
        cls: its class.
        document: as it was written.
        folder: where `metadata.json` lies.

    Raises:
        CorruptError: its path is none.
    """
    said, here = str(document.get("path") or folder), str(folder)
    if is_url(said) or is_url(here) or _is_store_record(document, folder):
        return document
    if "\x00" in said:
        raise CorruptError(f"{here}/{METADATA_FILE} is damaged: {said!r} is no path")
    said = os.path.abspath(said)
    real = os.path.realpath(here)
    if real in (os.path.realpath(said), os.path.realpath(os.path.dirname(said))):
        return {**document, "path": said}
    shaped_as_file = cls._is_file or os.path.isfile(f"{here}/{_last(said)}")
    old = os.path.dirname(said) if shaped_as_file else said
    moved = {
        key: rebase(value, old, here) if key == "metadata" or key in cls._own_fields else value
        for key, value in document.items()
    }
    return {**moved, "path": f"{here}/{_last(said)}" if shaped_as_file else here}


def _is_store_record(document: dict[str, Any], folder: Path) -> bool:
    """Whether it is the copy that a store keeps of a version's record, away from the data."""
    if not re.fullmatch(r"v[0-9]+", folder.name):
        return False
    manifest = read(folder / "manifest.json") or {}
    return (
        str(manifest.get("version")).removeprefix("v") == folder.name[1:]
        and manifest.get("type") == document.get("type")
        and "path" in manifest
    )


def _recognise(artifact: ArtifactValue) -> None:
    """Know the version that was read from a folder, and remember that it was used.

    Where there is a store, it must know the version: a file can't tell which store it was published in.
    """
    identity = artifact.tracking.artifact_id if artifact.tracking else None
    name, version = split_id(identity)
    if name is None or version is None:
        return
    ref = ArtifactRef.parse(f"{name}:v{version}")
    registry = context.current_registry()
    if registry is not None and ref.wandb is None:
        try:
            record = registry.resolve(ref)
        except NotFoundError as error:
            log.info(
                "%s was published as %s, which this store does not have: %s", artifact.path, identity, error
            )
            return
        if record.type != artifact.type:
            log.info(
                "%s was published as %s, which is a %s in this store", artifact.path, identity, record.type
            )
            return
        if record.path == absolute(artifact.path):
            drift.look(registry, record)
    artifact._name, artifact._version = name, version
    context.record_use(f"{SCHEME}{name}:v{version}")
