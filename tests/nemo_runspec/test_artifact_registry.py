"""The index that recipes use, over the kit's store."""

import importlib
import json
from pathlib import Path

import pytest

from nemo_runspec import artifact_registry
from nemo_runspec.artifact_registry import (
    ArtifactEntry,
    ArtifactRegistry,
    ArtifactVersion,
    get_artifact_registry,
    get_resolver_mode,
    set_artifact_registry,
)
from nemo_runspec.exceptions import ArtifactNotFoundError, ArtifactVersionNotFoundError
from nemotron.kit import context, start
from nemotron.kit.errors import WithdrawnError
from nemotron.kit.registry.records import Draft
from nemotron.kit.tracking.composite import CompositeTracker
from nemotron.kit.tracking.file import FileTracker
from nemotron.kit.tracking.noop import NoOpTracker

NOT_INITIALIZED = r"^Artifact registry not initialized\. Call kit\.init\(\) first\.$"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.txt").write_text("one")
    (folder / "sub/b.txt").write_text("b")
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> ArtifactRegistry:
    return ArtifactRegistry(root=tmp_path / "store")


def change(source: Path, text: str) -> Path:
    (source / "a.txt").write_text(text)
    return source


# -- publishing and resolving ------------------------------------------------------------------------------


def test_a_folder_is_published_as_a_snapshot(registry: ArtifactRegistry, source: Path):
    version = registry.publish("data", source, {"rows": 3})
    assert isinstance(version, ArtifactVersion)
    assert version.version == 1
    assert version.metadata == {"rows": 3}
    assert version.created_at
    change(source, "changed")
    (source / "sub/b.txt").unlink()
    folder = registry.resolve("data")
    assert isinstance(folder, Path)
    assert (folder / "a.txt").read_text() == "one"
    assert (folder / "sub/b.txt").read_text() == "b"
    assert version.path == str(folder)


def test_the_path_of_a_version_holds_its_files_at_once(registry: ArtifactRegistry, source: Path):
    assert Path(registry.publish("data", source).path, "sub/b.txt").read_text() == "b"


def test_a_single_file_is_published_alone(registry: ArtifactRegistry, source: Path):
    version = registry.publish("one", str(source / "a.txt"))
    folder = registry.resolve("one", 1)
    assert folder.is_dir()
    assert str(folder) == version.path
    assert (folder / "a.txt").read_text() == "one"
    assert not (folder / "sub").exists()


@pytest.mark.parametrize(
    ("version", "found"),
    [
        *((None, "three"), ("latest", "three")),
        *((1, "one"), ("1", "one"), ("v1", "one"), ("stable", "two"), (3, "three")),
    ],
)
def test_versions_are_resolved_by_every_spelling(
    registry: ArtifactRegistry, source: Path, version, found: str
):
    for text in ("one", "two", "three"):
        registry.publish("data", change(source, text))
    registry.alias("data", "stable", 2)
    assert (registry.resolve("data", version) / "a.txt").read_text() == found


def test_identical_content_is_the_same_version(registry: ArtifactRegistry, source: Path):
    first = registry.publish("data", source, {"rows": 3})
    assert registry.publish("data", source, {"rows": 3}) == first
    assert registry.publish("data", source, {"rows": 4}).version == 2


def test_metadata_paths_follow_the_snapshot(registry: ArtifactRegistry, source: Path):
    version = registry.publish("data", source, {"train": str(source / "sub")})
    assert version.metadata == {"train": f"{version.path}/sub"}


def test_aliases_move(registry: ArtifactRegistry, source: Path):
    for text in ("one", "two"):
        registry.publish("data", change(source, text))
    registry.alias("data", "best", 1)
    registry.alias("data", "best", "v2")
    registry.alias("data", "kept", "best")
    entry = registry.get("data")
    assert entry is not None
    assert entry.aliases == {"best": 2, "kept": 2}


