"""House-keeping that is broken off: at every call, twice at once, on a full disk, by `kill -9`."""

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nemotron.kit.errors import DiskFullError, UnavailableError
from nemotron.kit.registry import layout
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.local import LocalStore
from nemotron.kit.store.memory import MemoryStore
from nemotron.kit.testing.faults import Crashed, Fault, FaultyStore, failing

SCRIPT = Path(__file__).parent / "scripts/collecting.py"
NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
DAY = 86_400.0
CALLS_MAX = 120


def pass_days(store, days):
    """Let everything in a store be so much older."""
    for found in list(store.walk()):
        if isinstance(store, MemoryStore):
            store.age(found.key, days * DAY)
        else:
            os.utime(store.local_path(found.key), (found.modified - days * DAY,) * 2)


@pytest.fixture
def furnish(tmp_path):
    """Fill a store: v1 and v3 withdrawn, v2 and v4 alive, all of them sharing one file.

    In the trash for long are what v1 alone had, and what v4 has; what v3 alone had waits to be set aside.
    """
    folder = tmp_path / "data"
    folder.mkdir()

    def furnish(store):
        registry = Registry(store)
        for step in range(1, 5):
            (folder / "shared").write_text("shared")
            (folder / "own").write_text(f"step {step}")
            registry.publish(Draft(name="m", source=folder, snapshot=True))
        for number in (1, 3):
            registry.withdraw(f"m:v{number}", "no good")
        for found in list(store.walk(layout.BLOBS)):
            if store.read(found.key) in (b"step 1", b"step 4"):
                store.move(found.key, layout.set_aside("b1", found.key))
        store.create(layout.batch("b1"), b"{}")
        pass_days(store, 20)
        return registry

    return furnish


def contents(store, place):
    return sorted(
        store.read(found.key) for found in store.walk(place) if not found.key.endswith("begun.json")
    )


def assert_whole(store, label=""):
    registry = Registry(store)
    assert [record.version for record in registry.versions("m")] == [2, 4], label
    for number in (2, 4):
        assert registry.verify(f"m:v{number}", "full").ok, label


def finish(store, label=""):
    """Run it until there is nothing left to do: what is left is what is needed, and nothing else."""
    for _ in range(3):
        Registry(store).gc(apply=True)
        assert_whole(store, label)
        pass_days(store, 20)
    assert contents(store, layout.BLOBS) == [b"shared", b"step 2", b"step 4"], label
    assert list(store.walk(layout.TRASH)) == [], label


def test_undisturbed(furnish):
    store = MemoryStore()
    swept = furnish(store).gc(apply=True)
    found = {(item.what, item.action): item.count for item in swept.items if item.what == "blobs"}
    assert found == {("blobs", "deleted"): 1, ("blobs", "put back"): 1, ("blobs", "set aside"): 1}
    assert contents(store, layout.TRASH) == [b"step 3"]
    finish(store)


@pytest.mark.parametrize("error", [UnavailableError, Crashed])
@pytest.mark.parametrize("when", ["before", "after", "lost"])
def test_broken_off_at_every_call_it_loses_nothing_and_can_be_repeated(furnish, when, error):
    for call in range(1, CALLS_MAX):
        store = MemoryStore()
        furnish(store)
        faulty = FaultyStore(store, Fault(when, call=call, error=error))
        label = f"{when} call {call}"
        try:
            Registry(faulty).gc(apply=True)
        except (UnavailableError, Crashed):
            assert when != "lost", label
        assert_whole(store, label)
        finish(store, label)
        if faulty._counts[0] < call:
            assert call > 20
            return
    raise AssertionError("a run without an end")


