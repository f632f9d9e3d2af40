"""The only ambient state: the current registry, tracker, settings and run of this process.

It holds what `start` gives it. A script that calls no `init` but runs where `NEMO_ARTIFACT_ROOT` is set works
with the store there. All of it is shared by all threads but the runs: `current_run` says whose those are.
"""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from nemotron.kit.documents.manifest import Evidence
    from nemotron.kit.registry.registry import Registry
    from nemotron.kit.tracking.protocol import LineageTracker, Showing
    from nemotron.kit.tracking.run import Run

log = logging.getLogger(__name__)

ROOT_VARIABLE = "NEMO_ARTIFACT_ROOT"

Reaction = Literal["warn", "error", "ignore"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How the kit goes about it where a call does not say.

    Attributes:
        evidence: how closely the bytes of references are looked at.
        on_drift: what to do when a reference is loaded whose files have changed, or can't be compared.
        on_mismatch: what to do when a claimed count is not what the files say.
        wandb_timeout_s: how long a save may wait for W&B.
    """

    evidence: "Evidence" = "stat"
    on_drift: Reaction = "warn"
    on_mismatch: Reaction = "error"
    wandb_timeout_s: float = 30.0


class _Unset:
    """Nobody has said anything, which is not the same as None."""


_UNSET = _Unset()


@dataclass(frozen=True)
class State:
    """All of it, as one value that is replaced whole."""

    registry: "Registry | None" = None
    tracker: "LineageTracker | _Unset | None" = _UNSET
    settings: Settings = Settings()
    # The runs that were asked for and are not over, of all threads, the oldest first.
    runs: "tuple[Run, ...]" = ()
    # The run that the process has without asking.
    ambient: "Run | None" = None
    initialized: bool = False
    # What NEMO_ARTIFACT_ROOT last led to: (its value, the registry there, its tracker once it was asked for).
    found: "tuple[str, Registry, LineageTracker | None] | None" = None


_lock = threading.RLock()
_state = State()
_showing: "Showing | None" = None
_mine: "ContextVar[tuple[Run, ...]]" = ContextVar("nemotron.kit.runs", default=())


def _change(**changes: Any) -> None:
    global _state
    with _lock:
        _state = replace(_state, **changes)


def snapshot() -> State:
    """The state as it is, for `restore`."""
    return _state


def restore(state: State) -> None:
    """Put a whole state back."""
    global _state
    with _lock:
        _state = state


def reset(*, keep_runs: bool = False) -> None:
    """Forget everything: store, tracker, settings and what was used. The process's own run is over.

    Args:
        keep_runs: leave the runs that were asked for in force, for a change of store in the middle of one;
            the process's own is left alone for `restore`.
    """
    if keep_runs:
        restore(State(runs=_state.runs))
        return
    end_ambient()
    restore(State())


def end_ambient(error: "type[BaseException] | None" = None) -> None:
    """Let the run that the process has without asking be over; the next use begins another one.

    Args:
        error: the type of the exception that ended it.
    """
    ambient = _state.ambient
    if ambient is not None:
        _change(ambient=None)
        ambient.end(error)


def current_registry() -> "Registry | None":
    """The registry in force: the one that was set, else the one at `$NEMO_ARTIFACT_ROOT`, else None."""
    if _state.registry is not None:
        return _state.registry
    found = _from_environment()
    return found[1] if found else None


def require_registry() -> "Registry":
    """The registry in force.

    Raises:
        NotInitializedError: there is none; the message says how to name one.
    """
    registry = current_registry()
    if registry is None:
        from nemotron.kit.errors import NotInitializedError

        raise NotInitializedError(
            f"There is no artifact store yet. Call nemotron.kit.init(root=…) first, or set {ROOT_VARIABLE}"
        )
    return registry


def current_tracker() -> "LineageTracker | None":
    """The tracker in force: what was set, None included, else one over the current registry, else None."""
    state = _state
    if not isinstance(state.tracker, _Unset):
        return state.tracker
    if state.registry is not None:
        with _lock:
            if isinstance(_state.tracker, _Unset):
                set_tracker(_tracker_over(state.registry))
            return current_tracker()
    with _lock:
        found = _from_environment()
        if found is None:
            return None
        root, registry, tracker = found
        if tracker is None:
            tracker = _tracker_over(registry)
            _change(found=(root, registry, tracker))
        return tracker


def _from_environment() -> "tuple[str, Registry, LineageTracker | None] | None":
    root = os.environ.get(ROOT_VARIABLE)
    if not root:
        return None
    with _lock:
        if _state.found is None or _state.found[0] != root:
            from nemotron.kit.registry.registry import Registry

            _change(found=(root, Registry.open(root), None))
        return _state.found


def _tracker_over(registry: "Registry") -> "LineageTracker":
    from nemotron.kit.tracking.file import FileTracker

    return FileTracker(registry, evidence=_state.settings.evidence, run=current_run)


def set_registry(registry: "Registry | None") -> None:
    """Make a registry the current one; None for none.

    What was used of another store is forgotten: its names would mean something else here. What was used
    before there was any store, from folders, is kept, and so are the runs themselves.
    """
    with _lock:
        before = current_registry()
        _change(registry=registry)
        if before is not None and (registry is None or not _same_place(before.root, registry.root)):
            for each in (*_state.runs, *((_state.ambient,) if _state.ambient else ())):
                each.forget()


def _same_place(one: str, other: str) -> bool:
    return one == other or (
        "://" not in one and "://" not in other and os.path.realpath(one) == os.path.realpath(other)
    )


def set_tracker(tracker: "LineageTracker | None") -> None:
    """Make a tracker the current one, for every thread; None for none at all.

    A tracker over a store brings its registry along, so that what it saves is what references resolve to.
    """
    if (registry := getattr(tracker, "registry", None)) is not None:
        from nemotron.kit.registry.registry import Registry

        if isinstance(registry, Registry):
            set_registry(registry)
    if callable(bind := getattr(tracker, "bind_run", None)):
        bind(current_run)
    _change(tracker=tracker)


def settings() -> Settings:
    """The settings in force."""
    return _state.settings


def set_settings(settings: Settings) -> None:
    """Change the settings."""
    _change(settings=settings)


def showing() -> "Showing | None":
    """What shows a person how far long work is, if something does."""
    return _showing


def set_showing(showing: "Showing | None") -> None:
    """Say what shows a person how far long work is: of the process, whatever store is in force."""
    global _showing
    _showing = showing


def is_initialized() -> bool:
    """Whether somebody called `init` since the last `shutdown`."""
    return _state.initialized


def set_initialized(initialized: bool) -> None:
    """Say that somebody called `init`."""
    _change(initialized=initialized)


def current_run() -> "Run":
    """The run in force, for the thread or task that asks.

    It is the innermost `run(...)` that this thread, or the one that copied its `contextvars` to it, is in. A
    thread that is in none, such as a data loader's, belongs to the only run that is open in the process, the
    innermost where they are nested. If several are open side by side it is in none of them, with a warning:
    nobody could say which. What is in no run belongs to the one that every process has.
    """
    open_runs = _state.runs
    if open_runs:
        own = next((each for each in reversed(_mine.get()) if each in open_runs), None)
        if own is not None:
            return own
        parents = [each.parent for each in open_runs]
        innermost = [each for each in open_runs if each not in parents]
        if len(innermost) == 1:
            return innermost[0]
        _say_whose(tuple(each.name or each.id for each in innermost))
    with _lock:
        if _state.ambient is None:
            from nemotron.kit.tracking.run import Run

            _change(ambient=Run())
        assert _state.ambient is not None
        return _state.ambient


@cache
def _say_whose(names: tuple[str, ...]) -> None:
    log.warning(
        "A thread that began outside of them uses the store while the runs %s are open: what it does counts "
        "for none of them. Start its work with contextvars.copy_context().run(…) inside the run it is for",
        ", ".join(names),
    )


@contextmanager
def run(name: str, **told: Any) -> "Iterator[Run]":
    """Scope uses and saves: what is loaded inside becomes an input of what is saved inside, and of no other.

    Two runs at once, in two threads or two tasks, know nothing of each other; see `current_run`.

    Args:
        name: what this part of the work is called, such as "sft".
        **told: what else is to be recorded: `config`, `tags`, `seeds`, `image`.
    """
    from nemotron.kit.tracking import exit_code
    from nemotron.kit.tracking.run import Run

    mine = tuple(each for each in _mine.get() if each in _state.runs)
    own = Run(name, parent=mine[-1] if mine else None, above=_state.ambient, **told)
    registry = current_registry()
    with _lock:
        _change(runs=(*_state.runs, own))
    _mine.set((*mine, own))
    error: type[BaseException] | None = None
    code: int | None = None
    try:
        if registry is not None:
            own.begin(registry.store)
        yield own
    except BaseException as raised:
        code = exit_code.told_by(raised)
        # `sys.exit(0)` is how many a script finishes.
        error = None if isinstance(raised, SystemExit) and raised.code in (None, 0) else type(raised)
        raise
    finally:
        with _lock:
            _change(runs=tuple(each for each in _state.runs if each is not own))
        # Not by a token: a generator may be left in another context than it was entered in.
        _mine.set(tuple(each for each in _mine.get() if each is not own))
        with exit_code.leaving(code):
            own.end(error)


def record_use(uri: str, asked: str | None = None) -> None:
    """Remember `art://name:vN` as an input of the current run.

    Args:
        uri: of the version.
        asked: the reference that it was asked for by.
    """
    current_run().use(uri, asked)


def used() -> tuple[str, ...]:
    """What the current run has used so far."""
    return current_run().used


def _after_fork() -> None:
    """In the child: the lock may have been held by a thread that is not here, and runs are its parent's."""
    global _lock
    _lock = threading.RLock()
    if _state.ambient is not None:
        _change(ambient=_state.ambient.forked())


os.register_at_fork(after_in_child=_after_fork)
