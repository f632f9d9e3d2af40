"""Questions to a store: impact, paths, differences, reasons, history."""

from pathlib import Path

import pytest

from nemotron.kit.errors import ArtifactNotFoundError, MisuseError, NotFoundError, PathNotFoundError
from nemotron.kit.lineage import questions
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """data v1, v2 → base v1, v2 → sft v1, v2; v2 has another file in the data and nothing else."""
    registry = Registry.open(tmp_path / "store")
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.txt").write_text("one")
    for number in (1, 2):
        (source / "b.txt").write_text("x" * number)
        registry.publish(Draft(name="data", source=source, snapshot=True, inputs=("hf://x",)))
        registry.publish(
            Draft(name="base", source="s3://b/x", used_artifacts=(f"data:v{number}",), metadata={"lr": 0.1})
        )
        registry.publish(Draft(name="sft", source="s3://b/y", used_artifacts=(f"base:v{number}",)))
    registry.alias("sft", "production", 1, why="it is good")
    return registry


def test_impact_is_everything_with_the_way_to_it_and_what_has_aliases_first(registry: Registry) -> None:
    hits = questions.impact(registry, "data:v1")
    assert [(hit.node.uri, hit.aliases) for hit in hits] == [
        ("art://sft:v1", ("production",)),
        ("art://base:v1", ()),
    ]
    assert hits[0].path == ("art://data:v1", "art://base:v1", "art://sft:v1")
    assert {hit.node.uri for hit in questions.impact(registry, "hf://x")} == {
        f"art://{name}:v{number}" for name in ("data", "base", "sft") for number in (1, 2)
    }
    assert questions.impact(registry, "sft") == []


def test_the_newest_alias_comes_first_and_then_the_newest_version(registry: Registry) -> None:
    registry.alias("base", "good", 1, why="better")
    hits = questions.impact(registry, "hf://x")
    # `good` was moved last, `production` before it; `latest` is as old as its version.
    assert [hit.node.uri for hit in hits] == [
        "art://base:v1",
        "art://sft:v1",
        "art://sft:v2",
        "art://base:v2",
        "art://data:v2",
        "art://data:v1",
    ]


def test_impact_says_how_much_of_it_each_holds(tmp_path: Path) -> None:
    registry = Registry.open(tmp_path / "shares")
    weights = [{"uri": "art://web:v1", "weight": 3}, {"uri": "hf://b", "weight": 1}]

    def publish(name: str, kind: str, used: tuple[str, ...] = (), **metadata: object) -> None:
        draft = Draft(name=name, source=f"s3://b/{name}", type=kind, used_artifacts=used, metadata=metadata)
        registry.publish(draft)

    publish("web", "PretrainDataArtifact", total_tokens=10)
    publish("blend", "PretrainBlendsArtifact", ("web:v1",), source_datasets=weights)
    publish("tokenizer", "TokenizerArtifact", ("web:v1",))
    publish("chat", "SFTDataArtifact", ("tokenizer:v1",), source_datasets=["hf://chat"])
    publish("mixed", "SFTDataArtifact", source_datasets=["art://web:v1", "hf://of-unknown-size"])
    publish("evals", "EvalArtifact", ("blend:v1",))
    registry.publish(Draft(name="user", source="s3://b/u", used_artifacts=("mixed:v1", "web:v1")))
    shares = {hit.node.name: (hit.share, hit.confidence) for hit in questions.impact(registry, "web")}
    assert shares["blend"] == (0.75, "claimed")
    assert shares["chat"] == (0.0, "estimated")
    assert shares["user"] == (None, "unknown")
    assert [holding.hit.node.name for holding in questions.recall(registry, "web")] == [
        hit.node.name for hit in questions.impact(registry, "web") if hit.share != 0
    ]


def test_a_path_is_found_whichever_is_the_input(registry: Registry) -> None:
    way = ("hf://x", "art://data:v2", "art://base:v2", "art://sft:v2")
    assert questions.paths(registry, "hf://x", "sft") == (way,)
    assert questions.paths(registry, "sft", "hf://x") == (way,)
    with pytest.raises(NotFoundError, match="Neither of"):
        questions.paths(registry, "sft:v1", "data:v2")


def test_one_changed_source_file_is_exactly_what_is_different(registry: Registry) -> None:
    found = questions.diff(registry, "sft:v1", "sft:v2")
    assert [(change.before, change.after) for change in found.here.inputs] == [
        ("art://base:v1", "art://base:v2")
    ]
    assert (found.here.metadata, found.here.files) == ((), None)
    data, base = found.upstream
    assert (data.before, data.after) == ("art://data:v1", "art://data:v2")
    assert [(one.path, one.verdict) for one in data.files or ()] == [("b.txt", "changed")]
    assert (data.inputs, data.metadata) == ((), ())
    assert [change.after for change in base.inputs] == ["art://data:v2"]


def test_a_version_is_the_same_as_itself(registry: Registry) -> None:
    found = questions.diff(registry, "data:v1", "data:v1")
    assert found.here.same
    assert found.upstream == ()


def test_what_is_no_artifact_can_not_be_compared(registry: Registry) -> None:
    with pytest.raises(MisuseError, match="is no artifact"):
        questions.diff(registry, "hf://x", "data")
    with pytest.raises(MisuseError, match="is no artifact"):
        questions.why(registry, "hf://x")


def test_withdrawn_versions_can_be_asked_about(registry: Registry) -> None:
    registry.withdraw("base:v1", "bad")
    assert questions.diff(registry, "base:v1", "base:v2").here.inputs
    assert questions.why(registry, "base:v1").node.withdrawn == "bad"


def test_why_is_what_made_it_and_what_is_different_from_the_version_before(registry: Registry) -> None:
    reasons = questions.why(registry, "sft")
    assert [node.uri for node in reasons.inputs] == ["art://base:v2"]
    assert [node.uri for node in reasons.sources] == ["hf://x"]
    assert reasons.previous is not None
    assert reasons.previous.here.before == "art://sft:v1"
    assert questions.why(registry, "sft:v1").previous is None


def test_the_log_is_in_order_and_of_one_version_if_one_is_named(registry: Registry) -> None:
    registry.withdraw("sft:v2", "bad")
    whole = [(event.what, event.uri, event.why) for event in questions.log(registry, "sft")]
    assert whole == [
        ("published", "art://sft:v1", None),
        ("published", "art://sft:v2", None),
        ("alias", "art://sft:v1", "it is good"),
        ("withdrawn", "art://sft:v2", "bad"),
    ]
    assert [event.what for event in questions.log(registry, "sft:v2")] == ["published", "withdrawn"]
    assert [event.what for event in questions.log(registry, "art://sft:production")] == ["published", "alias"]
    with pytest.raises(ArtifactNotFoundError):
        questions.log(registry, "nothing")


def test_the_log_of_a_name_outlives_its_versions_and_reads_slashes_as_the_registry_does(
    registry: Registry, tmp_path: Path
) -> None:
    data = tmp_path / "of-a"
    data.mkdir()
    (data / "b").write_text("b")
    registry.publish(Draft(name="a", source=data))
    assert [event.uri for event in questions.log(registry, "art://a/b")] == ["art://a:v1"]
    with pytest.raises(PathNotFoundError, match="No c in art://a:v1"):
        questions.log(registry, "art://a/c")
    registry.publish(Draft(name="a/c", source=data))
    registry.withdraw("a/c:v1", "bad")
    assert [event.what for event in questions.log(registry, "art://a/c")] == ["published", "withdrawn"]
