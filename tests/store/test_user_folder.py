"""Where the user's own folders are, also of a user who has no home."""

import os
import pwd
import stat
from pathlib import Path

import pytest

from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.user_folder import cache_folder, state_folder


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder of a user without a home: a number that the container knows no name for."""

    def unknown(user: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {user}")

    for variable in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "tmp"


def test_the_environment_names_them_by_absolute_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for said, cache, state in (
        ("/scratch/me", "/scratch/me", "/scratch/me"),
        ("scratch", "/home/me/.cache", "/home/me/.local/state"),
        ("", "/home/me/.cache", "/home/me/.local/state"),
    ):
        monkeypatch.setenv("XDG_CACHE_HOME", said)
        monkeypatch.setenv("XDG_STATE_HOME", said)
        assert (cache_folder(), state_folder()) == (cache, state)


def test_without_a_home_they_are_this_users_on_this_node(nowhere: Path) -> None:
    assert cache_folder() == f"{nowhere}/nemotron-kit-{os.geteuid()}/.cache"
    assert stat.S_IMODE(os.stat(Path(cache_folder()).parent).st_mode) == 0o700


def test_a_folder_of_somebody_elses_is_not_taken(nowhere: Path) -> None:
    Path(cache_folder()).parent.chmod(0o777)
    with pytest.raises(NotADirectoryError):
        os.makedirs(cache_folder())


def test_nothing_of_the_kit_lies_where_it_was_started(nowhere: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a").write_text("a")
    registry = Registry.open("memory://no-home")
    record = registry.publish(Draft(name="m", source=data, snapshot=True)).record
    folder = registry.folder(record)
    assert folder.is_relative_to(nowhere)
    assert (folder / "a").read_text() == "a"
    assert sorted(os.listdir(tmp_path)) == ["data", "tmp"]
