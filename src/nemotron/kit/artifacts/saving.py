"""Saving: `metadata.json` beside the data, the version in the tracker, and what the tracker said."""

import logging
import os
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from nemotron.kit import context
from nemotron.kit.artifacts.inputs import Input, InputDatasetInfo, to_wandb_uri
from nemotron.kit.artifacts.kinds import KINDS
from nemotron.kit.artifacts.measuring import settle
from nemotron.kit.artifacts.ondisk import Companion, is_checkout, make_folder, remember
from nemotron.kit.artifacts.paths import absolute, files_of, is_url, to_uri
from nemotron.kit.artifacts.value import ArtifactValue, TrackingInfo, split_id
from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.errors import (
    InvalidNameError,
    InvalidReferenceError,
    KitError,
    MisuseError,
    NotFoundError,
    PathNotFoundError,
    RefusedError,
)
from nemotron.kit.names import LATEST, SCHEME, Alias, ArtifactName, ArtifactRef, local_path
from nemotron.kit.registry.flags import check_flag
from nemotron.kit.tracking.composite import say_not_recorded
from nemotron.kit.tracking.protocol import LineageTracker, SaveOptions, StoreTracker

log = logging.getLogger(__name__)

# What a value has without anybody having said anything of the data.
_SAYS_NOTHING = frozenset({"elapsed_sec", "source_datasets", "data_format"})
Given = Input | ArtifactValue | InputDatasetInfo | str | os.PathLike[str]


def save(
    artifact: ArtifactValue,
    name: str | None,
    inputs: Iterable[Given] | None,
    options: SaveOptions,
    *,
    all_ranks: bool,
) -> None:
    """See `Artifact.save`."""
    check_flag("all_ranks", all_ranks)
    spelt = artifact.name if name is None else ArtifactName.parse(name).semantic
    options = _checked(artifact, options)
    if name is not None:
        artifact.name = spelt
    if not all_ranks and (rank := _other_rank()):
        _say_not_saved(rank)
        _forget(artifact)
        return
    tracker = context.current_tracker()
    if tracker is not None and not tracker.is_active():
        say_not_recorded(tracker, spelt)
        tracker = None
    used, external, edges = resolve_inputs(artifact, inputs)
    _warn_of_no_share(artifact, edges)
    artifact.producer = (tracker.get_run_id() if tracker else None) or "local"
    is_named_only = not artifact.metadata.keys() - _SAYS_NOTHING
    settle(artifact)
    document = artifact.to_document()
    folder = _record_folder(artifact)
    if isinstance(tracker, StoreTracker):
        _refuse_missing_file(artifact, spelt)
    is_new = not is_url(folder) and not os.path.lexists(folder)
    make_folder(folder)
    if is_new:  # which is fine where metadata is all there is to say, as it never is of a model
        is_model = any(KINDS.get(base.__name__) == "model" for base in type(artifact).__mro__)
        log.log(
            logging.WARNING if is_named_only or is_model else logging.INFO,
            "%s was not there and is made: %s has no data%s. If there should be some, check the path, or "
            "write it first",
            folder,
            spelt or artifact.type,
            " and says nothing" if is_named_only else "",
        )
    companion = Companion(folder, document["path"], has_folder=artifact._is_file)
    if tracker is None:
        _save_beside(artifact, companion, document, inputs, options)
        return
    # Not synced: it is written again when the tracker has answered.
    if not companion.says(document, "tracking", "created_at", "producer"):
        companion.write(document, durable=False)
    record = _commit(
        artifact, tracker, spelt, used, replace(options, external_inputs=tuple(external), edges=edges)
    )
    _take_record(artifact, record)
    _finish(artifact, companion, created=record.get("created") is not False)


def _checked(artifact: ArtifactValue, options: SaveOptions) -> SaveOptions:
    """Refuse what would fail only after the version is there, and decide what was left open."""
    for alias in options.aliases:
        if Alias(alias) == LATEST:
            raise MisuseError("latest is moved by the kit itself; leave it out of aliases=")
    if options.snapshot is None and is_checkout(artifact.path):
        # What a store laid out may be cleared away, so a mere reference to it would not last.
        return replace(options, snapshot=True)
    return options


# -- ranks -------------------------------------------------------------------------------------------------


def _other_rank() -> str | None:
    """This process's rank, if it is one that does not save."""
    rank = os.environ.get("RANK", "").strip()
    return None if rank in ("", "0") else rank


@cache
def _say_not_saved(rank: str) -> None:
    log.warning("RANK is %s: nothing is saved on this rank; save(all_ranks=True) saves here too", rank)


def _forget(artifact: ArtifactValue) -> None:
    """It is not, or not any more, a version that this process knows."""
    artifact._name = artifact._version = artifact.tracking = None


# -- the file beside the data ------------------------------------------------------------------------------


