"""Which store: `--root`, NEMO_ARTIFACT_ROOT, env.toml, in this order."""

from pathlib import Path

import pytest

from nemotron.kit.cli.roots import find_root
from nemotron.kit.errors import MisuseError


def write(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "env.toml").write_text(text)


def manifest_root(root: str) -> str:
    return f'[wandb]\nproject = "x"\n\n[artifacts.manifest]\nroot = "{root}"\n'


def test_the_option_wins_over_the_variable_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, manifest_root("/from/file"))
    assert find_root(None) == "/from/file"
    monkeypatch.setenv("NEMO_ARTIFACT_ROOT", "/from/variable")
    assert find_root(None) == "/from/variable"
    assert find_root("/from/option") == "/from/option"
    monkeypatch.setenv("NEMO_ARTIFACT_ROOT", "")
    assert find_root(None) == "/from/file"


def test_a_file_is_found_upwards_and_relative_roots_count_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, manifest_root("artifacts"))
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert find_root(None) == f"{tmp_path}/artifacts"
    write(tmp_path / "a", "[artifacts]\nwandb = true\n")  # says nothing of a root: the next one is asked
    assert find_root(None) == f"{tmp_path}/artifacts"
    write(tmp_path / "a", manifest_root("../other"))
    assert Path(find_root(None)).resolve() == tmp_path / "other"


@pytest.mark.parametrize("root", ["s3://bucket/x", "~/artifacts", "/abs"])
def test_urls_homes_and_absolute_paths_stay(tmp_path: Path, root: str) -> None:
    write(tmp_path, manifest_root(root))
    assert find_root(None) == root


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[artifacts", "is damaged"),
        ("\x00", "is damaged"),
        ("artifacts = 3", "expected a table"),
        ("[artifacts]\nmanifest = 'x'", "expected a table"),
        ("[artifacts.manifest]\nroot = 3", "expected a path or URL"),
        ("[artifacts.manifest]\nroot = ''", "expected a path or URL"),
        ("[artifacts.manifest]\nroot = '${oc.env:HOME}/x'", "write it out"),
    ],
)
def test_a_file_that_makes_no_sense_is_named(kit, tmp_path: Path, text: str, problem: str) -> None:
    write(tmp_path, text)
    with pytest.raises(MisuseError, match=problem):
        find_root(None)
    said = kit("ls")
    assert (said.code, said.out) == (2, "")
    assert str(tmp_path / "env.toml") in said.err


def test_a_file_that_is_no_text_or_can_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "env.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(MisuseError, match="is damaged"):
        find_root(None)
    (tmp_path / "env.toml").unlink()
    (tmp_path / "env.toml").mkdir()
    with pytest.raises(MisuseError, match="Cannot read"):
        find_root(None)


def test_no_folder_to_look_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(MisuseError, match="--root"):
        find_root(None)


def test_the_command_works_with_each(kit, tmp_path: Path, data: Path) -> None:
    write(tmp_path, manifest_root("store"))
    assert kit("register", "data", "--name", "m").code == 0
    assert (tmp_path / "store" / "m" / "v1" / "manifest.json").exists()
    assert kit("resolve", "m", "--root", "store").out == f"{data}\n"
    assert kit("resolve", "m", env={"NEMO_ARTIFACT_ROOT": f"file://{tmp_path}/store"}).out == f"{data}\n"
    assert kit("ls", "--root", "").code == 2
    assert kit("ls", "--root", "nosuch://x").code == 2
