"""DOT, the language of Graphviz: https://graphviz.org/doc/info/lang.html."""

from nemotron.kit.lineage.graph import Edge, Graph, Node

_LOOKS = {"artifact": "box", "external": "cylinder", "missing": "hexagon", "run": "oval"}


def write(graph: Graph) -> str:
    """A digraph from the inputs to what was made of them."""
    lines = ["digraph lineage {", '    rankdir="LR";', '    node [fontname="Helvetica"];']
    if graph.notes:  # they stand below the picture
        lines.append(f'    fontname="Helvetica"; label={_quoted(*graph.notes)};')
    for node in graph:
        looks = f"label={_quoted(*_label(node))}, shape={_LOOKS[node.kind]}"
        more = ", penwidth=3" if node.uri == graph.uri else ""
        more += ", style=dashed" if node.withdrawn is not None or node.kind == "missing" else ""
        lines.append(f"    {_quoted(node.uri)} [{looks}{more}];")
    lines += [_arrow(graph, edge) for edge in graph.edges]
    return "\n".join([*lines, "}"]) + "\n"


def _arrow(graph: Graph, edge: Edge) -> str:
    looks = " [style=dotted]" if graph.node(edge.source).kind == "run" else ""
    return f"    {_quoted(edge.source)} -> {_quoted(edge.target)}{looks};"


def _label(node: Node) -> tuple[str, ...]:
    if node.kind == "run":
        return (node.name, f"run, {node.metadata.get('status', 'unknown')}")
    second = node.kind if node.kind == "missing" else node.type
    return (node.uri, second) if node.withdrawn is None else (node.uri, second, "withdrawn")


def _quoted(*lines: str) -> str:
    """A quoted string; in a label a backslash begins an escape, so it is doubled."""
    plain = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    text = "\\n".join("".join(c if c.isprintable() else f"\\\\u{ord(c):04x}" for c in line) for line in plain)
    return f'"{text}"'
