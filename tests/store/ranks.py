"""What the child processes of the rank tests run, and time that passes without waiting."""

import heapq
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from nemotron.kit.errors import KitError
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.attempt import attempt_of
from nemotron.kit.store.launcher import launcher
from nemotron.kit.store.rendezvous import Timing, agree, open_places

RANKS_PER_NODE = 8


def rank(number, world, folder, barrier, attempts, results):
    """Be one rank in a row of attempts; each is (variables, command line, reference)."""
    node = number // RANKS_PER_NODE
    os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number % RANKS_PER_NODE), "WORLD_SIZE": str(world)}
    os.environ["TMPDIR"] = f"{folder}/node{node}"
    # The nodes follow each other as they do, ten times as fast.
    timing = Timing(sleep=lambda seconds: time.sleep(seconds / 10))
    for number_of_attempt, (variables, command, reference) in enumerate(attempts):
        os.environ |= variables
        sys.argv = [*command, f"--local-rank={number % RANKS_PER_NODE}"]
        registry = Registry.open(f"{folder}/store")
        attempt = attempt_of(os.environ, sys.argv, [reference], launcher)
        if number == 0:  # so that another attempt has something new to find
            registry.publish(
                Draft(name="data", source=f"{folder}/data", metadata={"before": number_of_attempt})
            )
        barrier.wait()
        started = time.monotonic()

        def resolve(registry=registry, reference=reference):
            record = registry.resolve(reference)
            return {"version": record.version, "path": record.path}

        try:
            places = open_places(os.environ, registry.store, attempt)
            said = agree(attempt, resolve, places, timing)
        except KitError as error:
            said = {"error": type(error).__name__, "message": str(error)}
        results.put((number_of_attempt, number, said, time.monotonic() - started))


def hang(folder, key, started):
    """Hold the place of a node for ever, in the middle of resolving."""
    from nemotron.kit.store.attempt import Attempt
    from nemotron.kit.store.local import LocalStore
    from nemotron.kit.store.rendezvous import Places

    def resolve():
        Path(started).touch()
        threading.Event().wait()
        return {}

    from nemotron.kit.store.node_folder import open_node_folder

    node = open_node_folder({"TMPDIR": folder})
    agree(Attempt(key, 16, 0, False), resolve, Places(node, LocalStore(f"{folder}/shared")))


class VirtualTime:
    """Seconds that pass when every thread waits: a job of many nodes in one process, without waiting.

    One thread runs at a time, so a run is the same each time.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._lock = threading.Lock()
        self._waiting: list[tuple[float, int, threading.Event]] = []
        self._count = 0

    def sleep(self, seconds: float) -> None:
        with self._lock:
            mine = self._enter(seconds)
            self._next()
        mine.wait()

    def clock(self) -> float:
        return self.now

    def run(self, works: list[tuple[float, Callable[[], object]]]) -> None:
        """Start each work at its second, and wait for all."""
        threads = []
        for start, work in works:
            gate = self._enter(start)
            threads.append(threading.Thread(target=self._body, args=(gate, work)))
        for thread in threads:
            thread.start()
        with self._lock:
            self._next()
        for thread in threads:
            thread.join()

    def _body(self, gate: threading.Event, work: Callable[[], object]) -> None:
        gate.wait()
        try:
            work()
        finally:
            with self._lock:
                self._next()

    def _enter(self, seconds: float) -> threading.Event:
        self._count += 1
        gate = threading.Event()
        heapq.heappush(self._waiting, (self.now + seconds, self._count, gate))
        return gate

    def _next(self) -> None:
        if self._waiting:
            self.now, _, gate = heapq.heappop(self._waiting)
            gate.set()
