import os
import stat
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from nemotron.kit.errors import MisuseError, RefusedError
from nemotron.kit.train_script import load_omegaconf_yaml


def test_a_file_is_read_and_its_interpolations_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("lr: 1e-4\nname: é\ncopy: ${lr}\nseed: ???\n", encoding="utf-8")
    config = load_omegaconf_yaml(path)
    assert isinstance(config, DictConfig)
    assert OmegaConf.to_container(config) == {"lr": 1e-4, "name": "é", "copy": "${lr}", "seed": "???"}
    assert config.copy_ if "copy_" in config else config["copy"] == 1e-4
    assert load_omegaconf_yaml(str(path)) == config


def test_the_home_folder_and_an_empty_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert load_omegaconf_yaml("~/empty.yaml") == {}


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text("")
    missing = tmp_path / "tinny.yaml"
    with pytest.raises(FileNotFoundError) as caught:
        load_omegaconf_yaml(missing)
    assert str(caught.value) == f"Config file not found: {missing}. Did you mean {tmp_path / 'tiny.yaml'}?"
    with pytest.raises(FileNotFoundError) as caught:
        load_omegaconf_yaml(tmp_path / "no" / "such.yaml")
    assert str(caught.value) == f"Config file not found: {tmp_path / 'no' / 'such.yaml'}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"a: [1", "is not valid YAML"),
        (b"a: 1\na: 2\n", "duplicate key"),
        (b"a: b: c", "line 1"),
        (b"- 1\n- 2\n", "holds a list at the top"),
        (b"3\n", "cannot be read as a config"),
        (b"\xff\xfe\x00", "is not"),
        (b"a: ${b", "cannot be read as a config"),
        (b"a: !!python/object/apply:os.getpid []\n", "is not valid YAML"),
    ],
)
def test_what_is_no_config_is_an_error_with_the_file(tmp_path: Path, text: bytes, says: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(text)
    with pytest.raises(MisuseError) as caught:
        load_omegaconf_yaml(path)
    assert caught.value.message.startswith(str(path))
    assert says in caught.value.message


def test_a_folder_is_no_config(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="is a folder"):
        load_omegaconf_yaml(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_closed_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1")
    path.chmod(stat.S_IWUSR)
    with pytest.raises(RefusedError, match="may not be read"):
        load_omegaconf_yaml(path)


def test_a_file_that_the_system_refuses_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1")

    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(OmegaConf, "load", refuse)
    with pytest.raises(PermissionError, match="may not be read"):
        load_omegaconf_yaml(path)
