"""The manifest: one version of one artifact. Writing it is the commit.

On disk it keeps the fields of the manifests that came before `format_version` existed, so their readers
read ours and we read theirs. Fields that this kit does not know are kept, not dropped.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from nemotron.kit.documents import codec
from nemotron.kit.documents.digest import is_digest
from nemotron.kit.documents.tags import TAG_FIELDS
from nemotron.kit.errors import (
    CorruptError,
    InvalidNameError,
    InvalidReferenceError,
    OutsideRootError,
)
from nemotron.kit.names import ArtifactName, Version, normalise_inside

if TYPE_CHECKING:
    from nemotron.kit.documents.edge import InputEdge
    from nemotron.kit.documents.tree import Tree

MANIFEST_FORMAT = 1

Mode = Literal["reference", "snapshot"]
Evidence = Literal["stat", "sampled", "full"]
Scope = Literal["folder", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What the bytes of a version are, and how closely they were looked at.

    Attributes:
        mode: `reference`, the bytes stay where they are; `snapshot`, the store has a copy.
        evidence: `stat`, size and time of each file; `sampled`; `full`, a digest of each file.
        scope: `folder`, everything in it; `file`, one file of it.
        entry: the file that the artifact's path names, relative to the folder, or None for the folder.
        origin: the folder that paths in a snapshot's metadata speak of: where it was copied from.
        follow_links: the targets of links that leave the folder are content.
        files: number of files.
        size: bytes of all files.
        digest: identity of the content, where every file has a digest.
        tree: digest of the stored listing, where it is not inline.
        listing: the listing itself, where it is small.
        extra: fields that this kit does not know.
    """

    mode: Mode
    evidence: Evidence = "stat"
    scope: Scope = "folder"
    entry: str | None = None
    origin: str | None = None
    follow_links: bool = False
    files: int = 0
    size: int = 0
    digest: str | None = None
    tree: str | None = None
    listing: "Tree | None" = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """The part `content` of a manifest."""
        document: dict[str, Any] = {
            "mode": self.mode,
            "evidence": self.evidence,
            "scope": self.scope,
            "entry": self.entry,
            "origin": self.origin,
            "files": self.files,
            "size": self.size,
            "digest": self.digest,
        }
        if self.follow_links:
            document["follow_links"] = True
        if self.tree is not None:
            document["tree"] = self.tree
        if self.listing is not None:
            document["listing"] = self.listing.rows()
            document |= self.listing.tags()
        return document | {key: value for key, value in self.extra.items() if key not in _CONTENT_KNOWN}

    @classmethod
    def from_document(cls, document: Any, where: str) -> "Content":
        """Read `to_document()` back.

        Raises:
            CorruptError: a field is missing or of another type.
        """
        if not isinstance(document, dict):
            raise CorruptError(f"{where} is damaged: 'content' is not an object")
        mode, evidence, scope = (document.get(key) for key in ("mode", "evidence", "scope"))
        tree, digest, entry = (document.get(key) for key in ("tree", "digest", "entry"))
        rows = document.get("listing")
        if mode not in ("reference", "snapshot") or evidence not in ("stat", "sampled", "full"):
            raise CorruptError(f"{where} is damaged: content mode {mode!r}, evidence {evidence!r}")
        if scope not in ("folder", "file") or not all(
            value is None or is_digest(value) for value in (tree, digest)
        ):
            raise CorruptError(
                f"{where} is damaged: content scope {scope!r}, tree {tree!r}, digest {digest!r}"
            )
        return cls(
            mode=mode,
            evidence=evidence,
            scope=scope,
            entry=None if entry is None else _inside(document, "entry", where),
            origin=None if document.get("origin") is None else _text(document, "origin", where),
            follow_links=document.get("follow_links") is True,
            files=_whole(document, "files", where),
            size=_whole(document, "size", where),
            digest=digest,
            tree=tree,
            listing=None if rows is None else _listing(rows, document, where),
            extra={key: value for key, value in document.items() if key not in _CONTENT_KNOWN},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One version, as it was committed.

    Attributes:
        name: the key, as in `art://KEY:vN`.
        semantic_name: the spelling that its author used (`nano3/pretrain/data`).
        version: the number.
        type: the class name of the artifact.
        path: where the artifact lies: absolute or a URL; relative paths are under the root.
        created_at: ISO 8601 with zone.
        producer: id of the run that made it, as the job's own systems call it.
        metadata: the typed fields and whatever else was said.
        inputs: URIs of external inputs.
        used_artifacts: `name:vN` of the artifacts it was made from.
        edges: what is said of these inputs beyond that they are: roles, parts, weights.
        run: the kit's own run id (UUIDv7).
        write_id: unique to one attempt to publish (UUIDv7): who reads it back knows whose commit it is.
        content: None in manifests older than this format.
        format_version: 0 for manifests without one.
        extra: fields that this kit does not know.
    """

    name: str
    version: int
    type: str = "artifact"
    path: str = ""
    created_at: str = ""
    producer: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    used_artifacts: tuple[str, ...] = ()
    edges: "tuple[InputEdge, ...]" = ()
    semantic_name: str = ""
    run: str | None = None
    write_id: str = ""
    content: Content | None = None
    format_version: int = MANIFEST_FORMAT
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        """`art://KEY:vN`."""
        return f"art://{self.name}:v{self.version}"

    @property
    def input_uris(self) -> list[str]:
        """All inputs as URIs: artifacts first, then external ones."""
        return [used if "://" in used else f"art://{used}" for used in self.used_artifacts] + list(
            self.inputs
        )

    def to_bytes(self) -> bytes:
        """The stored form.

        Raises:
            InvalidMetadataError: a metadata value has no JSON form.
        """
        document: dict[str, Any] = {
            "format_version": self.format_version,
            "name": self.name,
            "semantic_name": self.semantic_name or self.name,
            "version": self.version,
            "type": self.type,
            "path": self.path,
            "created_at": self.created_at,
            "producer": self.producer,
            "metadata": codec.plain(self.metadata, "metadata"),
            "inputs": list(self.inputs),
            "used_artifacts": list(self.used_artifacts),
            "run": self.run,
            "write_id": self.write_id,
            **self.extra,
        }
        if self.edges:
            from nemotron.kit.documents.edge import edges_document

            document["edges"] = edges_document(self.edges)
        if self.content is not None:
            document["content"] = self.content.to_document()
        return codec.encode(document)

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> "Manifest":
        """Read a stored manifest, of this format or an earlier one.

        Raises:
            CorruptError: it is damaged; `where` is named.
            FormatTooNewError: a newer kit wrote it.
        """
        document = codec.decode(data, where)
        version = codec.format_of(document, where, "manifest", MANIFEST_FORMAT, unsaid=0)
        return cls._from_document(document, version, where)

    @classmethod
    def _from_document(cls, document: dict[str, Any], format_version: int, where: str) -> "Manifest":
        try:
            name = _name(_text(document, "name", where))
            number = Version.parse(document.get("version", "")).number
        except (InvalidNameError, InvalidReferenceError) as error:
            raise CorruptError(f"{where} is damaged: {error}") from error
        producer, run = document.get("producer"), document.get("run")
        metadata = document.get("metadata") or {}
        if not isinstance(metadata, dict):
            raise CorruptError(f"{where} is damaged: 'metadata' is not an object")
        content = document.get("content")
        return cls(
            name=name.key,
            semantic_name=_text(document, "semantic_name", where, name.semantic),
            version=number,
            type=_text(document, "type", where, "artifact"),
            path=_text(document, "path", where, ""),
            created_at=_text(document, "created_at", where, ""),
            producer=None if producer is None else str(producer),
            metadata=metadata,
            inputs=_texts(document, "inputs", where),
            used_artifacts=_texts(document, "used_artifacts", where),
            edges=_edges(document.get("edges")),
            run=None if run is None else str(run),
            write_id=_text(document, "write_id", where, ""),
            content=None if content is None else Content.from_document(content, where),
            format_version=format_version,
            extra={key: value for key, value in document.items() if key not in _KNOWN},
        )


# A name has many versions.
_name = functools.lru_cache(maxsize=1024)(ArtifactName)
_KNOWN = frozenset({f.name for f in fields(Manifest)} - {"extra"})
_CONTENT_KNOWN = frozenset({f.name for f in fields(Content)} - {"extra"} | set(TAG_FIELDS))


def _listing(rows: Any, document: Mapping[str, Any], where: str) -> "Tree":
    from nemotron.kit.documents.tree import Tree

    return Tree.from_rows(rows, where, document)


def _edges(document: Any) -> "tuple[InputEdge, ...]":
    if document is None:
        return ()
    from nemotron.kit.documents.edge import read_edges

    return read_edges(document)


def _text(document: Mapping[str, Any], key: str, where: str, default: str | None = None) -> str:
    value = document.get(key, default)
    if not isinstance(value, str):
        raise CorruptError(f"{where} is damaged: {key!r} is {value!r}, expected text")
    return value


def _inside(document: Mapping[str, Any], key: str, where: str) -> str:
    try:
        return normalise_inside(_text(document, key, where))
    except OutsideRootError as error:
        raise CorruptError(f"{where} is damaged: {key!r}: {error}") from error


def _texts(document: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = document.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise CorruptError(f"{where} is damaged: {key!r} is not a list of texts")
    return tuple(value)


def _whole(document: Mapping[str, Any], key: str, where: str) -> int:
    value = document.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise CorruptError(f"{where} is damaged: {key!r} is {value!r}, expected a whole number")
    return value
