"""Reading lineage from a store's manifests: each holds the edges to what it was made from.

Upwards that is one manifest a version. Downwards every manifest of the store is read once and the edges are
turned round. What can't be read is a node that says so; it never spoils the rest.
"""

import re
from collections.abc import Iterator
from typing import Literal, get_args

from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.errors import (
    CorruptError,
    InvalidReferenceError,
    MisuseError,
    NotFoundError,
    OutsideRootError,
    RefusedError,
    WithdrawnError,
)
from nemotron.kit.lineage.graph import Edge, Graph, Node
from nemotron.kit.lineage.query import reach
from nemotron.kit.names import SCHEME, ArtifactRef, Version
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.versions import Versions

Direction = Literal["up", "down"]

_URI_OR_PATH = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*://")


def collect(
    registry: Registry, ref: str | ArtifactRef, *, direction: Direction = "up", depth: int | None = None
) -> Graph:
    """The graph of what an artifact was made from ("up"), or of what was made of it ("down").

    The graph has every node within the depth and all edges between them. A withdrawn version keeps its
    lineage. An input that is not in the store is a node all the same.

    Args:
        registry: the store.
        ref: an artifact; with "down" also the URI of an external input, such as `hf://datasets/org/name`.
        direction: "up" or "down".
        depth: how many steps, or None for all.

    Raises:
        NotFoundError: there is no such artifact or version, or nothing was made of the external input.
        CorruptError: the version's own manifest is damaged.
        MisuseError: the direction or the depth is none.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from nemotron.kit.registry.records import Draft
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     registry = Registry.open(f"{folder}/store")
    ...     Path(folder, "part.txt").touch()
    ...     draft = Draft(name="data", source=f"{folder}/part.txt", inputs=("hf://datasets/org/name",))
    ...     _ = registry.publish(draft)
    ...     [node.uri for node in collect(registry, "data")]
    ['art://data:v1', 'hf://datasets/org/name']
    """
    if direction not in get_args(Direction):
        raise MisuseError(f"Unknown direction: {direction!r}. Must be 'up' or 'down'")
    reader = _Reader(registry)
    # People write `name:v3` for `art://name:v3`; anything else without `art://` is external.
    external = ref if isinstance(ref, str) and _is_external(ref) and _URI_OR_PATH.match(ref) else None
    start = external or _start(registry, ref)
    if direction == "up":
        uris = (start, *reach(start, lambda uri: reader.node(uri).inputs, depth))
    else:
        outputs = _turned_round(reader)
        if external and external not in outputs:
            raise NotFoundError(f"Nothing in {registry.root} was made of {external}")
        uris = (start, *reach(start, lambda uri: outputs.get(uri, ()), depth))
    nodes = tuple(reader.node(uri) for uri in uris)
    return Graph(start, nodes, tuple(_edges(nodes)))


def _edges(nodes: tuple[Node, ...]) -> Iterator[Edge]:
    here = {node.uri for node in nodes}
    return (Edge(uri, node.uri) for node in nodes for uri in node.inputs if uri in here)


def _turned_round(reader: "_Reader") -> dict[str, list[str]]:
    """For each input, what was made of it."""
    outputs: dict[str, list[str]] = {}
    for node in reader.all():
        for uri in node.inputs:
            outputs.setdefault(uri, []).append(node.uri)
    return outputs


def _is_external(uri: str) -> bool:
    """Whether it names nothing that a store could have: it is no `art://NAME`."""
    return not uri.startswith(SCHEME) or uri.startswith(f"{SCHEME}/")


def _start(registry: Registry, ref: str | ArtifactRef) -> str:
    """The URI of the version asked about; a withdrawn one is asked about like any other."""
    try:
        record, _ = registry.find(ref)
    except WithdrawnError as error:
        return f"{SCHEME}{error.name}:{error.version}"
    return record.uri


