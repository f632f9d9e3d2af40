"""Mermaid flowcharts, as GitHub and many documents draw them: https://mermaid.js.org/syntax/flowchart.html."""

from nemotron.kit.lineage.graph import Graph, Node

_SHAPES = {
    "artifact": ('["', '"]'),
    "external": ('[("', '")]'),
    "missing": ('{{"', '"}}'),
    "run": ('(["', '"])'),
}


def write(graph: Graph) -> str:
    """A flowchart from the inputs to what was made of them."""
    ids = {node.uri: f"n{at}" for at, node in enumerate(graph)}
    lines = ["flowchart LR"]
    for node in graph:
        before, after = _SHAPES[node.kind]
        lines.append(f"    {ids[node.uri]}{before}{_label(node)}{after}")
    arrows = {edge: "-.->" if graph.node(edge.source).kind == "run" else "-->" for edge in graph.edges}
    lines += [f"    {ids[edge.source]} {arrow} {ids[edge.target]}" for edge, arrow in arrows.items()]
    lines.append(f"    style {ids[graph.uri]} stroke-width:3px")
    # A comment would not be seen by who looks at the picture.
    for at, note in enumerate(graph.notes):
        lines += [f'    note{at}["{_text(note)}"]', f"    style note{at} stroke-dasharray:5"]
    return "\n".join(lines) + "\n"


def _label(node: Node) -> str:
    if node.kind == "run":
        return f"{_text(node.name)}<br/>run, {_text(str(node.metadata.get('status', 'unknown')))}"
    second = node.kind if node.kind == "missing" else node.type
    withdrawn = "" if node.withdrawn is None else "<br/>withdrawn"
    return f"{_text(node.uri)}<br/>{_text(second)}{withdrawn}"


def _text(text: str) -> str:
    """As entity codes, whatever could be Mermaid, Markdown or HTML."""
    return "".join(c if c.isalnum() or c in " ._-/" else f"#{ord(c)};" for c in text if c.isprintable())
