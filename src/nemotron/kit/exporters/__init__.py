"""Lineage for other tools: a graph goes in, text comes out. Nothing here opens a file or a socket."""

from collections.abc import Callable

from nemotron.kit.errors import MisuseError
from nemotron.kit.lineage.graph import Graph

FORMATS = ("mermaid", "dot", "html", "json", "graphml", "prov", "openlineage")
# Those that a person looks at, and where less may be more; the others are read by programs, which take what
# is not there for something that is not.
PICTURES = ("mermaid", "dot", "html")


def export(graph: Graph, to: str) -> str:
    """A graph in another tool's format.

    >>> from nemotron.kit.lineage.graph import Node
    >>> data = Node(uri="art://data:v1", kind="artifact", type="T", name="data", version=1)
    >>> export(Graph(data.uri, (data,)), "mermaid").splitlines()[0]
    'flowchart LR'

    Args:
        graph: as collected.
        to: one of `FORMATS`.

    Raises:
        MisuseError: there is no such format.
    """
    if to not in FORMATS:
        raise MisuseError(f"Unknown format: {to!r}. Must be one of: {', '.join(FORMATS)}")
    from nemotron.kit.exporters import dot, graph_json, graphml, html, mermaid, openlineage, prov

    writers: tuple[Callable[[Graph], str], ...]
    writers = (mermaid.write, dot.write, html.write, graph_json.write, graphml.write, prov.write)
    writers = (*writers, openlineage.write)
    return dict(zip(FORMATS, writers, strict=True))[to](graph)
