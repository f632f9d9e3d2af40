"""A process publishes, withdraws, lets time pass and collects, and is killed at random points. Prints JSON.

    python collecting.py ROOT FOLDER ROUNDS SEED

After each kill every living version must be whole; at the end two more runs must leave nothing to collect.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from common import fork, open_registry

from nemotron.kit.registry import collect_garbage  # noqa: F401 - before the forks
from nemotron.kit.registry.records import Draft

SWEEPS_MAX = 4
SPIN_MAX_S = 0.02
HOURS = 3600.0


def pass_hours(root, hours):
    """Let everything in the store be so much older."""
    for path in Path(root).rglob("*"):
        if path.is_file():
            try:
                os.utime(path, (path.stat().st_mtime - hours * HOURS,) * 2)
            except FileNotFoundError:
                continue


def work_until_killed(root, folder, seed, say):
    chance, registry = random.Random(seed), open_registry(root)
    while True:
        for name in ("a", "b", "c"):
            (Path(folder) / name).write_text(f"{name} {chance.randint(0, 5)}" * 100)
        record = registry.publish(Draft(name="m", source=folder, snapshot=True)).record
        if chance.random() < 0.6 and len(registry.versions("m")) > 1:
            registry.withdraw(record.uri, "no good")
        pass_hours(root, 2)
        registry.gc(apply=True, grace="1h")
        say("swept")


def main(root, folder, rounds, seed):
    chance = random.Random(int(seed))
    for number in range(int(rounds)):
        pid, lines = fork(lambda say, n=number: work_until_killed(root, folder, f"{seed} {n}", say))
        for _ in range(chance.randint(1, SWEEPS_MAX)):
            assert next(lines) == "swept\n"
        until = time.perf_counter() + chance.uniform(0, SPIN_MAX_S)
        while time.perf_counter() < until:
            pass
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        lines.close()
        registry = open_registry(root)
        for record in registry.versions("m") if registry.get("m") else []:
            assert registry.verify(record.uri, "full").ok, f"{record.uri} lost something in round {number}"
    registry, swept = open_registry(root), []
    for _ in range(3):
        pass_hours(root, 24 * 40)
        swept.append([item.action for item in registry.gc(apply=True).items])
    versions = registry.versions("m")
    whole = [registry.verify(record.uri, "full").ok for record in versions]
    print(json.dumps({"versions": len(versions), "whole": all(whole), "last": swept[-1]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
