"""What recipes and their tests look for in errors: the class, and how the message begins."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nemo_runspec import artifact_registry, exceptions, manifest_tracker
from nemo_runspec.filesystem import ArtifactFileSystem
from nemotron import kit
from nemotron.kit import recipe_loader, train_script
from nemotron.kit.artifact import Artifact, apply_scale
from nemotron.kit.trackers import NoOpTracker


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def filled(root: Path) -> Any:
    """A tracker of a store that has `n:v1`."""
    (root / "data").mkdir()
    tracker = manifest_tracker.ManifestTracker(root / "store")
    tracker.log_artifact(Artifact(path=root / "data"), "n", [])
    return tracker


MESSAGES: list[tuple[Callable[[Path], object], type[Exception], str]] = [
    (
        lambda _: kit.init(backend="x", root="r"),
        ValueError,
        "Unknown backend: x. Must be 'fsspec', 'manifest', or 'wandb'.",
    ),
    (lambda _: kit.init(), ValueError, "root is required for fsspec/manifest backend"),
    (lambda _: kit.init(backend="wandb"), ValueError, "wandb_project is required for wandb backend"),
    (lambda _: Artifact.from_uri("data:v1/../../x"), ValueError, "Invalid art:// URI: "),
    (lambda root: Artifact.load(path=root / "x"), FileNotFoundError, "Artifact metadata not found: "),
    (
        lambda _: Artifact.load(tracked_artifact="x:v1"),
        ValueError,
        "Cannot load tracked artifact: no active tracker",
    ),
    (lambda _: NoOpTracker().use_artifact("x", "model"), RuntimeError, "NoOpTracker cannot load artifacts"),
    (lambda _: apply_scale(1, "huge"), ValueError, "Invalid scale: huge. Must be one of: ["),
    (
        lambda _: train_script.load_omegaconf_yaml(Path("x.yaml")),
        FileNotFoundError,
        "Config file not found: ",
    ),
    (lambda _: train_script.omegaconf_to_dataclass({}, dict), TypeError, "dict must be a dataclass"),  # type: ignore[type-var]
    (
        lambda _: recipe_loader.import_recipe_function("no.such.function"),
        AttributeError,
        "Failed to import recipe 'no.such.function': ",
    ),
    (lambda _: artifact_registry.ArtifactRegistry(), ValueError, "root is required for fsspec backend"),
    (
        lambda _: artifact_registry.ArtifactRegistry(backend="wandb"),
        ValueError,
        "wandb_project is required for wandb backend",
    ),
    (
        lambda _: artifact_registry.get_artifact_registry(),
        RuntimeError,
        "Artifact registry not initialized. Call kit.init() first.",
    ),
    (lambda root: filled(root).use_artifact("m", "model"), FileNotFoundError, "Artifact not found: m"),
    (lambda root: filled(root).use_artifact("n:v9", "model"), FileNotFoundError, "Version not found: n:v9"),
    (
        lambda _: manifest_tracker.ManifestTracker("hf://org"),
        ValueError,
        "HF Hub root must be 'hf://org/repo' or 'hf://org/repo/subdir', got: hf://org",
    ),
    *(
        (
            lambda root, mode=mode: ArtifactFileSystem().open("art://n/x", mode),
            ValueError,
            "ArtifactFileSystem is read-only",
        )
        for mode in ("wb", "ab", "xb", "r+b", "w")
    ),
]


@pytest.mark.parametrize(("call", "kind", "said"), MESSAGES, ids=[said[:40] for _, _, said in MESSAGES])
def test_an_error_says_what_it_always_said(
    call: Callable[[Path], object], kind: type[Exception], said: str, tmp_path: Path
) -> None:
    with pytest.raises(kind) as caught:
        call(tmp_path)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("given", "said"), [(Terminal(), "No input provided"), (io.StringIO("{"), "Invalid stdin data")]
)
def test_of_standard_input(given: io.StringIO, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", given)
    with pytest.raises(ValueError, match=f"^{said}"):
        Artifact.load()


def test_of_what_is_not_found() -> None:
    assert str(exceptions.ArtifactNotFoundError("n")) == "Artifact not found: n"
    assert str(exceptions.ArtifactVersionNotFoundError("n", "v")) == "Artifact version not found: n:v"
    assert str(exceptions.ArtifactNotFoundError("n", "why")) == "why"
