"""`composition` and `recall`, and their doors in Python."""

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
    assert kit("recall", "tuned").out == "Nothing holds it\n"
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
