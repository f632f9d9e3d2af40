"""Record checkpoints that a training framework writes: one way for all frameworks, over the kit's trackers.

The hooks in `megatron_bridge.py` and `nemo_rl.py` say what was written; where it is recorded is said here.
"""

import logging
import os
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from nemotron.kit import context
from nemotron.kit.errors import InvalidNameError
from nemotron.kit.integrations.nemo_run import outside_path
from nemotron.kit.integrations.wandb.run import active
from nemotron.kit.names import Alias, ArtifactName
from nemotron.kit.tracking.composite import CompositeTracker
from nemotron.kit.tracking.file import FileTracker
from nemotron.kit.tracking.protocol import LineageTracker, SaveOptions, StoreTracker

log = logging.getLogger(__name__)

Target = Literal["store", "wandb", "both"]


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


class Recorder:
    """Records checkpoints in the store, on W&B, or in both (the store first).

    A training job goes on whatever happens: what can't be recorded is a warning.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._wandb: LineageTracker | None = None

    def record(self, checkpoint: Checkpoint, name: str, aliases: tuple[str, ...]) -> bool:
        """Record one checkpoint, made from what the current run has loaded.

        Args:
            checkpoint: the checkpoint.
            name: the artifact; what no name may hold becomes a dash.
            aliases: its aliases; `latest` moves by itself.

        Returns:
            Whether W&B shows it.
        """
        tracker = self._tracker()
        if tracker is None or not tracker.is_active():
            log.warning("%s is not recorded: %s", checkpoint.path, _WHY_NOT[self._target])
            return False
        options = SaveOptions(aliases=tuple(alias for alias in aliases if _is_alias(alias)))
        try:
            if isinstance(tracker, StoreTracker):
                record = tracker.log_artifact_with(checkpoint, _name(name), list(context.used()), options)
            else:
                record = tracker.log_artifact(checkpoint, _name(name), list(context.used()))
        except Exception as error:  # noqa: BLE001 - the checkpoint is written, and training goes on
            log.warning("%s is not recorded: %s: %s", checkpoint.path, type(error).__name__, error)
            return False
        return bool(record.get("url"))

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

        for tracker in _all_of(current):
            if isinstance(tracker, WandbTracker):
                return tracker
        if self._wandb is None:
            self._wandb = WandbTracker()
        return self._wandb


_WHY_NOT: dict[Target, str] = {
    "store": "there is no store; call nemotron.kit.init(root=…) before",
    "wandb": "there is no W&B run",
    "both": "there is neither a store nor a W&B run",
}


def store_tracker() -> FileTracker | None:
    """The store's tracker, alone or as one of several; None without a store."""
    return next((one for one in _all_of(context.current_tracker()) if isinstance(one, FileTracker)), None)


def _all_of(tracker: LineageTracker | None) -> tuple[LineageTracker, ...]:
    if isinstance(tracker, CompositeTracker):
        return tracker.trackers
    return () if tracker is None else (tracker,)


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
