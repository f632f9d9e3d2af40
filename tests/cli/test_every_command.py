"""What all commands have in common: exit codes, and what goes to which stream."""

from pathlib import Path

import pytest

from cli.table import COMMANDS, NAMED, REFERRING, WITHOUT_STORE
from nemotron.kit.cli.app import COMMANDS as THERE
from nemotron.kit.cli.app import HEADINGS, load
from nemotron.kit.registry.registry import Registry

ADVERSARIAL = (
    "../x",
    "a/../../x",
    "art://base:v1/../../x",
    "art://base:v1/%2e%2e/%2e%2e/x",
    "/etc/passwd",
    "art:///etc/passwd",
    "a\nb",
    ".kit",
    "v1",
    "",
    "base:",
    "base:v1:v2",
    "ba\u0455e",  # a Cyrillic letter
    "x" * 10_000,
    "s3://bucket/x",
    "-",
    "base:v" + "9" * 40,
)

NEEDING_A_STORE = [name for name in COMMANDS if name not in WITHOUT_STORE]


def form_first(call: tuple[str, ...], *options: str) -> tuple[str, ...]:
    """Options go before the `--` of a call."""
    return (call[0], *options, *call[1:])


def test_the_table_below_has_every_command() -> None:
    assert set(COMMANDS) == set(THERE)


@pytest.mark.parametrize("name", COMMANDS)
def test_plain(kit, store: Registry, name: str) -> None:
    said = kit(*COMMANDS[name])
    assert said.code == 0, said.err
    assert said.out.endswith("\n")
    assert said.err == ""
    assert "\x1b" not in said.out  # no colour: nobody looks
    assert not any(line.endswith(" ") for line in said.out.splitlines())


@pytest.mark.parametrize("name", COMMANDS)
def test_json_is_one_strict_document_and_nothing_else(kit, store: Registry, name: str) -> None:
    said = kit(*COMMANDS[name], "--json")
    assert said.code == 0, said.err
    assert said.json is not None
    assert said.err == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_quiet_has_no_headings(kit, store: Registry, name: str) -> None:
    said = kit(*COMMANDS[name], "--quiet")
    assert said.code == 0, said.err
    assert said.err == ""
    assert said.out == "" or not said.out.startswith(("NAME", "VERSION", "ALIAS", "MOVED"))


@pytest.mark.parametrize("name", NEEDING_A_STORE)
@pytest.mark.parametrize("form", [(), ("--json",), ("--quiet",)])
def test_no_root_is_wrong_usage_and_names_the_three_ways(kit, name: str, form: tuple[str, ...]) -> None:
    said = kit(*COMMANDS[name], *form)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: ")
    for way in ("--root", "NEMO_ARTIFACT_ROOT", "[artifacts.manifest] root", "env.toml"):
        assert way in said.err


@pytest.mark.parametrize("name", NEEDING_A_STORE)
def test_a_root_that_is_a_file_is_refused(kit, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    said = kit(*COMMANDS[name], "--root", str(tmp_path / "file"))
    assert (said.code, said.out) == (1, "")
    assert "is a file" in said.err


@pytest.mark.parametrize("name", REFERRING)
@pytest.mark.parametrize("form", [(), ("--json",), ("--quiet",)])
def test_what_is_not_there_is_1(kit, store: Registry, name: str, form: tuple[str, ...]) -> None:
    said = kit(*form_first(REFERRING[name]("bse:v1" if name not in NAMED else "bse"), *form))
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("error: Artifact not found: bse")
    assert "did you mean base?" in said.err


@pytest.mark.parametrize("name", REFERRING)
def test_an_empty_root_has_nothing(kit, tmp_path: Path, name: str) -> None:
    call = REFERRING[name]("base:v1" if name not in NAMED else "base")
    said = kit(*form_first(call, "--root", str(tmp_path / "new")))
    assert (said.code, said.out) == (1, "")
    assert "nothing was published there yet" in said.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", REFERRING)
@pytest.mark.parametrize("ref", ADVERSARIAL)
def test_adversarial_references(kit, store: Registry, name: str, ref: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    said = kit(*REFERRING[name](ref))
    assert said.code in (1, 2)
    assert said.out == ""
    assert said.err.strip()
    assert len(said.err) < 1500
    assert all(line.isprintable() for line in said.err.splitlines())
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", COMMANDS)
def test_an_empty_text_is_wrong_usage_wherever_it_stands(kit, store: Registry, name: str) -> None:
    """As of a script whose variable is not set; no default takes its place."""
    known = load(name)
    arguments = [param for param in known.params if param.param_type_name == "argument"]
    needed = [("--name", "x"), ("--why", "x"), ("--to", "dot")]
    given = [text for pair in needed for text in pair if any(pair[0] in param.opts for param in known.params)]
    for at, param in enumerate(arguments):
        texts = ["" if at == other else "x" for other in range(len(arguments))]
        said = kit(name, *given, *texts)
        assert (said.code, said.out) == (2, "")
        assert said.err.startswith(f"error: {param.metavar} is empty; expected ")
    texts = ["x"] * len(arguments)
    for param in known.params:
        if param.param_type_name != "argument" and not param.is_flag and "--why" not in param.opts:
            said = kit(name, *given, param.opts[-1], "", *texts)
            assert (said.code, said.out) == (2, "")
            own = ("Invalid value for", "Invalid grace period")
            assert f"{param.opts[-1]} is empty" in said.err or any(text in said.err for text in own)


@pytest.mark.parametrize("name", COMMANDS)
def test_missing_arguments_and_unknown_options_are_2(kit, store: Registry, name: str) -> None:
    unknown = kit(*COMMANDS[name], "--colour")
    assert (unknown.code, unknown.out) == (2, "")
    assert "No such option" in unknown.err
    if len(COMMANDS[name]) > 1:
        missing = kit(name)
        assert (missing.code, missing.out) == (2, "")
        assert "Missing" in missing.err


def test_a_misspelt_command_is_2_and_says_which_was_meant(kit) -> None:
    said = kit("reslove", "x")
    assert (said.code, said.out) == (2, "")
    assert "resolve" in said.err


def test_a_damaged_manifest_is_a_warning_here_and_a_problem_for_the_doctor(kit, store: Registry) -> None:
    Path(store.root, "nano3-data/v2/manifest.json").write_text("{")
    said = kit("resolve", "nano3/data")
    assert said.code == 0
    assert said.out.count("\n") == 1
    assert said.err.startswith("warning: ")
    assert "nemotron kit doctor" in said.err
    named = kit("resolve", "nano3/data:v2", "--json")
    assert (named.code, named.out) == (1, "")
    assert "is damaged" in named.err


def test_help_lists_each_command_once_below_its_heading(kit) -> None:
    shown = kit("--help", env={"COLUMNS": "200"}).out
    listed = [
        words[1] for line in shown.splitlines() if (words := line.split())[:1] == ["│"] and len(words) > 1
    ]
    assert sorted(one for one in listed if one in THERE) == sorted(THERE)
    assert all(f" {heading} " in shown for heading in HEADINGS)
