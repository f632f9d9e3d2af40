"""What W&B did not take at once arrives later, once, with its versions, aliases and edges."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nemotron import kit
from nemotron.kit import context, wandb_kit
from nemotron.kit.integrations.wandb.delivery_sync import plan, sync
from nemotron.kit.registry.processes import this_maker
from nemotron.kit.tracking.outbox import Outbox
from wandb_server import WandbServer
from wandb_server.fixtures import sync_offline_runs
from wandb_server.web import API_KEY

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


@pytest.mark.parametrize("when", ["never", "before", "after"])
def test_offline_then_synced(
    wandb_server: WandbServer, real_wandb: ModuleType, tmp_path: Path, when: str
) -> None:
    kit.init(root=tmp_path / "store", wandb_project="proj")
    ids = pipeline(real_wandb, tmp_path, mode="offline")
    registry = context.require_registry()
    assert wandb_server.operations == []
    assert [record.subject for record in plan(registry)] == [
        "art://nano-data:v1",
        "art://nano-base:v1",
        "art://nano-sft:v1",
        "art://nano-rl:v1",
    ]
    if when == "before":
        sync_offline_runs(real_wandb, tmp_path)
        assert wandb_server.names() == []  # the artifacts have one way in
    outcome = sync(registry)
    assert outcome.stopped == {}
    assert len(outcome.delivered) == 4
    if when == "after":
        sync_offline_runs(real_wandb, tmp_path)
    check(wandb_server, ids)
    if when != "never":
        stages = {run.name: run.settings()["stage"] for run in wandb_server.state.runs.values()}
        assert stages == dict(zip(ids, STAGES, strict=True))
    assert Outbox(registry.store).ids() == []
    assert sync(registry).delivered == []


def test_a_server_that_is_killed_and_comes_back(
    wandb_server: WandbServer, real_wandb: ModuleType, tmp_path: Path
) -> None:
    kit.init(root=tmp_path / "store", wandb_project="proj")
    ids = []
    for name in STAGES:
        if name == "sft":
            real_wandb.teardown()
            wandb_server.stop()
        wandb_kit.init_wandb_if_configured(wandb_kit.WandbConfig("proj", run_name=name))
        run = real_wandb.run
        assert run is not None
        ids.append(run.id)
        stage(name, tmp_path / "out")
        run.finish()
    wandb_server.restart()
    registry = context.require_registry()
    assert [record.subject for record in plan(registry)] == ["art://nano-sft:v1", "art://nano-rl:v1"]
    assert len(sync(registry).delivered) == 2
    check(wandb_server, ids)


def test_the_store_is_the_same_whatever_w_and_b_does(
    wandb_server: WandbServer, real_wandb: ModuleType, tmp_path: Path
) -> None:
    seen = []
    for n, settings in enumerate(({}, {"mode": "offline"}, {"mode": "disabled"})):
        with kit.using(root=tmp_path / f"store{n}", wandb_project="proj"):
            pipeline(real_wandb, tmp_path / str(n), **settings)
            seen.append(store_facts())
            waiting = len(Outbox(context.require_registry().store).ids())
            assert waiting == (4 if settings == {"mode": "offline"} else 0)
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) == 4


# -- what is in the way, and what is not -------------------------------------------------------------------


def outbox() -> Outbox:
    return Outbox(context.require_registry().store)


def test_a_poison_record_is_set_aside_and_in_nobody_s_way(
    wandb_server: WandbServer, real_wandb: ModuleType, offline_saves: Callable[..., str], tmp_path: Path
) -> None:
    run = real_wandb.init(project="proj")
    taken = real_wandb.Artifact("taken", type="SomethingElse")
    (tmp_path / "x").write_text("x")
    taken.add_file(str(tmp_path / "x"))
    run.log_artifact(taken).wait()
    run.finish()
    offline_saves("first")
    offline_saves("taken")
    offline_saves("last", inputs=["art://taken:v1", "art://first:v1"])

    outcome = sync(context.require_registry())

    assert len(outcome.delivered) == 2
    assert {"first:v0", "last:v0"} <= set(wandb_server.names())
    (aside,) = outbox().set_aside_records()
    assert aside.record is not None
    assert aside.failure is not None
    assert aside.record.subject == "art://taken:v1"
    assert "already exists with type" in aside.failure.why
    # The edge from it is still to be told.
    (waiting,) = outbox().waiting()
    assert (waiting.record.subject, waiting.record.used) == (None, ("art://taken:v1",))
    assert sync(context.require_registry()).delivered == []
    (waiting,) = outbox().waiting()
    assert waiting.failure is not None
    assert (waiting.failure.kind, waiting.failure.why) == (
        "input_missing",
        "Not on W&B yet, so it can't be an input there: art://taken:v1",
    )


def test_latest_is_the_store_s_and_an_alias_belongs_to_the_last_that_asked(
    wandb_server: WandbServer, real_wandb: ModuleType, offline_saves: Callable[..., str], tmp_path: Path
) -> None:
    offline_saves("model", aliases=("best", "first"))
    (late,) = outbox().waiting()
    outbox().remove(late.record.id)
    run = real_wandb.init(project="proj")
    kit.ModelArtifact(path=folder(tmp_path / "new", "new"), step=100).save(name="model", aliases=("best",))
    run.finish()
    assert wandb_server.artifact("model:v0").aliases == ["best", "latest"]

    outbox().add(late.record)
    assert sync(context.require_registry()).delivered == [late.record.id]

    assert wandb_server.artifact("model:v0").aliases == ["best", "latest"]
    assert wandb_server.artifact("model:v1").aliases == ["first"]


def test_inputs_that_w_and_b_has_never_heard_of_are_made_from_their_manifests(
    wandb_server: WandbServer, real_wandb: ModuleType, tmp_path: Path
) -> None:
    root = tmp_path / "store"
    kit.init(root=root)
    data = kit.PretrainBlendsArtifact(
        path=folder(tmp_path / "data", "d"), source_datasets=["hf://org/corpus"]
    )
    data.save(name="nano/data")
    kit.ModelArtifact(path=folder(tmp_path / "base", "b"), step=1).save(name="base", inputs=[data])
    shutil.rmtree(tmp_path / "data")  # told from the store alone
    kit.shutdown()
    kit.init(root=root, wandb_project="proj")
    run = real_wandb.init(project="proj")
    kit.ModelArtifact(path=folder(tmp_path / "sft", "s"), step=2).save(name="sft", inputs=["art://base:v1"])

    assert sorted(wandb_server.names()) == ["base:v0", "nano-data:v0", "org-corpus:v0", "sft:v0"]
    made = {
        n: next(r for r in wandb_server.state.runs.values() if wandb_server.artifact(n) in r.outputs)
        for n in ("base:v0", "nano-data:v0", "sft:v0")
    }
    assert made["sft:v0"].name == run.id
    assert [used.name for used in made["sft:v0"].inputs] == ["base:v0"]
    assert made["base:v0"].name.startswith("kit-")
    assert "nano-data:v0" in [used.name for used in made["base:v0"].inputs]
    assert wandb_server.artifact("nano-data:v0").references() == {
        "output/part.bin": f"file://{tmp_path}/data/part.bin"
    }
    assert outbox().ids() == []


def test_inputs_below_the_root_and_in_a_file_are_referred_to_where_they_lie_now(
    wandb_server: WandbServer, real_wandb: ModuleType, tmp_path: Path
) -> None:
    root = tmp_path / "store"
    with kit.using(root=root):
        place = folder(root / "data/blend", "d")
        (place / "blend.json").write_text("{}")
        blend = kit.DataBlendsArtifact(path=place / "blend.json")
        blend.save(name="blend")
        kit.Artifact(path=folder(tmp_path / "odd", "o"), type="my/type").save(name="odd")
    root.rename(tmp_path / "moved")
    kit.init(root=tmp_path / "moved", wandb_project="proj")
    with real_wandb.init(project="proj"):
        model = kit.ModelArtifact(path=folder(tmp_path / "m", "m"), step=1)
        model.save(name="model", inputs=["art://blend:v1", "art://odd:v1"])
    assert sorted(wandb_server.names()) == ["blend:v0", "model:v0", "odd:v0"]
    there = tmp_path / "moved/data/blend"
    assert wandb_server.artifact("blend:v0").references() == {
        f"output/{name}": f"file://{there / name}" for name in ("blend.json", "part.bin")
    }
    assert wandb_server.artifact("odd:v0").type == "my-type"


def test_records_move_with_the_root_and_two_deliverers_share_them(
    wandb_server: WandbServer, real_wandb: ModuleType, offline_saves: Callable[..., str], tmp_path: Path
) -> None:
    """Two processes at once: each record arrives once, and no edge is lost."""
    offline_saves("data")
    for n in range(3):
        offline_saves(f"model-{n}", inputs=["art://data:v1"])
    kit.shutdown()
    (tmp_path / "store").rename(tmp_path / "moved")
    command = [sys.executable, "-m", "nemotron.kit.cli", "kit", "sync", "--json"]
    command += ["--root", str(tmp_path / "moved")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    assert sum(one["delivered"] for one in said) >= 4
    kit.init(root=tmp_path / "moved")
    sync(context.require_registry())  # edges to what the other one had just begun
    assert outbox().ids() == []
    assert outbox().count_receipts() == 4
    assert sorted(wandb_server.names()) == ["data:v0", "model-0:v0", "model-1:v0", "model-2:v0"]
    inputs = [[one.name for one in run.inputs] for run in wandb_server.state.runs.values()]
    assert sorted(inputs) == [[], ["data:v0"], ["data:v0"], ["data:v0"]]


def test_an_input_that_waits_has_its_own_record_and_is_not_made_again(
    wandb_server: WandbServer, real_wandb: ModuleType, offline_saves: Callable[..., str], tmp_path: Path
) -> None:
    offline_run = offline_saves("data")
    run = real_wandb.init(project="proj")
    kit.ModelArtifact(path=folder(tmp_path / "on", "on"), step=9).save(name="model", inputs=["art://data:v1"])
    run.finish()
    # A process does not deliver what others have made: the edge waits for it.
    assert wandb_server.names() == ["model:v0"]
    assert [one.record.subject for one in outbox().waiting()] == ["art://data:v1", None]
    (waiting,) = [one.record for one in outbox().waiting() if one.record.subject is None]
    outbox().remove(waiting.id)
    outbox().add(replace(waiting, live=False))

    sync(context.require_registry())

    assert sorted(wandb_server.names()) == ["data:v0", "model:v0"]
    made = {
        r.name: ([i.name for i in r.inputs], [o.name for o in r.outputs])
        for r in wandb_server.state.runs.values()
    }
    assert made == {offline_run: ([], ["data:v0"]), run.id: (["data:v0"], ["model:v0"])}
    assert outbox().ids() == []


def test_a_reply_that_was_lost_is_no_second_version(
    wandb_server: WandbServer, real_wandb: ModuleType, tmp_path: Path
) -> None:
    kit.init(root=tmp_path / "store", wandb_project="proj")
    run = real_wandb.init(project="proj")
    model = kit.ModelArtifact(path=folder(tmp_path / "m", "m"), step=1)
    kept = []
    add = Outbox.add

    def keep(self: Outbox, record: Any) -> None:
        kept.append(record)
        add(self, record)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Outbox, "add", keep)
        model.save(name="model")
    run.finish()
    # As if the process had been killed before the receipt.
    (record,) = kept
    shutil.rmtree(tmp_path / "store/.kit/outbox/receipts")
    outbox().add(replace(record, live=False))
    assert sync(context.require_registry()).delivered == [record.id]
    assert wandb_server.names() == ["model:v0"]


def test_a_run_that_is_open_in_a_living_process_is_left_to_it(
    wandb_server: WandbServer, offline_saves: Callable[..., str]
) -> None:
    offline_saves("model")
    (waiting,) = outbox().waiting()
    outbox().remove(waiting.record.id)
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        status = Path(f"/proc/{sleeper.pid}/stat").read_text().rpartition(")")[2].split()
        maker = replace(this_maker(), pid=sleeper.pid, started=status[19])
        outbox().add(replace(waiting.record, live=True, maker=maker))
        assert plan(context.require_registry()) == []
    finally:
        sleeper.communicate(b"\n")
    assert len(plan(context.require_registry())) == 1


def test_two_deliverers_at_once_deliver_once(
    wandb_server: WandbServer, offline_saves: Callable[..., str]
) -> None:
    ids = [offline_saves("model") for _ in range(2)]
    registry = context.require_registry()
    lease = outbox().leases.take(plan(registry)[0].session)
    assert lease is not None
    assert len(sync(registry).delivered) == 1  # the other run's
    outbox().leases.give_back(lease)
    assert len(sync(registry).delivered) == 1
    assert sorted(wandb_server.names()) == ["model:v0", "model:v1"]
    assert len(ids) == 2


def test_a_key_goes_to_no_server_but_its_own(
    wandb_server: WandbServer,
    offline_saves: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever may write into a store may write any server into a record."""
    offline_saves("model")
    with WandbServer() as other:
        (waiting,) = outbox().waiting()
        outbox().remove(waiting.record.id)
        where = replace(waiting.record.destination, server=other.url)
        outbox().add(replace(waiting.record, destination=where))

        outcome = sync(context.require_registry())

        assert outcome.delivered == []
        assert list(outcome.stopped) == [other.url]
        assert other.names() == []
        assert not other.keys
        # A login for that very server is another matter.
        netrc = Path(os.environ["HOME"], ".netrc")
        place = other.url.partition("//")[2]
        # Older clients look for the host without its port.
        for machine in (place, place.partition(":")[0]):
            with netrc.open("a") as file:
                file.write(f"machine {machine}\n  login user\n  password {API_KEY}\n")
        netrc.chmod(0o600)
        assert len(sync(context.require_registry()).delivered) == 1
        assert other.names() == ["model:v0"]
