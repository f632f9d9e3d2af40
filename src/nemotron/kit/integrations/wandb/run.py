"""The W&B run of this process: is there one, in which mode, and the plain things that are done to it."""

import dataclasses
import enum
import functools
import importlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from nemotron.kit import context
from nemotron.kit.documents.secrets import without_secrets
from nemotron.kit.errors import KitError, MissingExtraError
from nemotron.kit.integrations.wandb.errors import translated
from nemotron.kit.integrations.wandb.exit import guarded, log_folder, server_of
from nemotron.kit.redaction import clean_text

log = logging.getLogger(__name__)

Mode = Literal["online", "offline", "disabled"]

_api_lock = threading.RLock()


def client() -> Any:
    """The `wandb` module, imported now if it was not before.

    Raises:
        MissingExtraError: it is not installed; the message has the pip command.
    """
    try:
        return importlib.import_module("wandb")
    except ImportError as error:
        raise MissingExtraError(
            f"W&B needs the wandb package ({error}). Install it: pip install 'nemotron-kit[wandb]'"
        ) from error


def is_real() -> bool:
    """Whether `wandb` is the client itself, and not a fake that a test has put in its place."""
    return hasattr(sys.modules.get("wandb"), "__path__")


# What the client for public requests belongs to, and the client.
_api: tuple[tuple[Any, ...], Any] | None = None


def api(run: Any = None) -> Any:
    """The client for public requests: one for a process.

    Another one is made after `wandb.teardown`, a fork, or a change of server, all of which end the old one.

    Raises:
        MissingExtraError: the client is not installed.
        KitError: not logged in.
    """
    global _api
    server = getattr(getattr(run, "settings", None), "base_url", None)
    service = getattr(sys.modules.get("wandb.sdk.wandb_setup"), "_singleton", None)
    key = (client(), os.getpid(), service, server if isinstance(server, str) else _server())
    with _api_lock:
        if _api is None or any(
            mine is not now and mine != now for mine, now in zip(_api[0], key, strict=True)
        ):
            with translated("be asked"):
                made = client().Api()
            # Making it may have started the service.
            service = getattr(sys.modules.get("wandb.sdk.wandb_setup"), "_singleton", None)
            _api = ((key[0], key[1], service, key[3]), made)
        return _api[1]


def _server() -> str | None:
    """The server that the environment names."""
    return os.environ.get("WANDB_BASE_URL")


def configured_server() -> str:
    """The server that the client goes to by itself: by the environment, its settings files, its default.

    Raises:
        MissingExtraError: the client is not installed.
        KitError: its settings are wrong.
    """
    setup = getattr(client(), "setup", None)
    if setup is None:
        return ""  # a test's fake goes nowhere
    with translated("read its settings"):
        return str(setup().settings.base_url)


def configured_mode() -> Mode:
    """What a run would be that is started now, by the environment."""
    mode = os.environ.get("WANDB_MODE", "").strip().lower()
    if mode == "disabled" or os.environ.get("WANDB_DISABLED", "").strip().lower() in ("true", "1", "yes"):
        return "disabled"
    return "offline" if mode in ("offline", "dryrun") else "online"


def active() -> Any | None:
    """The active W&B run, or None; never imports the client, since without it there is no run."""
    return getattr(sys.modules.get("wandb"), "run", None)


def mode(run: Any) -> Mode:
    """Whether a run sends what it is given, writes it down, or drops it."""
    if getattr(run, "disabled", False) is True:
        return "disabled"
    return "offline" if getattr(run, "offline", False) is True else "online"


def qualified(run: Any, artifact: Any) -> str:
    """`entity/project/name:vN` of an artifact of the run's project.

    The client's `name` has the version already, or the alias by which the artifact was found.
    """
    name, _, selector = str(artifact.name).partition(":")
    version = getattr(artifact, "version", None)
    version = version if isinstance(version, str) and version else selector
    text = f"{name}:{version}" if version else name
    return text if text.count("/") == 2 else "/".join([*project_of(run), text])


def project_of(run: Any) -> list[str]:
    """The run's entity and project, as far as it has them."""
    return [part for part in (getattr(run, "entity", None), getattr(run, "project", None)) if part]


def add_tags(tags: Iterable[str]) -> None:
    """Merge tags into the active run's, its own first; nothing happens without a run."""
    run = active()
    if run is None:
        return
    with translated("set the run's tags"):
        run.tags = tuple(unique([*(run.tags or ()), *map(clean_text, tags)]))


def log_config(config: Any) -> None:
    """Merge a configuration into the active run's; nothing happens without a run.

    Args:
        config: a dataclass, pydantic model, OmegaConf configuration or mapping.
    """
    if active() is None:
        return
    with translated("record the configuration"):
        client().config.update(without_secrets(plain(config)))


def finish(exit_code: int = 0) -> None:
    """Finish the active run; nothing happens without one.

    The client waits until its service has sent everything. Only while the server is seen to fail without a
    break, the service is ended after a while, see `exit.py`; what it has written down stays for `wandb sync`,
    and where there is a store that is all right.

    Raises:
        KitError: W&B did not take the end of the run.
    """
    run = active()
    if run is None:
        return
    end = functools.partial(client().finish, exit_code=exit_code)
    if _is_bounded(run):
        with translated("finish the run"):
            end()
    else:
        _finish_within_limits(run, end)


def bound_finish(run: Any) -> None:
    """Let a run's own `finish`, and the end of its `with` block, end as `finish` does.

    Args:
        run: the client's run; one that is not online is left as it is.
    """
    name = next((one for one in _ENDS if callable(getattr(run, one, None))), None)
    if name is None or not is_real() or mode(run) != "online" or _is_bounded(run):
        return
    end = getattr(run, name)

    @functools.wraps(end)
    def finish(*args: Any, **kwargs: Any) -> None:
        _finish_within_limits(run, lambda: end(*args, **kwargs))

    setattr(run, name, finish)


# How a run is finished: `finish` and `__exit__` both call the first, where a client has it.
_ENDS = ("_finish", "finish")


def _is_bounded(run: Any) -> bool:
    return is_real() and any(name in vars(run) for name in _ENDS)


def _finish_within_limits(run: Any, end: Callable[[], object]) -> None:
    server = server_of(run) if is_real() and mode(run) == "online" else None
    with guarded(server, log_folder(run)) as ended_services:
        try:
            with translated("finish the run"):
                end()
        except KitError as error:
            if not ended_services():
                raise
            forget_service()
            if context.current_registry() is None:
                raise
            log.info("%s", error)  # what was done about it is said by a warning


def forget_service() -> None:
    """Let the client begin anew whose service was ended: it would ask the dead one for ever."""
    try:
        client().teardown()
    except Exception as error:  # noqa: BLE001 - it can't say goodbye to what is gone
        log.debug("W&B's client was torn down: %s: %s", type(error).__name__, error)


def unique(texts: Iterable[str]) -> list[str]:
    """Each text once, in order of first appearance."""
    return list(dict.fromkeys(texts))


def plain(value: Any) -> Any:
    """A configuration value as W&B shows it; what has no plain form becomes its text.

    A configuration holds whatever a framework puts there (dtypes, functions), and is shown, not read back.
    """
    omegaconf = sys.modules.get("omegaconf")
    if omegaconf is not None and omegaconf.OmegaConf.is_config(value):
        return plain(omegaconf.OmegaConf.to_container(value, resolve=True))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if callable(dump := getattr(type(value), "model_dump", None)):
        return plain(dump(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)
