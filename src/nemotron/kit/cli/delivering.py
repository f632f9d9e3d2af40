"""`outbox`, `sync`: what W&B has not taken yet, and giving it to W&B."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from nemotron.kit.cli.failures import FAILED
from nemotron.kit.cli.options import Json, Quiet, Root
from nemotron.kit.console.output import choose

if TYPE_CHECKING:
    from nemotron.kit.console.outbox import OutboxView
    from nemotron.kit.console.output import Output
    from nemotron.kit.registry.registry import Registry
    from nemotron.kit.tracking.outbox import Outbox

WATCH_S = 30.0


def outbox(root: Root = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Show what waits for W&B, since when and why. Nobody is asked and nothing is sent.

    Without --root it looks beside the store into the folder that stands in for one where W&B is used alone.

    Example: nemotron kit outbox --json
    """
    both = _outboxes(root)
    _refuse_mistyped(both)
    there = [outbox for _, outbox in both]
    output = choose(as_json=as_json, quiet=quiet)
    output.show(view(there, sum(outbox.count_receipts() for outbox in there)))


def sync(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent, in order; ask and send nothing.")
    ] = False,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Go on until Ctrl-C: send what comes, try again what was not taken."),
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Try what was set aside as well: the reason may be gone.")
    ] = False,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Give W&B what it has not taken yet: of offline runs, of outages, of jobs that were killed.

    Inputs go before what was made of them, each on the run that made it, under your own login. Exit code 1
    means that something is still there: `nemotron kit outbox` says why. Without --root it looks beside the
    store into the folder that stands in for one where W&B is used alone.

    Example: nemotron kit sync --dry-run
    """
    from nemotron.kit.integrations.wandb import delivery_sync

    both = _outboxes(root)
    if not watch:  # a job beside which it watches may be yet to save its first version
        _refuse_mistyped(both)
    there = [outbox for _, outbox in both]
    output = choose(as_json=as_json, quiet=quiet)
    if dry_run:
        planned = [record.id for registry, _ in both for record in delivery_sync.plan(registry)]
        output.show(view(there, 0, f"{len(planned):,} to be sent; nothing was sent", planned))
        return
    if again:
        for outbox in there:
            for one in outbox.set_aside_records():
                outbox.retry(one.id)
    delivered = _watch(root, output) if watch else _send(both, output)
    shown = view(there, delivered)
    output.show(shown)
    if shown.lines_there:
        raise typer.Exit(FAILED)


def _watch(root: str | None, output: "Output") -> int:
    """Send until Ctrl-C, which may come at any moment; returns how many records were delivered."""
    delivered = 0
    try:
        while True:
            # A folder that stands in for a store may be there only now.
            if sent := _send(_outboxes(root), output):
                output.note(f"{sent:,} delivered")
            delivered += sent
            if _interrupted(WATCH_S):
                return delivered
    except KeyboardInterrupt:
        return delivered


def _send(both: "list[tuple[Registry, Outbox]]", output: "Output") -> int:
    """Deliver what can be delivered now; returns how many records that were."""
    from nemotron.kit.integrations.wandb import delivery_sync

    delivered = 0
    for registry, _ in both:
        with output.progress("Sending") as progress:
            outcome = delivery_sync.sync(registry, progress=progress)
        delivered += len(outcome.delivered)
        for server, why in outcome.stopped.items():
            output.note(f"{server} takes nothing at the moment: {why}")
    return delivered


def _outboxes(root: str | None) -> "list[tuple[Registry, Outbox]]":
    from nemotron.kit.cli.roots import outbox_roots
    from nemotron.kit.registry.registry import Registry
    from nemotron.kit.tracking.outbox import Outbox

    registries = [Registry.open(where) for where in outbox_roots(root)]
    return [(registry, Outbox(registry.store)) for registry in registries]


def _refuse_mistyped(both: "list[tuple[Registry, Outbox]]") -> None:
    """A root that is not there has nothing that waits, which is no good news."""
    from nemotron.kit.cli.listing import refuse_missing

    if len(both) == 1:
        refuse_missing(both[0][0])


def _interrupted(seconds: float) -> bool:
    """Wait; whether the user has had enough."""
    try:
        threading.Event().wait(seconds)
    except KeyboardInterrupt:
        return True
    return False


def view(
    outboxes: "Sequence[Outbox]", delivered: int, done: str = "", planned: list[str] | None = None
) -> "OutboxView":
    """What outboxes hold.

    Args:
        outboxes: the outboxes.
        delivered: how many records were.
        done: one sentence on what was done, instead of the counts.
        planned: show these records alone, in this order.
    """
    from nemotron.kit.console.outbox import Line, OutboxView

    waiting = [
        Line(one.record.id, "waiting", one.record, one.failure)
        for outbox in outboxes
        for one in outbox.waiting()
    ]
    if planned is not None:
        place = {record_id: n for n, record_id in enumerate(planned)}
        lines = sorted((one for one in waiting if one.id in place), key=lambda line: place[line.id])
        return OutboxView(delivered, lines, done)
    aside = [
        Line(one.id, "set_aside", one.record, one.failure)
        for outbox in outboxes
        for one in outbox.set_aside_records()
    ]
    return OutboxView(delivered, [*waiting, *aside], done)
