"""One page that needs nothing else: the graph drawn, to be searched, zoomed and clicked through.

Whatever comes from artifacts is data: it is in a JSON block that no text can end, and the script puts it on
the page as text, never as markup. The page's own policy lets nothing run but that script, and load nothing.
"""

import base64
import hashlib
import json
from html import escape
from typing import Any

from nemotron.kit.documents import codec
from nemotron.kit.exporters.html_page import PAGE, STYLE
from nemotron.kit.exporters.html_script import SCRIPT
from nemotron.kit.exporters.layout import layout
from nemotron.kit.lineage.graph import Graph, Node

# Pixels from one column, or row, to the next.
COLUMN, ROW = 330, 60
TITLE_MAX = 300
# What a type's name tells of its kind; the first that fits.
_WORDS = {
    "evaluation": ("eval", "judge", "benchmark"),
    "tokenizer": ("tokenizer",),
    "model": ("model", "checkpoint"),
    "data": ("data", "blend", "jsonl", "parquet", "corpus"),
}


def write(graph: Graph) -> str:
    """The page."""
    text = json.dumps(codec.strict(codec.plain(_document(graph), "graph")), separators=(",", ":"))
    # "<" is what could end the block or begin a comment in it.
    data = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    title = _markup(graph.uri[:TITLE_MAX])
    parts = PAGE.split("@@")
    notes = "".join(f'<p class="notes" role="note">{_markup(note)}</p>' for note in graph.notes)
    fillings = (_policy(), title, STYLE, title, notes, data, SCRIPT, "")
    return "".join(part + filling for part, filling in zip(parts, fillings, strict=True))


def _markup(text: str) -> str:
    """Text as it can stand in a page."""
    return escape("".join(c for c in text if c.isprintable()))


def category(node: Node) -> str:
    """What a node is drawn as: one of `data`, `model`, … for an artifact, else its kind.

    >>> category(Node(uri="art://m:v1", kind="artifact", type="ModelArtifact", name="m"))
    'model'
    """
    if node.kind != "artifact":
        return node.kind
    kind = node.type.lower()
    return next((name for name, words in _WORDS.items() if any(word in kind for word in words)), "artifact")


def _policy() -> str:
    return f"default-src 'none'; style-src '{_hash(STYLE)}'; script-src '{_hash(SCRIPT)}'"


def _hash(text: str) -> str:
    """How a Content-Security-Policy names an inline block."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _document(graph: Graph) -> dict[str, Any]:
    at = {node.uri: number for number, node in enumerate(graph)}
    drawn = layout(graph)
    nodes = []
    for node in graph:
        column, row = drawn.places[node.uri]
        place = {"x": column * COLUMN, "y": round(row * ROW), "category": category(node)}
        nodes.append(node.to_document() | place)
    edges = [
        edge.to_document()
        | {"from": at[edge.source], "to": at[edge.target], "passing": [round(row * ROW) for row in passing]}
        for edge, passing in zip(graph.edges, drawn.passing, strict=True)
    ]
    return {"root": at[graph.uri], "column": COLUMN, "nodes": nodes, "edges": edges}
