"""A job of one stage, as users write them: it saves, says so, and comes to its end.

    python job.py ROOT OUT [online|offline|disabled]

It waits for a line on standard input after its first save, so that a test can do something to the server.
"""

import sys
from dataclasses import replace
from pathlib import Path

from nemotron import kit
from nemotron.kit import context, wandb_kit
from nemotron.kit.integrations.wandb import exit as at_end

at_end.GRACE_S = 2.0

root, out = sys.argv[1:3]
# The first save may take as long as it likes; a server that is hurt after it costs a second.
kit.init(root=root, wandb_project="proj", wandb_timeout_s=30)
wandb_kit.init_wandb_if_configured(wandb_kit.WandbConfig("proj"))
for step in (1, 2, 3):
    place = Path(out, f"step{step}")
    place.mkdir(parents=True)
    (place / "weights.bin").write_text(f"{step}")
    model = kit.ModelArtifact(path=place, step=step)
    model.save(name="model")
    print(model.uri, flush=True)
    if step == 1:
        sys.stdin.readline()
        context.set_settings(replace(context.settings(), wandb_timeout_s=1))
