"""Runs out of a store, and on the graph."""

import json
from pathlib import Path

import pytest

from nemotron.kit.documents.run import Process, RunFinish, RunStart
from nemotron.kit.errors import MisuseError, NotFoundError
from nemotron.kit.exporters import FORMATS, export
from nemotron.kit.lineage import runs
from nemotron.kit.lineage.collect import collect
from nemotron.kit.lineage.runs import find_run, list_runs, read_run, with_all_used, with_runs
from nemotron.kit.registry import layout
from nemotron.kit.registry.processes import Life, this_process
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.stamps import uuid7
from nemotron.kit.store.memory import MemoryStore
from nemotron.kit.testing.faults import FaultyStore


def record(store: MemoryStore, name: str = "sft", *, made: tuple[str, ...] = (), **finish: object) -> str:
    """A run as a process would have recorded it; without `finish` it did not say how it ended."""
    run_id = uuid7()
    start = RunStart(id=run_id, name=name, started_at="2025-01-01T00:00:00+00:00", process=Process(host="x"))
    store.create(layout.run_start(run_id), start.to_bytes())
    for uri in made:
        store.create(layout.run_made(run_id, uri), b"")
    if finish:
        store.create(layout.run_finish(run_id), RunFinish(**finish).to_bytes())  # type: ignore[arg-type]
    return run_id


@pytest.mark.parametrize(
    ("life", "status"), [("alive", "running"), ("gone", "killed"), ("unknown", "unknown")]
)
def test_who_did_not_say_how_it_ended_is_never_finished(life: Life, status: str) -> None:
    store = MemoryStore()
    run_id = record(store, made=("nano3-data.v3", "a.b.v12", "no version"))
    found = read_run(store, run_id, life=lambda process: life)
    assert found is not None
    assert (found.status, found.made) == (status, ("art://a.b:v12", "art://nano3-data:v3"))


