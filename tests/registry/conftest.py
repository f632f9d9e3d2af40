from collections.abc import Callable
from pathlib import Path

import pytest

from nemotron.kit.documents.tree import Entry
from nemotron.kit.registry import reading
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
def watch_reads(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Begins to note the files whose bytes are read: in any folder, or in one."""

    def watch(only: Path | None = None) -> list[str]:
        seen: list[str] = []
        at_once, steadily = reading.at_once, reading.steadily

        def note(folder: str, path: str) -> None:
            if only is None or folder == str(only):
                seen.append(path)

        def read_at_once(folder: str, path: str, size: int, state: list[int]) -> bytes | None:
            if (digest := at_once(folder, path, size, state)) is not None:
                note(folder, path)
            return digest

        def read_steadily(folder: str, entry: Entry, read: reading.Read) -> Entry:
            note(folder, entry.path)
            return steadily(folder, entry, read)

        monkeypatch.setattr(reading, "at_once", read_at_once)
        monkeypatch.setattr(reading, "steadily", read_steadily)
        return seen

    return watch


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
