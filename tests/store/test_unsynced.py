"""No file that was written before a sync goes without one, whatever the threads beside it do."""

import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

import pytest

from nemotron.kit.errors import ConflictError
from nemotron.kit.store import files, unsynced
from nemotron.kit.store.unsynced import SINGLY_MAX, Unsynced


class Disk:
    """Knows what was written, and what of it is durable."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.written: set[str] = set()
        self.durable: set[str] = set()
        monkeypatch.setattr(files, "sync_path", self.durable.add)
        monkeypatch.setattr(files, "sync_file_system", self.sync_all)
        monkeypatch.setattr(files, "can_sync_file_system", lambda: True)

    def sync_all(self, folder: str) -> bool:
        self.durable |= self.written
        return True

    def write(self, to_sync: Unsynced, count: int, together: bool = False) -> None:
        paths = [f"/root/{len(self.written) + at}" for at in range(count)]
        self.written.update(paths)
        if together:
            to_sync.add_all(paths)
            return
        for path in paths:
            to_sync.add(path)


@pytest.fixture
def disk(monkeypatch) -> Disk:
    return Disk(monkeypatch)


def at_step(step: int, work: Any, do: Any) -> bool:
    """Work, and do something after so many steps of the interpreter; whether there were as many."""
    steps = 0

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal steps
        if frame.f_code.co_filename != unsynced.__file__:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            steps += 1
            if steps == step:
                do()
        return trace

    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # Python 3.12 must know of some frame before it traces any opcode
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return steps >= step


def at_every_step(work: Any, do: Any, begin: Any) -> Iterator[tuple[Unsynced, int]]:
    """Files that were being worked on, and at which step something else was done."""
    step, was_there = 1, True
    while was_there:
        to_sync = Unsynced("/root")
        begin(to_sync)
        was_there = at_step(step, partial(work, to_sync), partial(do, to_sync))
        yield to_sync, step
        step += 1
    assert step > 10


COUNTS = [1, SINGLY_MAX, SINGLY_MAX + 1]


@pytest.mark.parametrize("first", COUNTS)
@pytest.mark.parametrize("more", [1, SINGLY_MAX, SINGLY_MAX + 2])
@pytest.mark.parametrize("together", [False, True])
def test_what_comes_in_the_middle_of_a_sync_is_covered_by_it_or_by_the_next(disk, first, more, together):
    write_first, write_more = (partial(disk.write, count=n, together=together) for n in (first, more))
    for to_sync, step in at_every_step(Unsynced.sync, write_more, write_first):
        to_sync.sync()
        assert disk.written <= disk.durable, f"at step {step}"


@pytest.mark.parametrize("first", [0, *COUNTS])
@pytest.mark.parametrize("more", [1, 3])
@pytest.mark.parametrize("together", [False, True])
def test_what_is_added_while_a_sync_runs_is_covered_by_it_or_by_the_next(disk, first, more, together):
    write_first, write_more = (partial(disk.write, count=n, together=together) for n in (first, more))
    for to_sync, step in at_every_step(write_more, Unsynced.sync, write_first):
        to_sync.sync()
        assert disk.written <= disk.durable, f"at step {step}"


@pytest.mark.parametrize("first", COUNTS)
@pytest.mark.parametrize("more", COUNTS)
def test_a_signal_handler_that_writes_and_syncs_in_the_middle_of_a_sync_waits_for_nobody(disk, first, more):
    def handle(to_sync: Unsynced) -> None:
        mark = to_sync.mark()
        disk.write(to_sync, more)
        mine = {*disk.written}
        to_sync.sync(mark)
        assert mine <= disk.durable
        disk.write(to_sync, 1)  # another thread, while the handler goes on

    for to_sync, step in at_every_step(Unsynced.sync, handle, partial(disk.write, count=first)):
        to_sync.sync()
        assert disk.written <= disk.durable, f"at step {step}"


@pytest.mark.parametrize("error", [OSError("no"), KeyboardInterrupt()])
@pytest.mark.parametrize("count", [2, SINGLY_MAX + 2])
def test_what_a_sync_that_broke_off_took_is_synced_by_the_next(disk, monkeypatch, error, count):
    to_sync = Unsynced("/root")
    disk.write(to_sync, count)

    def broken(path: str) -> bool:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(files, "sync_path", broken)
        patch.setattr(files, "sync_file_system", broken)
        with pytest.raises(type(error)):
            to_sync.sync()
    to_sync.sync()
    assert disk.written <= disk.durable


@pytest.mark.parametrize("count", COUNTS)
def test_an_interrupt_of_a_sync_loses_none(disk, count):
    class Interrupt(BaseException):
        pass

    def interrupt(to_sync: Unsynced) -> None:
        raise Interrupt

    def sync(to_sync: Unsynced) -> None:
        with suppress(Interrupt):
            to_sync.sync()

    for to_sync, step in at_every_step(sync, interrupt, partial(disk.write, count=count)):
        to_sync.sync()
        assert disk.written <= disk.durable, f"at step {step}"


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("before", [0, 1, 3 * SINGLY_MAX])
def test_no_more_is_known_than_tells_how_to_sync(disk, together, before):
    to_sync = Unsynced("/root")
    disk.write(to_sync, before)
    disk.write(to_sync, 10 * SINGLY_MAX, together)
    assert len(to_sync._paths) == SINGLY_MAX + 1
    to_sync.sync()
    assert disk.written <= disk.durable
    disk.write(to_sync, 1)
    to_sync.sync()
    assert os.path.dirname("/root/x") in disk.durable  # one by one again


def test_a_child_forked_in_the_middle_of_a_sync_waits_for_nobody(disk, monkeypatch):
    # A loader forks its workers while a thread of its parent saves: that thread is not in the child.
    to_sync, begun, go_on = Unsynced("/root"), threading.Event(), threading.Event()
    monkeypatch.setattr(files, "sync_path", lambda path: (begun.set(), go_on.wait(60)))
    disk.write(to_sync, 1)
    saving = threading.Thread(target=to_sync.sync)
    saving.start()
    assert begun.wait(60)

    def child() -> None:
        monkeypatch.setattr(files, "sync_path", disk.durable.add)
        disk.write(to_sync, 2)
        to_sync.sync()
        os._exit(0 if {"/root/1", "/root/2"} <= disk.durable else 1)

    forked = multiprocessing.get_context("fork").Process(target=child)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that Python says so itself, from 3.12
        forked.start()
    forked.join(30)
    code = forked.exitcode
    forked.kill()  # if it waits
    forked.join()
    go_on.set()
    saving.join()
    assert code == 0


def test_all_are_known_where_the_system_can_only_sync_them_one_by_one(disk, monkeypatch):
    monkeypatch.setattr(files, "can_sync_file_system", lambda: False)
    monkeypatch.setattr(files, "sync_file_system", lambda folder: False)
    to_sync = Unsynced("/root")
    disk.write(to_sync, 3 * SINGLY_MAX, together=True)
    to_sync.sync()
    assert disk.written <= disk.durable


class Removed:
    """A disk from which files are gone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *paths: str) -> None:
        self.synced: list[str] = []
        self.gone = set(paths)
        self.broken: set[str] = set()
        monkeypatch.setattr(files, "sync_path", self.sync_path)

    def sync_path(self, path: str) -> None:
        if path in self.gone:
            raise FileNotFoundError(2, "No such file or directory", path)
        if path in self.broken:
            raise OSError(5, "Input/output error", path)
        self.synced.append(path)


