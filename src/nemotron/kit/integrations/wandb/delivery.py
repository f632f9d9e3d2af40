"""Deliver one record of the outbox on a run that is open.

Delivering a record twice changes nothing: W&B knows an artifact by its digest, and an edge is there or not.
So a reply that was lost, or a crash before the receipt, costs a few requests and no second version.
"""

import logging
from dataclasses import replace
from typing import Any

from nemotron.kit.documents.outbox import Destination, OutboxRecord, Receipt
from nemotron.kit.errors import (
    CorruptError,
    FormatTooNewError,
    KitError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from nemotron.kit.integrations.wandb import run as wandb_run
from nemotron.kit.integrations.wandb.description import Description
from nemotron.kit.integrations.wandb.errors import is_passing_conflict, translated
from nemotron.kit.integrations.wandb.limits import again_on_conflict
from nemotron.kit.integrations.wandb.sending import Sender
from nemotron.kit.names import SCHEME
from nemotron.kit.registry import layout, stamps
from nemotron.kit.tracking.outbox import Outbox

log = logging.getLogger(__name__)

LATEST = "latest"
# How the ids of runs begin that W&B has only because the kit made them.
RUN_PREFIX = "kit-"
# The payload of a record that has no artifact: further inputs of a run.
EDGES = "edges"

# Errors after which asking for the next record is of no use: it would end in the same way.
NOT_NOW = (UnavailableError, RefusedError, FormatTooNewError)

# How often a record may meet a conflict, each time tried again and again, before it is set aside.
CONFLICTS_MAX = 3


class InputMissingError(NotFoundError):
    """An input of a record is not on W&B yet, so the edge can't be made now."""

    kind = "input_missing"


def put_off(outbox: Outbox, record_id: str, why: KitError) -> None:
    """Let a record that was not taken wait where another day may help, or set it aside.

    Args:
        outbox: where it lies.
        record_id: its id.
        why: none of `NOT_NOW`.

    Raises:
        KitError: the outbox could not be written.
    """
    before = outbox.failure(record_id)
    conflicts = 1 + (before.attempts if before is not None and before.kind == why.kind else 0)
    is_passing = is_passing_conflict(why) and conflicts < CONFLICTS_MAX
    if isinstance(why, InputMissingError) or is_passing:
        outbox.failed(record_id, why)
    else:
        outbox.set_aside(record_id, why)


def deliver(sender: Sender, run: Any, record: OutboxRecord, outbox: Outbox) -> dict[str, Any]:
    """Tell W&B, keep the receipt, and take the record away.

    What meets a conflict is tried again a few times.

    Args:
        sender: remembers what this process has sent.
        run: the run that the record belongs to, online.
        record: what to tell.
        outbox: where it lies.

    Returns:
        What W&B said, a `TrackingRecord`.

    Raises:
        InputMissingError: it has only edges to tell, and an input is not on W&B.
        KitError: W&B did not take it; the record is where it was.
    """
    return again_on_conflict(lambda: _deliver(sender, run, record, outbox))


def _deliver(sender: Sender, run: Any, record: OutboxRecord, outbox: Outbox) -> dict[str, Any]:
    where = replace(record.destination, entity=getattr(run, "entity", None) or record.destination.entity)
    if known := _known_by_another(record, where, outbox):
        outbox.remove(record.id)
        return {"artifact_id": known.twin, "run_id": known.run, "url": known.url, "used_artifacts": []}
    twins, missing = _twins(record, where, outbox)
    if EDGES in record.payload:
        used = [sender.use(run, ref) for ref in (*twins, *record.payload[EDGES])]
        if missing:
            raise InputMissingError(f"Not on W&B yet, so it can't be an input there: {', '.join(missing)}")
        outbox.remove(record.id)
        return {"artifact_id": None, "run_id": run.id, "url": None, "used_artifacts": used}
    try:
        description = Description.from_document(record.payload)
    except CorruptError as error:
        raise CorruptError(f"Record {record.id} of the outbox can't be sent: {error}") from error
    # Without a store every name is W&B's own; what the record knows by a version of its own is in `used`.
    foreign = [ref for ref in description.used if _canonical(ref) not in record.used]
    aliases = description.aliases
    if record.subject is not None:
        aliases = _aliases(record, where, aliases, outbox)
    said = sender.send(run, replace(description, used=(*twins, *foreign), aliases=aliases))
    if record.subject is not None:
        receipt = Receipt(
            subject=record.subject,
            twin=said["artifact_id"],
            record=record.id,
            run=run.id,
            aliases=description.aliases,
            url=said["url"],
            delivered_at=stamps.now(),
        )
        outbox.keep_receipt(where, receipt)
        _put_latest(run, record, where, outbox)
    if missing:
        # The artifact is on W&B and in nobody's way; what is left to tell is who else it comes from.
        outbox.add(edges_only(record, missing))
    outbox.remove(record.id)
    return said


def _known_by_another(record: OutboxRecord, where: Destination, outbox: Outbox) -> Receipt | None:
    """The receipt of a version that is there already, where this record only stands in for its own."""
    if record.subject is None or not record.run.id.startswith(RUN_PREFIX):
        return None
    known = outbox.receipt(where, record.subject)
    return known if known is not None and known.record != record.id else None


def edges_only(record: OutboxRecord, used: list[str]) -> OutboxRecord:
    """A record that makes versions of the store inputs of the same run, and nothing else."""
    return replace(record, id=stamps.uuid7(), subject=None, used=tuple(used), payload={EDGES: []})


def _twins(record: OutboxRecord, where: Destination, outbox: Outbox) -> tuple[list[str], list[str]]:
    """What W&B calls the inputs, and those that it does not know."""
    twins, missing = [], []
    for ref in record.used:
        receipt = outbox.receipt(where, ref)
        if receipt is None:
            missing.append(ref)
        else:
            twins.append(receipt.twin)
    return twins, missing


def _canonical(ref: str) -> str:
    return f"{SCHEME}{ref.removeprefix(SCHEME)}"


# -- aliases -----------------------------------------------------------------------------------------------


def _aliases(
    record: OutboxRecord, where: Destination, asked: tuple[str, ...], outbox: Outbox
) -> tuple[str, ...]:
    """The aliases that no later version of the store has got on W&B meanwhile."""
    name, version = _name_and_version(record)
    later = [receipt for number, receipt in outbox.receipts(where, name) if number > version]
    taken = {alias for receipt in later for alias in receipt.aliases}
    return tuple(alias for alias in asked if alias not in taken)


def _name_and_version(record: OutboxRecord) -> tuple[str, int]:
    name, _, version = (record.subject or "").removeprefix(SCHEME).rpartition(":v")
    return name, int(version or 0)


def _put_latest(run: Any, record: OutboxRecord, where: Destination, outbox: Outbox) -> None:
    """Let W&B's `latest` be the latest of the store that W&B has.

    W&B itself gives it to whatever came last, which is another one when records are delivered late.
    """
    name, version = _name_and_version(record)
    receipts = outbox.receipts(where, name)
    living = [
        (number, receipt)
        for number, receipt in receipts
        if not outbox.store.exists(layout.tombstone(name, number))
    ]
    number, latest = (living or receipts)[-1]
    mine = next(receipt for its_number, receipt in receipts if its_number == version)
    if number == version or latest.twin == mine.twin:
        return
    with translated(f"move {LATEST} to {latest.twin}"):
        artifact = wandb_run.api(run).artifact(latest.twin)
        if LATEST not in artifact.aliases:
            artifact.aliases.append(LATEST)
            artifact.save()
