"""Begin a run, online if that is possible; a job that has a store begins in any case."""

import logging
from collections.abc import Iterable
from typing import Any

from nemotron.kit import context
from nemotron.kit.errors import KitError, RefusedError, UnavailableError
from nemotron.kit.integrations.wandb import run as wandb_run
from nemotron.kit.integrations.wandb.errors import translated
from nemotron.kit.integrations.wandb.exit import guarded, watch, watch_run
from nemotron.kit.integrations.wandb.probing import answers
from nemotron.kit.integrations.wandb.run import client, configured_mode, configured_server, is_real, unique
from nemotron.kit.redaction import clean

log = logging.getLogger(__name__)

PROBES = 2
# Of the client, where it does not say.
INIT_TIMEOUT_S = 90.0


def start(
    *,
    project: str,
    entity: str | None = None,
    name: str | None = None,
    tags: Iterable[str] = (),
    notes: str | None = None,
    job_type: str | None = None,
) -> None:
    """Start a run, unless one is active.

    Raises:
        MissingExtraError: the client is not installed.
        UnavailableError: the server can't be reached, and there is no store.
        RefusedError: not logged in, or not allowed, and there is no store.
    """
    wandb = client()
    if getattr(wandb, "run", None) is not None:
        return
    begin(
        project=project,
        entity=entity,
        name=name,
        tags=unique(tags) or None,
        notes=notes,
        job_type=job_type,
    )


def begin(**settings: Any) -> None:
    """Start a run.

    Where a store keeps what is saved, a server that can't be had does not stop the job: the run goes on
    offline. That it is gone is asked for first, since the client itself would try for a minute and a half.

    Args:
        **settings: of `wandb.init`.

    Raises:
        UnavailableError: the server can't be reached, and there is no store.
        RefusedError: not logged in, or not allowed, and there is no store.
    """
    wandb, settings = client(), clean(settings)
    has_store = context.current_registry() is not None
    try:
        if has_store and is_real() and configured_mode() == "online":
            _see_that_it_is_there(configured_server())
        _begin(wandb, settings)
    except (UnavailableError, RefusedError) as error:
        if not has_store:
            raise
        _go_on_offline(wandb, settings, error)


def _begin(wandb: Any, settings: dict[str, Any]) -> None:
    """Call `init`, and see that it comes to an end, as do its run and this process."""
    if not is_real() or configured_mode() != "online":
        with translated("start a run"):
            wandb.init(**settings)
        return
    server = configured_server()
    # From here on: the client's service goes on trying for a run that could not begin.
    watch(server)
    # Older clients try for ever, whatever their own limit is.
    limit_s = float(getattr(wandb.setup().settings, "init_timeout", None) or INIT_TIMEOUT_S)
    with guarded(server, more_s=limit_s) as ended_services:
        try:
            with translated("start a run"):
                wandb.init(**settings)
        except KitError as error:
            if not ended_services():
                raise
            wandb_run.forget_service()
            raise UnavailableError(f"W&B could not start a run: {server} does not answer") from error
    if (run := wandb_run.active()) is not None:
        watch_run(run)
        wandb_run.bound_finish(run)


def _see_that_it_is_there(server: str) -> None:
    if not any(answers(server) for _ in range(PROBES)):
        raise UnavailableError(f"W&B could not start a run: {server} does not answer")


def _go_on_offline(wandb: Any, settings: dict[str, Any], error: KitError) -> None:
    try:
        with translated("start an offline run"):
            wandb.init(mode="offline", **settings)
    except KitError as second:
        log.warning("%s; and %s. The job goes on without a W&B run", error, second)
        return
    log.warning(
        "%s. The job goes on with an offline run: send it later by `wandb sync`, and its artifacts by "
        "`nemotron kit sync`",
        error,
    )