def _record_folder(artifact: ArtifactValue) -> Path:
    """Where `metadata.json` goes: the output folder, or the folder around an artifact that is a file."""
    folder = artifact._get_output_dir()
    if is_url(folder):
        return folder.parent if folder == artifact.path and _is_one_object(folder) else folder
    if folder != artifact.path and os.path.isdir(artifact.path):
        raise MisuseError(
            f"The path of a {type(artifact).__name__} is a file, and {artifact.path} is a folder: "
            "name the file in it"
        )
    return Path(absolute(folder.parent if os.path.isfile(folder) else folder))


def _is_one_object(url: Path) -> bool:
    """Whether an object is at a URL itself; of one that does not answer, writing there will say so."""
    if str(url).startswith(("http://", "https://")):
        return False  # nothing is written there, whatever it is
    try:
        return files_of(url).what(str(url)) == "file"
    except KitError:
        return False


def _refuse_missing_file(artifact: ArtifactValue, name: str | None) -> None:
    """Refuse an artifact whose file is not there before anything is written beside it."""
    path = artifact.path
    if artifact._is_file and not is_url(path) and not os.path.isfile(path):
        raise PathNotFoundError(
            f"Cannot publish {name or artifact.type}: no {path.name} in {absolute(path.parent)}. "
            "Write it first"
        )


def _save_beside(
    artifact: ArtifactValue,
    companion: Companion,
    document: dict[str, Any],
    inputs: Iterable[Given] | None,
    options: SaveOptions,
) -> None:
    """Save where there is no tracker: the file is all there is."""
    _say_ignored(options, inputs, "there is no store: call nemotron.kit.init(root=…) before")
    if companion.says(document, "tracking", "created_at", "producer"):
        _adopt(artifact, companion)
    else:
        _forget(artifact)
        companion.write(artifact.to_document(), durable=True)
    if companion.problem is not None:
        problem = companion.problem
        raise type(problem)(
            f"{problem}. There is no store to keep the record instead: call nemotron.kit.init(root=…), "
            "or save to another folder"
        ) from problem
    if artifact.name:
        remember(artifact.name, document["path"])


def _finish(artifact: ArtifactValue, companion: Companion, *, created: bool) -> None:
    """Write what the tracker said; nothing where the file says it already."""
    document = artifact.to_document()
    if not created and companion.says(document, "created_at", "producer"):
        _adopt(artifact, companion)
        return
    companion.write(document, durable=True)
    problem = companion.problem
    if problem is None or is_checkout(companion.folder):
        return
    level = logging.INFO if isinstance(problem, RefusedError) else logging.WARNING
    log.log(level, "%s is recorded in the store only: %s", artifact.uri or artifact.art_path, problem)


def _adopt(artifact: ArtifactValue, companion: Companion) -> None:
    """Be what was saved before: the same artifact, with the time and the maker that it had then."""
    document = companion.document or {}
    artifact.created_at = document["created_at"]
    artifact.producer = document["producer"]
    artifact.tracking = document["tracking"]
    _take_id(artifact)


# -- the tracker -------------------------------------------------------------------------------------------


def _commit(
    artifact: ArtifactValue, tracker: LineageTracker, name: str | None, used: list[str], options: SaveOptions
) -> dict[str, Any]:
    if isinstance(tracker, StoreTracker):
        if options.snapshot and options.evidence in ("stat", "sampled"):
            log.warning(
                "save() passes over evidence=%r: a snapshot is copied, so every byte is read and its "
                "evidence is full. Leave it out, or leave out snapshot= to refer to the data where it is",
                options.evidence,
            )
        options = replace(options, showing=context.showing())
        return tracker.log_artifact_with(artifact, name or artifact.type, used, options)
    plain = replace(options, external_inputs=())
    _say_ignored(plain, options.external_inputs or None, f"{type(tracker).__name__} is no store")
    # Other people's trackers know neither names with slashes nor art://.
    refs = [ref.removeprefix(SCHEME) for ref in used]
    return tracker.log_artifact(artifact, artifact._derive_artifact_name(name), refs)


def _say_ignored(options: SaveOptions, inputs: Any, why: str) -> None:
    """Say which options have no effect; passing over them in silence would look like success."""
    asked = {
        "snapshot": options.snapshot,
        "evidence": options.evidence,
        "aliases": options.aliases,
        "follow_links": options.follow_links,
        "inputs": inputs,
    }
    if names := [f"{name}=" for name, value in asked.items() if value]:
        log.warning("save() passes over %s, because %s", ", ".join(names), why)


def _take_record(artifact: ArtifactValue, record: dict[str, Any]) -> None:
    artifact.tracking = TrackingInfo(
        artifact_id=record.get("artifact_id"),
        artifact_type=record.get("artifact_type"),
        run_id=record.get("run_id"),
        url=record.get("url"),
        used_artifacts=[ref.removeprefix(SCHEME) for ref in record.get("used_artifacts") or []],
    )
    _take_id(artifact)


