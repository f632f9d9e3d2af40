"""What is said of inputs: roles, parts and weights reach the graph, and never cross between outputs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nemotron import kit
from nemotron.kit import context
from nemotron.kit.artifact import Artifact, Input, InputDatasetInfo, ModelArtifact, SFTDataArtifact
from nemotron.kit.errors import MisuseError, NotFoundError


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Iterator[None]:
    kit.init(root=tmp_path / "store")
    yield
    kit.shutdown()


def save(name: str, inputs: Any = None) -> str:
    path = Path(name)
    path.mkdir(exist_ok=True)
    uri = ModelArtifact(path=path, step=1).save(name, inputs=inputs).uri
    assert uri is not None
    return uri


def edges(uri: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = kit.lineage_of(uri, depth=1).to_document()["edges"]
    return found


def test_roles_parts_and_weights_are_on_the_edges() -> None:
    base, data = save("base"), Artifact(path=Path("base"), type="PretrainDataArtifact").save("data")
    uri = save(
        "model",
        [
            base,
            Input(data, split="train", shards=["a", "b"], weight=0.75, token_range=(0, 100)),
            Input("art://data:latest", role="eval", split="valid", tokens=5),
            Input("art://base", role="reward_model"),
            Input("https://huggingface.co/org/tok", role="tokenizer", revision="main"),
            InputDatasetInfo("s3://bucket/x", split="train", weight=0.25),
        ],
    )
    said = [{key: value for key, value in edge.items() if key != "to"} for edge in edges(uri)]
    assert said == [
        {"from": base, "role": "reward_model"},
        {
            **{"from": data.uri, "role": "data", "split": "train", "shards": ["a", "b"]},
            **{"token_range": [0, 100], "weight": 0.75},
        },
        {"from": data.uri, "role": "eval", "split": "valid", "tokens": 5},
        {"from": "https://huggingface.co/org/tok", "role": "tokenizer", "revision": "main"},
        {"from": "s3://bucket/x", "role": "data", "split": "train", "weight": 0.25},
    ]
    assert context.require_registry().resolve(uri).inputs == list(
        dict.fromkeys(edge["from"] for edge in said)
    )


def test_an_output_gets_what_its_run_had_used_until_then() -> None:
    first, second = save("a"), save("b")
    with kit.run("two outputs"):
        Artifact.from_uri(first)
        early = save("early")
        Artifact.from_uri(second)
        late = save("late")
    assert [edge["from"] for edge in edges(early)] == [first]
    assert [edge["from"] for edge in edges(late)] == [first, second]


def test_other_weights_are_another_version_and_the_same_ones_are_not() -> None:
    data = save("data")
    assert save("model", [Input(data, weight=0.5)]).endswith(":v1")
    assert save("model", Input(data, weight=0.5)).endswith(":v1")
    assert save("model", [Input(data, weight=0.6)]).endswith(":v2")
    assert save("model", [data]).endswith(":v3")


def test_data_that_the_list_of_sources_leaves_out_is_told(caplog: pytest.LogCaptureFixture) -> None:
    raw = save("raw")
    Path("data").mkdir()
    data = SFTDataArtifact(path=Path("data"), total_tokens=8, source_datasets=["hf://org/a", "art://raw"])
    data.save(
        "data", inputs=[Input("hf://org/a", weight=1), Input(raw, role="data"), Input(raw, role="eval")]
    )
    assert "has no share" not in caplog.text
    data.save("data", inputs=[Input("hf://org/b", role="data", weight=3)])
    assert "hf://org/b has no share in data: source_datasets says what it is made of" in caplog.text


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"shards": "a"}, "write shards=.'a'."),
        ({"token_range": (5, 4)}, "Not a range of tokens"),
        ({"token_range": (-1, 4)}, "Not a range of tokens"),
        ({"tokens": -1}, "Invalid tokens: -1"),
        ({"weight": float("inf")}, "Invalid weight: inf"),
        ({"weight": float("nan")}, "Invalid weight: nan"),
    ],
)
def test_what_can_not_be_is_refused_when_it_is_said(said: dict[str, Any], message: str) -> None:
    with pytest.raises(MisuseError, match=message):
        Input("art://data", **said)


def test_what_is_not_there_is_refused_when_it_is_saved() -> None:
    with pytest.raises(NotFoundError):
        save("model", [Input("art://gone:v1", role="data")])
    with pytest.raises(MisuseError, match="Not an input"):
        save("model", [Input(5)])
