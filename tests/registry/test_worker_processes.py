"""Many small files: worker processes do them, and nobody notices when they can't."""

import functools
import logging
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nemotron.kit.documents.columns import Columns
from nemotron.kit.errors import CorruptError, PathNotFoundError
from nemotron.kit.registry import (
    content,
    copying,
    digest_cache,
    laying_out,
    parallel,
    reading,
    scan,
    worker_processes,
    worker_program,
)
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.scan import scan_folder
from nemotron.kit.registry.worker_processes import Standby, WorkerProcess
from nemotron.kit.store.local import LocalStore
from nemotron.kit.store.unsynced import SINGLY_MAX, Unsynced

FILES, DEADLINE_S = 600, 60


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for number in range(FILES):
        path = folder / f"{number % 3}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}" * (number % 5))
    (folder / "odd\n\udc80ü").write_text("odd")
    (folder / "run.sh").write_text("#!/bin/sh")
    (folder / "run.sh").chmod(0o755)
    (folder / "large.bin").write_bytes(os.urandom(3 << 20))
    return folder


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[WorkerProcess]:
    """Those that were started; a few files are many."""
    started = []
    start = WorkerProcess.__init__

    def started_too(self, order):
        start(self, order)
        started.append(self)

    monkeypatch.setattr(worker_processes, "FILES_MIN", FILES)
    monkeypatch.setattr(parallel, "workers_most", lambda: 3)
    monkeypatch.setattr(WorkerProcess, "__init__", started_too)
    return started


