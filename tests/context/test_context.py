"""The ambient state: what is in force, who brought it, and how it goes."""

import threading
from pathlib import Path

import pytest

from nemotron.kit import context, start
from nemotron.kit.artifact import Artifact
from nemotron.kit.errors import MisuseError, NotInitializedError
from nemotron.kit.registry.registry import Registry
from nemotron.kit.tracking.composite import CompositeTracker
from nemotron.kit.tracking.file import FileTracker, ManifestTracker
from nemotron.kit.tracking.noop import NoOpTracker


def root_in_force() -> str | None:
    registry = context.current_registry()
    return registry.root if registry else None


def test_nothing_is_in_force_until_somebody_says_so() -> None:
    assert (context.current_registry(), context.current_tracker(), start.is_initialized()) == (
        None,
        None,
        False,
    )
    with pytest.raises(NotInitializedError, match=r"init\(root=…\).*NEMO_ARTIFACT_ROOT"):
        context.require_registry()


def test_the_variable_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEMO_ARTIFACT_ROOT", str(tmp_path / "a"))
    assert root_in_force() == str(tmp_path / "a")
    assert isinstance(context.current_tracker(), FileTracker)
    assert not start.is_initialized()
    monkeypatch.setenv("NEMO_ARTIFACT_ROOT", str(tmp_path / "b"))
    assert root_in_force() == str(tmp_path / "b")


def test_init_wins_over_the_variable_and_shutdown_gives_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEMO_ARTIFACT_ROOT", str(tmp_path / "variable"))
    start.init(root=tmp_path / "said")
    assert (root_in_force(), start.is_initialized()) == (str(tmp_path / "said"), True)
    start.shutdown()
    assert (root_in_force(), start.is_initialized()) == (str(tmp_path / "variable"), False)


def test_a_tracker_brings_its_store(tmp_path: Path) -> None:
    start.init(root=tmp_path / "first")
    context.set_tracker(ManifestTracker(tmp_path / "second"))
    assert root_in_force() == str(tmp_path / "second")
    context.set_tracker(CompositeTracker([ManifestTracker(tmp_path / "third"), NoOpTracker()]))
    assert root_in_force() == str(tmp_path / "third")


def test_no_tracker_is_an_answer_too(tmp_path: Path) -> None:
    start.init(root=tmp_path)
    context.set_tracker(None)
    assert context.current_tracker() is None


def test_using_ends_with_what_was_before(tmp_path: Path) -> None:
    start.init(root=tmp_path / "outer", on_drift="error")
    with start.using(root=tmp_path / "inner") as registry:
        assert registry is not None
        assert root_in_force() == registry.root == str(tmp_path / "inner")
        assert context.settings().on_drift == "warn"
    assert root_in_force() == str(tmp_path / "outer")
    assert context.settings().on_drift == "error"


def test_using_ends_so_after_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(MisuseError), start.using(root=tmp_path):
        raise MisuseError("inside")
    assert root_in_force() is None


def test_every_thread_sees_the_same(tmp_path: Path) -> None:
    start.init(root=tmp_path)
    seen: list[object] = []
    threads = [threading.Thread(target=lambda: seen.append(context.current_tracker())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [context.current_tracker()] * 8


def saved(name: str, folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    uri = Artifact(path=folder, metadata={"of": name}).save(name=name).uri
    assert uri is not None
    return uri


def inputs_of(uri: str) -> list[str]:
    return context.require_registry().resolve(uri).inputs


def test_what_is_loaded_in_a_run_is_an_input_inside_it_alone(tmp_path: Path) -> None:
    start.init(root=tmp_path / "store")
    a, b = saved("a", tmp_path / "a"), saved("b", tmp_path / "b")
    Artifact.from_uri(a)
    with start.run("inner") as run:
        Artifact.from_uri(b)
        assert inputs_of(saved("inside", tmp_path / "c")) == [b]
        assert context.require_registry().resolve("art://inside").manifest.run == run.id
    assert inputs_of(saved("outside", tmp_path / "d")) == [a]


def test_what_was_used_of_one_store_is_no_input_in_another(tmp_path: Path) -> None:
    start.init(root=tmp_path / "one")
    Artifact.from_uri(saved("a", tmp_path / "a"))
    start.init(root=tmp_path / "two")
    assert inputs_of(saved("b", tmp_path / "b")) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backend": "mlflow"}, "Unknown backend: mlflow. Must be 'fsspec', 'manifest', or 'wandb'."),
        ({}, "root is required for fsspec/manifest backend"),
        ({"backend": "manifest"}, "root is required for fsspec/manifest backend"),
        ({"backend": "wandb"}, "wandb_project is required for wandb backend"),
        ({"root": "x", "evidence": "hopeful"}, "Unknown evidence: 'hopeful'"),
        ({"root": "x", "on_drift": "shrug"}, "Unknown on_drift: 'shrug'"),
        ({"root": "nosuch://host/x"}, "Cannot open the root nosuch://host/x"),
    ],
)
def test_a_wrong_start_says_what_is_wrong_and_starts_nothing(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is what matters
        start.init(**arguments)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)
    assert not start.is_initialized()


def test_an_unknown_keyword_is_named() -> None:
    with pytest.raises(TypeError, match="no_such"):
        start.init(root="x", no_such=1)  # type: ignore[call-arg]


def test_starting_writes_nothing(tmp_path: Path) -> None:
    start.init(root=tmp_path / "store")
    assert Registry.open(tmp_path / "store").list() == []
    assert not (tmp_path / "store").exists()


def test_what_was_loaded_before_there_was_a_store_is_an_input(tmp_path: Path) -> None:
    with start.using(root=tmp_path / "store"):
        uri = saved("prep", tmp_path / "prep")
    Artifact.load(tmp_path / "prep")
    start.init(root=tmp_path / "store")
    assert inputs_of(saved("model", tmp_path / "model")) == [uri]


def test_the_same_store_by_way_of_a_link_is_the_same_store(tmp_path: Path) -> None:
    start.init(root=tmp_path / "store")
    uri = saved("a", tmp_path / "a")
    Artifact.from_uri(uri)
    (tmp_path / "link").symlink_to(tmp_path / "store")
    start.init(root=tmp_path / "link")
    assert inputs_of(saved("b", tmp_path / "b")) == [uri]


def test_starting_inside_a_run_leaves_the_run_in_force(tmp_path: Path) -> None:
    with start.run("sft") as run:
        start.init(root=tmp_path / "one")
        saved("a", tmp_path / "a")
        assert context.require_registry().resolve("art://a").manifest.producer == run.id
        with start.using(root=tmp_path / "two"):
            saved("b", tmp_path / "b")
            assert context.require_registry().resolve("art://b").manifest.producer == run.id
