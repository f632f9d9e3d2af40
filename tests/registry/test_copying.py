"""Files that are taken into a store: none is written that is there, and few are asked for that are not."""

from pathlib import Path

import pytest

from nemotron.kit.registry import copying
from nemotron.kit.registry.copying import NEW_IN_A_ROW, copy_chunk
from nemotron.kit.registry.scan import scan_folder
from nemotron.kit.store.local import LocalStore
from nemotron.kit.testing.faults import FaultyStore

FILES = 5 * NEW_IN_A_ROW


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number:03}").write_text(f"{number}")
    return folder


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that were asked for."""
    keys: list[str] = []

    def holds(store, key, size, real=copying.holds):
        keys.append(key)
        return real(store, key, size)

    monkeypatch.setattr(copying, "holds", holds)
    return keys


def put(store: FaultyStore) -> list[str]:
    return [key for call, key in store.calls if call == "put"]


@pytest.mark.parametrize("before", [0, 1, 2 * NEW_IN_A_ROW])
def test_what_an_earlier_try_left_is_not_written_and_little_else_is_asked_for(data, tmp_path, asked, before):
    store, files = FaultyStore(LocalStore(tmp_path / "store")), scan_folder(str(data)).columns
    expected = copy_chunk(LocalStore(tmp_path / "other"), str(data), {}, files)
    if before:
        copy_chunk(store, str(data), {}, files.taken(range(before)))
    store.calls.clear()
    asked.clear()
    assert copy_chunk(store, str(data), {}, files).same_as(expected)
    assert len(put(store)) == FILES - before
    assert len(asked) == before + NEW_IN_A_ROW


def test_one_that_is_there_after_many_that_are_not_has_the_next_asked_for(data, tmp_path, asked):
    store, files = FaultyStore(LocalStore(tmp_path / "store")), scan_folder(str(data)).columns
    half = FILES // 2
    copy_chunk(store, str(data), {}, files.taken(range(half, FILES)))
    store.calls.clear()
    copy_chunk(store, str(data), {}, files)
    assert len(put(store)) == half + 1
    assert len([path for path in (tmp_path / "store/.kit/blobs").rglob("*") if path.is_file()]) == FILES
