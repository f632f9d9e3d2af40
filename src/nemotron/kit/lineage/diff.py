"""What is different between two versions, as values: in the order in which people ask.

>>> from nemotron.kit.lineage.graph import Node
>>> def version(number: int, used: str, **metadata: object) -> Node:
...     uri = f"art://m:v{number}"
...     return Node(uri=uri, kind="artifact", type="T", name="m", inputs=(used,), metadata=metadata)
>>> found = difference(version(1, "art://data:v1", lr=0.1), version(2, "art://data:v2", lr=0.1))
>>> [(change.before, change.after) for change in found.inputs], found.metadata
([('art://data:v1', 'art://data:v2')], ())
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from nemotron.kit.documents.run import RunEnvironment, RunRecord
from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import InvalidReferenceError, OutsideRootError
from nemotron.kit.lineage.graph import Node
from nemotron.kit.names import SCHEME, ArtifactRef
from nemotron.kit.registry.changes import Verdict, compare, rebase

FileVerdict = Literal["added", "removed", "changed", "touched"]
_VERDICTS: Mapping[Verdict, FileVerdict] = {
    "missing": "removed",
    "extra": "added",
    "changed": "changed",
    "touched": "touched",
}
# They differ between any two versions, and say nothing.
_TIMES = frozenset({"created_at", "elapsed_sec"})


@dataclass(frozen=True, slots=True)
class InputChange:
    """One input that is not the same: `before` is None for a new one, `after` for one that is gone."""

    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of the metadata that is not the same; `present` tells null from absent on either side."""

    key: str
    before: Any = None
    after: Any = None
    present: tuple[bool, bool] = (True, True)


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file that is not the same; `touched` is another time where no digest tells more."""

    path: str
    verdict: FileVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What is different between `before` and `after`, two versions by URI.

    Attributes:
        before: the one.
        after: the other.
        type: both types, if they differ.
        inputs: other inputs, other versions of them.
        composition: the share of each source; None if nobody asked.
        config: of the runs, under dotted keys; like what follows, None if a run has no record of it.
        code: commit, branch, changes that were not committed, the entry file.
        seeds: by name.
        packages: versions by name, and Python.
        metadata: fields, without times.
        files: of the content; None if nothing is known of the files of either.
    """

    before: str
    after: str
    type: tuple[str, str] | None = None
    inputs: tuple[InputChange, ...] = ()
    composition: tuple[FieldChange, ...] | None = None
    config: tuple[FieldChange, ...] | None = None
    code: tuple[FieldChange, ...] | None = None
    seeds: tuple[FieldChange, ...] | None = None
    packages: tuple[FieldChange, ...] | None = None
    metadata: tuple[FieldChange, ...] = ()
    files: tuple[FileChange, ...] | None = ()

    @property
    def same(self) -> bool:
        """Whether nothing that says something is different."""
        said = (self.type, self.inputs, self.metadata, *self.made_differently.values())
        return not (any(said) or any(f.verdict != "touched" for f in self.files or ()))

    @property
    def made_differently(self) -> dict[str, tuple[FieldChange, ...] | None]:
        """What was different when they were made, in the order in which people ask."""
        names = ("composition", "config", "seeds", "code", "packages")
        return {name: getattr(self, name) for name in names}

    def to_document(self) -> dict[str, Any]:
        """As JSON values; a field that one side does not have is not there."""
        return {
            "a": self.before,
            "b": self.after,
            "same": self.same,
            "type": None if self.type is None else {"a": self.type[0], "b": self.type[1]},
            "inputs": [{"a": change.before, "b": change.after} for change in self.inputs],
            **{
                name: None if changes is None else {change.key: _sides(change) for change in changes}
                for name, changes in self.made_differently.items()
            },
            "metadata": {change.key: _sides(change) for change in self.metadata},
            "files": None
            if self.files is None
            else [{"path": change.path, "verdict": change.verdict} for change in self.files],
        }


def _sides(change: FieldChange) -> dict[str, Any]:
    both = (("a", change.before, change.present[0]), ("b", change.after, change.present[1]))
    return {side: value for side, value, present in both if present}


def difference(
    before: Node, after: Node, trees: tuple[Tree | None, Tree | None] = (None, None)
) -> Difference:
    """What is different between two versions.

    Paths in the metadata that lie in the version's own folder count relative to it.

    Args:
        before: the one.
        after: the other.
        trees: their listings, as far as there are any.
    """
    return Difference(
        before=before.uri,
        after=after.uri,
        type=None if before.type == after.type else (before.type, after.type),
        inputs=tuple(_inputs(before.inputs, after.inputs)),
        metadata=tuple(_fields(_relative(before), _relative(after))),
        files=_files(*trees),
    )