def test_get_and_list(registry: ArtifactRegistry, source: Path):
    assert registry.get("data") is None
    assert registry.list() == []
    for text in ("one", "two"):
        registry.publish("data", change(source, text), {"said": text})
    registry.publish("another", source)
    entry = registry.get("data")
    assert entry is not None
    assert [version.version for version in entry.versions] == [1, 2]
    assert [version.metadata["said"] for version in entry.versions] == ["one", "two"]
    assert entry.versions[0].path == str(registry.resolve("data", 1))
    assert [one.name for one in registry.list()] == ["another", "data"]
    assert registry.list()[1] == entry


def test_a_withdrawn_version_is_gone_from_the_entry_and_says_why(registry: ArtifactRegistry, source: Path):
    registry.publish("data", source)
    registry.registry.withdraw("data:v1", "leaked")
    with pytest.raises(WithdrawnError, match="leaked"):
        registry.resolve("data", 1)
    assert registry.get("data") == ArtifactEntry("data", [], {})


def test_a_reference_of_the_kit_resolves_to_where_it_lies(registry: ArtifactRegistry, source: Path):
    registry.registry.publish(Draft(name="data", source=source))
    assert registry.resolve("data") == source
    entry = registry.get("data")
    assert entry is not None
    assert entry.versions[0].path == str(source)


# -- errors ------------------------------------------------------------------------------------------------


def test_an_unknown_name(registry: ArtifactRegistry, source: Path):
    for ask in (lambda: registry.resolve("no"), lambda: registry.alias("no", "best", 1)):
        with pytest.raises(ArtifactNotFoundError, match=r"^Artifact not found: no"):
            ask()
    with pytest.raises(FileNotFoundError):
        registry.resolve("no")
    with pytest.raises(KeyError):
        registry.resolve("no")


@pytest.mark.parametrize(
    ("version", "spelt"), [(9, "9"), ("v9", "v9"), ("9", "9"), ("best", "best"), (0, "0")]
)
def test_an_unknown_version_is_named_as_it_was_asked_for(registry, source: Path, version, spelt: str):
    registry.publish("data", source)
    for ask in (lambda: registry.resolve("data", version), lambda: registry.alias("data", "x", version)):
        with pytest.raises(
            ArtifactVersionNotFoundError, match=f"^Artifact version not found: data:{spelt} in"
        ) as e:
            ask()
        assert (e.value.name, e.value.version) == ("data", version)
        assert "there is v1" in str(e.value)


def test_no_living_version_is_no_latest(registry: ArtifactRegistry, source: Path):
    registry.publish("data", source)
    registry.registry.withdraw("data:v1", "leaked")
    with pytest.raises(ArtifactVersionNotFoundError, match="data:latest"):
        registry.resolve("data")


def test_a_missing_source_publishes_nothing(registry: ArtifactRegistry, tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        registry.publish("data", tmp_path / "gone")
    assert registry.list() == []


@pytest.mark.parametrize("name", ["../x", "/abs", "a b", "", "v1", ".kit", "x" * 200, "data:v1"])
def test_a_name_that_is_none_is_refused(registry: ArtifactRegistry, source: Path, tmp_path: Path, name: str):
    before = sorted(tmp_path.rglob("*"))
    for ask in (
        *(lambda: registry.publish(name, source), lambda: registry.resolve(name), lambda: registry.get(name)),
        lambda: registry.alias(name, "best", 1),
    ):
        with pytest.raises(ValueError, match="Invalid artifact name"):
            ask()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, r"^root is required for fsspec backend$"),
        ({"backend": "fsspec", "root": None}, r"^root is required for fsspec backend$"),
        ({"backend": "wandb"}, r"^wandb_project is required for wandb backend$"),
        ({"backend": "s3"}, r"^Unknown backend: s3\. Must be 'fsspec' or 'wandb'$"),
    ],
)
def test_a_wrong_backend_says_what_is_missing(arguments: dict[str, str], message: str):
    with pytest.raises(ValueError, match=message):
        ArtifactRegistry(**arguments)


