"""Append-only logs where there are no hard links, so that an entry can be seen while it is being written."""

import errno
import os
import threading
from collections.abc import Callable

import pytest

from nemotron.kit.errors import ConflictError
from nemotron.kit.registry.numbered_log import LOOKS
from nemotron.kit.store import files


@pytest.fixture
def half_written(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Where there are no hard links: lets another writer come while an entry is there, and empty.

    He comes in a thread of his own, and the first one goes on when he either is done or begins to wait.
    """
    writing, waiting, done = threading.Event(), threading.Event(), threading.Event()

    def arrange(other: Callable[[], object]) -> None:
        def create_in_place(path: str, data: bytes, durable: bool) -> bool:
            if writing.is_set():
                return in_place(path, data, durable)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            writing.set()
            thread = threading.Thread(target=lambda: (other(), waiting.set()))
            thread.start()
            assert waiting.wait(60)
            os.write(descriptor, data)
            os.close(descriptor)
            done.set()
            thread.join()
            return True

        def pause(seconds: float) -> None:
            waiting.set()
            assert done.wait(60)

        def refuse(*arguments: object, **named: object) -> None:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

        in_place = files.create_exclusive
        monkeypatch.setattr(files, "create_exclusive", create_in_place)
        monkeypatch.setattr("time.sleep", pause)
        monkeypatch.setattr(os, "link", refuse)

    return arrange


def test_of_two_that_expect_the_same_one_moves_it_also_where_entries_are_written_in_place(
    opened, publish, half_written
) -> None:
    for step in (1, 2, 3):
        publish(metadata={"step": step})
    opened().alias("m", "best", 1)
    said: list[object] = []

    def move(version: int) -> None:
        try:
            said.append(opened().alias("m", "best", version, if_current=1).version)
        except ConflictError:
            said.append("conflict")

    half_written(lambda: move(3))
    move(2)
    assert sorted(map(str, said)) == ["2", "conflict"]
    assert opened().resolve("m:best").version == 2


def test_of_two_remaps_none_is_lost_where_entries_are_written_in_place(opened, publish, half_written) -> None:
    publish()
    opened().remap("/a", "/b")
    half_written(lambda: opened().remap("/e", "/f"))
    opened().remap("/c", "/d")
    assert [remap.old for remap in opened().remaps()] == ["/a", "/c", "/e"]


def test_an_entry_that_stays_torn_is_waited_for_once_and_stepped_over(
    opened, publish, root, monkeypatch, caplog
) -> None:
    publish()
    opened().alias("m", "best", 1)
    (root / "m/aliases/best/00000002.json").write_bytes(b'{"seq')
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    assert opened().resolve("m:best").version == 1
    assert pauses == []  # who only reads does not wait
    opened().alias("m", "best", 1, protect=True)
    assert len(pauses) == LOOKS - 1
    assert [move.sequence for move in opened().alias_log("m", "best")] == [1, 3]
    assert "00000002.json is damaged" in caplog.text
