"""What is different between two versions."""

from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.lineage.diff import FieldChange, FileChange, InputChange, difference
from nemotron.kit.lineage.graph import Node


def version(number: int, *inputs: str, path: str = "/x", kind: str = "T", **metadata: object) -> Node:
    return Node(
        uri=f"art://m:v{number}",
        kind="artifact",
        type=kind,
        name="m",
        version=number,
        path=path,
        inputs=inputs,
        metadata=metadata,
    )


def test_inputs_of_one_name_are_one_change() -> None:
    before = version(1, "art://data:v1", "art://tok:v1", "hf://x", "art://gone:v1")
    after = version(2, "art://data:v2", "art://tok:v1", "hf://x", "hf://new")
    assert difference(before, after).inputs == (
        InputChange("art://data:v1", "art://data:v2"),
        InputChange("art://gone:v1", None),
        InputChange(None, "hf://new"),
    )


def test_metadata_without_times_and_with_paths_relative_to_the_version() -> None:
    before = version(1, path="/run1", train="/run1/train", elapsed_sec=1.0, nan=float("nan"), n=1, gone=None)
    after = version(2, path="/run2", train="/run2/train", elapsed_sec=2.0, nan=float("nan"), n=True, new=None)
    found = difference(before, after)
    assert found.metadata == (
        FieldChange("n", 1, True),
        FieldChange("gone", None, None, (True, False)),
        FieldChange("new", None, None, (False, True)),
    )
    assert found.to_document()["metadata"] == {
        "n": {"a": 1, "b": True},
        "gone": {"a": None},
        "new": {"b": None},
    }


def test_files() -> None:
    trees = (
        Tree.of([Entry("same", 1, 1), Entry("gone", 1, 1), Entry("grew", 1, 1), Entry("later", 1, 1)]),
        Tree.of([Entry("same", 1, 1), Entry("new", 1, 1), Entry("grew", 2, 2), Entry("later", 1, 2)]),
    )
    found = difference(version(1), version(2), trees)
    assert found.files == (
        FileChange("gone", "removed"),
        FileChange("grew", "changed"),
        FileChange("later", "touched"),
        FileChange("new", "added"),
    )
    assert difference(version(1), version(2)).files is None


def test_a_touched_file_alone_is_the_same() -> None:
    trees = (Tree.of([Entry("a", 1, 1)]), Tree.of([Entry("a", 1, 2)]))
    assert difference(version(1), version(2), trees).same
    assert not difference(version(1), version(2, kind="U"), trees).same


def test_another_time_says_nothing_of_what_has_the_same_digest() -> None:
    one, other = f"blake3:{'1' * 64}", f"blake3:{'2' * 64}"
    old = [Entry("a", 1, 1, digest=one), Entry("b", 1, 1, digest=one), Entry("c", 1, 1, digest=one)]
    new = [Entry("a", 1, 2, digest=one), Entry("b", 1, 2, digest=other), Entry("c", 1, 2)]
    found = difference(version(1), version(2), (Tree.of(old), Tree.of(new)))
    assert found.files == (FileChange("b", "changed"), FileChange("c", "touched"))
