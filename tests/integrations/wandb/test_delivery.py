"""What W&B did not take at once arrives later, once, with its versions, aliases and edges."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from nemotron import kit
from nemotron.kit import context
from nemotron.kit.integrations.wandb.delivery_sync import plan, sync
from nemotron.kit.tracking.outbox import Outbox
from wandb_server import WandbServer

STAGES = ("data_prep", "pretrain", "sft", "rl")


def folder(path: Path, text: str) -> Path:
    path.mkdir(parents=True)
    (path / "part.bin").write_text(text)
    return path


def stage(name: str, place: Path) -> Any:
    """One stage of the nano pipeline's shape: load what came before, save what comes of it."""
    made = folder(place / name, name)
    with kit.run(name):
        if name == "data_prep":
            data = kit.PretrainBlendsArtifact(
                path=made, total_tokens=1000, source_datasets=["hf://org/corpus"]
            )
            data.save(name="nano/data")
            return data
        before = {"pretrain": "nano/data", "sft": "nano/base", "rl": "nano/sft"}[name]
        loaded = kit.Artifact.from_uri(f"art://{before}:latest")
        assert loaded.uri is not None
        result = kit.ModelArtifact(path=made, step=10)
        result.save(name={"pretrain": "nano/base"}.get(name, f"nano/{name}"), aliases=(f"{name}-best",))
        return result


def graph(server: WandbServer) -> dict[str, Any]:
    """All there is on the server, without what differs between two runs of the same work."""
    runs = {run.name: run for run in server.state.runs.values()}
    return {
        "versions": sorted(server.names()),
        "aliases": {name: server.artifact(name).aliases for name in sorted(server.names())},
        "edges": sorted(
            (used.name, made.name) for run in runs.values() for used in run.inputs for made in run.outputs
        ),
        "makers": {
            n: [r.name for r in runs.values() if server.artifact(n) in r.outputs] for n in server.names()
        },
    }


EVERYTHING = {
    "versions": ["nano-base:v0", "nano-data:v0", "nano-rl:v0", "nano-sft:v0", "org-corpus:v0"],
    "aliases": {
        "nano-base:v0": ["latest", "pretrain-best"],
        "nano-data:v0": ["latest"],
        "nano-rl:v0": ["latest", "rl-best"],
        "nano-sft:v0": ["latest", "sft-best"],
        "org-corpus:v0": ["latest"],
    },
    "edges": [
        ("nano-base:v0", "nano-sft:v0"),
        ("nano-data:v0", "nano-base:v0"),
        ("nano-sft:v0", "nano-rl:v0"),
        ("org-corpus:v0", "nano-data:v0"),
    ],
}


def pipeline(
    wandb: ModuleType, tmp_path: Path, before: Callable[[str], object] = lambda stage: None, **settings: Any
) -> list[str]:
    """All stages, each with a W&B run of its own; returns the runs' ids."""
    ids = []
    for name in STAGES:
        before(name)
        run = wandb.init(project="proj", name=name, config={"stage": name}, **settings)
        ids.append(run.id)
        stage(name, tmp_path / "out")
        run.finish()
    return ids


def store_facts() -> dict[str, Any]:
    registry = context.require_registry()
    facts = {}
    for entry in registry.list():
        for record in registry.versions(entry.name):
            manifest = record.manifest
            facts[record.uri] = (manifest.type, manifest.used_artifacts, manifest.inputs)
    return facts


def check(server: WandbServer, ids: list[str]) -> None:
    found = graph(server)
    makers = found.pop("makers")
    assert found == EVERYTHING
    by_name = {"nano-data:v0": 0, "nano-base:v0": 1, "nano-sft:v0": 2, "nano-rl:v0": 3}
    assert {name: makers[name] for name in by_name} == {name: [ids[n]] for name, n in by_name.items()}
    assert len(server.state.runs) == 4


def test_online(wandb_server: WandbServer, real_wandb: ModuleType, tmp_path: Path) -> None:
    kit.init(root=tmp_path / "store", wandb_project="proj")
    ids = pipeline(real_wandb, tmp_path)
    check(wandb_server, ids)
    outbox = Outbox(context.require_registry().store)
    assert (outbox.ids(), outbox.count_receipts()) == ([], 4)


def test_offline_then_synced(wandb_server: WandbServer, real_wandb: ModuleType, tmp_path: Path) -> None:
    kit.init(root=tmp_path / "store", wandb_project="proj")
    ids = pipeline(real_wandb, tmp_path, mode="offline")
    assert wandb_server.operations == []
    registry = context.require_registry()
    assert [record.subject for record in plan(registry)] == [
        "art://nano-data:v1",
        "art://nano-base:v1",
        "art://nano-sft:v1",
        "art://nano-rl:v1",
    ]
    outcome = sync(registry)
    assert outcome.stopped == {}
    assert len(outcome.delivered) == 4
    check(wandb_server, ids)
    assert Outbox(registry.store).ids() == []
    assert sync(registry).delivered == []
