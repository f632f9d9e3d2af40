"""The reference in docs/cli.md is what the commands say of themselves."""

from pathlib import Path

import pytest

from nemotron.kit.cli.app import COMMANDS, load
from nemotron.kit.cli.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
REMEDY = "run: python -m nemotron.kit.cli.reference > docs/cli.md"


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text() == reference(), REMEDY


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name: str) -> None:
    page = PAGE.read_text()
    command = load(name)
    assert f"\n## {name}\n" in page
    assert command.help
    assert command.help in page
    for param in command.params:
        assert getattr(param, "help", None), f"{name} {param.name} has no help"
        assert all(option in page for option in param.opts if option.startswith("-"))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_the_same_text(kit, name: str) -> None:
    said = kit(name, "--help", env={"COLUMNS": "200"})
    assert said.code == 0
    assert " ".join(load(name).help.split("\n\n")[0].split()) in " ".join(said.out.split())
    for option in ("--root", "--json", "--quiet"):
        assert option in said.out


def test_help_fills_the_width_that_there_is(kit) -> None:
    paragraphs = load("register").help.split("\n\n")
    assert any("\n" in paragraph for paragraph in paragraphs)
    lines = [line.strip() for line in kit("register", "--help", env={"COLUMNS": "1000"}).out.splitlines()]
    assert {paragraph.replace("\n", " ") for paragraph in paragraphs} <= set(lines)
