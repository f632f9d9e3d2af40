"""Each recorded field is either compared by `diff`, and shown, or left out for a reason that is said here."""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, NamedTuple

import pytest

from nemotron.kit.console.differences import DiffView
from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.documents.manifest import Content, Manifest
from nemotron.kit.documents.run import RunEnvironment, RunFinish, RunStart
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.lineage import questions
from nemotron.kit.registry import layout
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.stamps import uuid7
from nemotron.kit.store.memory import MemoryStore


class Shown(NamedTuple):
    """Under `key` of the document, for a version that has `after` in place of `before`."""

    key: str
    before: Any
    after: Any


LISTING = Tree.of([Entry("a", 1, 1)])
EDGE = InputEdge(uri="hf://x", role="data")
# A text says why the field is left out.
FIELDS: dict[type, dict[str, Shown | str]] = {
    Manifest: {
        "name": "a and b are named by their URIs",
        "version": "a and b are named by their URIs",
        "semantic_name": "all versions of a name have one spelling",
        "type": Shown("type", "A", "B"),
        "path": Shown("place", "s3://b/one", "s3://b/two"),
        "created_at": "no two versions share it",
        "producer": "who made it, not how; no two jobs share it",
        "metadata": Shown("metadata", {"n": 1}, {"n": 2}),
        "inputs": Shown("inputs", ("hf://x",), ("hf://y",)),
        "used_artifacts": Shown("inputs", ("d:v1",), ("d:v2",)),
        "edges": Shown("uses", (EDGE,), (replace(EDGE, weight=1.0),)),
        "run": "compared by what its record says",
        "write_id": "no two versions share it",
        "content": "compared by its fields",
        "format_version": "how it is written, not what",
        "extra": "nobody knows what it means",
    },
    Content: {
        "mode": Shown("content", "reference", "snapshot"),
        "evidence": "how closely it was looked at, not what it is",
        "scope": Shown("content", "folder", "file"),
        "entry": Shown("content", None, "a"),
        "origin": "of a snapshot the place, see below",
        "follow_links": Shown("content", False, True),
        "files": Shown("totals", 1, 2),
        "size": Shown("totals", 1, 2),
        "digest": "taken from the listing",
        "tree": "where the listing is",
        "listing": Shown("files", LISTING, Tree.of([Entry("a", 2, 2)])),
        "extra": "nobody knows what it means",
    },
    Entry: {
        "path": Shown("files", "a", "b"),
        "size": Shown("files", 1, 2),
        "mtime_ns": Shown("files", 1, 2),
        "digest": Shown("files", f"blake3:{'1' * 64}", f"blake3:{'2' * 64}"),
        "kind": Shown("files", "file", "exec"),
        "target": "of a link; no other kind has one",
        "sample": Shown("files", f"blake3:{'1' * 64}", f"blake3:{'2' * 64}"),
        "etag": Shown("files", "1", "2"),
        "object_version": "the etag tells whether it is another state of the content",
        "inode": "not stored",
        "ctime_ns": "not stored",
    },
    InputEdge: {
        "uri": "compared as inputs",
        "role": Shown("uses", None, "eval"),
        "split": Shown("uses", "train", "test"),
        "shards": Shown("uses", (), ("a",)),
        "tokens": Shown("uses", 1, 2),
        "token_range": Shown("uses", (0, 1), (0, 2)),
        "weight": Shown("uses", 0.5, 0.0),
        "revision": Shown("uses", "r1", "r2"),
    },
    RunStart: {
        "id": "no two runs share it",
        "name": Shown("run", "sft", "sft-long"),
        "parent": "no two runs share it",
        "started_at": "no two runs share it",
        "command": Shown("run", ("train.py", "--lr=1"), ("train.py", "--lr=2")),
        "cwd": "where it was started, not what",
        "entry": Shown("run", "train.py", "tune.py"),
        "python": Shown("packages", "3.11", "3.12"),
        "process": "which process of which machine: no two runs share it",
        "experiment": "no two jobs share it",
        "scheduler": "no two jobs share its ids",
        "world_size": Shown("run", 8, 16),
        "image": Shown("run", "image:1", "image:2"),
        "config": Shown("config", {"lr": 1}, {"lr": 2}),
        "seeds": Shown("seeds", {"seed": 1}, {"seed": 2}),
        "tags": Shown("run", (), ("ablation",)),
    },
    RunEnvironment: {
        "commit": Shown("code", "a", "b"),
        "branch": "a name for a commit, and no more",
        "dirty": "the digest of the difference tells it",
        "diff": Shown("code", None, "blake3:1"),
        "entry_digest": Shown("code", "blake3:1", "blake3:2"),
        "packages": Shown("packages", {"torch": "1"}, {"torch": "2"}),
        "packages_digest": "taken from the packages",
    },
    RunFinish: {
        "ended_at": "no two runs share it",
        "status": "how it ended, after the version was made; a run that goes on would change its answer",
        "error": "as of the status",
        "exit_code": "as of the status",
        "inputs": "those of the versions are compared",
        "outputs": "what else it made",
        "unchanged": "what else it made",
        "resolved": "what they meant are the inputs",
        "metrics": Shown("metrics", {"loss": 2.0}, {"loss": 1.0}),
        "wandb_url": "no two runs share it",
    },
}


