"""Many files at once: other executors, progress, and what an interrupt leaves."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from nemotron.kit.documents.columns import Columns
from nemotron.kit.errors import MisuseError, PathNotFoundError
from nemotron.kit.registry import content, parallel, worker_processes
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.scan import scan_folder

LARGE = (5 << 20) + 3


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for number in range(700):
        path = folder / f"{number % 7}" / f"{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number) * (number % 5))
    (folder / "large.bin").write_bytes(os.urandom(LARGE))
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry.open(tmp_path / "store")


def test_any_executor_finds_the_same(data: Path) -> None:
    tree = scan_folder(str(data))
    expected = content.hashed(str(data), tree, trust_cache=False)
    assert expected.digest is not None
    with ThreadPoolExecutor(3) as pool:
        assert content.hashed(str(data), tree, trust_cache=False, executor=pool) == expected
        samples = content.sampled(str(data), tree, executor=pool)
    assert samples == content.sampled(str(data), tree)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert content.hashed(str(data), tree, trust_cache=False, executor=pool) == expected


def test_what_an_executor_meets_comes_back(data: Path) -> None:
    tree = scan_folder(str(data))
    (data / "large.bin").unlink()
    with ThreadPoolExecutor(1) as pool, pytest.raises(PathNotFoundError, match=r"large\.bin"):
        content.hashed(str(data), tree, executor=pool)


@pytest.mark.parametrize("executor", [3, ThreadPoolExecutor])
def test_what_is_no_executor_is_refused(registry: Registry, data: Path, executor: Any) -> None:
    with pytest.raises(MisuseError, match="Not an executor: "):
        registry.publish(Draft(name="x", source=data, snapshot=True), executor=executor)


def test_chunks_are_bounded_by_number_and_by_bytes() -> None:
    sizes = [parallel.CHUNK_BYTES] * 3 + [10] * 1000
    chunks = list(parallel.chunked(range(1003), sizes))
    assert [at for chunk in chunks for at in chunk] == list(range(1003))
    assert [len(chunk) for chunk in chunks[:3]] == [1, 1, 1]
    assert max(map(len, chunks)) == parallel.CHUNK_FILES
    assert list(parallel.chunked([], [])) == []


@pytest.mark.parametrize("how", [{"snapshot": True}, {"evidence": "full"}, {"evidence": "sampled"}])
def test_progress_ends_at_the_total(registry: Registry, data: Path, how: dict[str, object]) -> None:
    told: list[tuple[int, int]] = []
    draft = Draft(name="x", source=data, **how)  # type: ignore[arg-type]
    record = registry.publish(draft, progress=lambda done, total: told.append((done, total))).record
    size = sum(path.stat().st_size for path in data.rglob("*") if path.is_file())
    assert told[-1] == (size, size)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    if how != {"evidence": "sampled"}:
        assert len(told) > 10  # also within the large file
    told.clear()
    registry.verify(record.uri, progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] <= size


class FalseExecutor(ThreadPoolExecutor):
    """One that counts as false, as what has a length may."""

    def __len__(self) -> int:
        return 0


def test_any_executor_has_progress_told(registry: Registry, data: Path) -> None:
    told: list[tuple[int, int]] = []
    with FalseExecutor(2) as executor:
        draft = Draft(name="x", source=data, evidence="full")
        registry.publish(draft, executor=executor, progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] > 0


@pytest.mark.parametrize("snapshot", [True, False])
def test_an_interrupt_leaves_no_version_and_nothing_half_done(
    registry: Registry, data: Path, snapshot: bool
) -> None:
    draft = Draft(name="x", source=data, snapshot=snapshot, evidence="full")

    def interrupt(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        registry.publish(draft, progress=interrupt)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("kit-content")]
    assert registry.list() == []
    assert not list(Path(registry.root).rglob(".tmp-*"))
    record = registry.publish(draft).record
    assert (record.version, registry.verify(record.uri, "full").ok) == (1, True)


@pytest.mark.parametrize("what", ["snapshot", "full", "uncached", "sampled", "again"])
def test_workers_end_with_who_was_interrupted_between_two_chunks(
    registry: Registry, data: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    tree = content.snapshot(registry.store, str(data), scan_folder(str(data)))
    monkeypatch.setattr(parallel, "CHUNK_FILES", 8)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Columns, "put_all", interrupted)
    monkeypatch.setattr(type(registry.store), "rely_on_all", interrupted)
    monkeypatch.setattr(worker_processes, "FILES_MIN", 10**9 if what != "again" else 1)
    monkeypatch.setattr(worker_processes, "_is_python", lambda: False)
    folder, bare, new = str(data), scan_folder(str(data)), Registry.open(f"{registry.root}-new").store
    call: dict[str, Callable[[], object]] = {
        "snapshot": lambda: content.snapshot(new, folder, bare),
        "full": lambda: content.hashed(folder, bare),
        "uncached": lambda: content.hashed(folder, bare, trust_cache=False),
        "sampled": lambda: content.sampled(folder, bare),
        "again": lambda: content.take_again(registry.store, folder, tree),
    }
    with pytest.raises(KeyboardInterrupt) as caught:
        call[what]()
    # A notebook keeps the error, and with it all that was on its way.
    assert caught.tb is not None
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("kit-content")]


INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is started without it
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

def told(done, total):
    if done > total // 2 and not said:
        said.append(True)
        print("half", flush=True)
        sys.stdin.read(1)

said = []
Registry.open(sys.argv[1]).publish(Draft(name="x", source=sys.argv[2], snapshot=True), progress=told)
"""


INTERRUPTED_LATER = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from nemotron.kit.registry import laying_out
from nemotron.kit.registry.registry import Registry

said = []

def wait():
    if not said:
        said.append(True)
        print("half", flush=True)
        sys.stdin.read(1)

def finish(*arguments, real=laying_out._finish):
    real(*arguments)
    wait()

laying_out._finish = finish
registry = Registry.open(sys.argv[1])
if sys.argv[2] == "verify":
    registry.verify("x", "full", progress=lambda done, total: wait() if done > total // 2 else None)
else:
    registry.folder(registry.resolve("x"))
"""


@pytest.mark.parametrize("what", ["verify", "checkout"])
def test_ctrl_c_while_a_snapshot_is_verified_or_laid_out(registry: Registry, data: Path, what: str) -> None:
    record = registry.publish(Draft(name="x", source=data, snapshot=True)).record

    def files() -> list[tuple[str, int]]:
        found = Path(registry.root).rglob("*")
        return sorted((str(path), path.stat().st_mtime_ns) for path in found if path.is_file())

    before = files()
    command = [sys.executable, "-c", INTERRUPTED_LATER, registry.root, what]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(b"x", timeout=60)
    assert process.returncode not in (0, None)
    assert b"KeyboardInterrupt" in error
    assert files() == before
    assert not list(Path(registry.root).rglob(".tmp-*"))
    assert not Path(registry.root, ".kit/checkouts/x/v1").exists()
    assert (registry.folder(record) / "large.bin").read_bytes() == (data / "large.bin").read_bytes()
    assert registry.verify("x", "full").ok


def test_ctrl_c_while_a_thread_is_copying(registry: Registry, data: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED, registry.root, str(data)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(b"x", timeout=60)
    assert process.returncode not in (0, None)
    assert b"KeyboardInterrupt" in error
    assert registry.list() == []
    assert not list(Path(registry.root).rglob(".tmp-*"))
    record = registry.publish(Draft(name="x", source=data, snapshot=True)).record
    assert registry.verify(record.uri, "full").ok
