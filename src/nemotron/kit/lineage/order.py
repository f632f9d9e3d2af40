"""The order of a graph: inputs before what was made of them, and how deep each node lies."""

from nemotron.kit.lineage.graph import Graph


def inputs_first(graph: Graph) -> list[str]:
    """All nodes, each after its inputs; a cycle is broken where it is met.

    >>> from nemotron.kit.lineage.graph import Edge, Node
    >>> nodes = tuple(Node(uri=uri, kind="artifact", type="T", name=uri) for uri in "cba")
    >>> inputs_first(Graph("c", nodes, (Edge("a", "b"), Edge("b", "c"))))
    ['a', 'b', 'c']
    """
    done: dict[str, None] = {}
    begun: set[str] = set()
    waiting = [node.uri for node in reversed(graph.nodes)]
    while waiting:
        uri = waiting[-1]
        above = [] if uri in begun else [edge.source for edge in graph.edges_to(uri)]
        begun.add(uri)
        above = [one for one in above if one not in begun]
        if above:
            waiting += above
            continue
        done[uri] = None
        waiting.pop()
    return list(done)


def levels(graph: Graph) -> dict[str, int]:
    """For each node the number of steps of the longest way to it, cycles aside; inputs are at 0."""
    found: dict[str, int] = {}
    for uri in inputs_first(graph):
        found[uri] = 1 + max((found.get(edge.source, -1) for edge in graph.edges_to(uri)), default=-1)
    return found
