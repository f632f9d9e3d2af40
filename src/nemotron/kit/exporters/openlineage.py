"""OpenLineage 2 run events: https://openlineage.io/spec/2-0-2/OpenLineage.json. One JSON object a line.

A version has an OpenLineage run of its own, START and COMPLETE, with exactly its inputs and itself: a run of
several outputs would make every input an input of each. Its parent is the run that the kit recorded, which
has START and COMPLETE, FAIL or ABORT where the graph has the run. Inputs come first.
"""

import json
import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from nemotron.kit.lineage.graph import RUN_SCHEME, Graph, Node
from nemotron.kit.lineage.order import inputs_first

PRODUCER = "https://pypi.org/project/nemotron-kit"
SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
VERSION_FACET = "https://openlineage.io/spec/facets/1-0-1/DatasetVersionDatasetFacet.json"
PARENT_FACET = "https://openlineage.io/spec/facets/1-0-1/ParentRunFacet.json"
# A facet of one's own, which the standard allows: what is to be known of the graph as a whole.
NOTES_FACET = "nemotronKit_notes"
NOTES_SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunFacet"
ERROR_FACET = "https://openlineage.io/spec/facets/1-0-1/ErrorMessageRunFacet.json"
NAMESPACE = "nemotron-kit"
EventType = Literal["START", "COMPLETE", "FAIL", "ABORT"]
# By what the kit calls the state of a run; one that still runs has no end.
_ENDS: dict[str, EventType] = {
    "finished": "COMPLETE",
    "exited": "COMPLETE",
    "failed": "FAIL",
    "killed": "ABORT",
}
# What shells and handlers of signals exit with is this and the signal's number.
_SIGNALLED = range(129, 160)
# Of versions of which nobody knows when they were made.
LONG_AGO = "1970-01-01T00:00:00+00:00"


def write(graph: Graph) -> str:
    """Events as JSON lines."""
    return "".join(f"{json.dumps(event)}\n" for event in events(graph))


def events(graph: Graph) -> list[dict[str, Any]]:
    """The events of the versions of the graph and of their runs, as values."""
    return list(_events(graph))


def _events(graph: Graph) -> Iterator[dict[str, Any]]:
    begun: dict[str, Node] = {}
    for uri in inputs_first(graph):
        node = graph.node(uri)
        if node.kind == "artifact":
            run = graph.run_of(uri)
            if run is not None and run.uri not in begun:
                begun[run.uri] = run
                yield event("START", time_of(run.created_at), run_id(run.uri), run.name)
            notes = graph.notes if uri == graph.uri else ()
            yield from version_events(node, graph.inputs(uri), time_of(node.created_at), run, notes)
    for run in begun.values():
        if end := end_of(str(run.metadata.get("status")), run.metadata.get("exit_code")):
            ended = run.metadata.get("ended_at")
            when = time_of(ended if isinstance(ended, str) else run.created_at)
            yield event(end, when, run_id(run.uri), run.name)


def end_of(status: str, exit_code: object = None) -> EventType | None:
    """The event of the end of a run, in the words of the standard.

    COMPLETE is "concluded": all that is known of a process that left by itself with a code that nobody saw.
    FAIL is "failed"; ABORT is "stopped abnormally", which a signal is, also where a handler turned it into an
    exit code.

    >>> [end_of(*said) for said in (("exited",), ("exited", 1), ("exited", 143), ("failed", 1), ("running",))]
    ['COMPLETE', 'FAIL', 'ABORT', 'FAIL', None]

    Args:
        status: what the kit calls the state of the run.
        exit_code: of its process, where it was seen.
    """
    if status in ("exited", "failed") and isinstance(exit_code, int) and exit_code:
        return "ABORT" if exit_code in _SIGNALLED else "FAIL"
    return _ENDS.get(status)


def version_events(
    node: Node, inputs: Iterable[Node], when: str, run: Node | None = None, notes: Iterable[str] = ()
) -> Iterator[dict[str, Any]]:
    """START and COMPLETE of the making of a version.

    Args:
        node: the version.
        inputs: what it was made from.
        when: it was made, ISO 8601 with zone.
        run: the run that made it, if more is known of it than its id.
        notes: what is to be known of the whole that it is sent with.
    """
    facets: dict[str, Any] = {}
    if told := list(notes):
        facets[NOTES_FACET] = {"notes": told, "_producer": PRODUCER, "_schemaURL": NOTES_SCHEMA}
    parent = run_id(f"{RUN_SCHEME}{node.run}") if node.run else None
    if parent is not None:
        job = {"namespace": NAMESPACE, "name": run.name if run else node.producer or node.run}
        facet = {"run": {"runId": parent}, "job": job}
        facets["parent"] = {**facet, "_producer": PRODUCER, "_schemaURL": PARENT_FACET}
    own, given = run_id(f"{node.uri} of {node.run}"), datasets(inputs)
    yield event("START", when, own, node.name, inputs=given, facets=facets)
    yield event("COMPLETE", when, own, node.name, inputs=given, outputs=[_dataset(node)], facets=facets)


def event(
    kind: EventType,
    when: str,
    run: str,
    job: str,
    *,
    inputs: list[dict[str, Any]] | None = None,
    outputs: list[dict[str, Any]] | None = None,
    facets: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """One event.

    Args:
        kind: of event.
        when: ISO 8601 with zone.
        run: a UUID.
        job: the job's name.
        inputs: datasets.
        outputs: datasets.
        facets: of the run.
    """
    return {
        "eventTime": when,
        "eventType": kind,
        "producer": PRODUCER,
        "schemaURL": SCHEMA,
        "run": {"runId": run, "facets": facets or {}},
        "job": {"namespace": NAMESPACE, "name": job, "facets": {}},
        "inputs": inputs or [],
        "outputs": outputs or [],
    }


def datasets(nodes: Iterable[Node]) -> list[dict[str, Any]]:
    """Nodes as datasets, with their versions."""
    return [_dataset(node) for node in nodes]


def error_facet(message: str) -> dict[str, Any]:
    """What ended a run."""
    said = {"message": message, "programmingLanguage": "PYTHON"}
    return {**said, "_producer": PRODUCER, "_schemaURL": ERROR_FACET}


def _dataset(node: Node) -> dict[str, Any]:
    facets: dict[str, Any] = {}
    if node.version is not None:
        version = {"datasetVersion": f"v{node.version}", "_producer": PRODUCER, "_schemaURL": VERSION_FACET}
        facets["version"] = version
    if node.kind == "artifact":
        return {"namespace": "art://", "name": node.name, "facets": facets}
    parts = urlsplit(node.uri) if "://" in node.uri else None
    if parts is None or not parts.netloc:
        return {"namespace": "file", "name": node.uri, "facets": facets}
    namespace = f"{parts.scheme}://{parts.netloc}"
    return {"namespace": namespace, "name": node.uri[len(namespace) :].lstrip("/") or "/", "facets": facets}


def run_id(uri: str) -> str:
    """A run's own id where it is a UUID, else one that is always the same for this text."""
    try:
        return str(uuid.UUID(uri.removeprefix(RUN_SCHEME)))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, uri.encode("ascii", "backslashreplace").decode()))


def time_of(moment: str | None) -> str:
    """A moment with its zone; long ago if nobody knows it."""
    try:
        then = datetime.fromisoformat(moment or LONG_AGO)
    except ValueError:
        return LONG_AGO
    return then.isoformat() if then.tzinfo else f"{then.isoformat()}+00:00"
