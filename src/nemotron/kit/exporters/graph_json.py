"""The graph as JSON, the same document as `nemotron kit lineage --json`.

`{"uri": …, "nodes": [{"uri", "kind", "type", "name", "version", "path", "created_at", "producer", "run",
"metadata", "inputs", "edges", "withdrawn", "note"}], "edges": [{"from", "to", "role", …}]}`: `kind` is
`artifact`, `external`, `missing` or `run`; an edge goes from the input, or from the run, to what was made.
Where its author said so, it has `split`, `shards`, `tokens`, `token_range`, `weight` and `revision` too, and
so has the node's own list of `edges`. NaN and infinity are text.
"""

import json

from nemotron.kit.documents import codec
from nemotron.kit.lineage.graph import Graph


def write(graph: Graph) -> str:
    """One JSON document."""
    return json.dumps(codec.strict(codec.plain(graph.to_document(), "graph")), indent=2) + "\n"
