"""`outbox`, `sync`: what W&B has not taken yet, and giving it to W&B."""

import threading
from typing import TYPE_CHECKING, Annotated

import typer

from nemotron.kit.cli.failures import FAILED
from nemotron.kit.cli.options import Json, Quiet, Root, session

if TYPE_CHECKING:
    from nemotron.kit.console.outbox import OutboxView
    from nemotron.kit.tracking.outbox import Outbox

WATCH_S = 30.0


def outbox(root: Root = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Show what waits for W&B, since when and why. Nobody is asked and nothing is sent.

    Example: nemotron kit outbox --json
    """
    from nemotron.kit.tracking.outbox import Outbox

    registry, output = session(root, as_json, quiet)
    there = Outbox(registry.store)
    output.show(view(there, there.count_receipts()))


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
    means that something is still there: `nemotron kit outbox` says why.

    Example: nemotron kit sync --dry-run
    """
    from nemotron.kit.integrations.wandb import delivery_sync
    from nemotron.kit.tracking.outbox import Outbox

    registry, output = session(root, as_json, quiet)
    there = Outbox(registry.store)
    if dry_run:
        planned = [record.id for record in delivery_sync.plan(registry)]
        output.show(view(there, 0, f"{len(planned):,} to be sent; nothing was sent", planned))
        return
    if again:
        for one in there.set_aside_records():
            there.retry(one.id)
    delivered = 0
    while True:
        with output.progress("Sending") as progress:
            outcome = delivery_sync.sync(registry, progress=progress)
        delivered += len(outcome.delivered)
        for server, why in outcome.stopped.items():
            output.note(f"{server} takes nothing at the moment: {why}")
        if not watch or _interrupted(WATCH_S):
            break
    shown = view(there, delivered)
    output.show(shown)
    if shown.lines_there:
        raise typer.Exit(FAILED)


def _interrupted(seconds: float) -> bool:
    """Wait; whether the user has had enough."""
    try:
        threading.Event().wait(seconds)
    except KeyboardInterrupt:
        return True
    return False


def view(outbox: "Outbox", delivered: int, done: str = "", planned: list[str] | None = None) -> "OutboxView":
    """What an outbox holds.

    Args:
        outbox: the outbox.
        delivered: how many records were.
        done: one sentence on what was done, instead of the counts.
        planned: show these records alone, in this order.
    """
    from nemotron.kit.console.outbox import Line, OutboxView

    waiting = [Line(one.record.id, "waiting", one.record, one.failure) for one in outbox.waiting()]
    if planned is not None:
        place = {record_id: n for n, record_id in enumerate(planned)}
        lines = sorted((one for one in waiting if one.id in place), key=lambda line: place[line.id])
        return OutboxView(delivered, lines, done)
    aside = [Line(one.id, "set_aside", one.record, one.failure) for one in outbox.set_aside_records()]
    return OutboxView(delivered, [*waiting, *aside], done)
