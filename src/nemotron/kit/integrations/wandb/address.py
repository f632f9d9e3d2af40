"""Whose a record is and where it goes: the run that it belongs to, and the server, entity and project."""

import os
import sys
from typing import Any

from nemotron.kit import context
from nemotron.kit.documents.outbox import Destination, RunIdentity
from nemotron.kit.integrations.wandb import run as wandb_run
from nemotron.kit.integrations.wandb.delivery_plan import run_id_of
from nemotron.kit.redaction import clean, clean_text


class Address:
    """What is known of that in a process, of runs that are over as well.

    Args:
        project: the W&B project where the client does not know one.
        entity: whose project it is.
    """

    def __init__(self, project: str | None, entity: str | None) -> None:
        self._project = project
        self._entity = entity
        self._last_run: RunIdentity | None = None
        self._is_switched_off = False

    def own_run(self) -> Any | None:
        """The active run, if it is this process's own to use."""
        run, here = wandb_run.active(), os.getpid()
        return run if run is not None and getattr(run, "_init_pid", here) == here else None

    def is_switched_off(self, run: Any | None = None) -> bool:
        """Whether nobody wants anything on W&B: by a run, else the active or last one, or `$WANDB_MODE`."""
        # A run of the parent of a fork, or one that is over, says what its user wants as well.
        last = run if run is not None else wandb_run.active()
        if last is not None:
            self._is_switched_off = wandb_run.mode(last) == "disabled"
        return self._is_switched_off or (last is None and wandb_run.configured_mode() == "disabled")

    def destination_of(self, run: Any | None) -> Destination | None:
        """Where records go; None where nobody wants them on W&B."""
        if self.is_switched_off(run):
            return None
        is_online = run is not None and wandb_run.mode(run) == "online"
        environment = os.environ.get("WANDB_PROJECT") or None
        said = getattr(run, "project", None) or None
        # Offline the client makes a project up where nobody has named one.
        project = (is_online and said) or self._project or environment or said
        if project is None:
            return None
        entity = (getattr(run, "entity", None) or None) if run is not None else None
        entity = entity or self._entity or os.environ.get("WANDB_ENTITY") or None
        server = getattr(getattr(run, "settings", None), "base_url", None)
        server = server if isinstance(server, str) else wandb_run.configured_server()
        return Destination(server=clean(server), entity=entity, project=project)

    def identity_of(self, run: Any | None) -> RunIdentity:
        """The run that records belong to."""
        kit_run = context.current_run().id
        if run is None:
            # A run that has ended is still the one that made it.
            return self._last_run or RunIdentity(id=run_id_of(kit_run), kit_run=kit_run, program=_program())
        self._last_run = RunIdentity(
            id=run.id,
            kit_run=kit_run,
            name=_text(getattr(run, "name", None)),
            program=_text(getattr(getattr(run, "settings", None), "program", None)) or _program(),
            job_type=_text(getattr(run, "job_type", None)),
            group=_text(getattr(run, "group", None)),
        )
        return self._last_run


def _program() -> str | None:
    return sys.argv[0] or None


def _text(value: Any) -> str | None:
    return clean_text(value) if isinstance(value, str) and value else None
