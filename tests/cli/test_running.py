"""`runs` and `run`: what was run, and what came of it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nemotron.kit import start
from nemotron.kit.artifact import Artifact
from nemotron.kit.documents.run import RunFinish, RunStart
from nemotron.kit.errors import MisuseError
from nemotron.kit.registry import layout
from nemotron.kit.registry.registry import Registry

Command = Callable[..., Any]


@pytest.fixture
def ran(registry: Registry, data: Path) -> list[str]:
    """A run that made `data`, and one that failed; their ids."""
    start.init(root=registry.root)
    with start.run("prep", seeds=3, tags=["nightly"], config={"a": {"b": 1}}) as first:
        Artifact(path=data, metadata={"rows": 3}).save("data")
        first.log({"rows": 3})
    with pytest.raises(ValueError, match="x"), start.run("evil\x1b[31m") as second:
        raise ValueError("x")
    start.shutdown()
    return [first.id, second.id]


def test_runs_are_listed_the_newest_first(kit: Command, ran: list[str]) -> None:
    said = kit("runs")
    head, *rows = said.out.splitlines()
    assert head.split() == ["ID", "RUN", "STATUS", "BEGAN", "TOOK", "MADE", "BY"]
    assert [row.split()[1] for row in rows] == ["evil\\x1b[31m", "prep"]
    assert "failed: ValueError" in rows[0]
    assert "data:v1" in rows[1]
    assert all(ran[1 - at].startswith(row.split()[0]) for at, row in enumerate(rows))
    assert kit("runs", "--quiet").out.split() == ran[::-1]
    assert kit("runs", "-n", "1", "--quiet").out.split() == ran[1:]
    assert kit("runs", "-n", "0", "--quiet").out.split() == ran[::-1]


def test_runs_of_one_status(kit: Command, ran: list[str]) -> None:
    assert [one["id"] for one in kit("runs", "--status", "finished", "--json").json] == ran[:1]
    assert kit("runs", "--status", "killed").out == "No runs\n"
    said = kit("runs", "--status", "dead")
    assert said.code == 2
    assert "Must be one of: running, finished, exited, failed, killed, unknown" in said.err


def test_a_run_is_shown_by_the_beginning_of_its_id(kit: Command, ran: list[str]) -> None:
    said = kit("run", ran[0])
    assert said.out.splitlines()[0] == f"prep  finished  {ran[0]}"
    for line in ("made      art://data:v1", "seeds     seed 3", "tags      nightly", "config    a.b = 1"):
        assert line in said.out.splitlines()
    assert kit("run", f"run://{ran[0]}", "--quiet").out == "art://data:v1\n"
    document = kit("run", ran[0], "--json").json
    assert (document["status"], document["outputs"]) == ("finished", ["art://data:v1"])
    assert (document["config"], document["metrics"]) == ({"a": {"b": 1}}, {"rows": 3})
    assert document["code"]["packages"]
    assert "\x1b" not in kit("run", ran[1]).out


def test_clocks_that_disagree_tell_no_duration(kit: Command, registry: Registry) -> None:
    run_id = "01890a5d-ac96-774b-bcce-b302099a8057"
    began = RunStart(id=run_id, name="skewed", started_at="2025-01-01T00:00:00+00:00")
    registry.store.create(layout.run_start(run_id), began.to_bytes())
    ended = RunFinish(status="finished", ended_at="2024-12-31T23:59:00+00:00")
    registry.store.create(layout.run_finish(run_id), ended.to_bytes())
    row = kit("runs").out.splitlines()[1]
    assert row.split()[-1] == "unknown"
    out = kit("run", run_id).out
    assert "for how long is unknown: the clocks disagree" in out
    assert "-" not in out.partition("took")[2]


def test_explicit_inputs_are_shown_too(kit: Command, registry: Registry, data: Path) -> None:
    start.init(root=registry.root)
    with start.run("prep") as run:
        Artifact(path=data).save("data", inputs=["hf://datasets/org/name"])
    start.shutdown()
    assert "from      hf://datasets/org/name" in kit("run", run.id).out.splitlines()
    assert kit("run", run.id, "--json").json["inputs"] == ["hf://datasets/org/name"]


def test_messages_and_tables_show_moments_alike(kit: Command, store: Registry) -> None:
    kit("alias", "nano3-data:v2", "kept", "--protect")
    when = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    refused = kit("alias", "nano3-data:v1", "kept").err
    assert re.search(rf"is protected by \S+ at {when}\.", refused)
    kit("rm", "nano3-data:v1", "-m", "x")
    assert re.search(rf"withdrawn: nano3-data:v1 by \S+ at {when}: x", kit("resolve", "nano3-data:v1").err)
    assert re.search(rf"^v2 +{when} ", kit("versions", "nano3/data").out, re.M)
    assert re.search(rf"^{when} ", kit("log", "nano3/data").out, re.M)


def test_a_run_that_is_not_there(kit: Command, ran: list[str]) -> None:
    said = kit("run", "ffffffff")
    assert (said.code, said.out) == (1, "")
    assert "No run ffffffff" in said.err
    assert kit("run", ran[0][:1]).code == 2
    assert kit("run", "").code == 2
    for empty in (" ", "run://"):
        said = kit("run", empty)
        assert (said.code, said.out) == (1, "")
        assert said.err == "error: The id of the run is empty; `nemotron kit runs` lists ids\n"


def test_metrics_have_names() -> None:
    with start.run("prep") as run:
        for wrong in (3, [0.5], "loss", None):
            with pytest.raises(MisuseError, match=rf"values by name.*, found {type(wrong).__name__}$"):
                run.log(wrong)  # type: ignore[arg-type]
        assert run.summary == {}


def test_lineage_shows_the_run(kit: Command, ran: list[str]) -> None:
    assert f"run prep  finished  {ran[0]}" in kit("lineage", "data").out
    edges = kit("lineage", "data", "--json").json["edges"]
    assert edges == [{"from": f"run://{ran[0]}", "to": "art://data:v1", "role": "run"}]
    assert kit("lineage", "data", "--quiet").out == "art://data:v1\n"
    assert "-.->" in kit("lineage", "data", "--mermaid").out


def test_why_names_the_run(kit: Command, ran: list[str]) -> None:
    out = kit("why", "data").out
    assert f"run       prep  finished  {ran[0]}\n" in out
    made_by = kit("why", "data", "--json").json["made_by"]
    assert (made_by["id"], made_by["name"], made_by["status"]) == (ran[0], "prep", "finished")
