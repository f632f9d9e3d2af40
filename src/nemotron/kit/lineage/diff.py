"""What is different between two versions, as values: in the order in which people ask.

>>> from nemotron.kit.lineage.graph import Node
>>> def version(number: int, used: str, **metadata: object) -> Node:
...     uri = f"art://m:v{number}"
...     return Node(uri=uri, kind="artifact", type="T", name="m", inputs=(used,), metadata=metadata)
>>> found = difference(version(1, "art://data:v1", lr=0.1), version(2, "art://data:v2", lr=0.1))
>>> [(change.before, change.after) for change in found.inputs], found.metadata
([('art://data:v1', 'art://data:v2')], ())
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

from nemotron.kit.documents.manifest import Content
from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import InvalidReferenceError, OutsideRootError
from nemotron.kit.lineage.diff_uses import UseChange, uses_changed
from nemotron.kit.lineage.fields import FieldChange, fields_changed
from nemotron.kit.lineage.graph import Node
from nemotron.kit.names import SCHEME, ArtifactRef
from nemotron.kit.registry.changes import compare
from nemotron.kit.registry.differences import Differences, Verdict
from nemotron.kit.registry.resolved import rebase

FileVerdict = Literal["added", "removed", "changed", "touched"]
_VERDICTS: Mapping[Verdict, FileVerdict] = {
    "missing": "removed",
    "extra": "added",
    "changed": "changed",
    "touched": "touched",
}
# Of files of which that is all that is known to be different.
NOT_COMPARED = "their bytes were not compared, as there are no digests on both sides"
# They differ between any two versions, and say nothing.
_TIMES = frozenset({"created_at", "elapsed_sec"})


@dataclass(frozen=True, slots=True)
class InputChange:
    """One input that is not the same: `before` is None for a new one, `after` for one that is gone."""

    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file that is not the same; `touched` is another time, and nobody compared the bytes.

    One that is `changed` may still hold the same where `is_sure` is False: it is an object that was written
    again with the same size, as its etag tells, and nothing is known of its bytes.
    """

    path: str
    verdict: FileVerdict
    is_sure: bool = True

    def to_document(self) -> dict[str, Any]:
        """`{path, verdict}`, and `sure` where that is false."""
        return {"path": self.path, "verdict": self.verdict} | ({} if self.is_sure else {"sure": False})


