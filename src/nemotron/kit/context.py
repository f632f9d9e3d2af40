"""The only ambient state: the current registry, tracker, settings and run of this process.

It holds what `start` gives it. A script that calls no `init` but runs where `NEMO_ARTIFACT_ROOT` is set works
with the store there. All of it is shared by all threads.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from nemotron.kit.documents.manifest import Evidence
    from nemotron.kit.registry.registry import Registry
    from nemotron.kit.tracking.protocol import LineageTracker
    from nemotron.kit.tracking.run import Run

ROOT_VARIABLE = "NEMO_ARTIFACT_ROOT"

Reaction = Literal["warn", "error", "ignore"]


@dataclass(frozen=True, slots=True)
class Settings:
    """How the kit goes about it where a call does not say.

    Attributes:
        evidence: how closely the bytes of references are looked at.
        on_drift: what to do when a reference is loaded whose files have changed.
        on_mismatch: what to do when a claimed count is not what the files say.
        wandb_timeout_s: how long a save may wait for W&B where there is a store.
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
    runs: "tuple[Run, ...]" = ()
    initialized: bool = False
    # What NEMO_ARTIFACT_ROOT last led to: (its value, the registry there, its tracker).
    found: "tuple[str, Registry, LineageTracker] | None" = None


_lock = threading.RLock()
_state = State()


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
    """Forget everything: store, tracker, settings and what was used.

    Args:
        keep_runs: leave the runs that were asked for in force, for a change of store in the middle of one.
    """
    restore(State(runs=tuple(each for each in _state.runs if each.name) if keep_runs else ()))


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
    found = _from_environment()
    return found[2] if found else None


def _from_environment() -> "tuple[str, Registry, LineageTracker] | None":
    root = os.environ.get(ROOT_VARIABLE)
    if not root:
        return None
    with _lock:
        if _state.found is None or _state.found[0] != root:
            from nemotron.kit.registry.registry import Registry

            registry = Registry.open(root)
            _change(found=(root, registry, _tracker_over(registry)))
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
            for each in _state.runs:
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


def is_initialized() -> bool:
    """Whether somebody called `init` since the last `shutdown`."""
    return _state.initialized


def set_initialized(initialized: bool) -> None:
    """Say that somebody called `init`."""
    _change(initialized=initialized)


def current_run() -> "Run":
    """The run in force: the innermost `run(...)`, else the one that every process has."""
    with _lock:
        if not _state.runs:
            from nemotron.kit.tracking.run import Run

            _change(runs=(Run(),))
        return _state.runs[-1]


@contextmanager
def run(name: str) -> "Iterator[Run]":
    """Scope uses and saves: what is loaded inside becomes an input of what is saved inside, and of no other.

    A run is the process's, not a thread's: threads that load for it are seen, and two runs at once in two
    threads are not told apart.

    Args:
        name: what this part of the work is called, such as "sft".
    """
    from nemotron.kit.tracking.run import Run

    current_run()
    own = Run(name)
    with _lock:
        _change(runs=(*_state.runs, own))
    try:
        yield own
    finally:
        with _lock:
            _change(runs=tuple(other for other in _state.runs if other is not own))


def record_use(uri: str) -> None:
    """Remember `art://name:vN` as an input of the current run."""
    current_run().use(uri)


def used() -> tuple[str, ...]:
    """What the current run has used so far."""
    return current_run().used
