"""A lineage graph as a command shows it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nemotron.kit.console import words
from nemotron.kit.console.output import View
from nemotron.kit.lineage import query
from nemotron.kit.lineage.graph import RUN_SCHEME

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text
    from rich.tree import Tree

    from nemotron.kit.lineage.graph import Edge, Graph, Node


# Deeper than this a tree is all indentation; it goes on where the reader asks it to.
LEVELS_SHOWN_MAX = 16


@dataclass(frozen=True)
class LineageView(View):
    """What an artifact was made from ("up"), or what was made of it ("down").

    Attributes:
        graph: as collected.
        direction: which way the tree grows.
        left_out: how many of the farthest were taken away by the limit that was asked for, or None.
    """

    graph: "Graph"
    direction: Literal["up", "down"] = "up"
    left_out: int | None = None

    def document(self) -> Any:
        """Nodes, edges from the input to what was made of it, and how many nodes a limit leaves out."""
        return self.graph.to_document() | ({} if self.left_out is None else {"rest": self.left_out})

    def lines(self) -> Iterable[str]:
        """The URIs, the artifact itself first; those of runs are left to `runs`."""
        return [words.printable(node.uri) for node in self.graph.nodes if node.kind != "run"]

    def render(self) -> "str | RenderableType":
        """A tree, and notes below it; what was shown before is not unfolded again."""
        from rich.console import Group
        from rich.text import Text

        notes = [Text(words.printable(note), "dim") for note in self.graph.notes]
        return Group(self._tree(), *notes) if notes else self._tree()

    def _tree(self) -> "Tree":
        from rich.text import Text
        from rich.tree import Tree

        step = self.graph.inputs if self.direction == "up" else self.graph.outputs
        tree = Tree(_label(self.graph.root, bold=True), guide_style="dim")
        self._add_run(tree, self.graph.root)
        seen = {self.graph.uri}
        # Depth first, so that "see above" is above; no recursion, lineage may be deeper than the stack.
        root = self.graph.root
        waiting: list[tuple[int, Tree, Node, Node]] = [(1, tree, root, n) for n in reversed(step(root.uri))]
        while waiting:
            level, above, beside, node = waiting.pop()
            again = node.uri in seen
            seen.add(node.uri)
            below = step(node.uri)
            label = _label(node, again=again and bool(below))
            if uses := use_words(self._uses(beside, node)):
                label.append(f"  {uses}", "yellow not bold")
            branch = above.add(label)
            if not again:
                self._add_run(branch, node)
            if not again and below and level == LEVELS_SHOWN_MAX:
                option = "" if self.direction == "up" else "--down "
                seen.discard(node.uri)  # it may be unfolded where it is nearer
                branch.add(Text(f"… further: nemotron kit lineage {option}{node.uri}", "dim"))
            elif not again:
                waiting += [(level + 1, branch, node, one) for one in reversed(below)]
        return tree

    def _uses(self, beside: "Node", node: "Node") -> "list[Edge]":
        """The edges between the two."""
        if self.direction == "up":
            return [edge for edge in self.graph.edges_to(beside.uri) if edge.source == node.uri]
        return [edge for edge in self.graph.edges_from(beside.uri) if edge.target == node.uri]

    def _add_run(self, branch: "Tree", node: "Node") -> None:
        if run := self.graph.run_of(node.uri):
            branch.add(_run_label(run))


def fits(graph: "Graph", direction: Literal["up", "down"], most: int) -> bool:
    """Whether a tree of the graph, as deep as trees are drawn, has so few nodes beside its own."""
    within = query.ancestors if direction == "up" else query.descendants
    return len(within(graph, graph.uri, depth=LEVELS_SHOWN_MAX)) <= most


@dataclass(frozen=True)
class ExportView(View):
    """A graph in another tool's format, as it is.

    Attributes:
        to: the format.
        text: the whole of it.
    """

    to: str
    text: str

    def document(self) -> Any:
        """`{format, text}`."""
        return {"format": self.to, "text": self.text}

    def lines(self) -> Iterable[str]:
        """The text."""
        return self.text.splitlines()

    def render(self) -> "str | RenderableType":
        """The text."""
        return self.text.rstrip("\n")


# What the types of the two tell already is not said again.
_ROLES_TOLD_BY_TYPES = ("input", "data", "base_model", "via")


def use_words(edges: "Iterable[Edge]") -> str:
    """What an input was for and which part of it was taken, as far as its type does not tell.

    >>> from nemotron.kit.documents.edge import InputEdge
    >>> from nemotron.kit.lineage.graph import Edge
    >>> said = InputEdge(uri="art://d:v1", role="data", split="train", weight=0.5)
    >>> use_words([Edge("art://d:v1", "art://m:v1", "data", said), Edge("art://d:v1", "art://m:v1", "eval")])
    'as data: split train, weight 0.5; as eval'
    >>> use_words([Edge("art://d:v1", "art://m:v1", "data")])
    ''
    """
    told = []
    for edge in edges:
        parts = ", ".join(_part_words(edge))
        if parts or edge.role not in _ROLES_TOLD_BY_TYPES:
            told.append(f"as {words.printable(edge.role)}" + (f": {parts}" if parts else ""))
    return "; ".join(told)


def _part_words(edge: "Edge") -> Iterable[str]:
    if (said := edge.said) is None:
        return
    if said.split is not None:
        yield f"split {words.printable(said.split)}"
    if said.shards:
        alone = words.printable(said.shards[0])
        yield f"shard {alone}" if len(said.shards) == 1 else words.many(len(said.shards), "shard")
    if said.tokens is not None:
        yield f"{words.amount(said.tokens)} tokens"
    if said.token_range is not None:
        yield f"tokens {said.token_range[0]:,} to {said.token_range[1]:,}"
    if said.weight is not None:
        yield f"weight {words.number(said.weight)}"
    if said.revision is not None:
        yield f"revision {words.printable(said.revision)}"


def _run_label(run: "Node") -> "Text":
    from rich.text import Text

    label = Text(f"run {words.printable(run.name)}", "yellow not bold", overflow="fold")
    label.append(f"  {words.printable(str(run.metadata.get('status', 'unknown')))}", "default not bold")
    return label.append(f"  {words.printable(run.uri.removeprefix(RUN_SCHEME))}", "dim not bold")


def _label(node: "Node", *, bold: bool = False, again: bool = False) -> "Text":
    from rich.text import Text

    colour = "cyan" if node.kind == "artifact" else "magenta" if node.kind == "external" else "red"
    label = Text(words.printable(node.uri), f"bold {colour}" if bold else colour, overflow="fold")
    label.append(
        f"  {words.printable(node.type) if node.kind != 'missing' else 'missing'}", "default not bold"
    )
    if again:
        return label.append("  (see above)", "dim not bold")
    if facts := words.telling(node.metadata):
        label.append(f"  {', '.join(facts)}", "green not bold")
    if node.withdrawn is not None:
        label.append(f"  withdrawn: {words.printable(node.withdrawn)}", "red not bold")
    if node.note:
        label.append(f"  {words.printable(node.note)}", "dim not bold")
    return label