def _take_id(artifact: ArtifactValue) -> None:
    """Let the artifact know its name and version from what the tracker calls it."""
    identity = artifact.tracking.artifact_id if artifact.tracking else None
    artifact._name, artifact._version = split_id(identity)


# -- inputs ------------------------------------------------------------------------------------------------


def resolve_inputs(
    artifact: ArtifactValue, inputs: Iterable[Given] | None
) -> tuple[list[str], list[str], tuple[InputEdge, ...]]:
    """What the artifact was made from: (references of artifacts, URIs of what is none, what is said of them).

    Args:
        artifact: the one that is saved.
        inputs: what the caller says; None for what was loaded in this run.

    Raises:
        NotFoundError: an artifact that is named is not there.
        MisuseError: an input is none of the things that can be one.
    """
    if isinstance(
        inputs, str | ArtifactValue | Input
    ):  # the first two can be iterated over, which nobody means
        inputs = [inputs]
    if inputs is None:
        edges = [InputEdge(uri=uri) for uri in (*context.used(), *artifact._used_artifacts)]
    else:
        edges = [_edge(item) for item in inputs]
    used, external = [], []
    for uri in dict.fromkeys(edge.uri for edge in edges):
        if uri.startswith(SCHEME) or "://" not in uri:
            used.append(uri)
        else:
            external.append(uri)
    return used, external, tuple(edge for edge in edges if not edge.is_plain)


def _warn_of_no_share(artifact: ArtifactValue, edges: Iterable[InputEdge]) -> None:
    """Say it where an input is said to be data, and the artifact's own list of its sources leaves it out."""
    sources = artifact.get_input_uris() if getattr(artifact, "source_datasets", None) else ()
    listed = {_without_version(to_wandb_uri(uri)) for uri in sources}
    for edge in edges if listed else ():
        is_data = edge.role == "data" or (edge.role is None and (edge.weight or edge.tokens))
        if is_data and _without_version(to_wandb_uri(edge.uri)) not in listed:
            log.warning(
                "%s has no share in %s: source_datasets says what it is made of, and does not name it. "
                "Add it there, or leave source_datasets out",
                edge.uri,
                artifact.name or artifact.type,
            )


def _without_version(uri: str) -> str:
    return uri.removeprefix(SCHEME).partition(":")[0] if uri.startswith(SCHEME) else uri


def _edge(item: Given) -> InputEdge:
    if isinstance(item, Input):
        return item.edge(_input_uri(item.ref))
    if isinstance(item, InputDatasetInfo):
        weight = None if item.weight == InputDatasetInfo.weight else item.weight
        return Input(item, split=item.split, weight=weight).edge(_input_uri(item))
    return InputEdge(uri=_input_uri(item))


def _input_uri(item: Given) -> str:
    if isinstance(item, ArtifactValue):
        return item.uri or to_uri(item.path)
    if isinstance(item, InputDatasetInfo):
        return item.uri if is_url(item.uri) else to_wandb_uri(item.uri)
    if not isinstance(item, str | os.PathLike) and not is_url(item):
        raise MisuseError(
            f"Not an input: {item!r}; expected an artifact, an art:// reference, a URI, a path, an "
            "InputDatasetInfo, or an Input with one of these"
        )
    text = str(item)
    if text.startswith(SCHEME):
        where = local_path(text)
        return _fixed(text) if where is None else f"file://{where}"
    if is_url(text):
        return text
    if isinstance(item, os.PathLike) or text.startswith(("/", ".", "~")):
        return to_wandb_uri(text)
    return _bare(text)


def _bare(text: str) -> str:
    """What a text without a scheme means: an artifact of the store, or a file; both is an error."""
    is_path = os.path.exists(text)
    try:
        uri = _fixed(f"{SCHEME}{text}") if context.current_registry() else None
    except (NotFoundError, InvalidReferenceError, InvalidNameError) as error:
        if is_path:
            return to_wandb_uri(text)
        raise MisuseError(
            f"Not an input: {text!r} is no path that exists and no artifact ({error}); "
            "write art://NAME:vN, a URI such as hf://org/name, or an absolute path"
        ) from error
    if is_path and uri:
        raise MisuseError(f"{text!r} is an artifact and a path as well; write art://{text} or ./{text}")
    return uri or (to_wandb_uri(text) if is_path else f"{SCHEME}{text}")


def _fixed(reference: str) -> str:
    """An `art://` reference with `latest` and aliases turned into the version that they mean now."""
    ref = ArtifactRef.parse(reference)
    registry = context.current_registry()
    if registry is None:
        return reference
    try:
        return registry.find(ref)[0].uri
    except NotFoundError:
        if ref.wandb is None:
            raise
        return reference  # of W&B, whose tracker knows it
