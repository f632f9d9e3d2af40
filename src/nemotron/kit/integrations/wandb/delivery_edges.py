"""Keep an edge for later: an artifact of W&B's that could not be made an input of a run now."""

from typing import Any

from nemotron.kit import context
from nemotron.kit.documents.outbox import Destination, OutboxRecord, RunIdentity
from nemotron.kit.integrations.wandb.delivery import EDGES
from nemotron.kit.redaction import clean
from nemotron.kit.registry import stamps
from nemotron.kit.registry.processes import this_maker
from nemotron.kit.tracking.outbox import Outbox


def keep_edge(run: Any, name: str) -> bool:
    """Put an edge into the outbox of the store that is in force.

    Args:
        run: the client's run.
        name: `entity/project/name:vN`.

    Returns:
        Whether it is kept; False without a store, and for a run that can't be named.

    Raises:
        KitError: the outbox could not be written.
    """
    registry = context.current_registry()
    server = getattr(getattr(run, "settings", None), "base_url", None)
    project = getattr(run, "project", None)
    if registry is None or not isinstance(server, str) or not isinstance(project, str):
        return False
    record = OutboxRecord(
        id=stamps.uuid7(),
        created_at=stamps.now(),
        destination=Destination(
            server=clean(server), entity=getattr(run, "entity", None) or None, project=project
        ),
        run=RunIdentity(id=run.id, kit_run=context.current_run().id),
        maker=this_maker(),
        subject=None,
        live=getattr(run, "offline", False) is not True,
        payload={EDGES: [name]},
    )
    Outbox(registry.store).add(record)
    return True
