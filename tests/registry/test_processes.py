"""Whether a process is still there, and when that can't be known from here."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from nemotron.kit.documents.outbox import Maker
from nemotron.kit.documents.run import Process
from nemotron.kit.registry import stamps
from nemotron.kit.registry.processes import is_here, life_of, this_maker, this_process
from nemotron.kit.store import proc


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
        {"pid": 0},
        {"pid": -1},
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
    monkeypatch.setattr(proc, "text", lambda path: "")
    monkeypatch.setattr(proc, "pid_namespace", lambda: "")
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    assert life_of(this_process()) == "alive"
    assert life_of(this_process(child.pid)) == "gone"


def test_a_process_that_must_not_be_seen_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """On many clusters /proc shows a user his own processes only, and signals to others are not allowed."""
    there = this_process()

    def refuse(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(proc, "stat", lambda pid: None)
    monkeypatch.setattr(os, "kill", refuse)
    assert life_of(there) == "unknown"
    assert is_here(there)


def test_a_number_that_no_system_has_is_gone() -> None:
    assert life_of(replace(this_process(), pid=10**30)) == "gone"


def test_what_outboxes_hold_is_the_same_process() -> None:
    """Records and leases of every kit so far name it `node:boot:namespace`, and its start as a text."""
    here = this_process()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    there = this_process(child.pid)
    maker = Maker(
        host=f"{here.host}:{here.boot}:{here.pid_namespace}", pid=child.pid, started=str(there.pid_started)
    )
    assert Maker.of(there) == maker
    assert (is_here(maker.process), life_of(maker.process)) == (True, "alive")
    assert life_of(replace(maker, started="1").process) == "gone"
    child.kill()
    child.communicate()
    assert life_of(maker.process) == "gone"
    for elsewhere in (replace(maker, host="node7"), replace(maker, started=""), replace(maker, host="")):
        assert (is_here(elsewhere.process), life_of(elsewhere.process)) == (False, "unknown")
    assert this_maker() == Maker.of(here)


def test_a_user_has_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    assert stamps.who() == f"{this_process().user}@{os.uname().nodename}"
    monkeypatch.setenv("USER", "alice")
    assert stamps.who().startswith("alice@")
    assert this_process().user == "alice"
