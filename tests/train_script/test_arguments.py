import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.errors import MisuseError
from nemotron.kit.train_script import parse_config_and_overrides

DEFAULT = "configs/default.yaml"


@pytest.mark.parametrize(
    ("argv", "config", "overrides"),
    [
        ([], DEFAULT, []),
        (["a=1"], DEFAULT, ["a=1"]),
        (["--config", "x.yaml"], "x.yaml", []),
        (["--config=x.yaml"], "x.yaml", []),
        (["-c", "x.yaml"], "x.yaml", []),
        (["-c=x.yaml"], "x.yaml", []),
        (["a=1", "--config", "x.yaml", "--debug", "b=2"], "x.yaml", ["a=1", "--debug", "b=2"]),
        (["--config", "x.yaml", "-c", "y.yaml"], "y.yaml", []),
        (["--config=with=equals.yaml"], "with=equals.yaml", []),
        (["--conf", "x.yaml"], DEFAULT, ["--conf", "x.yaml"]),
        (["--config-name=x"], DEFAULT, ["--config-name=x"]),
        (["-count=3"], DEFAULT, ["-count=3"]),
        (["a=1", "--", "--config", "b"], DEFAULT, ["a=1", "--config", "b"]),
        (["+a=1", "~b", "text with space=1"], DEFAULT, ["+a=1", "~b", "text with space=1"]),
    ],
)
def test_the_config_is_taken_out_and_the_rest_keeps_its_order(
    argv: list[str], config: str, overrides: list[str]
) -> None:
    assert parse_config_and_overrides(argv=argv, default_config=DEFAULT) == (config, overrides)


@pytest.mark.parametrize("argv", [["--config"], ["-c"], ["--config="], ["--config", "--debug"], ["-c", "-c"]])
def test_a_missing_file_name_is_an_error(argv: list[str]) -> None:
    with pytest.raises(MisuseError, match=f"{argv[0].rstrip('=')} needs a config file"):
        parse_config_and_overrides(argv=argv, default_config=DEFAULT)


def test_the_default_may_be_a_path_and_the_arguments_those_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "a=1"])
    assert parse_config_and_overrides(default_config=Path("x") / "y.yaml") == ("x/y.yaml", ["a=1"])


@given(st.lists(st.text().filter(lambda text: text.partition("=")[0] not in ("-c", "--config", "--"))))
def test_whatever_is_not_the_config_comes_back_as_it_was(argv: list[str]) -> None:
    before = list(argv)
    assert parse_config_and_overrides(argv=argv, default_config="x") == ("x", before)
    assert argv == before