def test_a_dry_run_broken_off_changes_nothing(furnish):
    for call in range(1, CALLS_MAX):
        store = MemoryStore()
        furnish(store)
        before = dict(store._objects)
        faulty = FaultyStore(store, Fault("before", call=call))
        try:
            Registry(faulty).gc()
        except UnavailableError:
            assert store._objects == before
            continue
        assert faulty._counts[0] < call, "a failure was swallowed"
        return
    raise AssertionError("a run without an end")


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_two_at_once(furnish, kind, tmp_path):
    for round_ in range(100 if NIGHTLY else 10):
        store = MemoryStore() if kind == "memory" else LocalStore(tmp_path / f"store-{round_}")
        furnish(store)
        gate, problems = threading.Barrier(2), []

        def run(store=store, gate=gate, problems=problems):
            gate.wait()
            try:
                Registry(store).gc(apply=True)
            except Exception as error:
                problems.append(error)

        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert problems == []
        finish(store)


def test_one_run_in_the_middle_of_another(furnish):
    """At every call of one run, another one from beginning to end."""
    for call in range(1, CALLS_MAX):
        store = MemoryStore()
        furnish(store)
        ran = []

        def other(method, key, store=store, call=call, ran=ran):
            ran.append(method)
            if len(ran) == call:
                Registry(store).gc(apply=True)

        Registry(FaultyStore(store, on_call=other)).gc(apply=True)
        assert_whole(store, call)
        finish(store, call)
        if len(ran) < call:
            return
    raise AssertionError("a run without an end")


def test_a_publisher_in_the_middle_of_a_run(furnish, tmp_path):
    """At every call, a version is published that has what is just set aside."""
    again = tmp_path / "again"
    again.mkdir()
    (again / "own").write_text("step 3")
    for call in range(1, CALLS_MAX):
        store = MemoryStore()
        furnish(store)
        ran = []

        def publish(method, key, store=store, call=call, ran=ran):
            ran.append(method)
            if len(ran) == call:
                Registry(store).publish(Draft(name="n", source=again, snapshot=True))

        Registry(FaultyStore(store, on_call=publish)).gc(apply=True)
        if len(ran) < call:
            return
        for _ in range(4):
            assert Registry(store).verify("n:v1", "full").ok, call
            pass_days(store, 20)
            Registry(store).gc(apply=True)
    raise AssertionError("a run without an end")


def test_a_run_in_the_middle_of_a_publish(furnish, tmp_path):
    """At every call of a publisher that relies on an orphan, a run that takes the orphan away."""
    again = tmp_path / "again"
    again.mkdir()
    (again / "own").write_text("step 3")
    for call in range(1, CALLS_MAX):
        store = MemoryStore()
        furnish(store)
        ran = []

        def collect(method, key, store=store, call=call, ran=ran):
            ran.append(method)
            if len(ran) == call:
                Registry(store).gc(apply=True)

        Registry(FaultyStore(store, on_call=collect)).publish(Draft(name="n", source=again, snapshot=True))
        if len(ran) < call:
            return
        for _ in range(4):
            assert Registry(store).verify("n:v1", "full").ok, call
            pass_days(store, 20)
            Registry(store).gc(apply=True)
    raise AssertionError("a publish without an end")


def test_on_a_full_disk_it_frees_what_it_can(furnish, tmp_path, monkeypatch):
    store = LocalStore(tmp_path / "store")
    registry = furnish(store)
    leftover = store.local_path("m/.tmp-0123456789abcdef")
    leftover.write_text("half")
    os.utime(leftover, (1, 1))
    store.create(".kit/journal/2026-01-01/0198.m", b"")  # the last that was written; the time is after that
    with monkeypatch.context() as full:
        full.setattr(os, "write", failing(os.write, errno.ENOSPC))
        with pytest.raises(DiskFullError):
            store.create("probe", b"x")
        swept = registry.gc(apply=True)
    assert "the disk is full" in swept.unfinished
    assert not leftover.exists()
    assert b"step 1" not in contents(store, layout.TRASH)
    assert contents(store, layout.BLOBS) == [b"shared", b"step 2", b"step 3", b"step 4"]
    finish(store)


