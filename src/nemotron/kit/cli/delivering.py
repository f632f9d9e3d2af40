"""`outbox`, `sync`: what W&B has not taken yet, and giving it to W&B."""

from typing import TYPE_CHECKING

from nemotron.kit.cli.options import Json, Quiet, Root, session

if TYPE_CHECKING:
    from nemotron.kit.console.outbox import OutboxView
    from nemotron.kit.tracking.outbox import Outbox


def outbox(root: Root = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Show what waits for W&B, since when and why. Nobody is asked and nothing is sent.

    Example: nemotron kit outbox --json
    """
    from nemotron.kit.tracking.outbox import Outbox

    registry, output = session(root, as_json, quiet)
    there = Outbox(registry.store)
    output.show(view(there, there.count_receipts()))


def view(outbox: "Outbox", delivered: int, done: str = "") -> "OutboxView":
    """What an outbox holds.

    Args:
        outbox: the outbox.
        delivered: how many records were.
        done: one sentence on what was done, where something was.
    """
    from nemotron.kit.console.outbox import Line, OutboxView

    waiting = [Line(one.record.id, "waiting", one.record, one.failure) for one in outbox.waiting()]
    aside = [Line(one.id, "set_aside", one.record, one.failure) for one in outbox.set_aside_records()]
    return OutboxView(delivered, [*waiting, *aside], done)
