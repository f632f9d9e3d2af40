"""The three ways out, and what goes to which stream."""

import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Any

import pytest
from rich.table import Table

from nemotron.kit.console import output
from nemotron.kit.console.output import HumanOutput, JsonOutput, Progress, QuietOutput, Rows, View, choose


class Example(View):
    def __init__(self, document: Any = None, drawn: Any = "text") -> None:
        self._document, self._drawn = document, drawn

    def document(self) -> Any:
        return self._document

    def lines(self) -> Iterable[str]:
        return ["one", "two"]

    def render(self) -> Any:
        return self._drawn


def table(cell: str) -> Table:
    drawn = Table("A", "B", box=None)
    drawn.add_row(cell, "b")
    return drawn


def test_choose() -> None:
    assert isinstance(choose(as_json=False, quiet=False), HumanOutput)
    assert isinstance(choose(as_json=False, quiet=True), QuietOutput)
    assert isinstance(choose(as_json=True, quiet=False), JsonOutput)
    assert isinstance(choose(as_json=True, quiet=True), JsonOutput)


def test_text_and_tables_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    HumanOutput().show(Example())
    HumanOutput().show(Example(drawn=table("[bold]:smile: 123")))
    assert capsys.readouterr() == ("text\n A                  B\n [bold]:smile: 123  b\n", "")


def test_a_pipe_does_not_fold(capsys: pytest.CaptureFixture[str]) -> None:
    HumanOutput().show(Example(drawn=table("x" * 3000)))
    assert "x" * 3000 in capsys.readouterr().out


def test_json_is_strict_and_keeps_order(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"b": float("nan"), "a": [float("inf"), -float("inf"), "é", (1, 2)]}
    JsonOutput().show(Example(document))
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out) == {"b": "NaN", "a": ["Infinity", "-Infinity", "é", [1, 2]]}
    assert out.index('"b"') < out.index('"a"')
    assert "é" in out


def test_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    QuietOutput().show(Example())
    assert capsys.readouterr() == ("one\ntwo\n", "")


def test_notes_are_for_persons_and_warnings_for_everybody(capsys: pytest.CaptureFixture[str]) -> None:
    for way in (HumanOutput(), JsonOutput(), QuietOutput()):
        way.note(f"note of {type(way).__name__}")
    output.warn("careful")
    output.error("no\nway \x1b[2J")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "note of HumanOutput\nwarning: careful\nerror: no\nway \\x1b[2J\n"


class Stream(io.TextIOWrapper):
    """A stream of an encoding, on a terminal or not."""

    def __init__(self, encoding: str, *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def bytes(self) -> bytes:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue()


def test_what_a_stream_can_not_spell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Stream("utf-8"))
    output.write("path/\udcff\n")
    assert sys.stdout.bytes() == b"path/\xff\n"
    monkeypatch.setattr(sys, "stdout", Stream("ascii"))
    output.write("é\udcff")
    JsonOutput().show(Example({"é": "\udcff"}))
    assert sys.stdout.bytes() == b'\\xe9\\udcff{\n  "\\u00e9": "\\udcff"\n}\n'
    monkeypatch.setattr(sys, "stderr", Stream("ascii"))
    output.error("é")
    assert sys.stderr.bytes() == b"error: \\xe9\n"


@pytest.mark.parametrize("count", [0, 1, 3000])
def test_a_long_list_is_written_as_any_list(
    count: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "PIECE_SIZE", 1000)
    plain = [{"path": f"{at}\udcff", "loss": float("nan"), "parts": [at, {}]} for at in range(count)]
    texts = []
    for rows in (plain, Rows(plain, dict)):
        JsonOutput().show(Example({"a": {"b": [1]}, "rows": rows, "z": {"in": {"rows": rows}}}))
        texts.append(capsys.readouterr().out)
    assert texts[1] == texts[0]
    assert len(json.loads(texts[1])["z"]["in"]["rows"]) == count