def full(method, calls):
    """The disk is full at each of some calls."""
    return [Fault("before", call=n, methods=frozenset({method}), error=DiskFullError) for n in calls]


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_a_disk_that_has_space_for_some_of_the_trash(furnish, tmp_path, moved):
    inner = LocalStore(tmp_path / "store")
    furnish(inner)
    for number in range(2):
        inner.put(f".kit/blobs/0{number}/0{number}{'0' * 62}", b"no version's")
    pass_days(inner, 20)
    # The first is put back.
    swept = Registry(FaultyStore(inner, *full("move", range(moved + 2, 9)))).gc(apply=True)
    assert "the disk is full" in swept.unfinished
    assert sum(item.count for item in swept.items if item.action == "set aside") == moved
    assert_whole(inner)
    finish(inner)


def test_where_nothing_fits_into_the_trash_no_empty_batch_waits(tmp_path):
    inner = LocalStore(tmp_path / "store")
    (data := tmp_path / "data").write_text("bad")
    registry = Registry(inner)
    registry.withdraw(registry.publish(Draft(name="m", source=data, snapshot=True)).record.uri, "bad")
    pass_days(inner, 20)
    swept = Registry(FaultyStore(inner, *full("move", range(1, 9)))).gc(apply=True)
    assert "the disk is full" in swept.unfinished
    assert (swept.items, swept.next_at, inner.list(layout.TRASH)) == ((), None, [])
    inner.create(layout.batch("018f"), b"")  # a run was killed before it moved anything
    assert registry.gc(apply=True).next_at is not None
    (batch,) = {found.key.split("/")[2] for found in inner.walk(layout.TRASH)} - {"018f"}
    for found in list(inner.walk(f"{layout.TRASH}/{batch}")):
        inner.remove(found.key)
    assert registry.gc().next_at is None  # as nothing waits


@pytest.mark.parametrize("times", [1, 2, 8])
def test_what_a_full_disk_does_not_put_back_stays_and_the_rest_goes(furnish, tmp_path, times):
    inner = LocalStore(tmp_path / "store")
    furnish(inner)
    swept = Registry(FaultyStore(inner, *full("move", range(1, times + 1)))).gc(apply=True)
    items = {(item.what, item.action): item.count for item in swept.items}
    assert items["blobs", "deleted"] == 1  # which made room for another try
    assert items.get(("blobs", "put back"), 0) == (times == 1)
    assert items.get(("blobs", "waiting"), 0) == (times > 1)
    assert (swept.unfinished is None) == (times == 1)
    assert times != 2 or "1 that versions need stay in the trash" in swept.unfinished
    assert_whole(inner)
    finish(inner)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_where_the_trash_can_not_be_begun_it_is_begun_by_an_empty_file_or_later(furnish, tmp_path, times):
    inner = LocalStore(tmp_path / "store")
    furnish(inner)
    inner.create(".kit/journal/2026-01-01/0198.m", b"")  # the last that was written; the time is after that
    store = FaultyStore(inner, *full("create", range(1, times + 1)))
    swept = Registry(store).gc(apply=True)
    assert [call for call in store.calls if call[0] == "create"][times:]
    assert swept.unfinished is None
    assert contents(inner, layout.TRASH) == [b"step 3"]
    finish(inner)


def test_killed_at_random_points(tmp_path, request):
    rounds = 500 if NIGHTLY else 15
    seed = request.config.getoption("randomly_seed", 0)
    (tmp_path / "data").mkdir()
    command = [sys.executable, "-W", "error", SCRIPT, tmp_path / "store", tmp_path / "data", str(rounds)]
    done = subprocess.run(
        [*command, str(seed if isinstance(seed, int) else 0)], capture_output=True, text=True
    )
    assert done.returncode == 0, f"seed {seed}\n{done.stderr}"
    found = json.loads(done.stdout)
    assert (found["whole"], found["last"]) == (True, [])
    root = tmp_path / "store"
    assert list(root.rglob(".tmp-*")) == []
    assert list((root / ".kit/trash").rglob("*")) == []
