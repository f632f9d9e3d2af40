"""What the registry takes and gives: drafts, records, entries."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.documents.manifest import Evidence
from nemotron.kit.registry.flags import check_flag
from nemotron.kit.registry.resolved import Record

__all__ = ["Copied", "Draft", "Entry", "Published", "Record"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is to be published.

    Attributes:
        name: an artifact name, semantic or key.
        source: the folder or file; a URL is recorded, and looked at if `at_url` says how.
        type: the class name of the artifact.
        metadata: anything that JSON can hold.
        inputs: URIs of external inputs.
        used_artifacts: `name:vN` of the artifacts it was made from.
        edges: what is said of these inputs beyond that they are.
        producer: id of the run that made it.
        run: the kit's own run id.
        created_at: ISO 8601 with zone; None for now.
        snapshot: copy the bytes into the store.
        evidence: `stat`, `sampled` or `full`; a snapshot is always `full`.
        entry: the file in `source` that the artifact's path names, for artifacts that are a file in a folder.
        follow_links: take the targets of links that leave the folder as content.
        aliases: to be moved to the version.
        at_url: options of the client that asks for the objects at a URL, {} for what the environment says;
            they are recorded nowhere. None records the URL, and asks nobody.
        must_be_there: refuse a URL of which its server says that nothing is there, as a path is refused;
            where that can't be known there is a warning.

    Raises:
        MisuseError: a flag is neither True nor False.
    """

    name: str
    source: str | os.PathLike[str]
    type: str = "artifact"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    used_artifacts: tuple[str, ...] = ()
    edges: tuple[InputEdge, ...] = ()
    producer: str | None = None
    run: str | None = None
    created_at: str | None = None
    snapshot: bool = False
    evidence: Evidence = "stat"
    entry: str | None = None
    follow_links: bool = False
    aliases: tuple[str, ...] = ()
    at_url: Mapping[str, Any] | None = field(default=None, repr=False)
    must_be_there: bool = False

    def __post_init__(self) -> None:
        for name in ("snapshot", "follow_links", "must_be_there"):
            check_flag(name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class Published:
    """The outcome of publishing.

    Attributes:
        record: the version.
        created: False if it was there already, identical.
    """

    record: Record
    created: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One name and what there is of it.

    Attributes:
        name: the key.
        semantic_name: as its author spelt it.
        latest: the highest living version, or None if all are withdrawn.
        versions: the living versions; of all but the latest one only their presence was looked at.
        type: of the latest version.
        aliases: each alias and its version.
    """

    name: str
    semantic_name: str
    latest: int | None
    versions: tuple[int, ...]
    type: str | None
    aliases: dict[str, int]


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied out of a version.

    Attributes:
        uri: from where, with the version that was meant.
        to: the file or folder that it is now, absolute.
        files: how many were copied.
        links: how many links were, as links.
        size: of the files, in bytes.
        skipped: files that were there already, the same.
        skipped_links: links that were.
        left_out: links that can't be copied, by their paths in the artifact: what they lead to is outside of
            what is copied, or is nowhere and DEST is on a file system without links.
    """

    uri: str
    to: str
    files: int
    links: int
    size: int
    skipped: int
    skipped_links: int
    left_out: tuple[str, ...] = ()
