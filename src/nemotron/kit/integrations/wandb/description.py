"""What W&B is to get, as plain values: they can be compared, stored as JSON, and sent later or elsewhere.

`describing.py` makes a `Description` of an artifact (it looks at files, and asks nobody), `sending.py` gives
one to the client. Between the two it may lie in a file: `Description.from_document(d.to_document()) == d`.
It holds the bytes of the small files and the finished list of references, so it can be sent when the data is
gone; `uploads` alone names folders that have to be there still, as they were.

>>> description = Description(draft=Draft(name="model", type="ModelArtifact"), aliases=("latest",))
>>> Description.from_document(description.to_document()) == description
True
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nemotron.kit.errors import CorruptError

# What two equal artifacts may differ in: when and by whom they were made, and how long that took.
TIMES = frozenset({"created_at", "elapsed_sec"})
OF_THE_SAVE = TIMES | {"producer", "tracking"}
METADATA_FILE = "metadata.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a W&B manifest that refers to what lies elsewhere.

    Attributes:
        path: its name in the artifact.
        uri: where it lies.
        digest: any text that changes when what lies there does.
        size: in bytes, if it is known.
    """

    path: str
    uri: str
    digest: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """Data that stays where it is.

    Attributes:
        uri: where the whole of it lies.
        name: its name in the artifact.
        entries: the lines for it; of a folder on this machine one for each file.
    """

    uri: str
    name: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class File:
    """A small file that is uploaded.

    Attributes:
        name: its name in the artifact.
        data: its bytes.
        path: a file that has just these bytes, if it is still there; "" if there never was one.
    """

    name: str
    data: bytes
    path: str = ""


@dataclass(frozen=True, slots=True)
class Upload:
    """Data that is read when it is sent, which may be later.

    Attributes:
        path: a folder or file of this machine.
        name: its name in the artifact.
        digest: of what was in it when it was described, see `uploads.py`; "" if nobody has looked.
    """

    path: str
    name: str
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The content of one W&B artifact.

    Attributes:
        name: as W&B takes it.
        type: its W&B type.
        text: its description for people, or None.
        metadata: within W&B's limits.
        files: what is uploaded from memory.
        references: what stays where it is.
        uploads: folders and files that are uploaded when it is sent.
    """

    name: str
    type: str
    text: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[File, ...] = ()
    references: tuple[Reference, ...] = ()
    uploads: tuple[Upload, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """An external input: a source dataset or a tokenizer.

    Attributes:
        uri: as its user wrote it.
        draft: the W&B artifact that stands for it, if W&B has none yet.
    """

    uri: str
    draft: Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One artifact, what it is called and what it was made from.

    Attributes:
        draft: the artifact.
        aliases: the aliases that it gets.
        used: references of the artifacts that it was made from, as `run.use_artifact` or the kit spells them.
        sources: its external inputs.
        summary: numbers for the run's summary.
    """

    draft: Draft
    aliases: tuple[str, ...] = ()
    used: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    summary: Mapping[str, float] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """JSON values, from which `from_document` makes the same again."""
        return {
            "draft": _draft_document(self.draft),
            "aliases": list(self.aliases),
            "used": list(self.used),
            "sources": [{"uri": each.uri, "draft": _draft_document(each.draft)} for each in self.sources],
            "summary": dict(self.summary),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Description":
        """Read `to_document()` back.

        Raises:
            CorruptError: it is no such document.
        """
        try:
            return cls(
                draft=_draft(document["draft"]),
                aliases=tuple(document["aliases"]),
                used=tuple(document["used"]),
                sources=tuple(Source(each["uri"], _draft(each["draft"])) for each in document["sources"]),
                summary=dict(document["summary"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CorruptError(f"Not what W&B is to get: {type(error).__name__}: {error}") from error

    @property
    def digest(self) -> str:
        """The same for two descriptions of equal things: times, the saving run and aliases don't count."""
        document = self.to_document()
        del document["aliases"]
        draft = document["draft"]
        draft["metadata"] = _without(draft["metadata"], TIMES)
        draft["files"] = [[file.name, _content(file)] for file in self.draft.files]
        document["summary"] = {k: v for k, v in self.summary.items() if k.rpartition("/")[2] not in TIMES}
        text = json.dumps(document, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def with_aliases(self, *aliases: str) -> "Description":
        """The same with these aliases as well."""
        return replace(self, aliases=tuple(dict.fromkeys((*self.aliases, *aliases))))


def kit_document(data: bytes) -> dict[str, Any] | None:
    """The content of a `metadata.json` that the kit wrote, or None for a user's own."""
    try:
        document = json.loads(data)
    except ValueError:
        return None
    keys = {"type", "path", "created_at", "producer", "tracking"}
    return document if isinstance(document, dict) and keys <= document.keys() else None


def _content(file: File) -> Any:
    document = kit_document(file.data) if file.name == METADATA_FILE else None
    if document is None:
        return hashlib.sha256(file.data).hexdigest()
    inner = document.get("metadata")
    inner = _without(inner, TIMES) if isinstance(inner, dict) else inner
    return {**_without(document, OF_THE_SAVE), "metadata": inner}


def _without(values: Mapping[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in keys}


def _draft_document(draft: Draft) -> dict[str, Any]:
    return {
        "name": draft.name,
        "type": draft.type,
        "text": draft.text,
        "metadata": dict(draft.metadata),
        "files": [[file.name, base64.b64encode(file.data).decode(), file.path] for file in draft.files],
        "references": [
            {
                "uri": reference.uri,
                "name": reference.name,
                "entries": [[entry.path, entry.uri, entry.digest, entry.size] for entry in reference.entries],
            }
            for reference in draft.references
        ],
        "uploads": [[upload.path, upload.name, upload.digest] for upload in draft.uploads],
    }


def _draft(document: Mapping[str, Any]) -> Draft:
    return Draft(
        name=document["name"],
        type=document["type"],
        text=document["text"],
        metadata=dict(document["metadata"]),
        files=tuple(File(name, base64.b64decode(data), path) for name, data, path in document["files"]),
        references=tuple(
            Reference(each["uri"], each["name"], tuple(Entry(*entry) for entry in each["entries"]))
            for each in document["references"]
        ),
        uploads=tuple(Upload(*each) for each in document["uploads"]),
    )
