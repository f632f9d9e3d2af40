"""GraphML, which NetworkX, Gephi, yEd and Cytoscape read: http://graphml.graphdrawing.org/specification.html.

A node's id is its URI. What XML can't hold (control characters, lone surrogates) is written as `\\uXXXX`,
and a backslash as two, so that no two ids become one.
"""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from nemotron.kit.documents import codec
from nemotron.kit.lineage.graph import Edge, Graph, Node

_NODE_KEYS = {
    **dict.fromkeys(("kind", "type", "name"), "string"),
    "version": "int",
    **dict.fromkeys(("path", "created_at", "producer", "run", "metadata", "withdrawn", "note"), "string"),
    "asked": "boolean",
}
_EDGE_KEYS = {
    "role": "string",
    "split": "string",
    "shards": "string",
    "tokens": "long",
    "token_range": "string",
    "weight": "double",
    "revision": "string",
}
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xsi:schemaLocation="http://graphml.graphdrawing.org/xmlns http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd">"""


def write(graph: Graph) -> str:
    """One GraphML document; edges go from the input, or the run, to what was made."""
    lines = [_HEAD]
    for which, keys in (("node", _NODE_KEYS), ("edge", _EDGE_KEYS)):
        lines += [
            f'  <key id="{which}.{key}" for="{which}" attr.name="{key}" attr.type="{kind}"/>'
            for key, kind in keys.items()
        ]
    notes = "\n".join(graph.notes)
    lines += ['  <key id="graph.notes" for="graph" attr.name="notes" attr.type="string"/>'] if notes else []
    lines.append('  <graph edgedefault="directed">')
    lines += [f'    <data key="graph.notes">{_text(notes)}</data>'] if notes else []
    for node in graph:
        lines += [f"    <node id={_quoted(node.uri)}>", *_data("node", _said(graph, node)), "    </node>"]
    for at, edge in enumerate(graph.edges):
        ends = f"source={_quoted(edge.source)} target={_quoted(edge.target)}"
        lines += [f'    <edge id="e{at}" {ends}>', *_data("edge", _use(edge)), "    </edge>"]
    return "\n".join([*lines, "  </graph>", "</graphml>"]) + "\n"


def _said(graph: Graph, node: Node) -> dict[str, Any]:
    said = {key: getattr(node, key, None) for key in _NODE_KEYS}
    metadata = codec.strict(codec.plain(dict(node.metadata), "metadata"))
    more = {"metadata": json.dumps(metadata, sort_keys=True) if metadata else None}
    return said | more | {"asked": "true" if node.uri == graph.uri else None}


def _use(edge: Edge) -> dict[str, Any]:
    said = edge.to_document()
    return {key: _flat(said[key]) for key in _EDGE_KEYS if key in said}


def _flat(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list) else value


def _data(which: str, values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        if value is not None:
            yield f'      <data key="{which}.{key}">{_text(str(value))}</data>'


def _quoted(text: str) -> str:
    return f'"{_text(text)}"'


def _text(text: str) -> str:
    """As XML text or the value of an attribute, white space and all."""
    plain = escape(text.replace("\\", "\\\\"))
    return "".join(
        c if _is_plain(c) else f"&#{ord(c)};" if c in "\t\n\r" else f"\\u{ord(c):04x}" for c in plain
    )


def _is_plain(char: str) -> bool:
    """Whether XML 1.0 has the character, and readers leave it as it is."""
    return " " <= char <= "\ud7ff" or "\ue000" <= char <= "\ufffd" or char > "\uffff"