@pytest.mark.parametrize("document", FIELDS, ids=lambda one: one.__name__)
def test_each_field_is_compared_or_left_out_for_a_reason(document: Any) -> None:
    """A new field is added to the table above, and to `diff` unless it says nothing of what is different."""
    assert _names(document) == set(FIELDS[document])


def _names(document: Any) -> set[str]:
    return {*Entry._fields} if document is Entry else {one.name for one in fields(document)}


def _shown() -> Iterator[Any]:
    for document, table in FIELDS.items():
        for name, entry in table.items():
            if isinstance(entry, Shown):
                yield pytest.param(document, name, entry, id=f"{document.__name__}.{name}")


@pytest.mark.parametrize(("document", "name", "entry"), [*_shown()])
def test_versions_that_differ_in_one_field_alone_are_told_apart(
    document: type, name: str, entry: Shown
) -> None:
    registry = Registry(MemoryStore())
    for number, value in ((1, entry.before), (2, entry.after)):
        _publish(registry, number, document, {name: value})
    view = DiffView(questions.diff(registry, "m:v1", "m:v2"))
    told, alike = view.document(), _document_of_equals(document, name, entry.before)
    # Other inputs have other shares; who keeps it, and where, are told together; notes are of what is told.
    more = {"same", "composition", "place", "notes"} - {entry.key}
    assert {key for key in told if told[key] != alike.get(key)} - more == {entry.key}
    assert told["same"] == (entry.key == "place" or name == "mtime_ns")
    assert {entry.key, entry.key.removesuffix("s")} & {line.split()[0] for line in view.lines()}
    assert len(str(view.render()).splitlines()) >= 2


def test_a_snapshot_was_where_it_was_copied_from() -> None:
    registry = Registry(MemoryStore())
    for number in (1, 2):
        _publish(registry, number, Content, {"mode": "snapshot", "origin": f"/run{number}"})
    told = DiffView(questions.diff(registry, "m:v1", "m:v2"))
    assert told.document()["place"] == {"a": "/run1", "b": "/run2"}
    assert str(told.render()).splitlines()[1:] == [
        "  nothing that was recorded is different, but the place of files",
        "  place     /run1 → /run2",
    ]


def _document_of_equals(document: type, name: str, value: Any) -> dict[str, Any]:
    registry = Registry(MemoryStore())
    for number in (1, 2):
        _publish(registry, number, document, {name: value})
    told: dict[str, Any] = DiffView(questions.diff(registry, "m:v1", "m:v2")).document()
    assert told["same"]
    return told


def _publish(registry: Registry, number: int, document: type, said: dict[str, Any]) -> None:
    """A version as it stands in a store, with a run of its own; `said` is of one of its documents."""

    def of(kind: type) -> dict[str, Any]:
        return said if kind is document else {}

    run_id, store = uuid7(), registry.store
    store.create(layout.run_start(run_id), RunStart(**{"id": run_id, **of(RunStart)}).to_bytes())
    store.create(layout.run_environment(run_id), RunEnvironment(**of(RunEnvironment)).to_bytes())
    finish = {"ended_at": "2025-01-01T00:00:00Z", "status": "finished", **of(RunFinish)}
    store.create(layout.run_finish(run_id), RunFinish(**finish).to_bytes())
    listing = Tree.of([LISTING.entries[0]._replace(**of(Entry))])
    content = Content(**{"mode": "reference", "listing": listing, **of(Content)})
    edges = (replace(EDGE, **said),) if document is InputEdge else ()
    manifest = Manifest(name="m", version=number, path="s3://b/x", run=run_id, write_id=uuid7())
    manifest = replace(manifest, content=content, inputs=("hf://x",), edges=edges)
    store.create(layout.manifest("m", number), replace(manifest, **of(Manifest)).to_bytes())
