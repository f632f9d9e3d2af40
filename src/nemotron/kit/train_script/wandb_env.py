"""Start Weights & Biases from the environment, as launchers set it."""


def init_wandb_from_env() -> None:
    """Start a W&B run as the `WANDB_*` variables say, and let W&B join the tracker.

    Nothing happens without `WANDB_PROJECT`. Else a run is started, unless one is active, with
    `WANDB_ENTITY`, `WANDB_NAME`, `WANDB_GROUP`, `WANDB_TAGS` (separated by commas) and `WANDB_JOB_TYPE`
    (default `data-prep`); then artifacts are told to W&B as well. A store that is in use stays in use.

    Raises:
        MissingExtraError: `WANDB_PROJECT` is set and wandb is not installed (an `ImportError`).
        UnavailableError: the server can't be reached.
        RefusedError: not logged in, or not allowed.
    """
    # Imported at the call: both are heavier than this module, and most scripts never need them.
    from nemotron.kit.integrations.wandb.environment import start_from_environment

    if start_from_environment():
        from nemotron.kit.start import add_wandb

        add_wandb()
