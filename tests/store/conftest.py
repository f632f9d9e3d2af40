from pathlib import Path

import pytest

from nemotron.kit.store.local import LocalStore


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


@pytest.fixture
def store(root):
    return LocalStore(root)


@pytest.fixture
def files_below():
    """What lies in a folder, at any depth, folders left out."""

    def look(folder):
        return sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if not p.is_dir())

    return look
