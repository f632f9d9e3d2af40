"""P1: whoever saves, and whoever looks, and from whichever process: it is one store."""

import json
import os
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from integration import views
from nemo_runspec import ManifestTracker
from nemo_runspec.artifact_registry import ArtifactRegistry, get_artifact_registry
from nemotron import kit
from nemotron.kit import context

Seen = dict[str, dict[str, tuple[str, str]]]

REFS = {
    "art://my-dataset:v1": ("art://my-dataset:v1", "one"),
    "art://my-dataset:1": ("art://my-dataset:v1", "one"),
    "art://my-dataset:v2": ("art://my-dataset:v2", "two"),
    "art://my-dataset:latest": ("art://my-dataset:v2", "two"),
    "art://my-dataset": ("art://my-dataset:v2", "two"),
    "art://my-dataset:stable": ("art://my-dataset:v1", "one"),
}
EVERYONE_SEES = {view.__name__: REFS for view in views.VIEWS}


def data(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "part.txt").write_text(text)
    return folder


def here() -> Seen:
    return views.see(list(REFS))


def elsewhere(root: str, **environment: str) -> Seen:
    """The same views from another process."""
    done = subprocess.run(
        [sys.executable, "-W", "error", views.__file__, root, *REFS],
        env={key: value for key, value in os.environ.items() if not key.startswith("NEMO_")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    return {view: {ref: tuple(pair) for ref, pair in refs.items()} for view, refs in seen.items()}


@pytest.fixture
def root(tmp_path: Path) -> str:
    root = str(tmp_path / "root")
    kit.init(backend="fsspec", root=root)
    return root


@pytest.mark.parametrize("snapshot", [False, True], ids=["reference", "snapshot"])
def test_what_is_saved_is_the_same_to_all(root: str, tmp_path: Path, snapshot: bool):
    for text in ("one", "two"):
        artifact = kit.Artifact(path=data(tmp_path / text, text))
        artifact.save(name="my-dataset", snapshot=snapshot)
    context.require_registry().alias("my-dataset", "stable", 1)
    assert here() == EVERYONE_SEES
    assert elsewhere(root) == EVERYONE_SEES
    assert elsewhere("", NEMO_ARTIFACT_ROOT=root) == EVERYONE_SEES


def test_it_does_not_matter_through_which_door_it_came(root: str, tmp_path: Path):
    """One version by the index, one by the command, the alias by a third; then a checkpoint by a tracker."""
    get_artifact_registry().publish("my-dataset", data(tmp_path / "one", "one"))
    nemotron = Path(sys.executable).with_name("nemotron")
    source = str(data(tmp_path / "two", "two"))
    command = [str(nemotron), "kit", "register", source, "--name", "my-dataset", "--root", root]
    subprocess.run(command, check=True, capture_output=True)
    ArtifactRegistry(root=root).alias("my-dataset", "stable", "v1")
    assert here() == EVERYONE_SEES
    assert elsewhere(root) == EVERYONE_SEES

    ManifestTracker(root).log_model_checkpoint("my-dataset", data(tmp_path / "iter_3", "three"), 3)
    seen = views.see(["art://my-dataset"])
    assert seen == {view: {"art://my-dataset": ("art://my-dataset:v3", "three")} for view in EVERYONE_SEES}


def test_another_process_publishes_and_this_one_sees_it_at_once(root: str, tmp_path: Path):
    kit.Artifact(path=data(tmp_path / "one", "one")).save(name="my-dataset")
    assert {pair for refs in views.see(["art://my-dataset"]).values() for pair in refs.values()} == {
        ("art://my-dataset:v1", "one")
    }
    source = data(tmp_path / "two", "two")
    code = (
        f"from nemotron import kit; kit.init(root={root!r})\n"
        f"kit.Artifact(path={str(source)!r}).save(name='my-dataset')\n"
        "kit.context.require_registry().alias('my-dataset', 'stable', 1)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert here() == EVERYONE_SEES


def test_what_every_door_loaded_becomes_an_input(root: str, tmp_path: Path):
    for name in ("a", "b", "c", "d"):
        kit.Artifact(path=data(tmp_path / name, name)).save(name=name)
    with kit.run("train"):
        kit.Artifact.from_uri("art://a")
        with fsspec.open("art://b/part.txt") as file:
            file.read()
        get_artifact_registry().resolve("c")
        kit.Artifact.load(tracked_artifact="d:v1")
        kit.Artifact(path=data(tmp_path / "model", "m")).save(name="model")
    graph = kit.lineage_of("art://model")
    assert {node.uri for node in graph.inputs("art://model:v1")} == {f"art://{name}:v1" for name in "abcd"}
    assert [node.uri for node in kit.lineage_of("a", direction="down")] == ["art://a:v1", "art://model:v1"]
