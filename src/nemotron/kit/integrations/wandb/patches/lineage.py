"""Make artifacts inputs of runs that somebody else starts.

Why: a training framework calls `wandb.init` itself, long after the configuration was resolved; the artifacts
that the configuration named are inputs of that run.
Versions: all; the client has no hook that is called after `init`.
Retired by: such a hook. `tests/integrations/wandb/test_patches.py` shows what it has to do.
"""

import functools
import logging
from collections.abc import Iterable
from typing import Any

from nemotron.kit.errors import KitError
from nemotron.kit.integrations.wandb.delivery_edges import keep_edge
from nemotron.kit.integrations.wandb.errors import translated
from nemotron.kit.integrations.wandb.run import active, add_tags, client, mode, unique

log = logging.getLogger(__name__)

_WANTED = "nemotron_kit_inputs"


def use_after_init(names: Iterable[str], tags: Iterable[str] | None = None) -> None:
    """Make artifacts inputs of every run from now on, and of the active one at once.

    Args:
        names: `entity/project/name:vN`; later calls add to them.
        tags: tags of these runs.

    Raises:
        MissingExtraError: the client is not installed.
    """
    wandb = client()
    names, tags = unique(names), unique(tags or ())
    wanted = getattr(wandb.init, _WANTED, None)
    if wanted is None:
        wanted = {"names": [], "tags": []}
        wandb.init = _wrapped(wandb.init, wanted)
    wanted["names"] = unique([*wanted["names"], *names])
    wanted["tags"] = unique([*wanted["tags"], *tags])
    if (run := active()) is not None:
        _use(run, names, tags)


def _wrapped(init: Any, wanted: dict[str, list[str]]) -> Any:
    @functools.wraps(init)
    def init_and_use(*args: Any, **kwargs: Any) -> Any:
        run = init(*args, **kwargs)
        _use(active() or run, wanted["names"], wanted["tags"])
        return run

    setattr(init_and_use, _WANTED, wanted)
    return init_and_use


def _use(run: Any, names: list[str], tags: list[str]) -> None:
    """Tags and edges; what fails is a warning, since the run itself has started."""
    if mode(run) == "disabled":
        return
    try:
        if tags:
            add_tags(tags)
    except Exception as error:  # noqa: BLE001 - the run goes on without its tags
        log.warning("The run has not got the tags %s: %s", ", ".join(tags), error)
    for name in names:
        try:
            with translated(f"make {name} an input of the run"):
                run.use_artifact(name)
        except Exception as error:  # noqa: BLE001 - the run goes on without an edge
            log.warning("%s is no input of the run on W&B%s: %s", name, _kept(run, name), error)


def _kept(run: Any, name: str) -> str:
    """What becomes of an edge that could not be made, as a part of the warning."""
    try:
        return " yet; `nemotron kit sync` will make it one" if keep_edge(run, name) else ""
    except KitError as error:
        return f", and could not be kept for later ({error})"
