"""Worker processes start and end whatever else forks meanwhile: a training process has loaders of data."""

import os
import signal
import subprocess
import threading

import pytest

from nemotron.kit.registry.worker_processes import WorkerProcess

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
