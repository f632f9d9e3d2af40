"""W3C PROV-JSON: https://www.w3.org/submissions/prov-json/. Versions are entities, runs are activities."""

import json
from typing import Any
from urllib.parse import quote

from nemotron.kit.documents import codec
from nemotron.kit.lineage.graph import RUN_SCHEME, Edge, Graph, Node

NAMESPACE = "https://nvidia.github.io/nemotron-kit/prov#"


def write(graph: Graph) -> str:
    """One PROV-JSON document."""
    made = [node for node in graph if node.run and node.kind != "run"]
    activities = {_run(node): {"prov:label": node.producer or node.run} for node in made}
    activities |= {_name(node.uri): _activity(node) for node in graph if node.kind == "run"}
    document = {
        "prefix": {"kit": NAMESPACE, "xsd": "http://www.w3.org/2001/XMLSchema#"},
        "entity": {_name(node.uri): _entity(node, graph) for node in graph if node.kind != "run"},
        "activity": activities,
        "wasGeneratedBy": {
            f"_:g{at}": {"prov:entity": _name(node.uri), "prov:activity": _run(node)}
            for at, node in enumerate(made)
        },
        "wasDerivedFrom": {
            f"_:d{at}": {"prov:generatedEntity": _name(edge.target), "prov:usedEntity": _name(edge.source)}
            for at, edge in enumerate(_data_edges(graph))
        },
        "used": {f"_:u{at}": one for at, one in enumerate(_uses(graph))},
    }
    return json.dumps({key: value for key, value in document.items() if value}, indent=2) + "\n"


def _uses(graph: Graph) -> list[dict[str, str]]:
    pairs = dict.fromkeys(
        (_run(graph.node(edge.target)), _name(edge.source))
        for edge in _data_edges(graph)
        if graph.node(edge.target).run
    )
    return [{"prov:activity": run, "prov:entity": used} for run, used in pairs]


def _data_edges(graph: Graph) -> list[Edge]:
    return [edge for edge in graph.edges if graph.node(edge.source).kind != "run"]


def _activity(node: Node) -> dict[str, Any]:
    times = {"prov:startTime": node.created_at, "prov:endTime": node.metadata.get("ended_at")}
    said = {"prov:label": node.name, "kit:status": node.metadata.get("status"), **times}
    return {key: value for key, value in said.items() if value}


def _entity(node: Node, graph: Graph) -> dict[str, Any]:
    said: dict[str, Any] = {
        "prov:label": node.uri,
        "prov:type": {"$": f"kit:{quote(node.type, safe='', errors='surrogatepass')}", "type": "xsd:QName"},
    }
    more = {"kit:kind": node.kind, "kit:path": node.path, "kit:createdAt": node.created_at}
    more |= {"kit:withdrawn": node.withdrawn}
    # The format has no place for what is to be known of the whole: it stands at what was asked about.
    more |= {"kit:notes": "\n".join(graph.notes) if graph.notes and node.uri == graph.uri else None}
    if node.metadata:
        metadata = codec.strict(codec.plain(dict(node.metadata), "metadata"))
        more["kit:metadata"] = json.dumps(metadata, sort_keys=True)
    return said | {key: value for key, value in more.items() if value is not None}


def _name(uri: str) -> str:
    """A qualified name: whatever the URI holds, quoted."""
    return f"kit:{quote(uri, safe='', errors='surrogatepass')}"


def _run(node: Node) -> str:
    return _name(f"{RUN_SCHEME}{node.run}")
