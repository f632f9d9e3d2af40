"""OpenLineage events: its own client's classes take them; each version has its own inputs and no others."""

import json
from typing import Any

import pytest

from nemotron.kit.exporters import openlineage
from nemotron.kit.lineage.graph import Edge, Graph, Node

RUN = "01890a5d-ac96-774b-bcce-b302099a8057"


def judge(event: dict[str, Any]) -> None:
    """OpenLineage's own classes check ids, times, URIs and what must be there."""
    from openlineage.client import event_v2 as own
    from openlineage.client.generated.base import RunFacet
    from openlineage.client.generated.error_message_run import ErrorMessageRunFacet
    from openlineage.client.generated.parent_run import Job as ParentJob
    from openlineage.client.generated.parent_run import ParentRunFacet
    from openlineage.client.generated.parent_run import Run as ParentRun
    from openlineage.client.serde import Serde

    facets: dict[str, Any] = {}
    for name, said in event["run"]["facets"].items():
        if name == "parent":
            run, job = ParentRun(said["run"]["runId"]), ParentJob(**said["job"])
            facets[name] = ParentRunFacet(run=run, job=job)
        elif name == openlineage.NOTES_FACET:  # of our own: what the base class of all facets asks for
            facets[name] = RunFacet(producer=said["_producer"])
            assert said["_schemaURL"].endswith("#/$defs/RunFacet")
            assert {"_producer", "_schemaURL"} <= said.keys()
            continue
        else:
            assert name == "errorMessage"
            facets[name] = ErrorMessageRunFacet(said["message"], said["programmingLanguage"])
        assert {"_producer", "_schemaURL"} <= said.keys()
        theirs = facets[name]._schemaURL.split("#")[0]
        assert said["_schemaURL"].rpartition("/")[2] == theirs.rpartition("/")[2]  # versions of it move on
    again = own.RunEvent(
        eventTime=event["eventTime"],
        eventType=own.RunState[event["eventType"]],
        producer=event["producer"],
        run=own.Run(runId=event["run"]["runId"], facets=facets),
        job=own.Job(namespace=event["job"]["namespace"], name=event["job"]["name"]),
        inputs=[own.InputDataset(one["namespace"], one["name"]) for one in event["inputs"]],
        outputs=[own.OutputDataset(one["namespace"], one["name"]) for one in event["outputs"]],
    )
    said = json.loads(Serde.to_json(again))
    assert (said["run"]["runId"], said["eventType"]) == (event["run"]["runId"], event["eventType"])


def version(name: str, *inputs: str, **more: Any) -> Node:
    uri = f"art://{name}:v1"
    said = {"created_at": "2025-01-01T00:00:00+00:00", "run": RUN, **more}
    return Node(uri=uri, kind="artifact", type="T", name=name, version=1, inputs=inputs, **said)


def graph_of(root: Node, *others: Node, run: Node | None = None) -> Graph:
    nodes = (root, *others)
    edges = [Edge(uri, node.uri) for node in nodes for uri in node.inputs]
    runs = () if run is None else (run,)
    edges += [Edge(one.uri, node.uri, "run") for one in runs for node in nodes if node.run == RUN]
    return Graph(root.uri, (*nodes, *runs), tuple(edges))


WEB = Node(uri="hf://datasets/org/web", kind="external", type="external", name="hf://datasets/org/web")


def test_each_version_starts_and_completes_with_its_inputs_inputs_first() -> None:
    data = version("data", WEB.uri, run="not a uuid")
    events = openlineage.events(graph_of(version("model", "art://data:v1"), data, WEB))
    for event in events:
        judge(event)
    assert [(event["eventType"], event["job"]["name"]) for event in events] == [
        ("START", "data"),
        ("COMPLETE", "data"),
        ("START", "model"),
        ("COMPLETE", "model"),
    ]
    assert [bool(event["outputs"]) for event in events] == [False, True, False, True]
    (made,), (used,) = events[3]["outputs"], events[3]["inputs"]
    assert (made["namespace"], made["name"]) == ("art://", "model")
    assert made["facets"]["version"]["datasetVersion"] == "v1"
    assert used["facets"]["version"]["datasetVersion"] == "v1"
    assert [(one["namespace"], one["name"]) for one in events[1]["inputs"]] == [("hf://datasets", "org/web")]
    assert events[2]["run"]["runId"] == events[3]["run"]["runId"] != events[1]["run"]["runId"]
    assert events[3]["run"]["facets"]["parent"]["run"]["runId"] == RUN


def test_outputs_of_one_run_keep_their_own_inputs() -> None:
    one, other = version("one", WEB.uri), version("other", "art://one:v1")
    completes = [e for e in openlineage.events(graph_of(other, one, WEB)) if e["eventType"] == "COMPLETE"]
    assert [[used["name"] for used in event["inputs"]] for event in completes] == [["org/web"], ["one"]]
    assert len({event["run"]["runId"] for event in completes}) == 2


@pytest.mark.parametrize(
    ("status", "end"),
    [
        ("finished", "COMPLETE"),
        ("exited", "COMPLETE"),
        ("failed", "FAIL"),
        ("killed", "ABORT"),
        ("running", None),
        (None, None),
    ],
)
def test_a_run_that_is_known_begins_before_its_versions_and_ends_after(
    status: str | None, end: str | None
) -> None:
    run = Node(
        uri=f"run://{RUN}",
        kind="run",
        type="run",
        name="sft",
        created_at="2025-01-01T00:00:00+00:00",
        metadata={"status": status, "ended_at": "2025-01-02T00:00:00+00:00"},
    )
    events = openlineage.events(graph_of(version("model", "art://data:v1"), version("data"), run=run))
    for event in events:
        judge(event)
    mine = [event for event in events if event["run"]["runId"] == RUN]
    assert [event["eventType"] for event in mine] == ["START", *([end] if end else [])]
    assert events[0] == mine[0]
    if end:
        assert events[-1] == mine[-1]
        assert events[-1]["eventTime"] == "2025-01-02T00:00:00+00:00"
    assert {event["job"]["name"] for event in mine} == {"sft"}


def test_the_same_graph_gives_the_same_ids() -> None:
    graph = graph_of(version("model", WEB.uri, run=None), WEB)
    assert openlineage.write(graph) == openlineage.write(graph)
    assert openlineage.events(graph)[0]["run"]["facets"] == {}
