"""With a thin fake in place of the client, as recipes test their scripts."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from nemotron.kit.errors import MissingExtraError, NotInitializedError
from nemotron.kit.integrations.wandb.tracker import WandbTracker


class FakeArtifact:
    def __init__(self, name: str, type: str, description: str = "", metadata: Any = None) -> None:
        self.name, self.type = name, type
        self.added: list[tuple[str, str]] = []

    def add_file(self, path: str, name: str) -> None:
        self.added.append(("file", name))

    def add_reference(self, uri: str, name: str, checksum: bool = True) -> None:
        assert not checksum
        self.added.append((uri, name))

    def wait(self) -> None:
        self.version = "v0"


class FakeRun:
    id = "run1"
    entity = "team"
    project = "proj"

    def __init__(self) -> None:
        self.used: list[Any] = []
        self.logged: list[tuple[FakeArtifact, list[str]]] = []

    def use_artifact(self, artifact: Any) -> Any:
        self.used.append(artifact)
        return artifact

    def log_artifact(self, artifact: FakeArtifact, aliases: list[str]) -> FakeArtifact:
        self.logged.append((artifact, aliases))
        return artifact


class FakeApi:
    def artifact(self, name: str) -> Any:
        if "known" not in name:
            raise ValueError(f"artifact {name} not found")
        return SimpleNamespace(name=name.rpartition("/")[2])


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    run = FakeRun()
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=run, Artifact=FakeArtifact, Api=FakeApi))
    return run


def test_a_fake_without_metadata_manifest_or_urls_is_enough(
    run: FakeRun, make_thing: Callable[..., Any]
) -> None:
    thing = make_thing(source_datasets=["hf://a/known", "hf://a/new"])
    record = WandbTracker().log_artifact(thing, "nano3/data", [])
    assert record["artifact_id"] == "team/proj/nano3-data:v0"
    assert record["input_artifact_refs"] == ["team/proj/a-known:latest", "team/proj/a-new"]
    ((artifact, aliases),) = run.logged
    assert artifact.added == [("file", "metadata.json"), (f"file://{thing.path}", "output")]
    assert aliases == ["latest"]
    assert [used.name for used in run.used] == ["a-known:latest", "a-new"]
    assert run.used[1].added == [("https://huggingface.co/datasets/a/new", "data")]


def test_without_a_run_it_is_inactive_and_says_so(run: FakeRun, make_thing: Callable[..., Any]) -> None:
    tracker = WandbTracker()
    assert (tracker.is_active(), tracker.get_run_id()) == (True, "run1")
    sys.modules["wandb"].run = None  # type: ignore[attr-defined]
    assert (tracker.is_active(), tracker.get_run_id()) == (False, None)
    with pytest.raises(RuntimeError, match=r"^No active W&B run"):
        tracker.use_artifact("art://x", "artifact")
    with pytest.raises(NotInitializedError):
        tracker.log_artifact(make_thing(), "x", [])


def test_without_the_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ImportError, match=r"pip install 'nemotron-kit\[wandb\]'") as caught:
        WandbTracker()
    assert isinstance(caught.value, MissingExtraError)


def test_what_the_client_does_not_hold_for_want_of_a_package_is_metadata(
    run: FakeRun, make_thing: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class KeepsMetadata(FakeArtifact):
        def __init__(self, name: str, type: str, description: str = "", metadata: Any = None) -> None:
            super().__init__(name, type)
            self.metadata = metadata

    monkeypatch.setattr(sys.modules["wandb"], "Artifact", KeepsMetadata)
    monkeypatch.setitem(sys.modules, "boto3", None)
    WandbTracker().log_artifact(make_thing(source_datasets=["s3://bucket/a"]), "data", [])
    assert run.used[0].added == []
    assert run.used[0].metadata["references"] == {"data": "s3://bucket/a"}