def with_runs(found: Difference, before: RunRecord | None, after: RunRecord | None) -> Difference:
    """A difference with what was different in the runs that made the two, as far as both are recorded.

    Args:
        found: the difference.
        before: the run that made the one.
        after: the run that made the other.
    """
    if before is None or after is None:
        return found
    if before.id == after.id:
        return replace(found, config=(), code=(), seeds=(), packages=())
    old, new = before.environment, after.environment
    is_known = old is not None and new is not None
    return replace(
        found,
        config=tuple(_fields(flat(before.start.config), flat(after.start.config))),
        seeds=tuple(_fields(before.start.seeds or {}, after.start.seeds or {})),
        code=tuple(_fields(_code(old), _code(new))) if is_known else None,
        packages=tuple(_fields(_packages(before), _packages(after))) if is_known else None,
    )


def _code(environment: RunEnvironment | None) -> dict[str, Any]:
    """What tells one state of the code from another; a branch is a name for it, and no more."""
    said = environment or RunEnvironment()
    known = {"commit": said.commit, "uncommitted": said.diff, "entry": said.entry_digest}
    return {key: value for key, value in known.items() if value is not None}


def _packages(run: RunRecord) -> dict[str, Any]:
    packages = (run.environment.packages if run.environment else None) or {}
    return {"python": run.start.python, **packages} if run.start.python else dict(packages)


def shares(before: Mapping[str, float | None], after: Mapping[str, float | None]) -> tuple[FieldChange, ...]:
    """The sources whose share is not the same, the largest change first; None where it is unknown.

    >>> found = shares({"hf://a": 1.0}, {"hf://a": 0.75, "hf://b": 0.25})
    >>> [(one.key, one.before, one.after) for one in found]
    [('hf://a', 1.0, 0.75), ('hf://b', None, 0.25)]
    """
    found = []
    for change in _fields(before, after):
        old, new = change.before, change.after
        if change.present != (True, True) or old is None or new is None or abs(old - new) > 1e-9:
            found.append(change)
    return tuple(sorted(found, key=lambda one: -abs((one.after or 0.0) - (one.before or 0.0))))


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """The values of a nested config under dotted keys.

    >>> flat({"optim": {"lr": 0.1, "betas": [0.9, 0.95]}})
    {'optim.lr': 0.1, 'optim.betas': [0.9, 0.95]}
    """
    if isinstance(config, Mapping) and config:
        found: dict[str, Any] = {}
        for key, value in config.items():
            found |= flat(value, f"{prefix}.{key}" if prefix else str(key))
        return found
    return {prefix or "config": config} if config is not None and (prefix or config != {}) else {}


def parts_changed(change: FieldChange) -> list[FieldChange]:
    """What of a field changed: under dotted keys, where both sides are mappings, or lists of one length.

    >>> found = parts_changed(FieldChange("blend", {"a": 0.5, "b": [1, 2]}, {"a": 0.5, "b": [1, 3], "c": 0}))
    >>> [(one.key, one.before, one.after, one.present) for one in found]
    [('blend.b.1', 2, 3, (True, True)), ('blend.c', None, 0, (False, True))]
    """
    found, waiting = [], [change]
    while waiting:
        one = waiting.pop(0)
        sides = one.before, one.after
        if all(isinstance(side, list | tuple) for side in sides) and len(one.before) == len(one.after):
            sides = dict(enumerate(one.before)), dict(enumerate(one.after))
        if all(isinstance(side, Mapping) for side in sides):
            inner = _fields(*sides)
            waiting = [replace(each, key=f"{one.key}.{each.key}") for each in inner] + waiting
        else:
            found.append(one)
    return found


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


def _fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[FieldChange]:
    found = []
    for key in (*before, *(key for key in after if key not in before)):
        present = (key in before, key in after)
        # As text, so that NaN equals NaN and 1 differs from true.
        if present != (True, True) or _text(before[key]) != _text(after[key]):
            found.append(FieldChange(key, before.get(key), after.get(key), present))
    return found


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _files(before: Tree | None, after: Tree | None) -> tuple[FileChange, ...] | None:
    if before is None or after is None:
        return None
    found = compare(before, after)
    moved = {one.path for one in found if one.verdict == "touched"}
    old, new = (_digests(tree, moved) for tree in (before, after))
    # Another time says nothing of what a digest says is the same.
    is_told = {path for path in moved if old[path] and old[path] == new[path]}
    return tuple(FileChange(one.path, _VERDICTS[one.verdict]) for one in found if one.path not in is_told)


def _digests(tree: Tree, paths: Collection[str]) -> dict[str, str | None]:
    columns = tree.columns
    return {path: columns.entry(at).digest for at, path in enumerate(columns.paths) if path in paths}