def in_threads(data: Path, root: Path, **how: object) -> str:
    """The listing that a publish has without worker processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker_processes, "FILES_MIN", sys.maxsize)
        return listing(data, root, **how)


def listing(data: Path, root: Path, **how: object) -> str:
    record = Registry.open(root).publish(Draft(name="x", source=data, **how)).record  # type: ignore[arg-type]
    return record.manifest.content.tree


@pytest.mark.parametrize("how", [{"snapshot": True}, {"evidence": "full"}, {"evidence": "sampled"}])
def test_they_find_what_threads_find(data, tmp_path, workers, how, monkeypatch):
    expected = in_threads(data, tmp_path / "threads", **how)
    assert not workers
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # earlier digests don't count
    assert listing(data, tmp_path / "store", **how) == expected
    assert 1 <= len(workers) <= parallel.processes_most()
    assert all(worker._process.returncode is not None for worker in workers)


def test_a_snapshot_that_they_made_is_laid_out_by_them(data, tmp_path, workers):
    registry = Registry.open(tmp_path / "store")
    registry.publish(Draft(name="x", source=data, snapshot=True))
    made = len(workers)
    path = registry.folder(registry.resolve("x"))
    assert len(workers) > made
    names = {name.relative_to(data) for name in data.rglob("*") if name.is_file()}
    assert len(names) == FILES + 3
    assert all((Path(path) / name).read_bytes() == (data / name).read_bytes() for name in names)
    assert (Path(path) / "run.sh").stat().st_mode & 0o111


def test_the_process_that_publishes_syncs_what_they_wrote(data, tmp_path, workers, monkeypatch):
    registry = Registry.open(tmp_path / "store")
    synced = []
    monkeypatch.setattr(Unsynced, "_sync", lambda self, paths, failed: synced.append(len(paths)))
    registry.publish(Draft(name="x", source=data, snapshot=True))
    assert workers
    assert max(synced) > SINGLY_MAX  # which is what has all of the file system synced


@pytest.mark.parametrize("at", [0, 1])
def test_one_that_is_killed_is_not_missed(data, tmp_path, workers, monkeypatch, caplog, at):
    do, calls = WorkerProcess.do, []

    def killed(self, entries):
        calls.append(self)
        if len(calls) == at + 1:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()
        return do(self, entries)

    expected = in_threads(data, tmp_path / "threads", snapshot=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(WorkerProcess, "do", killed)
    monkeypatch.setattr(parallel, "CHUNK_FILES", 8)
    with caplog.at_level(logging.INFO, worker_processes.__name__):
        assert listing(data, tmp_path / "store", snapshot=True) == expected
    assert len(calls) >= at + 1
    assert "A worker process has ended; this process goes on with" in caplog.text


@pytest.mark.parametrize("program", ["/nowhere/python3", "/bin/true", "", None])
def test_where_none_can_be_started_threads_do_it(data, tmp_path, workers, monkeypatch, program):
    expected = in_threads(data, tmp_path / "threads", snapshot=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "executable", program)
    assert listing(data, tmp_path / "store", snapshot=True) == expected
    assert not workers


@pytest.mark.parametrize("program", ["import nothing_of_that_name", "print('Welcome to this cluster')"])
def test_where_they_can_not_work_each_thread_tries_once(data, tmp_path, workers, monkeypatch, program):
    monkeypatch.setattr(parallel, "CHUNK_FILES", 1)
    monkeypatch.setattr(worker_processes, "_PROGRAM", program)
    expected = in_threads(data, tmp_path / "threads", snapshot=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert listing(data, tmp_path / "store", snapshot=True) == expected
    assert len(workers) <= parallel.processes_most()


def test_another_kit_that_they_would_import_is_not_asked(data, tmp_path, workers, monkeypatch):
    expected = in_threads(data, tmp_path / "threads", snapshot=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other/nemotron").symlink_to(Path(worker_processes.__file__).parents[2])
    monkeypatch.setattr(sys, "path", [str(tmp_path / "other"), *sys.path])
    done = []

    def do(self, entries, real=WorkerProcess.do):
        done.append(real(self, entries))
        return done[-1]

    monkeypatch.setattr(WorkerProcess, "do", do)
    assert listing(data, tmp_path / "store", snapshot=True) == expected
    assert workers
    assert not done


def test_a_current_folder_that_was_deleted_keeps_nobody_from_saving(data, tmp_path):
    script = (
        "import os, sys\n"
        "from nemotron.kit.registry import content, scan, worker_processes\n"
        "worker_processes.FILES_MIN = 1\n"
        "assert '' in sys.path\n"
        "os.rmdir(os.getcwd())\n"
        "tree = content.hashed(sys.argv[1], scan.scan_folder(sys.argv[1]))\n"
        "print(len(tree.unread()))\n"
    )
    (tmp_path / "gone").mkdir()
    command = [sys.executable, "-c", script, str(data)]
    said = subprocess.run(
        command, cwd=tmp_path / "gone", capture_output=True, timeout=DEADLINE_S, check=False
    )
    assert (said.returncode, said.stdout) == (0, b"0\n"), said.stderr


def test_a_program_that_has_python_in_it_is_not_started(data, tmp_path, workers, monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/opt/trainer/python-trainer")
    assert listing(data, tmp_path / "store", snapshot=True)
    assert not workers


def test_they_are_told_no_more_than_they_need(data, tmp_path, workers, monkeypatch):
    registry, told = Registry.open(tmp_path / "store"), []
    registry.publish(Draft(name="x", source=data, snapshot=True))

    def say(pipe, what, real=worker_program.say):
        told.append(what)
        real(pipe, what)

    monkeypatch.setattr(worker_program, "say", say)
    for path in data.rglob("*.txt"):
        path.write_bytes(b"#" * path.stat().st_size)
    registry.publish(Draft(name="x", source=data, snapshot=True))
    orders = [what for what in told if isinstance(what, tuple)]
    assert orders
    assert all(len(repr(order)) < 1000 for order in orders)


def test_what_one_meets_is_told_as_ever(data, workers):
    tree = scan_folder(str(data))
    gone = data / "1" / "301.txt"
    gone.unlink()
    with pytest.raises(PathNotFoundError, match=r"1/301\.txt was there a moment ago, and is gone"):
        content.hashed(str(data), tree)
    assert workers
    assert all(worker._process.returncode is not None for worker in workers)


def test_damage_is_told_by_a_checkout_that_they_make(data, tmp_path, workers):
    registry = Registry.open(tmp_path / "store")
    registry.publish(Draft(name="x", source=data, snapshot=True))
    blob = max(path for path in (tmp_path / "store/.kit/blobs").rglob("*") if path.is_file())
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes() + b"x")
    with pytest.raises(CorruptError, match="is damaged in the store"):
        registry.folder(registry.resolve("x"))


def test_a_file_that_was_begun_is_written_anew(data, tmp_path):
    store = LocalStore(tmp_path / "store")
    tree = content.snapshot(store, str(data), scan_folder(str(data)))
    entry = next(entry for entry in tree.entries if entry.path == "0/0.txt".replace("0.txt", "3.txt"))
    (tmp_path / "out/0").mkdir(parents=True)
    (tmp_path / "out/0/3.txt").write_text("beg")
    laying_out.write_chunk(store, str(tmp_path / "out"), Columns([entry]))
    assert (tmp_path / "out/0/3.txt").read_text() == "333"


def test_an_interrupt_leaves_none_behind(data, workers):
    def interrupted(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        content.hashed(str(data), scan_folder(str(data)), progress=interrupted)
    assert all(worker._process.returncode is not None for worker in workers)


@pytest.mark.parametrize("threads", [1, 2])
def test_who_publishes_works_too_if_it_has_no_other_thread(data, tmp_path, workers, monkeypatch, threads):
    monkeypatch.setattr(threading, "active_count", lambda: threads)
    monkeypatch.setattr(parallel, "CHUNK_FILES", 8)
    here = []

    @functools.wraps(copying.copy_chunk)
    def copied(*given, **how):
        here.append(given[3])
        return real(*given, **how)

    real = copying.copy_chunk
    monkeypatch.setattr(content, "copy_chunk", copied)
    listing(data, tmp_path / "store", snapshot=True)
    small = [part for part in here if max(part.sizes) <= worker_processes.SIZE_MAX]
    assert bool(small) is (threads == 1)
    assert len(workers) == parallel.processes_most()


def scanning(monkeypatch: pytest.MonkeyPatch, workers: list[WorkerProcess]) -> list[int]:
    """How many were there when each scan was over."""
    there: list[int] = []

    def scanned(*arguments, real=scan.scan_folder, **how):
        tree = real(*arguments, **how)
        there.append(len(workers))
        return tree

    monkeypatch.setattr(scan, "scan_folder", scanned)
    return there


@pytest.mark.parametrize("how", [{"snapshot": True}, {"evidence": "full"}, {"evidence": "sampled"}])
def test_they_start_while_the_folder_is_scanned(data, tmp_path, workers, monkeypatch, how):
    there, worked = scanning(monkeypatch, workers), set()

    def do(self, part, real=WorkerProcess.do):
        worked.add(self)
        return real(self, part)

    monkeypatch.setattr(WorkerProcess, "do", do)
    listing(data, tmp_path / "store", **how)
    assert there == [parallel.processes_most()]
    assert worked <= set(workers[: parallel.processes_most()])
    assert worked
    assert all(worker._process.returncode is not None for worker in workers)


@pytest.mark.parametrize("how", [{"evidence": "stat"}, {"snapshot": True}])
def test_none_starts_for_what_is_known(data, tmp_path, workers, monkeypatch, how):
    monkeypatch.setattr(digest_cache, "SETTLED_NS", -(10**12))  # as if the files had been written long ago
    content.hashed(str(data), scan_folder(str(data)))
    workers.clear()
    there = scanning(monkeypatch, workers)
    listing(data, tmp_path / "store", **how)
    assert there == [0]


def test_none_starts_for_few_files_or_for_an_executor(data, tmp_path, workers, monkeypatch):
    there = scanning(monkeypatch, workers)
    with ThreadPoolExecutor(1) as executor:
        draft = Draft(name="x", source=data, snapshot=True)
        Registry.open(tmp_path / "store").publish(draft, executor=executor)
    monkeypatch.setattr(worker_processes, "FILES_MIN", FILES + 4)
    listing(data, tmp_path / "other", snapshot=True)
    assert there == [0, 0]


def test_an_interrupt_before_one_is_known_ends_it(workers):
    class Interrupted(list[WorkerProcess]):
        def append(self, worker: WorkerProcess) -> None:
            raise KeyboardInterrupt

    pids = []

    def start() -> None:
        standby = Standby(reading.__name__, 1)
        standby._ready = Interrupted()
        try:
            standby.told(FILES)
        except KeyboardInterrupt:
            pids.append(workers.pop()._process.pid)

    start()
    assert not Path(f"/proc/{pids[0]}").exists()


@pytest.mark.parametrize("taken", [True, False])
def test_an_interrupt_while_they_end_leaves_none(data, workers, monkeypatch, taken):
    def end(self, real=WorkerProcess.end):
        real(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(WorkerProcess, "end", end)
    monkeypatch.setattr(parallel, "CHUNK_FILES", 8)
    tree = scan_folder(str(data))

    def work() -> None:
        with worker_processes.standing_by(reading.__name__, 2) as told:
            told(FILES)
            if taken:
                content.hashed(str(data), tree)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert len(workers) >= 2
    assert all(worker._process.returncode is not None for worker in workers)


def test_a_scan_that_breaks_off_ends_them(data, tmp_path, workers, monkeypatch):
    def broken(*arguments, real=scan.scan_folder, **how):
        real(*arguments, **how)
        raise KeyboardInterrupt

    monkeypatch.setattr(scan, "scan_folder", broken)
    with pytest.raises(KeyboardInterrupt):
        listing(data, tmp_path / "store", snapshot=True)
    assert len(workers) == parallel.processes_most()
    assert all(worker._process.returncode is not None for worker in workers)
