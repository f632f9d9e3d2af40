"""NeMo-RL: record each checkpoint that it has finished.

`nemo_rl.utils.checkpoint.CheckpointManager.finalize_checkpoint(path)` renames `tmp_step_N`, the folder that
was written, to `step_N`, and may clear older ones away. It is called as it is, and what is left is recorded.
NeMo-RL is not on PyPI (what is there by its name is empty), so the tests use a double of that class.
"""

import functools
import importlib
import logging
import os
import re
from pathlib import Path
from typing import Any

from nemotron.kit.integrations.checkpoints import Checkpoint, Recorder, Target

log = logging.getLogger(__name__)

MODULE = "nemo_rl.utils.checkpoint"
_ORIGINAL = "nemotron_kit_original"


def record_checkpoints(target: Target, artifact_name: str = "rl") -> None:
    """Record checkpoints in the store, on W&B, or in both; the last call wins.

    Without NeMo-RL it is a warning: a recipe may run with another framework.

    Args:
        target: where to.
        artifact_name: the artifact whose versions the checkpoints become.
    """
    try:
        manager: Any = importlib.import_module(MODULE).CheckpointManager
    except ImportError as error:
        log.warning("NeMo-RL's checkpoints are not recorded: %s", error)
        return
    original = getattr(manager.finalize_checkpoint, _ORIGINAL, manager.finalize_checkpoint)
    recorder = Recorder(target)

    @functools.wraps(original)
    def finalize_checkpoint(
        self: Any, checkpoint_path: str | os.PathLike[str], *args: Any, **more: Any
    ) -> Any:
        result = original(self, checkpoint_path, *args, **more)
        _record(recorder, artifact_name, Path(checkpoint_path))
        return result

    setattr(finalize_checkpoint, _ORIGINAL, original)
    manager.finalize_checkpoint = finalize_checkpoint


def _record(recorder: Recorder, name: str, written: Path) -> None:
    match = re.search(r"(\d+)$", written.name)
    if match is None:
        log.warning("%s is not recorded: its name ends in no step", written)
        return
    step = int(match[1])
    final = written.parent / f"step_{step}"
    if not final.is_dir():
        log.info("%s was not kept and is not recorded", final)
        return
    recorder.record(Checkpoint.at(final, step=step), name, (final.name,))