def test_the_root_of_the_environment_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NEMO_ARTIFACT_ROOT", str(tmp_path / "root"))
    assert ArtifactRegistry().root == str(tmp_path / "root")
    assert get_artifact_registry().root == str(tmp_path / "root")


# -- entries as data ---------------------------------------------------------------------------------------


def test_an_entry_is_data():
    document = {
        "name": "data",
        "versions": [
            {"version": 2, "path": "/b", "created_at": "2026-01-02", "metadata": {"rows": 1}},
            {"version": 1, "path": "/a", "created_at": "2026-01-01", "metadata": {}},
        ],
        "aliases": {"best": 1},
    }
    entry = ArtifactEntry.from_dict(document)
    assert entry.to_dict() == document
    assert json.loads(json.dumps(entry.to_dict())) == document
    latest = entry.latest_version()
    assert latest is not None
    assert latest.version == 2
    assert entry.get_version(1) == ArtifactVersion(1, "/a", "2026-01-01")
    assert entry.get_version(3) is None


def test_an_entry_without_versions():
    assert ArtifactEntry("data").latest_version() is None
    assert ArtifactEntry.from_dict({"name": "data"}) == ArtifactEntry("data")
    assert ArtifactVersion(version=1, path="/a", created_at="").metadata == {}


# -- the current one ---------------------------------------------------------------------------------------


def test_without_init_there_is_none():
    assert artifact_registry._registry is None
    assert get_resolver_mode() == "pre_init"
    with pytest.raises(RuntimeError, match=NOT_INITIALIZED):
        get_artifact_registry()


def test_it_is_the_store_of_init(tmp_path: Path, source: Path):
    start.init(root=tmp_path / "store")
    registry = get_artifact_registry()
    assert registry is get_artifact_registry()
    assert registry is artifact_registry._registry
    assert registry.registry is context.current_registry()
    assert get_resolver_mode() == "local"
    start.init(root=tmp_path / "other")
    assert get_artifact_registry().root == str(tmp_path / "other")
    start.shutdown()
    with pytest.raises(RuntimeError, match=NOT_INITIALIZED):
        get_artifact_registry()


def test_using_is_followed_in_and_out(tmp_path: Path):
    start.init(root=tmp_path / "store")
    with start.using(root=tmp_path / "inner"):
        assert get_artifact_registry().root == str(tmp_path / "inner")
    assert get_artifact_registry().root == str(tmp_path / "store")


def test_setting_one_moves_the_whole_kit(tmp_path: Path, source: Path):
    start.init(root=tmp_path / "store")
    mine = ArtifactRegistry(root=tmp_path / "mine")
    set_artifact_registry(mine)
    assert get_artifact_registry() is mine
    assert context.current_registry() is mine.registry
    tracker = context.current_tracker()
    assert isinstance(tracker, FileTracker)
    assert tracker.registry is mine.registry
    start.init(root=tmp_path / "store")
    assert get_artifact_registry().root == str(tmp_path / "store")


def test_setting_one_before_init_is_enough(tmp_path: Path):
    set_artifact_registry(ArtifactRegistry(root=tmp_path / "mine"))
    assert context.require_registry().root == str(tmp_path / "mine")
    assert context.current_tracker() is not None
    assert get_resolver_mode() == "local"


def test_other_trackers_stay_when_one_is_set(tmp_path: Path):
    start.init(root=tmp_path / "store")
    other = NoOpTracker()
    first = context.current_tracker()
    assert first is not None
    context.set_tracker(CompositeTracker([first, other]))
    set_artifact_registry(ArtifactRegistry(root=tmp_path / "mine"))
    tracker = context.current_tracker()
    assert isinstance(tracker, CompositeTracker)
    assert tracker.trackers[1:] == (other,)
    assert isinstance(tracker.first, FileTracker)
    assert tracker.first.registry.root == str(tmp_path / "mine")
    set_artifact_registry(None)
    assert context.current_tracker() is other


