"""Whether a process is still there, and when that can't be known from here."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from nemotron.kit.documents.run import Process
from nemotron.kit.registry import processes
from nemotron.kit.registry.processes import life_of, this_process


def test_a_process_is_alive_until_it_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    there = this_process(child.pid)
    assert life_of(there) == "alive"
    child.kill()
    # Dead, and not yet waited for: the system still lists it.
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert life_of(there) == "gone"
    child.communicate()
    assert life_of(there) == "gone"


def test_a_number_that_another_process_has_now_is_another_process() -> None:
    here = this_process()
    assert here.pid_started is not None
    assert life_of(replace(here, pid_started=here.pid_started - 1)) == "gone"


@pytest.mark.parametrize(
    "change",
    [
        {"host": "elsewhere"},
        {"machine": "another"},
        {"pid": None},
        {"pid_namespace": "pid:[1]"},
        {"boot": None},
        {"boot": "another", "machine": None},
    ],
)
def test_of_what_is_elsewhere_nothing_is_known(change: dict[str, str | None]) -> None:
    assert life_of(replace(this_process(), **change)) == "unknown"  # type: ignore[arg-type]


def test_nothing_is_known_of_nothing() -> None:
    assert life_of(Process()) == "unknown"


def test_a_machine_that_was_booted_since_has_none_of_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    there = this_process()
    if there.machine is None:
        pytest.skip("this machine has no id")
    assert life_of(replace(there, boot="an earlier one")) == "gone"


def test_without_proc_the_number_alone_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_read", lambda path: None)
    monkeypatch.setattr(processes, "_link", lambda path: None)
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    assert life_of(this_process()) == "alive"
    assert life_of(this_process(child.pid)) == "gone"
