"""What has to be delivered before a record can be: inputs that W&B has never heard of.

They were saved before W&B was asked for, or by somebody who does not use it. A record is made of their
manifest, on a run of its own that stands for the kit's run that made them, and joins the others.
"""

import hashlib
import logging
from collections.abc import Iterable
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from nemotron.kit.documents.codec import decode, encode
from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.documents.outbox import Destination, OutboxRecord, RunIdentity
from nemotron.kit.errors import CorruptError, KitError
from nemotron.kit.integrations.wandb.delivery import RUN_PREFIX
from nemotron.kit.integrations.wandb.description import (
    METADATA_FILE,
    Description,
    Draft,
    File,
    Reference,
)
from nemotron.kit.integrations.wandb.drafts import fit_metadata, lines, refer, unopened
from nemotron.kit.integrations.wandb.inputs import sources_of
from nemotron.kit.integrations.wandb.secrets import payload_of
from nemotron.kit.integrations.wandb.uris import artifact_type
from nemotron.kit.names import SCHEME
from nemotron.kit.registry import layout, stamps
from nemotron.kit.registry.processes import this_maker
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.trees import read_tree
from nemotron.kit.registry.versions import Versions
from nemotron.kit.tracking.outbox import Outbox

log = logging.getLogger(__name__)

OUTPUT = "output"


def run_id_of(kit_run: str) -> str:
    """The id of the W&B run that stands for one of the kit's runs, where W&B never had one.

    >>> run_id_of("0192f0c1-1111-7000-8000-000000000000")
    'kit-0192f0c1-1111-7000-8000-000000000000'
    """
    return f"{RUN_PREFIX}{kit_run}"


def add_missing_inputs(registry: Registry, outbox: Outbox, records: Iterable[OutboxRecord]) -> None:
    """Put a record into the outbox for each input, near or far, that a destination has never heard of."""
    # What waits or is set aside has a record of its own, on the run that made it.
    there = [one.record for one in outbox.waiting()]
    there += [one.record for one in outbox.set_aside_records() if one.record is not None]
    known = {(record.destination.anybody.key, record.subject) for record in there}
    versions = Versions(registry.store)
    todo = [(record.destination, ref) for record in records for ref in record.used]
    while todo:
        destination, ref = todo.pop()
        place = destination.anybody
        if (place.key, ref) in known or outbox.receipt(place, ref) is not None:
            continue
        known.add((place.key, ref))
        manifest = _manifest(versions, ref)
        if manifest is None:
            continue
        record = record_of(registry, manifest, destination)
        outbox.add(record)
        todo += [(destination, used) for used in record.used]


def _manifest(versions: Versions, ref: str) -> Manifest | None:
    """The manifest of a version, a withdrawn one too: it was an input all the same."""
    name, _, number = ref.removeprefix(SCHEME).rpartition(":v")
    try:
        manifest = versions.read(name, int(number)) if number.isdecimal() else None
    except KitError as error:
        log.warning("%s is left out as an input: %s", ref, error)
        return None
    if manifest is None:
        log.warning("%s is left out as an input: it is not in the store", ref)
    return manifest


def record_of(registry: Registry, manifest: Manifest, destination: Destination) -> OutboxRecord:
    """The record that the version's own process would have made, as far as the store knows.

    It has the same id whoever makes it, so that two at once make one.
    """
    kit_run = manifest.run or _derived("run", destination.key, manifest.producer or manifest.uri)
    store_inputs = [used for used in manifest.used_artifacts if "/" not in used.removeprefix(SCHEME)]
    return OutboxRecord(
        id=_id(manifest, destination),
        created_at=stamps.now(),
        destination=destination,
        run=RunIdentity(id=run_id_of(kit_run), kit_run=kit_run),
        maker=this_maker(),
        subject=manifest.uri,
        used=tuple(used if used.startswith(SCHEME) else f"{SCHEME}{used}" for used in store_inputs),
        payload=payload_of(_description(registry, manifest, store_inputs)),
    )


def _id(manifest: Manifest, destination: Destination) -> str:
    if len(manifest.write_id) == 36:
        return f"{manifest.write_id[:24]}{destination.key[:12]}"
    # Of an older store: from what its manifest says of the time, whoever reads it.
    try:
        made_ms = max(0, int(datetime.fromisoformat(manifest.created_at).timestamp() * 1000))
    except (ValueError, OverflowError):
        made_ms = 0
    return f"{made_ms:012x}"[:8] + "-0000-7000-8000-" + _derived(manifest.uri, destination.key)


def _derived(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _description(registry: Registry, manifest: Manifest, store_inputs: list[str]) -> Description:
    said = SimpleNamespace(
        source_datasets=_datasets(manifest.metadata.get("source_datasets")),
        tokenizer_uri=manifest.metadata.get("tokenizer_uri"),
        get_input_uris=lambda: list(manifest.inputs),
    )
    reference = _reference(registry, manifest)
    metadata = fit_metadata(manifest.metadata, {"created_at": manifest.created_at})
    draft = Draft(
        name=manifest.name,
        type=artifact_type(manifest.type),
        metadata={**metadata, **unopened([reference])},
        files=tuple(_companion(registry, manifest)),
        references=(reference,),
    )
    foreign = [used for used in manifest.used_artifacts if used not in store_inputs]
    return Description(draft=draft, aliases=("latest",), used=tuple(foreign), sources=tuple(sources_of(said)))


def _datasets(value: Any) -> list[Any]:
    """Those that can be understood; the others are among the manifest's inputs by their URI."""
    wanted = {"uri", "name", "weight", "split", "subset", "text_field", "num_rows", "size_bytes", "num_files"}
    entries = value if isinstance(value, list) else []
    return [
        {key: item for key, item in entry.items() if key in wanted} if isinstance(entry, dict) else entry
        for entry in entries
        if isinstance(entry, str) or (isinstance(entry, dict) and isinstance(entry.get("uri"), str))
    ]


def _companion(registry: Registry, manifest: Manifest) -> Iterable[File]:
    """The `metadata.json` beside the manifest."""
    data = registry.store.read(layout.metadata(manifest.name, manifest.version))
    if data is None:
        return
    try:
        yield File(METADATA_FILE, encode({**decode(data, METADATA_FILE), "tracking": None}))
    except CorruptError as error:
        log.info("%s is told without its metadata.json: %s", manifest.uri, error)


def _reference(registry: Registry, manifest: Manifest) -> Reference:
    """Where the data lay, with its listing of the time; nothing is looked at, since it may be gone."""
    # Of an artifact that is a file in a folder, the folder; where it was moved or remapped to, if it was.
    folder = registry.record(manifest).folder
    uri = folder if "://" in folder else f"file://{folder}"
    try:
        tree = read_tree(registry.store, manifest)
    except KitError as error:
        log.info("%s is told without its listing: %s", manifest.uri, error)
        tree = None
    listed = () if tree is None else lines(uri.rstrip("/"), OUTPUT, tree, evidence=True)
    return Reference(uri, OUTPUT, listed) if listed else refer(uri, OUTPUT)