def test_setting_none_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    start.init(root=tmp_path / "store")
    set_artifact_registry(None)
    assert context.current_registry() is None
    assert context.current_tracker() is None
    with pytest.raises(RuntimeError, match=NOT_INITIALIZED):
        get_artifact_registry()
    monkeypatch.setenv("NEMO_ARTIFACT_ROOT", str(tmp_path / "root"))
    set_artifact_registry(None)
    with pytest.raises(RuntimeError, match=NOT_INITIALIZED):
        get_artifact_registry()


def test_setting_something_else_is_refused():
    with pytest.raises(ValueError, match="found str"):
        set_artifact_registry("/root")  # type: ignore[arg-type]


def test_the_attribute_can_be_patched_away_and_comes_back(tmp_path: Path):
    start.init(root=tmp_path / "store")
    before = get_artifact_registry()
    tracker = context.current_tracker()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifact_registry, "_registry", None)
        assert artifact_registry._registry is None
        assert get_resolver_mode() == "pre_init"
        with pytest.raises(RuntimeError, match=NOT_INITIALIZED):
            get_artifact_registry()
    assert get_artifact_registry() is before
    assert context.current_registry() is before.registry
    assert context.current_tracker() is tracker


def test_init_counts_even_while_it_is_patched_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("nemo_runspec.artifact_registry._registry", None)
    start.init(root=tmp_path / "store")
    assert get_artifact_registry().root == str(tmp_path / "store")


def test_the_attribute_can_be_set(tmp_path: Path):
    mine = ArtifactRegistry(root=tmp_path / "mine")
    artifact_registry._registry = mine
    assert get_artifact_registry() is mine
    assert context.current_registry() is mine.registry


def test_the_module_can_be_reloaded(tmp_path: Path):
    start.init(root=tmp_path / "store")
    before = vars(artifact_registry).copy()
    try:
        again = importlib.reload(artifact_registry)
        assert again.get_artifact_registry().root == str(tmp_path / "store")
        assert again._registry is again.get_artifact_registry()
    finally:
        vars(artifact_registry).update(before)


# -- lineage -----------------------------------------------------------------------------------------------


def test_what_was_resolved_becomes_an_input(tmp_path: Path, source: Path):
    start.init(root=tmp_path / "store")
    registry = get_artifact_registry()
    registry.publish("data", source)
    with start.run("train") as run:
        registry.resolve("data", "latest")
        registry.publish("model", source / "sub")
    record = context.require_registry().resolve("model")
    assert record.inputs == ["art://data:v1"]
    assert record.manifest.run == run.id
    assert record.manifest.producer == run.id


def test_another_store_keeps_its_uses_to_itself(tmp_path: Path, source: Path):
    start.init(root=tmp_path / "store")
    get_artifact_registry().publish("data", source)
    other = ArtifactRegistry(root=tmp_path / "other")
    other.publish("data", source)
    other.resolve("data")
    assert context.used() == ()
    assert get_artifact_registry().publish("model", source / "sub").version == 1
    assert context.require_registry().resolve("model").inputs == []
    other.publish("model", source / "sub")
    assert other.registry.resolve("model").inputs == ["art://data:v1"]


def test_a_tracker_over_this_registry(tmp_path):
    from nemotron.kit.artifact import Artifact
    from nemotron.kit.trackers import FileTracker

    (tmp_path / "data").mkdir()
    tracker = FileTracker(ArtifactRegistry(root=tmp_path / "store"))
    record = tracker.log_artifact(Artifact(path=tmp_path / "data"), "x", [])
    assert record["artifact_id"] == "x:v1"
    assert tracker.use_artifact("x:v1", "artifact") == tmp_path / "data"
