"""The part of the suite of stores that races: threads, processes, and readers beside a writer."""

import itertools
import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from nemotron.kit.errors import MissingExtraError
from nemotron.kit.store.protocol import Store
from nemotron.kit.testing import racers

try:
    import pytest
except ImportError as missing:
    raise MissingExtraError(
        "The suite needs pytest: pip install 'nemotron-kit[test]' (no module named pytest)"
    ) from missing

THREADS = 16
PROCESSES = 4
WAIT_S = 120


def stage(store: Store, key: str, data: bytes = b"x") -> bool:
    """Put content into a store by way of staging."""
    with store.stage() as staging:
        for start in range(0, len(data), racers.PAYLOAD_SIZE):
            staging.write(data[start : start + racers.PAYLOAD_SIZE])
        return staging.commit(key)


class StoreRaces:
    """Who wins, and what readers see meanwhile; part of `StoreSuite`."""

    # Where there are no hard links, a reader may see a part of a small object that is being created.
    readers_see_whole_objects = True
    # How long readers and a writer go on side by side; less for stores that take a millisecond a call.
    reads_min = 2000
    writes_min = 200
    # How many keys are raced for.
    race_keys = 50

    def test_one_winner_among_threads(self, store: Store) -> None:
        """Every key is won once, and holds what its winner wrote."""
        start = threading.Barrier(THREADS)

        def claim(racer: int) -> list[int]:
            start.wait(WAIT_S)
            return [
                key
                for key in range(self.race_keys)
                if store.create(f"race/{key}", racers.payload(racer, key))
            ]

        with ThreadPoolExecutor(THREADS) as pool:
            _judge(store, dict(enumerate(pool.map(claim, range(THREADS)))), self.race_keys)

    def test_one_winner_among_processes(self, store: Store, opener: Callable[[], Store] | None) -> None:
        """As among threads, with nothing shared but the store."""
        if opener is None:
            pytest.skip("no other process can reach this store")
        spawn = multiprocessing.get_context("spawn")
        start, results = spawn.Barrier(PROCESSES), spawn.Queue()
        children = [
            spawn.Process(target=racers.claim, args=(opener, racer, self.race_keys, start, results))
            for racer in range(PROCESSES)
        ]
        for child in children:
            child.start()
        won = dict(results.get(timeout=WAIT_S) for _ in children)
        for child in children:
            child.join(WAIT_S)
        results.close()
        assert [child.exitcode for child in children] == [0] * PROCESSES
        _judge(store, won, self.race_keys)

    @pytest.mark.parametrize("way", ["create", "replace", "stage", "put"])
    def test_readers_see_all_or_nothing(self, store: Store, way: str) -> None:
        """Thousands of reads while objects come into being."""
        reads, writes, enough = 0, itertools.count(), threading.Event()
        data, written = racers.payload(1, 1), 0

        def write() -> None:
            nonlocal written
            for written in writes:
                if enough.is_set():
                    return
                _write(store, way, f"a/{written % 50}", data)
                if way != "replace" or written % 3 == 0:
                    store.remove(f"a/{written % 50}")

        with ThreadPoolExecutor(1) as pool:
            writer = pool.submit(write)
            try:
                while (reads < self.reads_min or written < self.writes_min) and not writer.done():
                    seen = store.read(f"a/{reads % 50}")
                    reads += 1
                    if seen is not None and self.readers_see_whole_objects:
                        assert seen == data
                    assert seen is None or data.startswith(seen)
            finally:
                enough.set()
            writer.result(WAIT_S)


def _write(store: Store, way: str, key: str, data: bytes) -> None:
    if way == "create":
        store.create(key, data, durable=False)
    elif way == "replace":
        store.replace(key, data)
    elif way == "put":
        store.put(key, data)
    else:
        stage(store, key, data)


def _judge(store: Store, won: dict[int, list[int]], keys: int) -> None:
    """Each key was won exactly once, and holds its winner's bytes."""
    winners: dict[int, int] = {}
    for racer, claimed in won.items():
        for key in claimed:
            assert key not in winners, f"{key} was given to {winners[key]} and to {racer}"
            winners[key] = racer
    assert sorted(winners) == list(range(keys))
    for key, racer in winners.items():
        assert store.read(f"race/{key}") == racers.payload(racer, key)
