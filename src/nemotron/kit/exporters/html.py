"""One page that needs nothing else: the graph drawn, to be searched, zoomed and clicked through.

Whatever comes from artifacts is data: it is in a JSON block that no text can end, and the script puts it on
the page as text, never as markup.
"""

import json
from html import escape
from typing import Any

from nemotron.kit.documents import codec
from nemotron.kit.exporters.html_page import PAGE
from nemotron.kit.lineage.graph import Graph
from nemotron.kit.lineage.order import levels

COLUMN, ROW = 340, 64


def write(graph: Graph) -> str:
    """The page."""
    text = json.dumps(codec.strict(codec.plain(_document(graph), "graph")))
    # "<" is what could end the block or begin a comment in it.
    data = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    title = escape("".join(c for c in graph.uri if c.isprintable()))
    before, middle, after = PAGE.split("@@")
    return f"{before}{title}{middle}{data}{after}"


def _document(graph: Graph) -> dict[str, Any]:
    at = {node.uri: number for number, node in enumerate(graph)}
    rows: dict[int, int] = {}
    nodes = [node.to_document() | {"x": 0, "y": 0} for node in graph]
    depth = levels(graph)
    for node, said in zip(graph, nodes, strict=True):
        column = depth[node.uri]
        rows[column] = rows.get(column, 0) + 1
        said["x"], said["y"] = column * COLUMN, (rows[column] - 1) * ROW
    tallest = max(rows.values())
    for node, said in zip(graph, nodes, strict=True):  # each column in the middle
        said["y"] += (tallest - rows[depth[node.uri]]) * ROW // 2
    edges = [[at[edge.source], at[edge.target]] for edge in graph.edges]
    return {"root": at[graph.uri], "nodes": nodes, "edges": edges}
