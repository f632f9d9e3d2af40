"""`art://` written out as a value of a config."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pytest
from omegaconf import OmegaConf
from pydantic import AfterValidator, Field

from nemotron.kit import Artifact, ModelArtifact, PretrainDataArtifact, context
from nemotron.kit.errors import (
    ArtifactNotFoundError,
    CorruptError,
    InvalidReferenceError,
    MisuseError,
    NotInitializedError,
)
from nemotron.kit.integrations.config_values import meanings, resolve_references
from nemotron.kit.recipe_loader import extract_recipe_config
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.tracking.noop import NoOpTracker
from nemotron.kit.train_script import check_config, omegaconf_to_dataclass


@dataclass
class Data:
    path: Path
    reference: str = ""
    more: list[Path] = field(default_factory=list)


@dataclass
class Train:
    data: Data
    base: Path | None = None
    noted: Annotated[str, Field(min_length=1)] = "-"
    free: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def publish(tmp_path: Path) -> Callable[[str], None]:
    registry = Registry.open(tmp_path / "store")
    context.set_registry(registry)

    def publish(name: str) -> None:
        folder = tmp_path / "data" / str(len(os.listdir(tmp_path)))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "part.txt").write_text(f"{name} {len(registry.list())}", encoding="utf-8")
        registry.publish(Draft(name=name, source=folder))

    return publish


def test_a_path_is_where_it_lies_and_text_the_version(publish: Callable[[str], None], tmp_path: Path) -> None:
    publish("org/my-data")
    folder = context.require_registry().resolve("org/my-data").path
    config = {
        "data": {
            "path": "art://org/my-data:latest",
            "reference": "art://org/my-data",
            "more": ["art://org-my-data:v1/part.txt", "/elsewhere"],
        },
        "base": "art://org-my-data:1",
        "noted": "art://org-my-data:v1/part.txt",
        "free": {"deep": ["art://org/my-data"], "not": "see art://org/my-data"},
    }
    made = omegaconf_to_dataclass(config, Train)
    assert made.data == Data(
        Path(folder), "art://org-my-data:v1", [Path(folder, "part.txt"), Path("/elsewhere")]
    )
    assert made.base == Path(folder)
    assert made.noted == "art://org-my-data:v1/part.txt"
    assert made.free == {"deep": ["art://org-my-data:v1"], "not": "see art://org/my-data"}
    assert context.used() == ("art://org-my-data:v1",)


@dataclass
class Typed:
    model: ModelArtifact
    more: list[Artifact] = field(default_factory=list)
    maybe: ModelArtifact | None = None


def test_a_kind_of_artifact_is_loaded(publish: Callable[[str], None], tmp_path: Path) -> None:
    publish("data")
    ModelArtifact(path=tmp_path / "model", step=7).save(name="model")
    made = omegaconf_to_dataclass({"model": "art://model:latest", "more": ["art://data"]}, Typed)
    assert (made.model.step, made.model.uri, made.maybe) == (7, "art://model:v1", None)
    assert [type(one) for one in made.more] == [Artifact]
    assert made.more[0].uri == "art://data:v1"
    assert context.used() == ("art://model:v1", "art://data:v1")
    again = omegaconf_to_dataclass({"model": made.model, "maybe": "art://model:v1"}, Typed)
    assert again.model is made.model
    assert again.maybe == made.model


@dataclass
class OfOtherKind:
    corpus: Annotated[PretrainDataArtifact, "checked"]


def test_what_is_no_such_kind_names_its_key(publish: Callable[[str], None], tmp_path: Path) -> None:
    publish("data")
    with pytest.raises(CorruptError, match="art://data:v1 does not hold a ModelArtifact") as plain:
        omegaconf_to_dataclass({"model": "art://data"}, Typed)
    assert "model is art://data" in str(plain.value.__notes__)
    ModelArtifact(path=tmp_path / "model", step=7).save(name="model")
    with pytest.raises(MisuseError, match=r"ModelArtifact.*PretrainDataArtifact") as other:
        omegaconf_to_dataclass({"corpus": "art://model"}, OfOtherKind)
    assert "corpus is art://model" in str(other.value.__notes__)
    with pytest.raises(
        MisuseError, match=r"model: expected ModelArtifact \(art://NAME:VERSION\), found '/a/"
    ):
        omegaconf_to_dataclass({"model": "/a/path"}, Typed)
    context.reset()
    check_config({"model": "art://data"}, Typed)
    with pytest.raises(NotInitializedError) as without:
        omegaconf_to_dataclass({"model": "art://data"}, Typed)
    assert "model is art://data" in str(without.value.__notes__)


@dataclass
class OfSeveral:
    kinds: PretrainDataArtifact | ModelArtifact | None = None
    text: str | ModelArtifact = ""
    path: Path | ModelArtifact | None = None
    checked: Annotated[ModelArtifact, AfterValidator(lambda model: model.step)] | None = None


def test_a_reference_is_the_artifact_wherever_the_type_may_be_one(
    publish: Callable[[str], None], tmp_path: Path
) -> None:
    publish("data")
    ModelArtifact(path=tmp_path / "model", step=7).save(name="model")
    made = omegaconf_to_dataclass(
        dict.fromkeys(("kinds", "text", "path", "checked"), "art://model"), OfSeveral
    )
    for value in (made.kinds, made.text, made.path):
        assert isinstance(value, ModelArtifact)
        assert value.uri == "art://model:v1"
    assert made.checked == 7, "its rules are kept"
    plain = omegaconf_to_dataclass({"text": "words", "path": "/a/path"}, OfSeveral)
    assert (plain.text, plain.path) == ("words", Path("/a/path"))
    with pytest.raises(MisuseError, match="not a PretrainDataArtifact or ModelArtifact"):
        omegaconf_to_dataclass({"kinds": "art://data"}, OfSeveral)


@pytest.mark.parametrize("text", ["art://", "art://my data", "art://model:v1/../../x", "model:v1"])
def test_what_can_be_no_reference_is_told_without_a_store(text: str) -> None:
    with pytest.raises(MisuseError, match=r"model: expected ModelArtifact \(art://NAME:VERSION\)"):
        check_config({"model": text}, Typed)


class Elsewhere(NoOpTracker):
    """As W&B without a run."""

    def find_artifact(self, ref: str, artifact_type: str) -> Path:
        raise ArtifactNotFoundError(f"asked for {ref}")


def test_many_ranks_are_not_given_versions_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    context.set_tracker(Elsewhere())
    with pytest.raises(ArtifactNotFoundError, match="asked for"):
        omegaconf_to_dataclass({"model": "art://e/p/model:latest"}, Typed)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(MisuseError, match=r"another version on each of 2 ranks.*art://NAME:v3"):
        omegaconf_to_dataclass({"model": "art://e/p/model:latest"}, Typed)
    with pytest.raises(ArtifactNotFoundError, match="asked for"):
        omegaconf_to_dataclass({"model": "art://e/p/model:v3"}, Typed)


def test_a_path_of_an_unpublished_artifact_stays(publish: Callable[[str], None]) -> None:
    assert omegaconf_to_dataclass({"path": "x", "reference": "art:///abs/data"}, Data).reference == (
        "art:///abs/data"
    )


def test_what_is_not_there_names_its_key(publish: Callable[[str], None]) -> None:
    with pytest.raises(ArtifactNotFoundError) as caught:
        omegaconf_to_dataclass({"data": {"path": "art://nobody:latest"}}, Train)
    assert "data.path is art://nobody:latest" in str(caught.value.__notes__)
    with pytest.raises(ArtifactNotFoundError) as inside:
        omegaconf_to_dataclass(OmegaConf.create({"train": {"data": {"path": "art://nobody"}}}).train, Train)
    assert "train.data.path is art://nobody" in str(inside.value.__notes__)
    with pytest.raises(ArtifactNotFoundError) as argument:
        extract_recipe_config({"recipe": {"data": "art://nobody"}}, default_target="lib.nano")
    assert "recipe.data is art://nobody" in str(argument.value.__notes__)
    with pytest.raises(InvalidReferenceError) as refused:
        meanings({"a": ["art://my data"]})
    assert "a[0] is art://my data" in str(refused.value.__notes__)


def test_a_typo_comes_before_a_look_at_the_store(
    publish: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Registry, "find", lambda *_: pytest.fail("looked at the store"))
    with pytest.raises(ValueError, match=r"Did you mean 'path'"):
        omegaconf_to_dataclass({"data": {"path": "art://my-data", "paht": 1}}, Train)


@pytest.mark.parametrize("tracker", [None, NoOpTracker()])
def test_without_a_store_nothing_is_asked(tracker: Any) -> None:
    context.set_tracker(tracker)
    made = omegaconf_to_dataclass({"path": "x", "reference": "art://my-data:v1"}, Data)
    assert made.reference == "art://my-data:v1"


def test_all_ranks_have_the_same_version(
    publish: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    publish("my-data")
    for name, value in {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TMPDIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    seen = []
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        seen.append(omegaconf_to_dataclass({"path": "x", "reference": "art://my-data"}, Data).reference)
        publish("my-data")
    assert context.require_registry().resolve("my-data").version > 1
    assert seen == ["art://my-data:v1", "art://my-data:v1"]


def test_the_arguments_of_a_recipe_are_places(publish: Callable[[str], None]) -> None:
    publish("my-data")
    folder = context.require_registry().resolve("my-data").path
    config = {"recipe": {"_target_": "lib.nano", "data_paths": ["art://my-data:latest"], "seed": 1}}
    assert extract_recipe_config(config, default_target="lib.big") == (
        "lib.nano",
        {"data_paths": [folder], "seed": 1},
    )
    untouched = {"a": (1, "b")}
    assert resolve_references(untouched) is untouched
