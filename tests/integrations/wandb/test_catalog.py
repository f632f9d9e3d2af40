"""A W&B project as a registry, with the real client."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nemo_runspec import artifact_registry
from nemo_runspec.artifact_registry import ArtifactRegistry, get_artifact_registry, set_artifact_registry
from nemotron import kit
from nemotron.kit import context
from nemotron.kit.errors import (
    ArtifactNotFoundError,
    ArtifactVersionNotFoundError,
    InvalidNameError,
    MisuseError,
    PathNotFoundError,
    UnavailableError,
)
from nemotron.kit.integrations.wandb.delivery_sync import sync
from nemotron.kit.integrations.wandb.tracker import WandbTracker
from nemotron.kit.tracking.outbox import Outbox
from wandb_server import WandbServer

Make = Callable[..., Any]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "part.txt").write_text("first")
    return folder


@pytest.fixture
def registry(wandb_server: WandbServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArtifactRegistry]:
    yield ArtifactRegistry(backend="wandb", wandb_project="proj", wandb_entity="test-entity")
    artifact_registry._current = None


def test_publish_and_resolve(wandb_server: WandbServer, registry: ArtifactRegistry, source: Path) -> None:
    first = registry.publish("nano3/data", source, {"tokens": 3})
    assert (first.version, first.path) == (0, "art://test-entity/proj/nano3-data:v0")
    assert first.metadata == {"tokens": 3}
    again = registry.publish("nano3/data", source, {"tokens": 3})
    assert again.version == 0
    (source / "deep" / "part.txt").write_text("second")
    assert registry.publish("nano3/data", source).version == 1

    assert [run.job_type for run in wandb_server.state.runs.values()] == ["publish"] * 3
    assert {run.state for run in wandb_server.state.runs.values()} == {"finished"}
    for version in (None, "latest", 1, "1", "v1"):
        assert (registry.resolve("nano3/data", version) / "deep" / "part.txt").read_text() == "second"
    assert (registry.resolve("nano3/data", 0) / "deep" / "part.txt").read_text() == "first"
    assert context.used() == (
        "art://test-entity/proj/nano3-data:v1",
        "art://test-entity/proj/nano3-data:v0",
    )


def test_a_single_file(registry: ArtifactRegistry, source: Path) -> None:
    registry.publish("note", source / "deep" / "part.txt")
    folder = registry.resolve("note")
    assert [path.name for path in folder.iterdir()] == ["part.txt"]


def test_a_reference_is_resolved_to_where_it_lies(
    registry: ArtifactRegistry, real_wandb: ModuleType, make_thing: Make
) -> None:
    with real_wandb.init(project="proj"):
        thing = make_thing()
        WandbTracker().log_artifact(thing, "data", [])
    assert registry.resolve("data") == thing.path
    (thing.path / "metadata.json").unlink()
    (thing.path / "train" / "000.bin").unlink()
    (thing.path / "train").rmdir()
    thing.path.rmdir()
    with pytest.raises(PathNotFoundError, match="not on this machine"):
        registry.resolve("data")


def test_list_get_and_aliases(registry: ArtifactRegistry, source: Path) -> None:
    assert registry.list() == []
    registry.publish("b", source)
    registry.publish("a", source)
    (source / "more.txt").write_text("x")
    registry.publish("a", source)
    registry.alias("a", "production", 0)

    a, b = registry.list()
    assert (a.name, [v.version for v in a.versions], a.aliases) == ("a", [0, 1], {"production": 0})
    assert (b.name, b.aliases) == ("b", {})
    assert registry.get("a") == a
    assert registry.get("nowhere") is None
    registry.alias("a", "production", "v1")
    entry = registry.get("a")
    assert entry is not None
    assert entry.aliases == {"production": 1}
    assert registry.resolve("a", "production") == registry.resolve("a", 1)
    for alias, error in (("latest", MisuseError), ("v3", InvalidNameError)):
        with pytest.raises(error):
            registry.alias("a", alias, 0)


def test_what_is_not_there(registry: ArtifactRegistry, source: Path) -> None:
    with pytest.raises(ArtifactNotFoundError, match=r"^Artifact not found: x \(on W&B, in test-"):
        registry.resolve("x")
    registry.publish("x", source)
    for version in (7, "production"):
        with pytest.raises(ArtifactVersionNotFoundError, match=f"^Artifact version not found: x:{version}"):
            registry.resolve("x", version)
    with pytest.raises(ArtifactVersionNotFoundError):
        registry.alias("x", "production", 7)
    with pytest.raises(FileNotFoundError, match="Nothing to publish"):
        registry.publish("x", source / "gone")


def test_other_metadata_of_the_same_bytes_is_said(
    registry: ArtifactRegistry, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry.publish("x", source, {"tokens": 3})
    assert registry.publish("x", source, {"tokens": 4}).metadata == {"tokens": 3}
    assert "keeps the metadata that it has of them" in caplog.text


def test_with_a_run_the_graph_is_there(
    wandb_server: WandbServer, registry: ArtifactRegistry, real_wandb: ModuleType, source: Path
) -> None:
    real_wandb.init(project="proj", job_type="own")
    registry.publish("data", source)
    registry.resolve("data")
    run = wandb_server.only_run()
    assert [a.name for a in run.inputs] == [a.name for a in run.outputs] == ["data:v0"]


def test_a_run_that_can_not_take_it_says_so(
    registry: ArtifactRegistry, real_wandb: ModuleType, source: Path
) -> None:
    with real_wandb.init(project="other"), pytest.raises(MisuseError, match="of the project other"):
        registry.publish("data", source)
    for mode in ("offline", "disabled"):
        with (
            real_wandb.init(project="proj", mode=mode),
            pytest.raises(UnavailableError, match=f"run is {mode}"),
        ):
            registry.publish("data", source)


def test_the_account_s_own_entity_is_the_default(wandb_server: WandbServer, source: Path) -> None:
    registry = ArtifactRegistry(backend="wandb", wandb_project="proj")
    registry.publish("data", source)
    assert [entry.name for entry in registry.list()] == ["data"]


def test_it_is_the_registry_of_init(wandb_server: WandbServer, source: Path) -> None:
    kit.init(backend="wandb", wandb_project="proj", wandb_entity="test-entity")
    registry = get_artifact_registry()
    assert registry is get_artifact_registry()
    assert artifact_registry.get_resolver_mode() == "pre_init"
    registry.publish("data", source)
    assert wandb_server.names() == ["data:v0"]
    kit.shutdown()
    with pytest.raises(RuntimeError, match="not initialized"):
        get_artifact_registry()


def test_setting_one_moves_the_kit(registry: ArtifactRegistry, tmp_path: Path) -> None:
    kit.init(root=tmp_path / "store")
    set_artifact_registry(registry)
    assert get_artifact_registry() is registry
    assert context.current_registry() is None
    tracker = context.current_tracker()
    assert isinstance(tracker, WandbTracker)
    assert (tracker.project, tracker.entity) == ("proj", "test-entity")


def test_both_the_store_first(
    wandb_server: WandbServer, source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = ArtifactRegistry(root=tmp_path / "the store", wandb_project="proj")
    assert registry.publish("data", source).version == 1
    assert wandb_server.names() == ["data:v0"]
    wandb_server.fail("CreateArtifact", 403)
    (source / "more.txt").write_text("x")
    assert registry.publish("data", source).version == 2
    assert "data:v2 is in the store; W&B did not take it" in caplog.text
    assert f"nemotron kit sync --root '{tmp_path / 'the store'}'" in caplog.text
    assert registry.resolve("data", 2).is_dir()

    assert registry.registry is not None
    outbox = Outbox(registry.registry.store)
    (waiting,) = outbox.waiting()
    assert waiting.record.subject == "art://data:v2"
    assert waiting.failure is not None
    assert waiting.failure.kind == "refused"
    assert len(sync(registry.registry).delivered) == 1
    assert wandb_server.names() == ["data:v0", "data:v1"]
    assert wandb_server.artifact("data:latest").name == "data:v1"


def test_what_was_published_to_both_is_an_input_and_not_made_again(
    wandb_server: WandbServer, real_wandb: ModuleType, source: Path, tmp_path: Path
) -> None:
    ArtifactRegistry(root=tmp_path / "the store", wandb_project="proj").publish("data", source)
    kit.init(root=tmp_path / "the store", wandb_project="proj")
    with real_wandb.init(project="proj") as run:
        kit.ModelArtifact(path=source, step=1).save(name="model", inputs=["art://data:v1"])
    assert sorted(wandb_server.names()) == ["data:v0", "model:v0"]
    (made,) = [one for one in wandb_server.state.runs.values() if one.name == run.id]
    assert [used.name for used in made.inputs] == ["data:v0"]


@pytest.mark.parametrize(("mode", "kept"), [("offline", ["art://data:v1"]), ("disabled", [])])
def test_a_publish_without_w_and_b_is_kept_unless_its_user_has_switched_it_off(
    real_wandb: ModuleType, source: Path, tmp_path: Path, mode: str, kept: list[str]
) -> None:
    registry = ArtifactRegistry(root=tmp_path / "the store", wandb_project="proj")
    with real_wandb.init(project="proj", mode=mode):
        assert registry.publish("data", source).version == 1
    assert registry.registry is not None
    assert [one.record.subject for one in Outbox(registry.registry.store).waiting()] == kept


def test_both_by_init_needs_a_run(
    wandb_server: WandbServer, real_wandb: ModuleType, source: Path, tmp_path: Path
) -> None:
    kit.init(root=tmp_path / "the store", wandb_project="proj")
    assert get_artifact_registry().publish("data", source).version == 1
    assert wandb_server.names() == []
    real_wandb.init(project="proj")
    assert get_artifact_registry().publish("other", source).version == 1
    assert wandb_server.names() == ["other:v0"]
