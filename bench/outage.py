"""What an outage of W&B costs a job: seconds of its saves, and of its end.

A job saves four models. After the second, its server is gone, hangs or fails; then the job ends. Prints how
long each save took, how long the process was there after its last line, and what one `sync` brings
afterwards, and asserts nothing.
Run: python bench/outage.py [LIMIT_S]
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from house import table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from nemotron.kit.integrations.wandb.delivery_sync import sync
from nemotron.kit.registry.registry import Registry
from wandb_server import WandbServer
from wandb_server.web import API_KEY

JOB = """
import sys, time
from pathlib import Path
from nemotron import kit
from nemotron.kit import wandb_kit
root, limit_s = sys.argv[1], float(sys.argv[2])
kit.init(root=root, wandb_project="proj", wandb_timeout_s=limit_s)
wandb_kit.init_wandb_if_configured(wandb_kit.WandbConfig("proj"))
for step in range(4):
    place = Path(root + "-out", str(step))
    place.mkdir(parents=True)
    (place / "weights.bin").write_text(str(step))
    began = time.perf_counter()
    kit.ModelArtifact(path=place, step=step).save(name="model")
    print(time.perf_counter() - began, flush=True)
    if step == 1:
        sys.stdin.readline()
print(time.time(), flush=True)
"""


def hurt(server: WandbServer, how: str) -> None:
    if how == "gone":
        server.stop()
    elif how == "failing":
        server.failing = 500
    elif how == "hanging":
        server.hanging.set()


def measure(how: str, limit_s: float) -> list[str]:
    with tempfile.TemporaryDirectory() as folder, WandbServer() as server:
        environment = {**os.environ, "WANDB_BASE_URL": server.url, "WANDB_API_KEY": API_KEY}
        environment |= {f"WANDB_{name}": folder for name in ("DIR", "CACHE_DIR", "CONFIG_DIR", "DATA_DIR")}
        environment |= {"WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false", "WANDB_CONSOLE": "off"}
        os.environ.update(environment)
        root = f"{folder}/store"
        job = subprocess.Popen(
            [sys.executable, "-c", JOB, root, str(limit_s)],
            env=environment,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert job.stdout is not None
        lines = [job.stdout.readline(), job.stdout.readline()]
        hurt(server, how)
        rest, _ = job.communicate("\n")
        ended = time.time()
        *saves, last_line = [float(line) for line in (*lines, *rest.split())]
        server.recover()
        delivered = len(sync(Registry.open(root)).delivered)
        shown = [f"{seconds:.2f}" for seconds in saves[1:]]
        return [how, *shown, f"{ended - last_line:.1f}", f"{delivered}", f"{len(server.names())} of 4"]


def main() -> None:
    limit_s = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    rows = [measure(how, limit_s) for how in ("well", "gone", "failing", "hanging")]
    heads = ["server", "save before", "first after", "next", "end", "synced", "on the server"]
    table(f"an outage after the second save, limit {limit_s:g} s; seconds", [heads, *rows])


if __name__ == "__main__":
    main()
