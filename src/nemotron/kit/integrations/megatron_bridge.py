"""Megatron-Bridge: record each checkpoint that it has saved.

Megatron-Bridge calls `wandb_utils.on_save_checkpoint_success(checkpoint_path, save_dir, iteration,
wandb_writer)` on one rank, once a global checkpoint is complete (also after an asynchronous save). That
function tells W&B alone and swallows its errors. It is looked up in its module at each call, so it is
replaced there. Read in megatron-bridge 0.3.1; the names, and the file that `on_load_checkpoint_success`
reads, stay the same.
"""

import importlib
import logging
from pathlib import Path
from typing import Any

from nemotron.kit.integrations.checkpoints import Checkpoint, Recorder, Target
from nemotron.kit.integrations.wandb.run import active, project_of

log = logging.getLogger(__name__)

MODULE = "megatron.bridge.training.utils.wandb_utils"


def record_checkpoints(target: Target) -> None:
    """Record checkpoints in the store, on W&B, or in both; the last call wins.

    Without Megatron-Bridge it is a warning: a recipe may run with another framework.
    """
    try:
        wandb_utils: Any = importlib.import_module(MODULE)
    except ImportError as error:
        log.warning("Megatron-Bridge's checkpoints are not recorded: %s", error)
        return
    recorder = Recorder(target)

    def on_save_checkpoint_success(
        checkpoint_path: str, save_dir: str, iteration: int, wandb_writer: Any | None
    ) -> None:
        """Record a checkpoint; in the place of Megatron-Bridge's own function."""
        if target == "wandb" and not wandb_writer:
            return
        name, version = wandb_utils._get_artifact_name_and_version(Path(save_dir), Path(checkpoint_path))
        checkpoint = Checkpoint.at(checkpoint_path, iteration=int(iteration))
        recorder.record(checkpoint, name, (version,), lambda: _say_where(wandb_utils, save_dir))

    wandb_utils.on_save_checkpoint_success = on_save_checkpoint_success


def _say_where(wandb_utils: Any, save_dir: str) -> None:
    """Leave `entity/project` for `on_load_checkpoint_success`, which makes the edge when training resumes."""
    file = wandb_utils._get_wandb_artifact_tracker_filename(save_dir)
    try:
        file.write_text("/".join(project_of(active())), encoding="utf-8")
    except OSError as error:
        log.warning("%s could not be written, a resumed run will lack an edge on W&B: %s", file, error)
