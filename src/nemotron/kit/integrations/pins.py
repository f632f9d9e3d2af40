"""What the references of a config mean, once for all ranks of a job."""

import logging
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from nemotron.kit import context
from nemotron.kit.artifacts import drift
from nemotron.kit.documents.codec import decode
from nemotron.kit.errors import KitError, MisuseError
from nemotron.kit.registry.scan import METADATA_FILE, is_kit_metadata
from nemotron.kit.store.rendezvous import RUN_FOLDER, agree_on

if TYPE_CHECKING:
    from nemotron.kit.registry.records import Record
    from nemotron.kit.registry.registry import Registry
    from nemotron.kit.store.rendezvous import Board

log = logging.getLogger(__name__)

Mode = Literal["active_run", "pre_init", "local"]
Info = dict[str, Any]

_WANDB_VERSION = re.compile(r"v([0-9]+)", re.ASCII)


def pin(references: Mapping[str, str], mode: Mode) -> dict[str, Info]:
    """Resolve references; every rank of this attempt of the job gets the same versions.

    They are going to be used, so the rank that asks the store also looks whether references are still what
    was published, as a load does. What it finds where drift is an error is every rank's error.

    Args:
        references: name in the config → reference.
        mode: `local` asks the store. `active_run` asks the store if there is one, else W&B. `pre_init` asks
            W&B, without a run.

    Returns:
        For each name its path, version, name, type, `uri` or `qualified_name`, and all that is known of it.

    Raises:
        NotFoundError: there is no such artifact; the note says which key named it.
        NotInitializedError: there is no store.
        MisuseError: the mode is unknown.
        DriftError, RefusedError, UnavailableError, CorruptError: files differ or can't be compared, and
            `on_drift` is "error".
    """
    if mode not in get_args(Mode):
        raise MisuseError(f"Unknown mode: {mode!r}. Must be 'active_run', 'pre_init' or 'local'")
    registry = context.require_registry() if mode == "local" else context.current_registry()
    if not references:
        return {}
    found_here: dict[str, Info] = {}

    def resolve() -> dict[str, Info]:
        for name, ref in references.items():
            try:
                found_here[name] = _resolve(ref, mode, registry)
            except KitError as error:
                error.add_note(f"{name} is {ref}")
                raise
        return found_here

    found = agree_on(asked(references, mode), resolve, _meeting_place(registry))
    for name, info in found.items():
        if uri := info.get("uri"):
            context.current_run().pin(references[name], uri)
    return {
        name: info if found_here.get(name) == info else _on_this_rank(info, registry)
        for name, info in found.items()
    }


def asked(references: Mapping[str, str], mode: Mode) -> list[str]:
    """What ranks that look for the same answer have in common.

    An answer that was found where drift is no error is none where it is one, nor the other way round.
    """
    strictly = ["on_drift=error"] if context.settings().on_drift == "error" else []
    return [*(f"{mode} {name}={ref}" for name, ref in references.items()), *strictly]


def _meeting_place(registry: "Registry | None") -> "Board | None":
    if registry is not None:
        return registry.store
    if os.environ.get(RUN_FOLDER, "").strip():
        return None  # that folder comes first, and torch need not be asked
    from nemotron.kit.integrations.torch_store import board

    return board()


def _resolve(ref: str, mode: Mode, registry: "Registry | None") -> Info:
    if registry is not None and mode != "pre_init":
        record, inside = registry.find(ref)
        info = _described(registry, record, inside, ref)
        drift.look(registry, record, once=True)
        return info
    from nemotron.kit.integrations.wandb import resolving, run

    if mode == "active_run" and (active := run.active()) is not None and run.mode(active) == "online":
        return _numbered(resolving.use(ref))
    return _numbered(resolving.find(ref))


def _numbered(info: Info) -> Info:
    """With the version as a number, as the store gives it: W&B's own is the text `v7`."""
    version = info["version"]
    if isinstance(version, str) and (number := _WANDB_VERSION.fullmatch(version)):
        return {**info, "version": int(number[1])}
    return info


def _on_this_rank(info: Info, registry: "Registry | None") -> Info:
    """What another rank has resolved, as it is here: an edge of this rank's run, data of this machine."""
    qualified = info.get("qualified_name")
    if qualified is None:
        if registry is not None and info.get("laid_out") and not os.path.lexists(info["path"]):
            return in_store(registry, f"{info['uri']}/{info['inside']}".rstrip("/"))
        return info
    from nemotron.kit.integrations.wandb import resolving

    resolving.use_resolved(qualified)
    if info.get("downloaded") and not os.path.isdir(info["path"]):
        return _numbered(resolving.find(qualified))
    return info


def in_store(registry: "Registry", ref: str) -> Info:
    """What a config can ask of a version in the store; at its data nobody looks.

    Raises:
        NotFoundError: there is no such artifact or version.
    """
    return _described(registry, *registry.find(ref), ref)


def _described(registry: "Registry", record: "Record", inside: str, ref: str) -> Info:
    manifest = record.manifest
    if record.is_at_url:
        path, folder, metadata = record.path, record.folder, record.metadata
        own: dict[str, Any] = {}
    else:
        folder = str(registry.folder(record))
        path, metadata = str(registry.location(record)), record.metadata_in(folder)
        own = _own_metadata(folder, is_older=manifest.format_version == 0)
    if inside:
        path = str(registry.inside(ref))
    nested = own.get("metadata")
    return {
        "path": path,
        "version": record.version,
        "name": record.name,
        "type": record.type,
        "uri": record.uri,
        "inside": inside,
        "metadata_dir": folder,
        "laid_out": record.is_snapshot,
        "iteration": metadata.get("iteration"),
        "fields": {
            **own,
            "created_at": record.created_at,
            "producer": manifest.producer,
            "inputs": record.inputs,
            "used_artifacts": list(manifest.used_artifacts),
            "metadata": {**(nested if isinstance(nested, dict) else {}), **metadata},
        },
    }


def _own_metadata(folder: str, *, is_older: bool) -> dict[str, Any]:
    """A `metadata.json` in the artifact that says more than the store: the user's own, or an older tool's."""
    file = f"{folder}/{METADATA_FILE}"
    if is_kit_metadata(file) and not is_older:
        return {}
    return read_metadata(file)


def read_metadata(file: str) -> dict[str, Any]:
    """The document in a file; {} if there is none, or none that can be read."""
    try:
        with open(file, "rb") as opened:
            return decode(opened.read(), file)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, KitError) as error:
        log.warning("%s is left out: %s", file, error)
        return {}
