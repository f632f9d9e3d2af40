"""Start Weights & Biases from the environment, as launchers set it."""

import os

from nemotron.kit.errors import MissingExtraError


def init_wandb_from_env() -> None:
    """Start a W&B run as the `WANDB_*` variables say, and let W&B join the tracker.

    Nothing happens without `WANDB_PROJECT`. Else a run is started, unless one is active, with
    `WANDB_ENTITY`, `WANDB_NAME`, `WANDB_GROUP`, `WANDB_TAGS` (separated by commas) and `WANDB_JOB_TYPE`
    (default `data-prep`); then artifacts are told to W&B as well. A store that is in use stays in use.

    Raises:
        MissingExtraError: `WANDB_PROJECT` is set and wandb is not installed (an `ImportError`).
    """
    project = os.environ.get("WANDB_PROJECT")
    if not project:
        return
    try:
        import wandb
    except ImportError as error:
        raise MissingExtraError(
            f"WANDB_PROJECT is set to {project!r}, but wandb is not installed: "
            "pip install 'nemotron-kit[wandb]', or unset WANDB_PROJECT"
        ) from error

    if wandb.run is None:
        tags = [tag.strip() for tag in os.environ.get("WANDB_TAGS", "").split(",") if tag.strip()]
        wandb.init(
            project=project,
            entity=_env("WANDB_ENTITY"),
            name=_env("WANDB_NAME"),
            group=_env("WANDB_GROUP"),
            tags=tags or None,
            job_type=_env("WANDB_JOB_TYPE") or "data-prep",
        )
    # Looked up at the call: start is heavier than this module, and most scripts never come here.
    from nemotron.kit.start import add_wandb

    add_wandb()


def _env(name: str) -> str | None:
    """Return a variable of the environment; empty is unset."""
    return os.environ.get(name) or None
