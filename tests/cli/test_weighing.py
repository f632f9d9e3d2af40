"""`composition` and `recall`, and their doors in Python."""

import dataclasses
from pathlib import Path

import pytest

from nemotron import kit as door
from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry


@pytest.fixture
def trained(registry: Registry, data: Path) -> Registry:
    """blend v1 (web 3 : code 1, 900 tokens) → base v1, and chat v1 (100 tokens) → tuned v1."""
    sources = [{"uri": "hf://web", "weight": 3}, {"uri": "hf://code", "weight": 1}]
    registry.publish(
        Draft(
            name="blend",
            source=data,
            type="PretrainBlendsArtifact",
            metadata={"total_tokens": 900, "source_datasets": sources},
            inputs=("hf://web", "hf://code"),
        )
    )
    registry.publish(
        Draft(
            name="chat",
            source=data,
            type="SFTDataArtifact",
            metadata={"total_tokens": 100},
            inputs=("hf://chat",),
        )
    )
    registry.publish(Draft(name="base", source=data, type="ModelArtifact", used_artifacts=("blend:v1",)))
    used = ("base:v1", "chat:v1")
    registry.publish(
        Draft(name="tuned", source=data, type="ModelArtifact", used_artifacts=used, aliases=("good",))
    )
    return registry


def test_composition(kit, trained: Registry) -> None:
    assert kit("composition", "tuned").out == (
        "SHARE  TOKENS  SOURCE       CONFIDENCE\n"
        "67.5%     675  hf://web   estimated\n"
        "22.5%     225  hf://code  estimated\n"
        "10.0%     100  hf://chat  estimated\n"
    ).replace("SOURCE       ", "SOURCE     ")
    document = kit("composition", "tuned", "--json").json
    assert document["uri"] == "art://tuned:v1"
    assert (document["tokens"], document["unknown_share"]) == (1000, 0)
    assert document["sources"][0] == {
        "uri": "hf://web",
        "share": 0.675,
        "tokens": 675,
        "confidence": "estimated",
    }
    assert kit("composition", "hf://web").code == 2


def test_unknown_is_shown(kit, trained: Registry, data: Path) -> None:
    trained.publish(Draft(name="odd", source=data, type="ModelArtifact"))
    out = kit("composition", "odd").out
    assert "100.0%" in out
    assert "unknown" in out


def test_recall(kit, trained: Registry) -> None:
    found = kit("recall", "hf://web", "--json").json
    assert [(one["uri"], one["share"], one["aliases"]) for one in found] == [
        ("art://tuned:v1", 0.675, ["latest", "good"]),
        ("art://base:v1", 0.75, ["latest"]),
        ("art://blend:v1", 0.75, ["latest"]),
    ]
    assert found[0]["path"] == ["hf://web", "art://blend:v1", "art://base:v1", "art://tuned:v1"]
    assert [one["share"] for one in kit("recall", "blend", "--json").json] == [0.9, 1.0]
    assert kit("recall", "tuned").out == "Nothing holds it; nemotron kit impact shows what was made with it\n"
    assert kit("recall", "hf://other").code == 1


def test_in_python(trained: Registry) -> None:
    assert [source.uri for source in door.composition("art://tuned").sources] == [
        "hf://web",
        "hf://code",
        "hf://chat",
    ]
    assert [one.hit.node.uri for one in door.recall("hf://chat")] == ["art://tuned:v1", "art://chat:v1"]


def test_recall_of_a_shard_knows_which_shards_were_taken(kit, registry: Registry, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "part-0.bin").write_bytes(b"x" * 30)
    (corpus / "part-1.bin").write_bytes(b"x" * 10)
    said = {"total_tokens": 400}
    registry.publish(Draft(name="corpus", source=corpus, type="PretrainDataArtifact", metadata=said))
    for name, shards in (("all", ()), ("first", ("part-0.bin",)), ("second", ("part-1.bin",))):
        edges = (InputEdge(uri="art://corpus:v1", role="data", shards=shards),)
        used = ("corpus:v1",)
        draft = Draft(name=name, source=tmp_path, type="ModelArtifact", used_artifacts=used, edges=edges)
        registry.publish(draft)
    holding = {one["uri"]: one for one in kit("recall", "corpus:v1/part-0.bin", "--json").json}
    assert {uri: one["share"] for uri, one in holding.items()} == {
        "art://all:v1": 0.75,
        "art://first:v1": 1.0,
    }
    assert holding["art://all:v1"]["path"] == ["art://corpus:v1/part-0.bin", "art://all:v1"]
    assert holding["art://all:v1"]["confidence"] == "estimated"
    assert holding["art://all:v1"]["rule"] == "by the sizes of the data files that were taken"
    text = kit("recall", "corpus:v1/part-0.bin").out
    assert text.splitlines()[-1] == "Shares of a part: by the sizes of the data files that were taken"
    shares = {one["uri"]: one["share"] for one in kit("impact", "corpus:v1/part-0.bin", "--json").json}
    assert shares == {"art://all:v1": 0.75, "art://first:v1": 1.0, "art://second:v1": 0.0}
    assert len(kit("recall", "corpus:v1", "--json").json) == 3
    assert kit("recall", "corpus:v1/part-7.bin").code == 1
    kit("rm", "corpus:v1", "-m", "leaked")
    assert len(kit("recall", "corpus:v1/part-0.bin", "--json").json) == 2


def test_of_very_many_the_first_are_shown_and_the_rest_is_told(kit, trained: Registry, data: Path) -> None:
    for number in range(70):
        draft = Draft(name="many", source=data, type="ModelArtifact", metadata={"step": number})
        trained.publish(dataclasses.replace(draft, used_artifacts=("tuned:v1",)))
    trained.alias("base", "production", 1)
    for command, done, every in (("impact", "shown", 73), ("recall", "weighed and shown", 73)):
        lines = kit(command, "hf://web").out.splitlines()
        assert len(lines) == 52
        assert "art://base:v1" in lines[1]
        assert lines[-1] == (
            f"The first 50 are {done}, the newest aliases first; {every - 50} more were made of it: "
            "--limit 0 for all"
        )
        assert len(kit(command, "hf://web", "--limit", "0").out.splitlines()) == every + 1
        assert len(kit(command, "hf://web", "-q").out.splitlines()) == every
        assert len(kit(command, "hf://web", "--json").json) == every
        told = kit(command, "hf://web", "--json", "-n", "2").json
        assert [one["uri"] for one in told["found"]] == ["art://base:v1", "art://many:v70"]
        assert (told["rest"], told["deeper"]) == (every - 2, 0)
        told = kit(command, "hf://web", "--json", "--depth", "2").json
        assert (len(told["found"]), told["rest"], told["deeper"]) == (2, 0, every - 2)
        assert (
            f"{every - 2} more lie deeper than --depth reaches"
            in kit(command, "hf://web", "--depth", "2").out
        )
        assert kit(command, "hf://web", "--limit", "-1").code == 2
    assert [len(door.recall("hf://web", limit=3)), door.impact("hf://web", limit=3).rest] == [3, 70]


def test_of_which_sources_a_file_consists_nobody_knows(kit, store: Registry) -> None:
    said = kit("composition", "nano3/data:v2/train")
    assert (said.code, said.out) == (2, "")
    assert "nano3/data:v2/train names train inside art://nano3-data:v2" in said.err
    assert "recall" in said.err
