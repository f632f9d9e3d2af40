"""The W&B run that a launcher describes in the environment."""

import os

from nemotron.kit.integrations.wandb.beginning import begin
from nemotron.kit.integrations.wandb.run import client, unique


def start_from_environment() -> bool:
    """Start a run as the `WANDB_*` variables say, unless one is active.

    Returns:
        Whether the environment asks for W&B at all: `WANDB_PROJECT` is set.

    Raises:
        MissingExtraError: it does, and the client is not installed.
        UnavailableError: the server can't be reached, and there is no store.
        RefusedError: not logged in, or not allowed, and there is no store.
    """
    project = _variable("WANDB_PROJECT")
    if project is None:
        return False
    wandb = client()
    if getattr(wandb, "run", None) is not None:
        return True
    tags = unique(tag.strip() for tag in os.environ.get("WANDB_TAGS", "").split(",") if tag.strip())
    begin(
        project=project,
        entity=_variable("WANDB_ENTITY"),
        name=_variable("WANDB_NAME"),
        group=_variable("WANDB_GROUP"),
        tags=tags or None,
        job_type=_variable("WANDB_JOB_TYPE") or "data-prep",
    )
    return True


def _variable(name: str) -> str | None:
    """Return a variable of the environment; empty is unset."""
    return os.environ.get(name) or None
