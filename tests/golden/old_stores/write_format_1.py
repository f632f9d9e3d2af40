"""Write a root of store format 1 with a bit of everything. It was run once; see the README beside it."""

import os
import sys
import tempfile
from pathlib import Path

from nemotron.kit.registry.adopting import adopt
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

INDEX = '{"old-set": {"versions": [{"version": 1, "path": "old-set/v1", "metadata": {"rows": 10}}]}}'
RUN = "01a20e00-0000-7000-8000-000000000001"
WHEN = 1_700_000_000


def write(root: Path) -> None:
    """Found a root in an empty folder and fill it."""
    (root / "old-set/v1").mkdir(parents=True)
    (root / "old-set/v1/a.txt").write_text("old\n")
    (root / ".art_index.json").write_text(INDEX)
    inside = root / "outputs/corpus"
    (inside / "train").mkdir(parents=True)
    (inside / "train/000.txt").write_text("hello\n")
    (inside / "blend.json").write_text("{}\n")
    for path in [*root.rglob("*")]:
        os.utime(path, (WHEN, WHEN))
    registry = Registry.open(root)
    facts = {"total_tokens": 100, "nan": float("nan"), "train": str(inside / "train")}
    shared = {"run": RUN, "producer": "job-1", "created_at": "2026-01-02T03:04:05+00:00"}
    registry.publish(
        Draft(name="nano/corpus", source=inside, entry="blend.json", type="DataBlendsArtifact",
              metadata=facts, inputs=("hf://datasets/org/name",), evidence="full", **shared)
    )  # fmt: skip
    registry.publish(
        Draft(name="nano/corpus", source=inside, evidence="sampled", metadata={"n": 2}, **shared)
    )
    registry.publish(Draft(name="remote", source="s3://old-bucket/x", **shared))
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder, "checkpoint")
        (checkpoint / "shards").mkdir(parents=True)
        (checkpoint / "shards/0.bin").write_bytes(bytes(range(256)))
        (checkpoint / "run.sh").write_text("#!/bin/sh\n")
        (checkpoint / "run.sh").chmod(0o755)
        (checkpoint / "latest").symlink_to("shards/0.bin")
        used = ("nano-corpus:v1", "old-set:v1")
        for step in (1, 2, 3):
            registry.publish(
                Draft(name="model", source=checkpoint, type="ModelArtifact", snapshot=True,
                      metadata={"step": step}, used_artifacts=used, **shared)
            )  # fmt: skip
    registry.alias("model", "production", 1, why="first")
    registry.alias("model", "production", 2, why="passed the evals", if_current=1)
    registry.withdraw("model:v3", "trained on the test set")
    adopt(registry)
    registry.remap("s3://old-bucket", "s3://new-bucket/moved", why="renamed")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
