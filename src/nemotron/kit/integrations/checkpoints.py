"""Record checkpoints that a training framework writes: one way for all frameworks, over the kit's trackers.

The hooks in `megatron_bridge.py` and `nemo_rl.py` say what was written; where it is recorded is said here.
"""

import atexit
import importlib
import logging
import os
import re
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from nemotron.kit import context
from nemotron.kit.errors import InvalidNameError
from nemotron.kit.integrations.nemo_run import outside_path
from nemotron.kit.integrations.unfinished import fingerprint, why_unfinished
from nemotron.kit.integrations.wandb.run import active
from nemotron.kit.names import Alias, ArtifactName
from nemotron.kit.tracking.composite import CompositeTracker, parts_of
from nemotron.kit.tracking.file import FileTracker
from nemotron.kit.tracking.protocol import LineageTracker, SaveOptions, StoreTracker

log = logging.getLogger(__name__)

Target = Literal["store", "wandb", "both"]

# How often an unfinished checkpoint is looked at before it is recorded as it is.
TRIES_MAX = 3


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as trackers take it.

    Attributes:
        path: its folder.
        metadata: its step, under the framework's own word for it, and `absolute_path`.
        type: always "model", as the frameworks' own records have it.
        created_at: when it was recorded.
    """

    path: str
    metadata: dict[str, Any]
    type: str = "model"
    created_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat())

    @classmethod
    def at(cls, path: str | os.PathLike[str], **metadata: Any) -> "Checkpoint":
        """The checkpoint in a folder; inside NeMo-Run's container by the folder's path outside."""
        inside = os.path.abspath(path)
        outside = outside_path(inside)
        # The record has to be found by other jobs, but the tracker has to find the files now.
        return cls(outside if os.path.exists(outside) else inside, {**metadata, "absolute_path": outside})

    def get_wandb_files(self) -> list[tuple[str, str]]:
        """Nothing is uploaded."""
        return []

    def get_wandb_references(self) -> list[tuple[str, str]]:
        """The folder itself."""
        return [(f"file://{self.path}", "checkpoint")]

    def get_input_uris(self) -> list[str]:
        """None beyond what the run has loaded."""
        return []


@dataclass
class _Waiting:
    """A checkpoint that is to be looked at again; `record` says what the rest is.

    Attributes:
        seen: its files when it was recorded; None if it was not.
        tries: how often it was looked at.
    """

    checkpoint: Checkpoint
    name: str
    aliases: tuple[str, ...]
    on_wandb: Callable[[], None]
    seen: int | None = None
    tries: int = 0


class Recorder:
    """Records checkpoints in the store, on W&B, or in both (the store first).

    A training job goes on whatever happens: what can't be recorded is a warning. A checkpoint that is still
    being written waits: it is looked at again at the next save and when the process ends. So is the one that
    was recorded last, and if its files have changed since, it is recorded again.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._wandb: LineageTracker | None = None
        self._waiting: list[_Waiting] = []
        # By a weak reference, or a recorder that was replaced would live on until the process ends.
        _before_the_end(_at_exit, weakref.ref(self))

    def record(
        self,
        checkpoint: Checkpoint,
        name: str,
        aliases: tuple[str, ...],
        on_wandb: Callable[[], None] = lambda: None,
    ) -> None:
        """Record one checkpoint, made from what the current run has loaded.

        Args:
            checkpoint: the checkpoint.
            name: the artifact; what no name may hold becomes a dash.
            aliases: its aliases; `latest` moves by itself.
            on_wandb: called when W&B shows it.
        """
        self.look_again()
        kept = tuple(alias for alias in aliases if _is_alias(alias))
        item = _Waiting(checkpoint, _name(name), kept, on_wandb)
        self._waiting.append(item)
        why = why_unfinished(checkpoint.path)
        if why is None:
            self._record(item)
            return
        item.tries = 1
        log.warning(
            "%s is still being written (%s); it is recorded at the next save, or at the end",
            checkpoint.path,
            why,
        )

    def look_again(self, *, last: bool = False) -> None:
        """Record what has been finished since, and what has changed since it was recorded.

        Args:
            last: there is no later: what still looks unfinished is recorded as it is.
        """
        waiting, self._waiting = self._waiting, []
        for item in waiting:
            self._look_at(item, last)

    def _look_at(self, item: _Waiting, last: bool) -> None:
        path = item.checkpoint.path
        now = fingerprint(path)
        if now is None:
            if item.seen is None:
                log.warning("%s is gone, and was never recorded: it was not finished before", path)
            return
        if item.seen is not None:
            if now != item.seen:
                log.warning("%s has changed since it was recorded, and is recorded again", path)
                self._try_again(item, last)
            return
        item.tries += 1
        why = why_unfinished(path)
        if why is not None and not last and item.tries < TRIES_MAX:
            self._waiting.append(item)
            return
        if why is not None:
            log.warning("%s is recorded although it looks unfinished: %s", path, why)
        self._try_again(item, last)

    def _try_again(self, item: _Waiting, last: bool) -> None:
        item.tries += 1
        if not last and item.tries <= TRIES_MAX:
            self._waiting.append(item)
        self._record(item)

    def _record(self, item: _Waiting) -> None:
        checkpoint = item.checkpoint
        tracker = self._tracker()
        if tracker is None or not tracker.is_active():
            log.warning("%s is not recorded: %s", checkpoint.path, _WHY_NOT[self._target])
            self._forget(item)
            return
        item.seen = fingerprint(checkpoint.path)
        try:
            if isinstance(tracker, StoreTracker):
                options = SaveOptions(aliases=item.aliases)
                record = tracker.log_artifact_with(checkpoint, item.name, list(context.used()), options)
            else:
                record = tracker.log_artifact(checkpoint, item.name, list(context.used()))
        except Exception as error:  # noqa: BLE001 - the checkpoint is written, and training goes on
            log.warning("%s is not recorded: %s: %s", checkpoint.path, type(error).__name__, error)
            self._forget(item)
            return
        if record.get("url"):
            item.on_wandb()

    def _forget(self, item: _Waiting) -> None:
        self._waiting = [other for other in self._waiting if other is not item]

    def _tracker(self) -> LineageTracker | None:
        current = context.current_tracker()
        if self._target == "both" and isinstance(current, CompositeTracker):
            return current
        wanted: list[LineageTracker | None] = [store_tracker()] if self._target != "wandb" else []
        if self._target != "store" and active() is not None:
            wanted.append(self._wandb_tracker(current))
        trackers = [tracker for tracker in wanted if tracker is not None]
        return CompositeTracker(trackers) if len(trackers) > 1 else next(iter(trackers), None)

    def _wandb_tracker(self, current: LineageTracker | None) -> LineageTracker:
        """The tracker that is in force, with what it knows, else one of our own."""
        from nemotron.kit.integrations.wandb.tracker import WandbTracker

        for tracker in parts_of(current):
            if isinstance(tracker, WandbTracker):
                return tracker
        if self._wandb is None:
            self._wandb = WandbTracker()
        return self._wandb


