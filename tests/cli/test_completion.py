"""What the shells are told, bash for real."""

import os
import shutil
import subprocess
import sys

import pytest

from nemotron.kit.registry.registry import Registry

PROGRAM = [sys.executable, "-m", "nemotron.kit.cli"]
# `nemotron` is a function here, so that no installed command is needed; bash hands words over in pieces.
SCRIPT = """
nemotron() { "$PYTHON" -m nemotron.kit.cli "$@"; }
env() { command env "${@:1:$#-1}" "$PYTHON" -m nemotron.kit.cli; }
eval "$(_NEMOTRON_COMPLETE=source_bash nemotron)"
COMP_WORDS=("$@")
COMP_CWORD=$(( $# - 1 ))
_nemotron_completion nemotron
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def bash(store: Registry):
    shell = shutil.which("bash")
    if shell is None:
        pytest.skip("no bash here")

    def complete(*words: str) -> list[str]:
        environment = {**os.environ, "PYTHON": sys.executable}
        done = subprocess.run(
            [shell, "--norc", "-c", SCRIPT, "bash", *words],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
        assert done.stderr == ""
        return done.stdout.splitlines()

    return complete


def test_bash(bash) -> None:
    assert bash("nemotron", "kit", "al") == ["alias", "aliases", "alias-log"]
    assert bash("nemotron", "kit", "show", "n") == ["nano3-data"]
    assert bash("nemotron", "kit", "show", "nano3/") == ["nano3/data"]
    assert bash("nemotron", "kit", "alias-log", "base", "") == ["good"]
    assert bash("nemotron", "kit", "register", "x", "--name", "ba") == ["base"]


def test_bash_cuts_words_at_colons(bash) -> None:
    assert bash("nemotron", "kit", "show", "nano3-data", ":") == ["latest", "v2", "v1"]
    assert bash("nemotron", "kit", "show", "nano3-data", ":", "v") == ["v2", "v1"]
    assert bash("nemotron", "kit", "show", "base", ":", "g") == ["good"]
    assert bash("nemotron", "kit", "show", "art", ":", "//ba") == ["//base"]
    assert bash("nemotron", "kit", "resolve", "art", ":", "//nano3-data", ":", "v1") == ["v1"]


def complete(shell: str, line: str) -> str:
    environment = {**os.environ, "_NEMOTRON_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line}
    environment["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
    return subprocess.run(PROGRAM, capture_output=True, text=True, env=environment, check=True).stdout


def test_zsh_and_fish_get_whole_words(store: Registry) -> None:
    assert complete("fish", "nemotron kit show nano3-data:v").split() == ["nano3-data:v2", "nano3-data:v1"]
    assert "nano3-data" in complete("zsh", "nemotron kit show n")


def test_a_store_that_can_not_be_read_proposes_nothing(store: Registry, monkeypatch) -> None:
    assert complete("fish", "nemotron kit show --root /etc/passwd b").split() == []
    assert complete("fish", "nemotron kit show ../x:").split() == []
    monkeypatch.delenv("NEMO_ARTIFACT_ROOT")
    assert complete("fish", "nemotron kit show b").split() == []


def test_an_open_quote_is_left_alone(store: Registry, monkeypatch) -> None:
    environment = {**os.environ, "_NEMOTRON_COMPLETE": "complete_bash", "COMP_CWORD": "3"}
    environment["COMP_WORDS"] = 'nemotron\nkit\nshow\n"ba'
    done = subprocess.run(PROGRAM, capture_output=True, text=True, env=environment, check=False)
    assert "Traceback" not in done.stderr


def test_there_is_a_script_to_install(store: Registry) -> None:
    done = subprocess.run(
        PROGRAM,
        capture_output=True,
        text=True,
        env={**os.environ, "_NEMOTRON_COMPLETE": "source_zsh"},
        check=True,
    )
    assert "compdef" in done.stdout
