"""A deliverer that is killed again and again: nothing is lost, nothing is there twice."""

import contextlib
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from nemotron import kit
from nemotron.kit import context
from nemotron.kit.documents.outbox import Destination
from nemotron.kit.integrations.wandb import service
from nemotron.kit.integrations.wandb.delivery_sync import sync
from nemotron.kit.tracking.outbox import Outbox
from wandb_server import WandbServer

# The whole of it takes minutes, most of them the client's own.
RECORDS, KILLS = (200, 20) if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else (24, 4)


def children(pid: int) -> list[int]:
    return [child for child, parent in service._processes() if parent == pid]


def kill(deliverer: "subprocess.Popen[bytes]", *, all_of_it: bool) -> None:
    """Kill the process that talks to W&B, or the one that watches over it as well; never the service."""
    workers = children(deliverer.pid)
    for pid in [*([deliverer.pid] if all_of_it else []), *workers]:
        os.kill(pid, signal.SIGKILL)
    deliverer.kill()
    deliverer.wait()


@pytest.mark.slow
def test_none_twice_and_none_lost(wandb_server: WandbServer, real_wandb: ModuleType, tmp_path: Path) -> None:
    root = tmp_path / "store"
    kit.init(root=root, wandb_project="proj")
    run = real_wandb.init(project="proj", mode="offline")
    before: list[str] = []
    for step in range(RECORDS):
        place = tmp_path / "out" / f"{step}"
        place.mkdir(parents=True)
        (place / "weights.bin").write_text(f"{step}")
        model = kit.ModelArtifact(path=place, step=step)
        model.save(name=f"model{step % 10}", inputs=before[-1:])
        before.append(str(model.uri))
    run.finish()
    real_wandb.teardown()
    outbox = Outbox(context.require_registry().store)
    assert len(outbox.ids()) == RECORDS

    chance = random.Random(7)
    for _ in range(KILLS):
        left = len(outbox.ids())
        # At any moment from before the client has started to the middle of some record.
        until = left - chance.randint(0, max(1, 2 * RECORDS // KILLS - 2))
        deliverer = subprocess.Popen(
            [sys.executable, "-m", "nemotron.kit.cli", "kit", "sync", "--root", str(root)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while len(outbox.ids()) > max(until, 0) and deliverer.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                deliverer.wait(chance.random() / 20)
        kill(deliverer, all_of_it=chance.random() < 0.5)

    assert len(outbox.ids()) < RECORDS
    outcome = sync(context.require_registry())

    assert outcome.stopped == {}
    assert outbox.ids() == []
    assert outbox.set_aside_records() == []
    assert outbox.count_receipts() == RECORDS
    each = {f"model{n}:v{v}" for n in range(10) for v in range(len(range(n, RECORDS, 10)))}
    assert len(wandb_server.names()) == RECORDS
    assert set(wandb_server.names()) == each
    (only,) = wandb_server.state.runs.values()
    assert only.name == run.id
    assert {made.name for made in only.outputs} == each
    assert len(only.outputs) == RECORDS
    assert len(only.inputs) == len({used.name for used in only.inputs}) == RECORDS - 1
    where = Destination(server=wandb_server.url, entity=wandb_server.state.entity, project="proj")
    # Receipts say the truth: each version of the store is the version of W&B that has its content.
    for step, uri in enumerate(before):
        receipt = outbox.receipt(where, uri)
        assert receipt is not None
        name = receipt.twin.rpartition("/")[2]
        assert wandb_server.artifact(name).metadata["step"] == step
