from pathlib import Path

import pytest

from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.local import LocalStore
from nemotron.kit.testing.faults import FaultyStore


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "part.txt").write_text("hello")
    (folder / "sub/more.bin").write_bytes(bytes(range(256)))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def opened(root):
    """Opens the registry afresh, as another process would; nothing is remembered."""
    return lambda: Registry.open(root)


@pytest.fixture
def registry(opened):
    return opened()


@pytest.fixture
def publish(registry, data):
    """Publishes `data` under a name; keywords go into the draft."""

    def publish(name="m", *, via=registry, **draft):
        return via.publish(Draft(name=name, source=draft.pop("source", data), **draft))

    return publish


@pytest.fixture
def counted(root):
    """A registry that remembers nothing, and the calls that it makes of its store."""

    def open_counted():
        store = FaultyStore(LocalStore(root))
        return Registry(store), store

    return open_counted
