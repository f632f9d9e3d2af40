"""A store to save to, and folders of data."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nemotron.kit import start
from nemotron.kit.artifacts import saving
from nemotron.kit.context import require_registry
from nemotron.kit.registry.registry import Registry


@pytest.fixture(autouse=True)
def _every_test_is_a_process() -> None:
    """What is said once per process is said once per test."""
    saving._say_not_saved.cache_clear()


@pytest.fixture
def store(tmp_path: Path) -> Registry:
    """The kit, started."""
    start.init(root=tmp_path / "store")
    return require_registry()


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder with a file or more: `folder("data", "part.txt")`."""

    def make(name: str, *files: str) -> Path:
        for file in files or ("part.txt",):
            path = tmp_path / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"content of {file}")
        return tmp_path / name

    return make
