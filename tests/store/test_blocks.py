"""Blocks that another thread fetches while one is looked at: all, in order, and none after the end."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from nemotron.kit.store import blocks, file_copy
from nemotron.kit.store.blocks import Fetch

DATA = os.urandom(100_003)
BLOCK = 1000


def fetching(data: bytes, most: int = BLOCK) -> Fetch:
    """Fetches from memory, at most so much at a time."""

    def fetch(buffer: memoryview, at: int) -> int:
        block = data[at : at + min(most, len(buffer))]
        buffer[: len(block)] = block
        return len(block)

    return fetch


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 100_003])
@pytest.mark.parametrize("most", [BLOCK, 300])
def test_all_blocks_in_order(size: int, most: int, ahead: bool) -> None:
    seen = bytearray()
    assert blocks.pass_on(fetching(DATA[:size], most), seen.extend, BLOCK, ahead=ahead) == size
    assert seen == DATA[:size]


def test_from_where_it_is_told_to_begin() -> None:
    seen = bytearray()
    assert blocks.pass_on(fetching(DATA), seen.extend, BLOCK, start=5000, ahead=True) == len(DATA)
    assert seen == DATA[5000:]


def test_a_block_is_fetched_while_the_one_before_is_shown() -> None:
    fetched = [threading.Event() for _ in range(5)]
    fetch = fetching(DATA[: 5 * BLOCK])

    def told(buffer: memoryview, at: int) -> int:
        count = fetch(buffer, at)
        if count:
            fetched[at // BLOCK].set()
        return count

    shown = 0

    def seen(block: memoryview) -> None:
        nonlocal shown
        shown += 1
        assert shown == 5 or fetched[shown].wait(60)

    assert blocks.pass_on(told, seen, BLOCK, ahead=True) == 5 * BLOCK


def copying(source: Path, target: Path) -> Callable[..., int]:
    """`file_copy.copy` between two paths."""

    def copy(seen: blocks.Seen, ahead: bool) -> int:
        with open(source, "rb", buffering=0) as here, open(target, "w+b", buffering=0) as there:
            return file_copy.copy(here.fileno(), there.fileno(), seen, BLOCK, ahead=ahead)

    return copy


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    monkeypatch.setattr(file_copy, "LEAD_SIZE", 4 * BLOCK)
    monkeypatch.setattr(file_copy, "_clone", lambda source, target: False)
    (tmp_path / "source").write_bytes(DATA)
    return copying(tmp_path / "source", tmp_path / "target")


@pytest.mark.parametrize("served", [False, True])
@pytest.mark.parametrize("ahead", [False, True])
def test_what_is_shown_is_what_was_written(
    copy: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: bool, served: bool
) -> None:
    monkeypatch.setattr(file_copy, "copies_by_itself", lambda descriptor: served)
    seen = bytearray()
    assert copy(seen.extend, ahead) == len(DATA)
    assert seen == DATA == (tmp_path / "target").read_bytes()


@pytest.mark.parametrize("call", ["preadv", "write"])
@pytest.mark.parametrize("served", [False, True])
def test_what_the_other_thread_meets_comes_back(
    copy: Callable[..., int], monkeypatch: pytest.MonkeyPatch, call: str, served: bool
) -> None:
    real, calls = getattr(os, call), []

    def fail(*arguments: object) -> int:
        calls.append(threading.current_thread())
        if len(calls) == 20:
            raise OSError(5, "it broke")
        return int(real(*arguments))

    monkeypatch.setattr(file_copy, "copies_by_itself", lambda descriptor: served)
    monkeypatch.setattr(os, "copy_file_range", lambda *_: 0)
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="it broke"):
        copy(lambda block: None, True)
    assert call == "preadv" or calls[-1] is not threading.current_thread()


def test_the_copy_is_so_far_ahead_and_no_further(
    copy: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, written = os.write, [threading.Event() for _ in range(len(DATA) // BLOCK + 2)]

    def write(descriptor: int, block: memoryview) -> int:
        count = real(descriptor, block)
        next(event for event in written if not event.is_set()).set()
        return count

    seen = 0

    def slowly(block: memoryview) -> None:
        nonlocal seen
        assert written[min(seen + 4, len(DATA) // BLOCK) - 1].wait(60), "it waits for who looks"
        assert (tmp_path / "target").stat().st_size <= (seen + 4) * BLOCK, "and goes no further than that"
        seen += 1

    monkeypatch.setattr(file_copy, "copies_by_itself", lambda descriptor: False)
    monkeypatch.setattr(os, "write", write)
    assert copy(slowly, True) == len(DATA)


@pytest.mark.parametrize("served", [False, True])
def test_where_no_thread_can_be_had_it_is_copied_first(
    copy: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: bool
) -> None:
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith("kit-ahead"):
            raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(file_copy, "copies_by_itself", lambda descriptor: served)
    monkeypatch.setattr(threading.Thread, "start", start)
    seen = bytearray()
    copying = threading.Thread(target=copy, args=(seen.extend, True), daemon=True)
    copying.start()
    copying.join(60)
    assert not copying.is_alive(), "it waits for itself"
    assert seen == DATA == (tmp_path / "target").read_bytes()


@pytest.mark.parametrize("served", [False, True])
def test_who_stops_it_finds_nothing_at_work(
    copy: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: bool
) -> None:
    shown = 0

    def stop(block: memoryview) -> None:
        nonlocal shown
        shown += 1
        if shown == 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(file_copy, "copies_by_itself", lambda descriptor: served)
    with pytest.raises(KeyboardInterrupt):
        copy(stop, True)
    size = (tmp_path / "target").stat().st_size
    assert 7 * BLOCK <= size <= 7 * BLOCK + 2 * 4 * BLOCK  # no further than it had got ahead
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("kit-ahead")]


def test_a_copy_that_is_cut_meanwhile_ends_short(
    copy: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_copy, "copies_by_itself", lambda descriptor: False)
    real = os.preadv

    def cut(descriptor: int, buffers: list[memoryview], at: int) -> int:
        is_target = os.readlink(f"/proc/self/fd/{descriptor}").endswith("/target")
        return 0 if is_target and at >= 2 * BLOCK else int(real(descriptor, buffers, at))

    monkeypatch.setattr(os, "preadv", cut)
    assert copy(lambda block: None, True) == 2 * BLOCK