class FileChanges(Sequence[FileChange]):
    """Files that are not the same, each made when it is asked for: there may be a million.

    Args:
        found: what became of the files of the one version in the other.
    """

    __slots__ = ("_found",)

    def __init__(self, found: Differences) -> None:
        self._found = found

    def __len__(self) -> int:
        return len(self._found)

    @overload
    def __getitem__(self, at: int) -> FileChange: ...
    @overload
    def __getitem__(self, at: slice) -> "FileChanges": ...
    def __getitem__(self, at: int | slice) -> "FileChange | FileChanges":
        if isinstance(at, slice):
            return FileChanges(self._found[at])
        one = self._found[at]
        return FileChange(one.path, _VERDICTS[one.verdict], one.is_sure)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileChanges | list | tuple) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(list(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What is different between `before` and `after`, two versions by URI.

    Attributes:
        before: the one.
        after: the other.
        type: both types, if they differ.
        inputs: other inputs, other versions of them.
        uses: what was said of inputs: what they were for, which part of them was taken, with which weight.
        composition: the share of each source; None if nobody asked.
        config: of the runs, under dotted keys; like what follows, None if a run has no record of it.
        seeds: by name.
        run: what the runs were called and how they were started: command, world size, container image.
        code: commit, changes that were not committed, the entry file.
        packages: versions by name, and Python.
        metrics: of the runs, the last value of each.
        metadata: fields, without times.
        content: whether it is a snapshot, and which file or folder it is.
        totals: how many `files` there are, and how many `bytes`, as far as that differs.
        files: of the content; None if they can't be compared, as nothing is known of the files of one.
        unlisted: those of the two versions without a listing of files that can be read.
        place: both places where the content lay when it was published, if they differ.
    """

    before: str
    after: str
    type: tuple[str, str] | None = None
    inputs: tuple[InputChange, ...] = ()
    uses: tuple[UseChange, ...] = ()
    composition: tuple[FieldChange, ...] | None = None
    config: tuple[FieldChange, ...] | None = None
    seeds: tuple[FieldChange, ...] | None = None
    run: tuple[FieldChange, ...] | None = None
    code: tuple[FieldChange, ...] | None = None
    packages: tuple[FieldChange, ...] | None = None
    metrics: tuple[FieldChange, ...] | None = None
    metadata: tuple[FieldChange, ...] = ()
    content: tuple[FieldChange, ...] = ()
    totals: tuple[FieldChange, ...] = ()
    files: Sequence[FileChange] | None = ()
    unlisted: tuple[str, ...] = ()
    place: tuple[str | None, str | None] | None = None

    @property
    def same(self) -> bool:
        """Whether nothing that says something is different; places and times alone of files don't.

        A version without a listing is not the same as one with it: nobody knows.
        """
        said = (self.type, self.inputs, self.uses, self.metadata, self.content, self.totals)
        is_same = len(self.unlisted) != 1 and not any((*said, *self.made_differently.values()))
        return is_same and all(file.verdict == "touched" for file in self.files or ())

    @property
    def notes(self) -> tuple[str, ...]:
        """What is said of `same` that no single difference shows."""
        touched = sum(file.verdict == "touched" for file in self.files or ())
        if not touched:
            return ()
        files = "1 file" if touched == 1 else f"{touched:,} files"
        return (f"{files} with another time; {NOT_COMPARED}",)

    @property
    def made_differently(self) -> dict[str, tuple[FieldChange, ...] | None]:
        """What was different when they were made, in the order in which people ask."""
        names = ("composition", "config", "seeds", "run", "code", "packages", "metrics")
        return {name: getattr(self, name) for name in names}

    def to_document(self) -> dict[str, Any]:
        """As JSON values; a field that one side does not have is not there."""
        return {
            "a": self.before,
            "b": self.after,
            "same": self.same,
            "type": _pair(self.type),
            "inputs": [{"a": change.before, "b": change.after} for change in self.inputs],
            "uses": [change.to_document() for change in self.uses],
            **{
                name: None if changes is None else _by_key(changes)
                for name, changes in self.made_differently.items()
            },
            "metadata": _by_key(self.metadata),
            "content": _by_key(self.content),
            "totals": _by_key(self.totals),
            "files": None if self.files is None else [change.to_document() for change in self.files],
            "unlisted": list(self.unlisted),
            "place": _pair(self.place),
        } | ({"notes": list(self.notes)} if self.notes else {})


def _pair(sides: tuple[str | None, str | None] | None) -> dict[str, str | None] | None:
    return None if sides is None else {"a": sides[0], "b": sides[1]}


def _by_key(changes: Iterable[FieldChange]) -> dict[str, Any]:
    return {change.key: change.to_document() for change in changes}


def difference(
    before: Node,
    after: Node,
    trees: tuple[Tree | None, Tree | None] = (None, None),
    contents: tuple[Content | None, Content | None] = (None, None),
) -> Difference:
    """What is different between two versions.

    Paths in the metadata that lie in the version's own folder count relative to it.

    Args:
        before: the one.
        after: the other.
        trees: their listings, as far as there are any.
        contents: what their manifests say of the content, as far as they say anything.
    """
    inputs = tuple(_inputs(before.inputs, after.inputs))
    old, new = (_place(node, content) for node, content in zip((before, after), contents, strict=True))
    return Difference(
        before=before.uri,
        after=after.uri,
        type=None if before.type == after.type else (before.type, after.type),
        inputs=inputs,
        uses=tuple(uses_changed(_paired(inputs, before, after), before.edges, after.edges)),
        metadata=tuple(fields_changed(_relative(before), _relative(after))),
        content=tuple(fields_changed(*(_shape(content) for content in contents))),
        totals=() if None in trees else tuple(fields_changed(*map(_totals, contents))),
        files=_files(*trees),
        unlisted=_unlisted((before, after), trees),
        place=None if old == new else (old, new),
    )


def _paired(
    changes: Iterable[InputChange], before: Node, after: Node
) -> Iterable[tuple[str | None, str | None]]:
    """Each input in both versions: as the later one names them, then those that are gone."""
    earlier = {change.after: change.before for change in changes if change.after is not None}
    yield from ((earlier.get(uri, uri), uri) for uri in dict.fromkeys(after.inputs))
    yield from ((change.before, None) for change in changes if change.after is None)


def _shape(content: Content | None) -> dict[str, Any]:
    """What is content, and who keeps it; what an older tool did not say is what was usual then."""
    said = content or Content(mode="reference")
    return {
        "mode": said.mode,
        "scope": said.scope,
        "entry": said.entry,
        "follow_links": said.follow_links,
    }


def _totals(content: Content | None) -> dict[str, Any]:
    return {"files": content.files, "bytes": content.size} if content else {}


def _place(node: Node, content: Content | None) -> str | None:
    """Where the content was; None for a version's own folder in the store, of which its URI tells."""
    place = node.path
    if content and content.mode == "snapshot":
        place = content.origin
        if place and content.entry:  # a reference's path names the file as well
            place = f"{place.rstrip('/')}/{content.entry}"
    return None if not place or place.endswith(f"{node.name}/v{node.version}") else place


def shares(before: Mapping[str, float | None], after: Mapping[str, float | None]) -> tuple[FieldChange, ...]:
    """The sources whose share is not the same, the largest change first; None where it is unknown.

    >>> found = shares({"hf://a": 1.0}, {"hf://a": 0.75, "hf://b": 0.25})
    >>> [(one.key, one.before, one.after) for one in found]
    [('hf://a', 1.0, 0.75), ('hf://b', None, 0.25)]
    """
    found = []
    for change in fields_changed(before, after):
        old, new = change.before, change.after
        if change.present != (True, True) or old is None or new is None or abs(old - new) > 1e-9:
            found.append(change)
    return tuple(sorted(found, key=lambda one: -abs((one.after or 0.0) - (one.before or 0.0))))


def _inputs(before: Iterable[str], after: Iterable[str]) -> list[InputChange]:
    """Versions of one name are one input that changed."""
    gone = [uri for uri in dict.fromkeys(before) if uri not in set(after)]
    new = [uri for uri in dict.fromkeys(after) if uri not in set(before)]
    found = []
    for uri in gone:
        other = next((one for one in new if name_of(one) == name_of(uri)), None)
        if other is not None:
            new.remove(other)
        found.append(InputChange(uri, other))
    return sorted(found, key=lambda change: change.after is None) + [InputChange(None, uri) for uri in new]


def name_of(uri: str) -> str:
    """The key of `art://KEY:vN`; any other URI as it is."""
    if not uri.startswith(SCHEME):
        return uri
    try:
        return ArtifactRef.parse(uri).name.key
    except (InvalidReferenceError, OutsideRootError):
        return uri


def _relative(node: Node) -> Mapping[str, Any]:
    path = node.path or ""
    said = {key: value for key, value in node.metadata.items() if key not in _TIMES}
    return said if len(path) < 2 else {key: rebase(value, path, ".") for key, value in said.items()}


def _unlisted(nodes: Iterable[Node], trees: Iterable[Tree | None]) -> tuple[str, ...]:
    listed = zip(nodes, trees, strict=True)
    return tuple(dict.fromkeys(node.uri for node, tree in listed if tree is None))


def _files(before: Tree | None, after: Tree | None) -> FileChanges | None:
    if before is None or after is None:
        return None
    # Another time says nothing of bytes that are known to be the same.
    return FileChanges(Differences(one for one in compare(before, after) if not one.is_proven))