def test_each_is_judged_on_its_own_files(monkeypatch):
    disk = Removed(monkeypatch, "/root/b/1")
    to_sync = Unsynced("/root")
    before = to_sync.mark()
    to_sync.add("/root/a/1")
    mine = to_sync.mark()
    to_sync.add("/root/b/1")
    later = to_sync.mark()
    to_sync.add("/root/c/1")
    to_sync.sync(later)  # of another thread, whose own file is there
    assert {"/root/a/1", "/root/c/1"} <= set(disk.synced)
    for mark in (mine, before, mine):  # whose file it may be is told so, however late it asks
        with pytest.raises(ConflictError, match="/root/b/1 was removed"):
            to_sync.sync(mark)
    new = to_sync.mark()
    to_sync.add("/root/d/1")
    to_sync.sync(new)
    to_sync.sync()
    assert "/root/d/1" in disk.synced


def test_a_failure_that_the_system_tells_once_is_told_to_all_who_were_writing(disk, monkeypatch):
    def broken(folder: str) -> bool:
        raise OSError(5, "Input/output error", folder)

    to_sync = Unsynced("/root")
    disk.write(to_sync, SINGLY_MAX + 1)
    writing = to_sync.mark()
    with monkeypatch.context() as patch:
        patch.setattr(files, "sync_file_system", broken)
        with pytest.raises(OSError, match="Input/output error"):
            to_sync.sync(0)
    later = to_sync.mark()
    disk.write(to_sync, SINGLY_MAX + 1, together=True)  # as worker processes have written them meanwhile
    with pytest.raises(OSError, match="Input/output error"):
        to_sync.sync(writing)
    to_sync.sync(later)
    assert disk.written <= disk.durable


def test_what_the_disk_refuses_is_tried_again_and_is_no_business_of_the_next(monkeypatch):
    disk = Removed(monkeypatch)
    disk.broken = {"/root/a/1"}
    to_sync = Unsynced("/root")
    first = to_sync.mark()
    to_sync.add("/root/a/1")
    to_sync.add("/root/a/2")
    with pytest.raises(OSError, match="Input/output error"):
        to_sync.sync(first)
    second = to_sync.mark()
    to_sync.add("/root/b/1")
    to_sync.sync(second)
    assert "/root/b/1" in disk.synced
    disk.broken = set()
    to_sync.sync(to_sync.mark())
    assert "/root/a/1" in disk.synced, "it is not forgotten"
    third = to_sync.mark()
    disk.broken = {"/root/a/1"}
    to_sync.add("/root/a/1")  # relied on anew: then it is this one's business
    with pytest.raises(OSError, match="Input/output error"):
        to_sync.sync(third)
