"""OpenLineage 2 run events, a COMPLETE event for each version: https://openlineage.io/spec/2-0-2/OpenLineage.json.

Events are in the order in which versions can be made: inputs first. One JSON object a line.
"""

import json
import uuid
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from nemotron.kit.lineage.graph import Graph, Node
from nemotron.kit.lineage.order import inputs_first

PRODUCER = "https://pypi.org/project/nemotron-kit"
SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
VERSION_FACET = "https://openlineage.io/spec/facets/1-0-1/DatasetVersionDatasetFacet.json"
# Of versions of which nobody knows when they were made.
LONG_AGO = "1970-01-01T00:00:00+00:00"


def write(graph: Graph) -> str:
    """Events as JSON lines."""
    return "".join(f"{json.dumps(event)}\n" for event in events(graph))


def events(graph: Graph) -> list[dict[str, Any]]:
    """One event for each version of the graph, as values."""
    nodes = (graph.node(uri) for uri in inputs_first(graph))
    return [_event(graph, node) for node in nodes if node.kind == "artifact"]


def _event(graph: Graph, node: Node) -> dict[str, Any]:
    return {
        "eventTime": _time(node.created_at),
        "eventType": "COMPLETE",
        "producer": PRODUCER,
        "schemaURL": SCHEMA,
        "run": {"runId": _run_id(node), "facets": {}},
        "job": {"namespace": "nemotron-kit", "name": node.name, "facets": {}},
        "inputs": [_dataset(one) for one in graph.inputs(node.uri)],
        "outputs": [_dataset(node)],
    }


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


def _run_id(node: Node) -> str:
    """The run's own id where it is a UUID, else one that is always the same for this version."""
    try:
        return str(uuid.UUID(node.run or ""))
    except ValueError:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, node.uri.encode("ascii", "backslashreplace").decode()))


def _time(moment: str | None) -> str:
    try:
        then = datetime.fromisoformat(moment or LONG_AGO)
    except ValueError:
        return LONG_AGO
    return then.isoformat() if then.tzinfo else f"{then.isoformat()}+00:00"
