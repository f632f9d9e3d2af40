"""Work is done by threads, and without them where Python, or the machine, gives none any more."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bucket_server import environment, new_bucket, serving
from nemotron.kit.workers import Workers


def test_threads_do_it() -> None:
    both = threading.Barrier(2)
    with Workers(2, "kit-test") as pool:
        waited = [pool.submit(both.wait, 60) for _ in range(2)]
        assert {future.result() for future in waited} == {0, 1}
        names = list(pool.map(lambda _: threading.current_thread().name, range(3)))
    assert all(name.startswith("kit-test") for name in names)


def test_a_failure_is_raised_where_the_result_is_asked_for() -> None:
    with Workers(1, "kit-test") as pool:
        future = pool.submit(int, "x")
        assert isinstance(future.exception(), ValueError)
        with pytest.raises(ValueError, match="invalid literal"):
            list(pool.map(int, ["1", "x"]))


def test_what_is_cancelled_before_it_begins_is_not_done() -> None:
    go, done = threading.Event(), []
    with Workers(1, "kit-test") as pool:
        pool.submit(go.wait, 60)
        waiting = pool.submit(done.append, 1)
        assert waiting.cancel()
        go.set()
    assert done == []


@pytest.mark.parametrize("given", [0, 1])
def test_where_no_thread_can_be_had_the_caller_does_it_once(
    given: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pool that could start no thread keeps the work all the same, and another of its threads may do it."""
    real, left = threading.Thread.start, [None] * given

    def start(thread: threading.Thread) -> None:
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    done: list[int] = []
    with Workers(4, "kit-test") as pool:
        futures = [pool.submit(lambda n=n: done.append(n) or n) for n in range(50)]
        assert [future.result(60) for future in futures] == list(range(50))
    assert sorted(done) == list(range(50))


# A snapshot of more files than are handed out at once, and questions that read many at once.
SCRIPT = """
import sys
{first}
from pathlib import Path
from typing import Any
from nemotron import kit

def late():
    kit.init(root=sys.argv[1])
    for name in "abc":
        kit.Artifact(path=Path("data")).save(name=name, snapshot=True)
    registry = kit.context.current_registry()
    print(registry.verify("a").ok, len(registry.list()))

{last}
"""
BEFORE = {
    "nothing": "",
    "threading": "import threading",
    "the pool": "from concurrent.futures import ThreadPoolExecutor",
    "publishing": "from nemotron.kit.registry import publishing",
}
AT_EXIT = "import atexit; atexit.register(late)"
# The main thread is at its end when the other begins.
OUTLIVES = """
import threading
def wait():
    threading.main_thread().join()
    late()
threading.Thread(target=wait).start()
"""


@pytest.fixture
def data() -> Path:
    folder = Path("data")
    folder.mkdir()
    for at in range(40):
        (folder / f"{at}.txt").write_text(str(at))
    return folder


def _run(first: str, last: str, root: str) -> None:
    command = [sys.executable, "-c", SCRIPT.format(first=first, last=last), root]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.returncode) == ("True 3\n", 0), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("first", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize("last", [AT_EXIT, OUTLIVES], ids=["atexit", "a thread that outlives the main one"])
def test_a_first_save_at_the_end_of_the_process(first: str, last: str, data: Path, tmp_path: Path) -> None:
    _run(first, last, str(tmp_path / "store"))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with serving() as server:
        for key, value in environment("http://{}:{}".format(*server)).items():
            monkeypatch.setenv(key, value)
        yield f"s3://{new_bucket(server)}"


def test_a_first_save_in_a_bucket_at_the_end_of_the_process(bucket: str, data: Path) -> None:
    _run(BEFORE["threading"], AT_EXIT, bucket)


def test_an_interrupt_while_a_thread_starts_leaves_none_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, done = threading.Event(), []

    def started(self: threading.Thread, real: Any = threading.Thread.start) -> None:
        real(self)
        raise KeyboardInterrupt

    def work() -> None:
        go_on.wait(60)
        done.append(True)

    def used() -> None:
        with Workers(2, "kit-test") as pool:
            inner: Any = pool._pool

            def shutdown(*how: Any, real: Any = inner.shutdown, **more: Any) -> None:
                real(*how, **more)  # which waits for the threads that the pool knows
                go_on.set()

            monkeypatch.setattr(inner, "shutdown", shutdown)
            with monkeypatch.context() as patch:
                patch.setattr(threading.Thread, "start", started)
                pool.submit(work)

    with pytest.raises(KeyboardInterrupt):
        used()
    assert done == [True]


def test_an_interrupt_before_work_is_handed_over_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(task: object) -> None:
        raise KeyboardInterrupt

    def used() -> None:
        with Workers(1, "kit-test") as pool:
            monkeypatch.setattr(pool._pool, "submit", interrupted)
            pool.submit(print)

    with pytest.raises(KeyboardInterrupt):
        used()