class _Reader:
    """Nodes by URI, each read once."""

    def __init__(self, registry: Registry) -> None:
        self._root = registry.root
        # The registry's own door shows living versions only; lineage outlives them.
        self._versions = Versions(registry.store)
        self._nodes: dict[str, Node] = {}

    def node(self, uri: str) -> Node:
        """The node of a URI as `_canonical` spells it; what is not there is told apart, not refused."""
        if uri not in self._nodes:
            self._nodes[uri] = _external(uri) if _is_external(uri) else self._recorded(uri)
        return self._nodes[uri]

    def all(self) -> Iterator[Node]:
        """Every version of the store, withdrawn ones too; damaged ones as missing."""
        for name in self._versions.names():
            for number in range(1, self._versions.newest(name) + 1):
                yield self.node(f"{SCHEME}{name}:v{number}")

    def _recorded(self, uri: str) -> Node:
        """The node of `art://…`, as far as the store knows it."""
        try:
            ref = ArtifactRef.parse(uri)
        except (InvalidReferenceError, OutsideRootError) as error:
            return _missing(uri, uri, None, str(error))
        if not isinstance(ref.selector, Version):
            return _missing(uri, ref.name.key, None, "no version was recorded")
        number = ref.selector.number
        try:
            manifest = self._manifest(ref, number)
        except (CorruptError, RefusedError) as error:
            return _missing(uri, ref.name.key, number, str(error))
        if manifest is not None:
            return self._artifact(manifest)
        if ref.wandb:
            return Node(uri=uri, kind="external", type="wandb", name=ref.name.semantic, version=number)
        return _missing(uri, ref.name.key, number, f"not in {self._root}")

    def _manifest(self, ref: ArtifactRef, number: int) -> Manifest | None:
        manifest = self._versions.read(ref.name.key, number)
        # `a/b/c` is not the artifact `a-b-c` of somebody who spelt it so.
        spellings = (manifest.name, manifest.semantic_name) if manifest else ()
        return manifest if ref.name.semantic in spellings else None

    def _artifact(self, manifest: Manifest) -> Node:
        record = Record(manifest, self._root)
        inputs = (self._canonical(uri) for uri in record.inputs)
        return Node(
            uri=record.uri,
            kind="artifact",
            type=record.type,
            name=record.name,
            version=record.version,
            path=record.path,
            created_at=record.created_at,
            producer=manifest.producer,
            run=manifest.run,
            metadata=record.metadata,
            inputs=tuple(dict.fromkeys(inputs)),
            withdrawn=self._withdrawn(manifest),
        )

    def _withdrawn(self, manifest: Manifest) -> str | None:
        try:
            stone = self._versions.withdrawal(manifest.name, manifest.version)
        except (CorruptError, RefusedError) as error:
            return f"(the reason can't be read: {error})"
        return stone.reason if stone else None

    def _canonical(self, uri: str) -> str:
        """One spelling for each thing: `art://KEY:vN` for what is in the store; the rest as it is written."""
        if _is_external(uri):
            return uri
        try:
            ref = ArtifactRef.parse(uri)
        except (InvalidReferenceError, OutsideRootError):
            return uri
        ref = ArtifactRef(ref.name, ref.selector)
        if ref.wandb and isinstance(ref.selector, Version):
            return self._wandb_or_own(ref, ref.selector.number)
        return ref.uri

    def _wandb_or_own(self, ref: ArtifactRef, number: int) -> str:
        """Three segments name an artifact of the store if it has it, else one of W&B."""
        try:
            return ref.uri if self._manifest(ref, number) else str(ref)
        except (CorruptError, RefusedError):
            return ref.uri


def _external(uri: str) -> Node:
    return Node(uri=uri, kind="external", type="external", name=uri)


def _missing(uri: str, name: str, version: int | None, note: str) -> Node:
    return Node(uri=uri, kind="missing", type="artifact", name=name, version=version, note=note)