def _before_the_end(function: Callable[..., None], *arguments: Any) -> None:
    """Call a function when the process ends, while thread pools still take work and W&B's run is active.

    What `atexit` calls comes too late: Python ends the pools, which publishing uses, before. Its own pools
    are ended by a hook of the threading module's that has no public name; the last one registered goes first.
    """
    importlib.import_module("concurrent.futures.thread")
    register = getattr(threading, "_register_atexit", atexit.register)
    register(function, *arguments)


def _at_exit(recorder: "weakref.ref[Recorder]") -> None:
    if (living := recorder()) is not None:
        living.look_again(last=True)


_WHY_NOT: dict[Target, str] = {
    "store": "there is no store; call nemotron.kit.init(root=…) before",
    "wandb": "there is no W&B run",
    "both": "there is neither a store nor a W&B run",
}


def store_tracker() -> FileTracker | None:
    """The store's tracker, alone or as one of several; None without a store."""
    return next((one for one in parts_of(context.current_tracker()) if isinstance(one, FileTracker)), None)


def _name(text: str) -> str:
    """A name of the kit's for a folder's name.

    >>> _name("my run (2)"), _name("v3")
    ('my-run-2', 'checkpoint-v3')
    """
    plain = re.sub(r"[^A-Za-z0-9._/-]+", "-", text).strip("-./_")
    try:
        return ArtifactName.parse(plain).semantic
    except InvalidNameError:
        return f"checkpoint-{plain.replace('/', '-')}"[:128]


def _is_alias(text: str) -> bool:
    try:
        return Alias(text).name != "latest"
    except InvalidNameError:
        return False
