"""Work that is begun while the process ends, on Pythons that begin no threads then and on others."""

import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from nemotron.kit.tracking.standby import Standby


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Begin no more threads, as a process that ends does from Python 3.12 on."""

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    return lambda: monkeypatch.setattr(threading.Thread, "start", refuse)


def test_what_waits_does_what_no_new_thread_can(ending: Callable[[], None]) -> None:
    standby = Standby("test")
    standby.get_ready()
    ending()
    does = threading.Event()
    first = standby.begin(lambda: does.wait(60))
    seen: list[str] = []
    second = standby.begin(lambda: seen.append(threading.current_thread().name))
    assert not first.is_set()
    assert not second.is_set()
    does.set()
    assert second.wait(60)
    assert first.is_set()
    assert seen == ["test"]


def test_what_fails_is_done_and_the_next_goes_on(
    ending: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    standby = Standby("test")
    standby.get_ready()
    ending()

    def fail() -> None:
        raise OSError("gone")

    assert standby.begin(fail).wait(60)
    assert standby.begin(lambda: None).wait(60)
    assert "test: OSError: gone" in caplog.text


def test_its_own_work_begins_more_without_waiting_for_itself(ending: Callable[[], None]) -> None:
    standby = Standby("test")
    standby.get_ready()
    ending()
    assert standby.begin(lambda: standby.begin(lambda: None).wait()).wait(60)


def test_without_a_thread_that_waits_it_is_done_at_once(ending: Callable[[], None]) -> None:
    standby = Standby("test")
    ending()
    standby.get_ready()
    here: list[int] = []
    assert standby.begin(lambda: here.append(threading.get_ident())).is_set()
    assert here == [threading.get_ident()]


HANGING = """
import threading
from pathlib import Path
from nemotron.kit import Artifact, start
from nemotron.kit.store.local import LocalStore
from nemotron.kit.tracking import recording

create = LocalStore.create

def hanging(self, key, data, **options):
    if key.endswith("finish.json"):
        threading.Event().wait()
    return create(self, key, data, **options)

LocalStore.create = hanging
recording.PATIENCE_S = 0.1
start.init(root="store")
Path("data").write_text("x")
Artifact(path=Path("data")).save(name="data")
print("last line")
"""


def test_a_process_ends_although_the_store_hangs_that_its_end_is_to_be_recorded_in() -> None:
    done = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "last line\n"), done.stderr
    assert "the store does not answer" in done.stderr
