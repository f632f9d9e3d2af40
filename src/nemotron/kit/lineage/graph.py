"""A lineage graph as a frozen value: versions, external inputs, runs, and edges from input to output.

>>> data = Node(uri="art://data:v1", kind="artifact", type="PretrainDataArtifact", name="data", version=1)
>>> model = Node(uri="art://model:v1", kind="artifact", type="ModelArtifact", name="model", version=1)
>>> graph = Graph(uri=model.uri, nodes=(model, data), edges=(Edge(data.uri, model.uri),))
>>> [node.uri for node in graph.inputs(model.uri)], [node.uri for node in graph.outputs(data.uri)]
(['art://data:v1'], ['art://model:v1'])
>>> graph.to_document()["edges"]
[{'from': 'art://data:v1', 'to': 'art://model:v1', 'role': 'input'}]

A run is a node with an edge to each version that it made, of the role "run". It is no input: what is asked
of the graph (`inputs`, `edges_to`, …) speaks of what things were made from, and `run_of` of the run.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.errors import MisuseError, NotFoundError

NodeKind = Literal["artifact", "external", "missing", "run"]
RUN_ROLE = "run"
RUN_SCHEME = "run://"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One thing that artifacts are made from, an artifact, or a run.

    Attributes:
        uri: its identity, `art://name:v3`, `run://ID` or the URI of an external input.
        kind: `artifact`, a version of this store, withdrawn ones among them; `external`, something outside
            it (a dataset, a tokenizer, an artifact that only W&B has); `missing`, a version that was recorded
            as an input but can't be read here, `note` says why; `run`, what made artifacts of the graph.
        type: the class name of an artifact; `external` or `wandb` outside the store; `run`.
        name: the artifact's key; of an external input its URI; of a run its name, or its command.
        version: the number, or None.
        path: where an artifact lies, or None.
        created_at: ISO 8601 with zone, or None.
        producer: the run that made it, as the job's own systems call it.
        run: the kit's own id of that run.
        metadata: an artifact's; of a run `status`, `command` and the like.
        inputs: URIs of everything it was made from, also of what lies beyond the graph's depth.
        edges: what is said of these inputs: roles, parts, weights.
        withdrawn: the reason, if the version was withdrawn.
        note: what a reader must know, such as why it is missing.
    """

    uri: str
    kind: NodeKind
    type: str
    name: str
    version: int | None = None
    path: str | None = None
    created_at: str | None = None
    producer: str | None = None
    run: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    edges: tuple[InputEdge, ...] = ()
    withdrawn: str | None = None
    note: str | None = None

    def to_document(self) -> dict[str, Any]:
        """The fields as JSON values."""
        document = {name: getattr(self, name) for name in self.__slots__}
        edges = [edge.to_document() for edge in self.edges]
        return document | {"metadata": dict(self.metadata), "inputs": list(self.inputs), "edges": edges}


@dataclass(frozen=True, slots=True)
class Edge:
    """`source` is an input of `target`, or the run that made it.

    Attributes:
        source: URI of the input, or of the run.
        target: URI of what was made of it.
        role: what the input was for, such as `data` or `base_model`; `run` if the source is the run.
        said: what else its author said of the input: which part was taken, with which weight.
    """

    source: str
    target: str
    role: str = "input"
    said: InputEdge | None = None

    def to_document(self) -> dict[str, Any]:
        """`{from, to, role}`, and whatever was said of the part that was taken."""
        said = {} if self.said is None else self.said.to_document()
        more = {key: value for key, value in said.items() if key not in ("uri", "role")}
        return {"from": self.source, "to": self.target, "role": self.role, **more}


@dataclass(frozen=True)
class Graph:
    """Nodes and edges around the artifact that was asked about.

    Attributes:
        uri: the artifact asked about.
        nodes: each once, the nearest to `uri` first.
        edges: each once; both ends are nodes.
        notes: what a reader must know of the whole, such as what was left out.

    Raises:
        MisuseError: `uri` or an edge's end is no node, or something is there twice.
    """

    uri: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self._nodes) != len(self.nodes) or len(set(self.edges)) != len(self.edges):
            raise MisuseError("A graph holds each node and each edge once")
        ends = {end for edge in self.edges for end in (edge.source, edge.target)}
        for end in (self.uri, *ends):
            if end not in self._nodes:
                raise MisuseError(f"Not a node of the graph: {end}")

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def __contains__(self, uri: object) -> bool:
        return uri in self._nodes

    @property
    def root(self) -> Node:
        """The node of the artifact asked about."""
        return self._nodes[self.uri]

    def node(self, uri: str) -> Node:
        """The node of a URI.

        Raises:
            NotFoundError: it is not in the graph.
        """
        try:
            return self._nodes[uri]
        except KeyError:
            raise NotFoundError(f"Not in the lineage of {self.uri}: {uri}") from None

    def edges_to(self, uri: str) -> tuple[Edge, ...]:
        """The edges from its inputs.

        Raises:
            NotFoundError: it is not in the graph.
        """
        return self._edges_to.get(self.node(uri).uri, ())

    def edges_from(self, uri: str) -> tuple[Edge, ...]:
        """The edges to what was made of it.

        Raises:
            NotFoundError: it is not in the graph.
        """
        return self._edges_from.get(self.node(uri).uri, ())

    def inputs(self, uri: str) -> tuple[Node, ...]:
        """What it was made from, one step; each once.

        Raises:
            NotFoundError: it is not in the graph.
        """
        return tuple(self._nodes[source] for source in dict.fromkeys(e.source for e in self.edges_to(uri)))

    def outputs(self, uri: str) -> tuple[Node, ...]:
        """What was made of it, one step; each once.

        Raises:
            NotFoundError: it is not in the graph.
        """
        return tuple(self._nodes[target] for target in dict.fromkeys(e.target for e in self.edges_from(uri)))

    def run_of(self, uri: str) -> Node | None:
        """The run that made it, if the graph has it.

        Raises:
            NotFoundError: it is not in the graph.
        """
        return self._runs.get(self.node(uri).uri)

    def to_document(self) -> dict[str, Any]:
        """The graph as JSON values: `{uri, nodes, edges: [{from, to, role, …}]}`, and `notes` if any."""
        document = {
            "uri": self.uri,
            "nodes": [node.to_document() for node in self.nodes],
            "edges": [edge.to_document() for edge in self.edges],
        }
        return document | ({"notes": list(self.notes)} if self.notes else {})

    # The value is frozen, so what is looked up in it is put in order once.

    @cached_property
    def _nodes(self) -> dict[str, Node]:
        return {node.uri: node for node in self.nodes}

    @cached_property
    def _edges_to(self) -> dict[str, tuple[Edge, ...]]:
        return _grouped((edge for edge in self.edges if not self._is_of_a_run(edge)), "target")

    @cached_property
    def _edges_from(self) -> dict[str, tuple[Edge, ...]]:
        return _grouped((edge for edge in self.edges if not self._is_of_a_run(edge)), "source")

    @cached_property
    def _runs(self) -> dict[str, Node]:
        return {edge.target: self._nodes[edge.source] for edge in self.edges if self._is_of_a_run(edge)}

    def _is_of_a_run(self, edge: Edge) -> bool:
        return self._nodes[edge.source].kind == "run"


def _grouped(edges: Iterable[Edge], end: Literal["source", "target"]) -> dict[str, tuple[Edge, ...]]:
    groups: dict[str, list[Edge]] = {}
    for edge in edges:
        groups.setdefault(getattr(edge, end), []).append(edge)
    return {uri: tuple(group) for uri, group in groups.items()}