def test_what_it_said_is_not_looked_up() -> None:
    store = MemoryStore()
    run_id = record(store, status="failed", error="ValueError", outputs=("art://m:v1",))

    def unasked(process: Process) -> Life:
        raise AssertionError(process)

    found = read_run(store, run_id, life=unasked)
    assert found is not None
    assert (found.status, found.made) == ("failed", ("art://m:v1",))


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"format_version": 9}'])
def test_what_cant_be_read_is_left_out(damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    good, bad = record(store, "good", status="finished"), uuid7()
    store.create(layout.run_start(bad), damage)
    torn = record(store, "torn")
    store.create(layout.run_finish(torn), damage)
    assert read_run(store, bad) is None
    assert [one.id for one in list_runs(store)] == [torn, good]
    assert "It is left out" in caplog.text


def test_the_newest_come_first_and_only_as_many_are_read_as_it_takes() -> None:
    inner = MemoryStore()
    ids = [record(inner, str(at), status="failed" if at % 2 else "finished") for at in range(8)]
    inner.create(".kit/runs/of another tool/x", b"")
    store = FaultyStore(inner)
    assert [one.id for one in list_runs(store, limit=2)] == ids[:-3:-1]
    assert len([call for call in store.calls if call[0] == "read"]) == 4
    assert [one.id for one in list_runs(store, status="failed", limit=2)] == [ids[7], ids[5]]
    assert len(list_runs(store)) == 8
    assert list_runs(MemoryStore()) == []


def test_a_list_has_what_each_made_and_asks_no_more_than_that_of_those_it_leaves_out() -> None:
    inner = MemoryStore()
    for at in range(6):
        record(inner, str(at), made=(f"m.v{at + 1}",), **({"status": "finished"} if at % 2 else {}))  # type: ignore[arg-type]
    # As `run ID` has it: of who did not say how it ended, and of what a forked child saved for its parent.
    assert [one.made for one in list_runs(inner)] == [(f"art://m:v{at}",) for at in (6, 5, 4, 3, 2, 1)]
    for asked, expected in (
        ({"limit": 2}, 2),
        ({"status": "finished", "limit": 1}, 1),
        ({"status": "failed"}, 0),
    ):
        store = FaultyStore(inner)
        assert len(list_runs(store, **asked)) == expected  # type: ignore[arg-type]
        # What it made, and whether a config was told after its start, which has none.
        assert len([call for call in store.calls if call[0] == "list"]) == 1 + 2 * expected


def test_the_beginning_of_an_id_is_enough() -> None:
    store = MemoryStore()
    ids = [record(store), record(store)]
    assert find_run(store, ids[0]).id == ids[0]
    assert find_run(store, f"run://{ids[1]}").id == ids[1]
    assert find_run(store, ids[1][:35].upper()).id == ids[1] or ids[0][:35] == ids[1][:35]
    with pytest.raises(MisuseError, match="2 runs begin with"):
        find_run(store, ids[0][:4])
    for text in ("ffff", "", "../../x"):
        with pytest.raises(NotFoundError, match="nemotron kit runs"):
            find_run(store, text)


def test_of_ids_that_begin_alike_the_newest_are_named_and_the_rest_counted() -> None:
    store = MemoryStore()
    ids = [record(store) for _ in range(8)]
    with pytest.raises(MisuseError) as refused:
        find_run(store, ids[0][:4])
    assert f"8 runs begin with {ids[0][:4]}: {', '.join(ids[:2:-1])}, and 3 more. " in str(refused.value)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry.open(tmp_path / "store")


def test_the_graph_has_each_run_once_and_none_without_a_record(registry: Registry) -> None:
    first, second = record(registry.store, status="finished"), record(registry.store, "rl", status="failed")  # type: ignore[arg-type]
    for name, run in (("data", first), ("more", first), ("other", uuid7()), ("old", None)):
        registry.publish(Draft(name=name, source="s3://b/x", run=run))
    used = ("data:v1", "more:v1", "other:v1", "old:v1", "gone:v1")
    registry.publish(Draft(name="model", source="s3://b/x", run=second, used_artifacts=used))
    graph = with_runs(registry.store, collect(registry, "model"))
    assert {(edge.source, edge.target) for edge in graph.edges if edge.role == "run"} == {
        (f"run://{second}", "art://model:v1"),
        (f"run://{first}", "art://data:v1"),
        (f"run://{first}", "art://more:v1"),
    }
    run = graph.run_of("art://model:v1")
    assert run is not None
    assert (run.name, run.kind, run.metadata["status"]) == ("rl", "run", "failed")
    assert graph.run_of("art://other:v1") is None
    json.dumps(graph.to_document())


def test_of_a_graph_with_very_many_runs_the_nearest_are_read(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "RUNS_READ_MAX", 1)
    for name, used in (("data", ()), ("model", ("data:v1",))):
        run_id = record(registry.store, name, status="finished")  # type: ignore[arg-type]
        registry.publish(Draft(name=name, source="s3://b/x", run=run_id, used_artifacts=used))
    graph = with_runs(registry.store, collect(registry, "model"))
    assert graph.run_of("art://model:v1") is not None
    assert graph.run_of("art://data:v1") is None
    assert graph.notes == ("Runs left out: 1; those of the nearest artifacts are shown, 1 at most",)
    assert graph.to_document()["notes"] == list(graph.notes)
    whole = with_runs(registry.store, collect(registry, "model"), whole=True)
    assert whole.run_of("art://data:v1") is not None
    assert whole.notes == ()


def test_an_end_before_the_beginning_is_no_end_that_any_tool_is_told(registry: Registry) -> None:
    ended = "2024-12-31T23:59:59+00:00"  # the run began on New Year's Day, by another clock
    run_id = record(registry.store, status="finished", ended_at=ended)  # type: ignore[arg-type]
    registry.publish(Draft(name="model", source="s3://b/x", run=run_id))
    found = read_run(registry.store, run_id)
    assert found is not None
    assert (found.took_s, found.to_document()["ended_at"]) == (None, ended)
    graph = with_runs(registry.store, collect(registry, "model"))
    for to in FORMATS:
        assert ended not in export(graph, to), to
    assert "2025-01-01T00:00:00" in export(graph, "prov")


def test_what_a_run_was_told_of_one_version_is_what_it_used(registry: Registry) -> None:
    run_id = record(registry.store, status="finished", inputs=("art://seen:v1",))  # type: ignore[arg-type]
    given = ("hf://datasets/org/name", "art://seen:v1")
    registry.publish(Draft(name="model", source="s3://b/x", run=run_id, inputs=given))
    registry.store.create(layout.run_made(run_id, "model.v1"), b"")
    registry.store.create(layout.run_made(run_id, "gone.v1"), b"")
    found = with_all_used(registry, find_run(registry.store, run_id))
    assert found.used == ("art://seen:v1", "hf://datasets/org/name")
    assert found.to_document()["inputs"] == list(found.used)


def test_this_process_is_running(registry: Registry) -> None:
    run_id = uuid7()
    start = RunStart(id=run_id, process=this_process())
    registry.store.create(layout.run_start(run_id), start.to_bytes())
    found = read_run(registry.store, run_id)
    assert found is not None
    assert found.status == "running"