@pytest.mark.parametrize(
    ("terminal", "variables", "coloured"),
    [
        (True, {"TERM": "xterm"}, True),
        (True, {"TERM": "dumb"}, False),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (True, {"TERM": "xterm", "NO_COLOR": ""}, True),
        (False, {}, False),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colour(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, variables: dict[str, str], coloured: bool
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", Stream("utf-8", terminal=terminal))
    output.warn("x")
    assert (b"\x1b[33m" in sys.stderr.bytes()) == coloured


def test_progress_shows_what_takes_long_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(output, "PATIENCE_S", 0.0)
    monkeypatch.setattr(sys, "stderr", Stream("utf-8", terminal=True))
    monkeypatch.setattr(sys, "stdout", Stream("utf-8"))
    with HumanOutput().progress("Looking") as step:
        deadline = time.monotonic() + 20
        while b"Looking" not in sys.stderr.bytes() and time.monotonic() < deadline:
            step(3, 7)
    said = sys.stderr.bytes()
    assert b"Looking" in said
    assert said.rstrip(b"\r\n").endswith(b"\x1b[2K")  # the line was wiped
    assert sys.stdout.bytes() == b""


@pytest.mark.parametrize("late", [False, True])
def test_progress_of_bytes_counts_as_results_do(monkeypatch: pytest.MonkeyPatch, late: bool) -> None:
    """2 GiB are no 2.1 GB: the line behind the bar says GiB. It counts, however late that begins."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(output, "PATIENCE_S", 0.0)
    monkeypatch.setattr(sys, "stderr", Stream("utf-8", terminal=True))
    with HumanOutput().progress("Reading", of_bytes=True) as step:
        deadline = time.monotonic() + 20
        if late:
            while b"Reading" not in sys.stderr.bytes() and time.monotonic() < deadline:
                pass
        while b"GiB" not in sys.stderr.bytes() and time.monotonic() < deadline:
            step(1 << 30, 2 << 30)
    assert b"1.0/2.0 GiB" in re.sub(rb"\x1b\[[0-9;]*m", b"", sys.stderr.bytes())


ALONE = """
import io, os, sys, threading, time
from nemotron.kit.console import output
from nemotron.kit.registry.parallel import processes_most, workers_most
assert processes_most() == workers_most() - 1
class Terminal(io.StringIO):
    def isatty(self):
        return True
real, sys.stderr, output.PATIENCE_S = sys.stderr, Terminal(), float(sys.argv[1])
with output.HumanOutput().progress("Reading") as step:
    assert threading.active_count() == 2
    deadline = time.monotonic() + 20
    while output.PATIENCE_S == 0 and "0:00:01" not in sys.stderr.getvalue() and time.monotonic() < deadline:
        step(1, 2)
    shown = sys.stderr.getvalue()
    assert threading.active_count() == 2
    assert processes_most() == workers_most() - 1
    other = threading.Thread(target=threading.Event().wait, daemon=True)
    other.start()
    assert processes_most() == workers_most()
sys.stderr = real
print("0:00:01" in shown)
"""


@pytest.mark.parametrize(("patience_s", "is_drawn"), [("0", "True"), ("1000", "False")])
def test_the_thread_that_shows_progress_takes_no_core(patience_s: str, is_drawn: str) -> None:
    """It draws again and again, and whoever works still has one core for itself."""
    done = subprocess.run(
        [sys.executable, "-c", ALONE, patience_s],
        capture_output=True,
        text=True,
        env={**os.environ, "TERM": "xterm"},
    )
    assert (done.returncode, done.stdout.strip()) == (0, is_drawn), done.stderr


def test_a_terminal_that_is_gone_ends_the_drawing_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(output, "PATIENCE_S", 0.0)
    terminal = Stream("utf-8", terminal=True)
    monkeypatch.setattr(sys, "stderr", terminal)
    with HumanOutput().progress("Looking") as step:
        deadline = time.monotonic() + 20
        while b"Looking" not in terminal.bytes() and time.monotonic() < deadline:
            step(3, 7)
        terminal.close()
        assert step._thread is not None
        step._thread.join(20)
        assert not step._thread.is_alive()


def test_progress_of_what_is_quick_or_unseen_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Stream("utf-8", terminal=True))
    for way in (HumanOutput(), JsonOutput(), QuietOutput()):
        with way.progress("Looking") as step:
            step(1, 2)
    with Progress("Looking", visible=False) as step:
        step(1, 2)
    assert sys.stderr.bytes() == b""


def test_progress_ends_when_the_work_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Stream("utf-8", terminal=True))
    with pytest.raises(ValueError, match="broken"), HumanOutput().progress("Looking"):
        raise ValueError("broken")
