"""How often W&B is asked, counted by the server."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nemotron import kit
from nemotron.kit import PretrainBlendsArtifact
from nemotron.kit.errors import RefusedError
from nemotron.kit.integrations.wandb import sending
from nemotron.kit.integrations.wandb.tracker import WandbTracker
from nemotron.kit.tracking.protocol import SaveOptions
from wandb_server import WandbServer

Make = Callable[..., Any]

DATASETS = [f"hf://team/corpus-{n:02}" for n in range(25)]
# How clients look for an artifact: the newest by the first, older ones by the second.
LOOKUPS = ("ArtifactMembershipByName", "ArtifactByName")


def requests(server: WandbServer) -> int:
    return len(server.requests)


def test_twenty_five_datasets_new_known_and_unchanged(
    wandb_server: WandbServer, real_wandb: ModuleType, make_thing: Make
) -> None:
    # What older clients need for themselves is more; what we add is the same.
    is_new = tuple(map(int, real_wandb.__version__.split(".")[:2])) >= (0, 30)
    real_wandb.init(project="proj")
    before = requests(wandb_server)
    first = WandbTracker().log_artifact(make_thing(source_datasets=DATASETS), "data", [])
    new = requests(wandb_server) - before
    asked = Counter(wandb_server.operations)
    assert sum(asked[lookup] for lookup in LOOKUPS) == 25
    if is_new:
        assert new <= 260
    assert len(first["input_artifact_refs"]) == 25
    real_wandb.finish()

    real_wandb.init(project="proj")
    tracker = WandbTracker()
    before, start = requests(wandb_server), len(wandb_server.operations)
    again = tracker.log_artifact(make_thing("other", source_datasets=DATASETS), "other", [])
    known = requests(wandb_server) - before
    if is_new:
        assert known <= 120
    assert again["input_artifact_refs"] == first["input_artifact_refs"]
    added = Counter(wandb_server.operations[start:])
    # Two for each dataset: is it there, and the edge. The one more look-up is the client's own.
    assert added["UseArtifact"] == 25
    assert 25 <= sum(added[lookup] for lookup in LOOKUPS) <= 26

    before = requests(wandb_server)
    same = make_thing("other", source_datasets=DATASETS, created_at="2027-01-02T03:04:05+00:00")
    assert tracker.log_artifact(same, "other", []) == again
    assert requests(wandb_server) == before
    print(f"requests: {new} new, {known} known, 0 unchanged")


def test_an_equal_object_with_another_alias_is_the_same_version(
    wandb_server: WandbServer, real_wandb: ModuleType, make_thing: Make
) -> None:
    real_wandb.init(project="proj")
    tracker = WandbTracker()
    first = tracker.log_artifact(make_thing(source_datasets=["hf://a/b"]), "data", [])
    again = make_thing(source_datasets=["hf://a/b"], created_at="2027-01-02T03:04:05+00:00")
    record = tracker.log_artifact_with(again, "data", [], SaveOptions(aliases=("production",)))
    assert record == first
    assert wandb_server.artifact("data:production").aliases == ["latest", "production"]
    assert wandb_server.names() == ["a-b:v0", "data:v0"]


def test_through_the_doors_an_unchanged_save_asks_nothing(
    wandb_server: WandbServer, real_wandb: ModuleType, tmp_path: Path
) -> None:
    kit.init(root=tmp_path / "store", wandb_project="proj")
    real_wandb.init(project="proj")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "part.txt").write_text("x")

    def save() -> PretrainBlendsArtifact:
        data = PretrainBlendsArtifact(path=tmp_path / "data", total_tokens=5, source_datasets=[*DATASETS[:3]])
        return data.save(name="data")

    save()
    before = requests(wandb_server)
    assert save().uri == "art://data:v1"
    assert requests(wandb_server) == before


def test_one_client_for_public_requests(
    wandb_server: WandbServer, real_wandb: ModuleType, make_thing: Make, monkeypatch: Any
) -> None:
    made = []
    original = real_wandb.Api
    monkeypatch.setattr(real_wandb, "Api", lambda: made.append(original()) or made[-1])
    for number in range(3):
        real_wandb.init(project="proj")
        things = [make_thing(f"{number}-{n}", source_datasets=DATASETS[:2]) for n in range(2)]
        for thing in things:
            WandbTracker().log_artifact(thing, thing.path.name, [])
        real_wandb.finish()
    assert len(made) == 1
    real_wandb.teardown()
    real_wandb.init(project="proj")
    WandbTracker().log_artifact(make_thing("last", source_datasets=DATASETS[:2]), "last", [])
    assert len(made) == 2


def test_what_was_taken_before_a_failure_is_not_sent_again(
    wandb_server: WandbServer, real_wandb: ModuleType, make_thing: Make
) -> None:
    real_wandb.init(project="proj")
    tracker = WandbTracker()
    wandb_server.fail("CommitArtifact", 403)
    thing = make_thing(source_datasets=DATASETS[:10])
    with pytest.raises(RefusedError):
        tracker.log_artifact(thing, "data", [])
    taken = len(wandb_server.names())
    assert 0 < taken < 10
    asked = len(wandb_server.operations)
    tracker.log_artifact(thing, "data", [])
    assert len(wandb_server.names()) == 11
    assert Counter(wandb_server.operations[asked:])["CreateArtifact"] == 11 - taken


def test_drafts_are_sent_from_several_threads(
    wandb_server: WandbServer, real_wandb: ModuleType, make_thing: Make, monkeypatch: Any
) -> None:
    import threading

    real_wandb.init(project="proj")
    threads: set[int] = set()
    together = threading.Barrier(3)  # of three threads that are at it at once, or it breaks
    original = sending.make

    def make(*arguments: Any) -> Any:
        is_first = threading.get_ident() not in threads
        threads.add(threading.get_ident())
        if is_first and len(threads) <= 3:
            together.wait(timeout=60)
        return original(*arguments)

    monkeypatch.setattr(sending, "make", make)
    WandbTracker().log_artifact(make_thing(source_datasets=DATASETS), "data", [])
    assert 2 < len(threads) <= 9
    assert len(wandb_server.only_run().inputs) == 25


def test_numbers_are_in_the_run_s_summary_and_no_step_is_made(
    wandb_server: WandbServer, real_wandb: ModuleType, tmp_path: Path
) -> None:
    kit.init(backend="wandb", wandb_project="proj")
    run = real_wandb.init(project="proj")
    run.log({"loss": 3.0})
    (tmp_path / "model").mkdir()
    kit.ModelArtifact(path=tmp_path / "model", step=10, final_loss=1.5).save(name="nano3/model")
    assert (run.summary["nano3-model/step"], run.summary["nano3-model/final_loss"]) == (10.0, 1.5)
    assert run.summary["loss"] == 3.0
    assert run.step == 1
