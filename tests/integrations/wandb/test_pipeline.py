"""The example pipeline as it is, on W&B: online, offline and synced, with a server that goes and comes."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nemotron.kit.integrations.wandb.delivery_sync import sync
from nemotron.kit.registry.registry import Registry
from nemotron.kit.tracking.outbox import Outbox
from wandb_server import WandbServer
from wandb_server.fixtures import needs_sync, sync_offline_runs
from wandb_server.state import State

SCRIPT = Path(__file__).parent / "scripts" / "stage_on_wandb.py"
EXAMPLE = Path(__file__).parents[3] / "examples" / "nano_pipeline"
STAGES = ("data_prep", "pretrain", "sft", "rl")
# What differs from one run of the same work to the next.
CHANGING = re.compile(r"[0-9a-f]{12}\b|mode-\w+|\b\d+\.\d+ ?s\b")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus" / "shapes"
    folder.mkdir(parents=True)
    for module in range(4):
        functions = [
            f'def shape_{module}_{i}(x):\n    """Return shape {i}."""\n    return x + {i}\n' for i in range(6)
        ]
        (folder / f"module{module}.py").write_text("\n\n".join(functions))
    return folder.parent


def run_pipeline(
    tmp_path: Path, corpus: Path, name: str, before: Callable[[str], object], **environment: str
) -> list[tuple[int, str]]:
    """Each stage in a process of its own; the exit codes, and what they said."""
    place = tmp_path / f"mode-{name}"
    place.mkdir()
    said = []
    for stage in STAGES:
        before(stage)
        extra = ["--corpus", str(corpus)] if stage == "data_prep" else []
        done = subprocess.run(
            [
                *(sys.executable, str(SCRIPT), str(EXAMPLE / f"{stage}.py")),
                *("--root", str(place / "store"), "--out", str(place / "out"), "--scale", "tiny", *extra),
            ],
            cwd=place,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said.append((done.returncode, CHANGING.sub("…", done.stdout)))
    return said


def store_of(place: Path) -> dict[str, Any]:
    registry = Registry.open(place / "store")
    return {
        record.uri: (
            record.manifest.type,
            record.manifest.used_artifacts,
            record.manifest.inputs,
            registry.get(entry.name).aliases,  # type: ignore[union-attr]
        )
        for entry in registry.list()
        for record in registry.versions(entry.name)
    }


def graph_of(server: WandbServer) -> dict[str, Any]:
    runs = server.state.runs.values()
    return {
        "aliases": {name: server.artifact(name).aliases for name in sorted(server.names())},
        "count": len(server.names()),
        "edges": sorted((i.name, o.name) for run in runs for i in run.inputs for o in run.outputs),
        "makers": sorted((run.display_name, sorted(one.name for one in run.outputs)) for run in runs),
    }


@pytest.mark.slow
def test_the_example_pipeline_is_the_same_whatever_w_and_b_does(
    wandb_server: WandbServer, real_wandb: ModuleType, tmp_path: Path, corpus: Path
) -> None:
    needs_sync(real_wandb)

    def nothing(stage: str) -> None:
        return None

    said = {"online": run_pipeline(tmp_path, corpus, "online", nothing)}
    graphs = {"online": graph_of(wandb_server)}

    wandb_server.state = State(wandb_server.state.entity)
    said["offline"] = run_pipeline(tmp_path, corpus, "offline", nothing, WANDB_MODE="offline")
    assert wandb_server.names() == []
    sync_offline_runs(real_wandb, tmp_path / "wandb-folders")
    assert len(sync(Registry.open(tmp_path / "mode-offline" / "store")).delivered) == 7
    graphs["offline"] = graph_of(wandb_server)

    wandb_server.state = State(wandb_server.state.entity)

    def kill(stage: str) -> None:
        if stage == "sft":
            wandb_server.stop()

    said["killed"] = run_pipeline(tmp_path, corpus, "killed", kill)
    assert "nano-base-model:v0" in wandb_server.names()
    assert "nano-sft-model:v0" not in wandb_server.names()
    wandb_server.restart()
    outcome = sync(Registry.open(tmp_path / "mode-killed" / "store"))
    assert (len(outcome.delivered), outcome.stopped) == (4, {})
    graphs["killed"] = graph_of(wandb_server)

    stores = {name: store_of(tmp_path / f"mode-{name}") for name in said}
    assert len(stores["online"]) == 7
    for name in said:
        assert Outbox(Registry.open(tmp_path / f"mode-{name}" / "store").store).ids() == []
        assert said[name] == said["online"], name
        assert stores[name] == stores["online"], name
        assert graphs[name] == graphs["online"], name
