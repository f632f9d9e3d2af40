"""Paths stay paths, and URLs stay URLs."""

import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from nemotron.kit.artifacts.base import Artifact
from nemotron.kit.artifacts.paths import to_path
from nemotron.kit.errors import MissingExtraError, MisuseError


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/data", Path("/data")),
        ("data/x", Path("data/x")),
        (Path("/data"), Path("/data")),
        ("file:///data/a%20b", Path("/data/a b")),
        ("file://localhost/data#1?", Path("/data#1?")),
        ("run1:/x", Path("run1:/x")),
    ],
)
def test_local(given: str | Path, expected: Path) -> None:
    assert to_path(given) == expected


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert to_path("~/data") == to_path(Path("~/data")) == Path("/home/me/data")


@pytest.mark.parametrize("given", ["s3://bucket/x", Path("s3://bucket/x"), "s3:/bucket/x"])
def test_a_url_never_becomes_a_local_folder(given: str | Path) -> None:
    artifact = Artifact(path=given)
    assert str(artifact.path) == "s3://bucket/x"
    assert type(artifact.path).__module__.startswith("upath")
    assert artifact.to_document()["path"] == "s3://bucket/x"
    assert artifact.get_wandb_references() == [("s3://bucket/x", "output")]
    assert str((artifact.path / "a").parent) == "s3://bucket/x"
    assert artifact.art_path == "art://s3://bucket/x"


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "upath", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'nemotron-kit\[remote\]'"):
        to_path("s3://bucket/x")
    with pytest.raises(ImportError, match=r"pip install 'nemotron-kit\[remote\]'"):
        Artifact(path="s3://bucket/x")


@pytest.mark.parametrize("given", ["", "a\0b", 3, None, b"/data", "file://data", "file://"])
def test_no_path(given: object) -> None:
    with pytest.raises(MisuseError, match="Not a path"):
        to_path(given)
    with pytest.raises(ValidationError, match="Not a path"):
        Artifact(path=given)  # type: ignore[arg-type]


def test_an_artifacts_name_is_no_path() -> None:
    with pytest.raises(MisuseError, match="load it with Artifact"):
        to_path("art://data:v1")
