"""A stage of examples/nano_pipeline as it is, in a process that tells W&B as well.

python stage_on_wandb.py SCRIPT --root ROOT --out OUT …
"""

import runpy
import sys
from pathlib import Path

from nemotron import kit
from nemotron.kit import start, wandb_kit
from nemotron.kit.integrations.wandb import exit as at_end

at_end.GRACE_S = 1.0

script = sys.argv[1]
sys.argv = sys.argv[1:]
sys.path.insert(0, str(Path(script).parent))


def init(root: str) -> None:
    """What a recipe does that has a `WandbConfig`."""
    start.init(root=root, wandb_project="proj", wandb_timeout_s=20)
    wandb_kit.init_wandb_if_configured(wandb_kit.WandbConfig("proj", run_name=Path(script).stem))


kit.init = init
runpy.run_path(script, run_name="__main__")
wandb_kit.finish_run()
