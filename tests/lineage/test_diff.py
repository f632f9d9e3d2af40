"""What is different between two versions."""

from dataclasses import replace

from nemotron.kit.console.differences import DiffView
from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.lineage.diff import Difference, FileChange, InputChange, difference
from nemotron.kit.lineage.fields import FieldChange
from nemotron.kit.lineage.graph import Node
from nemotron.kit.lineage.questions import Compared


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


def test_of_touched_files_it_is_said_that_nobody_compared_them() -> None:
    digest = f"blake3:{'1' * 64}"
    old = [Entry("a", 1, 1), Entry("b", 1, 1), Entry("c", 1, 1, digest=digest), Entry("d", 1, 1, etag="x")]
    new = [Entry("a", 1, 2), Entry("b", 1, 2), Entry("c", 1, 2, digest=digest), Entry("d", 1, 2, etag="x")]
    found = difference(version(1), version(2), (Tree.of(old), Tree.of(new)))
    note = "2 files with another time; their bytes were not compared, as there are no digests on both sides"
    assert (found.same, found.notes, found.to_document()["notes"]) == (True, (note,), [note])
    view = DiffView(Compared(here=found))
    assert f"  file      ? {note}" in str(view.render()).splitlines()
    assert view.document()["notes"] == [note]
    nothing = difference(version(1), version(2), (Tree.of(old[2:]), Tree.of(new[2:])))
    assert (nothing.same, nothing.files, "notes" in nothing.to_document()) == (True, [], False)


def test_another_time_says_nothing_of_what_has_the_same_digest() -> None:
    one, other = f"blake3:{'1' * 64}", f"blake3:{'2' * 64}"
    old = [Entry("a", 1, 1, digest=one), Entry("b", 1, 1, digest=one), Entry("c", 1, 1, digest=one)]
    new = [Entry("a", 1, 2, digest=one), Entry("b", 1, 2, digest=other), Entry("c", 1, 2)]
    found = difference(version(1), version(2), (Tree.of(old), Tree.of(new)))
    assert found.files == (FileChange("b", "changed"), FileChange("c", "touched"))


def made(number: int, *inputs: str, edges: tuple[InputEdge, ...]) -> Node:
    return replace(version(number, *inputs), edges=edges)


def said(found: Difference) -> list[tuple[str | None, str | None, str | None, dict[str, object]]]:
    return [(one["a"], one["b"], one["role"], one["fields"]) for one in found.to_document()["uses"]]


def test_what_was_said_of_an_input_counts_though_the_input_is_the_same() -> None:
    old = InputEdge(uri="art://data:v1", role="data", split="train", weight=1.0)
    found = difference(
        made(1, old.uri, edges=(old,)), made(2, old.uri, edges=(replace(old, weight=2.0, tokens=9),))
    )
    fields = {"weight": {"a": 1.0, "b": 2.0}, "tokens": {"b": 9}}
    assert said(found) == [("art://data:v1", "art://data:v1", "data", fields)]
    assert not found.same
    assert difference(made(1, old.uri, edges=(old,)), made(2, old.uri, edges=(old,))).same


def test_uses_of_an_input_are_followed_to_its_next_version() -> None:
    old = InputEdge(uri="art://data:v1", role="data", weight=1.0)
    new = InputEdge(uri="art://data:v2", role="data", weight=1.0)
    before = made(1, old.uri, "hf://x", edges=(old,))
    assert said(difference(before, made(2, new.uri, "hf://x", edges=(new,)))) == []
    plain = made(2, new.uri, "hf://x", edges=())
    fields = {"role": {"a": "data"}, "weight": {"a": 1.0}}
    assert said(difference(before, plain)) == [("art://data:v1", "art://data:v2", None, fields)]


def test_of_several_uses_of_an_input_the_likest_are_compared() -> None:
    train = InputEdge(uri="hf://x", role="data", split="train")
    test = InputEdge(uri="hf://x", role="eval", split="test")
    more = InputEdge(uri="hf://x", role="data", split="extra", weight=3.0)
    before = made(1, "hf://x", edges=(train, test))
    after = made(2, "hf://x", edges=(more, replace(test, revision="r2"), replace(train, tokens=5)))
    assert said(difference(before, after)) == [
        ("hf://x", "hf://x", "data", {"tokens": {"b": 5}}),
        ("hf://x", "hf://x", "eval", {"revision": {"b": "r2"}}),
        (None, "hf://x", "data", {"role": {"b": "data"}, "split": {"b": "extra"}, "weight": {"b": 3.0}}),
    ]
    other = replace(test, role="data")  # of another role, and the same use all the same
    assert said(difference(before, made(2, "hf://x", edges=(train, other)))) == [
        ("hf://x", "hf://x", "data", {"role": {"a": "eval", "b": "data"}})
    ]


def test_uses_of_inputs_that_are_new_or_gone() -> None:
    gone, new = InputEdge(uri="hf://gone", weight=1.0), InputEdge(uri="hf://new", role="eval")
    found = difference(made(1, gone.uri, edges=(gone,)), made(2, new.uri, "hf://plain", edges=(new,)))
    assert said(found) == [
        (None, "hf://new", "eval", {"role": {"b": "eval"}}),
        ("hf://gone", None, None, {"weight": {"a": 1.0}}),
    ]


def test_another_place_alone_is_the_same() -> None:
    found = difference(version(1, path="/run1"), version(2, path="/run2"))
    assert found.to_document()["place"] == {"a": "/run1", "b": "/run2"}
    assert found.same
    assert difference(version(1, path="/store/m/v1"), version(2, path="/store/m/v2")).place is None


def test_an_object_that_was_written_again_may_be_the_same() -> None:
    trees = (Tree.of([Entry("a", 1, 1, etag='"1-2"')]), Tree.of([Entry("a", 1, 2, etag='"2-2"')]))
    found = difference(version(1), version(2), trees)
    assert found.to_document()["files"] == [{"path": "a", "verdict": "changed", "sure": False}]
    assert not found.same
