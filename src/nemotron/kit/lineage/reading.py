"""Lineage nodes out of a store's manifests: each manifest holds the edges to what its version was made from.

What can't be read is a node that says so; it never spoils the rest.
"""

import json
import re
from dataclasses import replace
from typing import NamedTuple

from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import CorruptError, InvalidReferenceError, OutsideRootError, RefusedError
from nemotron.kit.lineage.graph import Node
from nemotron.kit.lineage.roles import revision_of
from nemotron.kit.names import SCHEME, ArtifactRef, Version
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.trees import read_tree
from nemotron.kit.registry.versions import Versions

# Most inputs are spelt like this already, and millions of them are looked at.
_CANONICAL = re.compile(r"art://[A-Za-z0-9][A-Za-z0-9._-]*:v[1-9][0-9]*", re.ASCII)

_STORED = ("type", "name", "version", "path", "created_at", "producer", "run", "metadata", "inputs", "edges")
_ENCODER = json.JSONEncoder(check_circular=False)  # what was read from JSON has no circles


class Reading(NamedTuple):
    """What one manifest says.

    Attributes:
        node: the version, without whether it is withdrawn: that can change, the rest can't.
        write_id: of its commit; "" where an older tool wrote it, which may overwrite it.
        other_spelling: the URI by which W&B's references would call it, or None.
    """

    node: Node
    write_id: str = ""
    other_spelling: str | None = None


class Reader:
    """Reads nodes of a store.

    Args:
        registry: the store.
    """

    def __init__(self, registry: Registry) -> None:
        self.root = registry.root
        self.store = registry.store
        # The registry's own door shows living versions only; lineage outlives them.
        self.versions = Versions(registry.store)

    def node(self, uri: str) -> Node:
        """The node of a URI as `canonical` spells it; what is not there is told apart, not refused."""
        reading = self.read(uri)
        return self.with_state(reading.node) if reading.node.kind == "artifact" else reading.node

    def read(self, uri: str) -> Reading:
        """What a URI stands for, without asking whether it is withdrawn."""
        if is_external(uri):
            revision = revision_of(uri)
            said = {} if revision is None else {"revision": revision}
            return Reading(Node(uri=uri, kind="external", type="external", name=uri, metadata=said))
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
            return self.reading(manifest)
        if ref.wandb:
            node = Node(uri=uri, kind="external", type="wandb", name=ref.name.semantic, version=number)
            return Reading(node)
        return _missing(uri, ref.name.key, number, f"not in {self.root}")

    def with_state(self, node: Node) -> Node:
        """A version's node with the reason of its withdrawal, if it was withdrawn."""
        assert node.version is not None
        try:
            stone = self.versions.withdrawal(node.name, node.version)
        except (CorruptError, RefusedError) as error:
            return replace(node, withdrawn=f"(the reason can't be read: {error})")
        return replace(node, withdrawn=stone.reason) if stone else node

    def canonical(self, uri: str) -> str:
        """One spelling for each thing: `art://KEY:vN` for what is in the store; the rest as it is written."""
        if _CANONICAL.fullmatch(uri) or is_external(uri):
            return uri
        try:
            ref = ArtifactRef.parse(uri)
        except (InvalidReferenceError, OutsideRootError):
            return uri
        ref = ArtifactRef(ref.name, ref.selector)
        if ref.wandb and isinstance(ref.selector, Version):
            return self._wandb_or_own(ref, ref.selector.number)
        return ref.uri

    def reading(self, manifest: Manifest) -> Reading:
        """What a manifest says."""
        record = Record(manifest, self.root)
        inputs = (self.canonical(uri) for uri in record.inputs)
        edges = (replace(edge, uri=self.canonical(edge.uri)) for edge in manifest.edges)
        node = Node(
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
            edges=tuple(dict.fromkeys(edges)),
        )
        spelling = f"{SCHEME}{manifest.semantic_name}:v{manifest.version}"
        other = spelling if manifest.semantic_name.count("/") == 2 else None
        return Reading(node, write_id_of(manifest), other)

    def _manifest(self, ref: ArtifactRef, number: int) -> Manifest | None:
        manifest = self.versions.read(ref.name.key, number)
        # `a/b/c` is not the artifact `a-b-c` of somebody who spelt it so.
        spellings = (manifest.name, manifest.semantic_name) if manifest else ()
        return manifest if ref.name.semantic in spellings else None

    def _wandb_or_own(self, ref: ArtifactRef, number: int) -> str:
        """Three segments name an artifact of the store if it has it, else one of W&B."""
        try:
            return ref.uri if self._manifest(ref, number) else str(ref)
        except (CorruptError, RefusedError):
            return ref.uri


def write_id_of(manifest: Manifest) -> str:
    """By what a version is known to be the same one; "" where an older tool wrote it."""
    return manifest.write_id if manifest.format_version else ""


def to_text(node: Node) -> str:
    """What an index keeps of a version's node."""
    said = node.to_document()
    return _ENCODER.encode({key: said[key] for key in _STORED})


def from_text(uri: str, text: str) -> Node:
    """Read `to_text()` back."""
    said = json.loads(text)
    said["inputs"] = tuple(said["inputs"])
    edges = (InputEdge.from_document(one) for one in said["edges"])
    said["edges"] = tuple(edge for edge in edges if edge is not None)
    return Node(uri=uri, kind="artifact", **said)


def tree_of(versions: Versions, node: Node, like: Tree | None = None) -> Tree | None:
    """The listing of a version, or None where it can't be read: the rest can be told all the same.

    Args:
        versions: of the store.
        node: the version.
        like: a listing of much the same files, whose texts are then shared.
    """
    assert node.version is not None
    try:
        manifest = versions.read(node.name, node.version)
        return read_tree(versions.store, manifest, like) if manifest else None
    except (CorruptError, RefusedError):
        return None


def is_external(uri: str) -> bool:
    """Whether it names nothing that a store could have: it is no `art://NAME`.

    >>> is_external("hf://datasets/org/name"), is_external("art:///data/run1"), is_external("art://data:v1")
    (True, True, False)
    """
    return not uri.startswith(SCHEME) or uri.startswith(f"{SCHEME}/")


def _missing(uri: str, name: str, version: int | None, note: str) -> Reading:
    return Reading(Node(uri=uri, kind="missing", type="artifact", name=name, version=version, note=note))
