"""Worker processes start where they are of use, and end with who started them, whatever else forks meanwhile:
a training process has loaders of data.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from nemotron.kit.registry import copying, parallel, reading, worker_processes
from nemotron.kit.registry.worker_processes import WorkerProcess, in_processes, order_of
from nemotron.kit.store.local import LocalStore
from nemotron.kit.store.memory import MemoryStore

DEADLINE_S = 60


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_by_another_thread_does_not_keep_one_that_starts(monkeypatch):
    real, forked, children = subprocess._fork_exec, threading.Event(), []
    source, target = os.pipe()

    def fork():
        child = os.fork()
        if not child:
            signal.alarm(DEADLINE_S)
            os.close(target)
            os.read(source, 1)
            os._exit(0)
        children.append(child)
        forked.set()

    def meanwhile(*args):
        thread.start()
        forked.wait(0.2)  # which it is at once where nothing holds it up
        return real(*args)

    thread = threading.Thread(target=fork)
    monkeypatch.setattr(subprocess, "_fork_exec", meanwhile)
    worker = WorkerProcess("nemotron.kit.registry.reading")
    thread.join(DEADLINE_S)
    try:
        assert os.waitpid(children[0], os.WNOHANG) == (0, 0), "the start waited for the child"
        worker._process.kill()
        assert worker._process.stdout.read() == b""
        assert os.waitpid(children[0], os.WNOHANG) == (0, 0), "its end was not seen before the child's"
    finally:
        os.close(target)
        os.close(source)
        worker.end()
    assert os.waitpid(children[0], 0)[0] == children[0]


def test_a_child_may_start_some_itself():
    child = os.fork()
    if not child:
        status = 1
        try:
            signal.alarm(DEADLINE_S)
            WorkerProcess("nemotron.kit.registry.reading").end()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_they_import_from_where_we_do(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", ["/a", "", b"/no/text", None, "relative", "odd\udc80"])
    monkeypatch.chdir(tmp_path)
    assert worker_processes.import_path() == ["/a", str(tmp_path), "relative", "odd\udc80"]


def test_they_end_with_who_started_them():
    script = (
        "import os, signal\n"
        "from nemotron.kit.registry import reading, worker_processes\n"
        "worker = worker_processes.WorkerProcess(reading.__name__)\n"
        "print(worker._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=DEADLINE_S, check=False
    )
    assert said.returncode == -signal.SIGKILL, said.stderr
    deadline = time.monotonic() + DEADLINE_S
    while Path(f"/proc/{int(said.stdout)}").exists() and state(int(said.stdout)) != "Z":
        assert time.monotonic() < deadline, "it goes on for nobody"


def state(pid: int) -> str:
    """That of a process, Z if nobody has asked for its end; ditto if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def test_what_can_not_be_told_by_name_is_done_here():
    assert order_of(reading.hash_file) is None
    assert order_of(partial(copying.copy_chunk, MemoryStore(), "/data", {})) is None
    assert order_of(partial(copying.copy_chunk, LocalStore("/root-of-all"), "/data", {"a": "b"})) == (
        "nemotron.kit.registry.copying",
        "copy_chunk",
        [("store", "/root-of-all"), "/data", {"a": "b"}],
        {},
    )


@pytest.mark.parametrize(("fewer", "most"), [(1, 2), (0, 0)])
def test_few_files_or_one_core_need_none(fewer, most):
    work = reading.hashing("/data")
    with in_processes(work, worker_processes.FILES_MIN - fewer, most) as done:
        assert done is work


def test_a_process_works_on_one_core_itself_if_no_thread_of_it_computes(monkeypatch):
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    assert parallel.processes_most() == parallel.workers_most()
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    assert parallel.processes_most() == parallel.workers_most() - 1
