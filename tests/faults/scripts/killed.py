"""Processes publish and are killed at random points; after each kill the store must be whole. Prints JSON.

    python killed.py ROOT FOLDER ROUNDS SEED [nolink] [snapshot] [pair]

`pair` lets a second process publish the same name all the while.
"""

import json
import os
import random
import signal
import sys
import time

from common import belongs_together, draft, fork, open_registry, without_hard_links

from nemotron.kit.errors import CorruptError, NotFoundError

LINES_MAX = 12
SPIN_MAX_S = 0.008


def publish_until_killed(root, folder, writer, first, snapshot, say):
    """Publish on and on; a line is written when the store has said that it is done."""
    registry, step = open_registry(root), first
    while True:
        record = registry.publish(draft(folder, writer, step, snapshot)).record
        say(f"version {record.version} {step}")
        if step % 5 == 0:
            registry.alias("race", f"best-{writer}", record.version)
            say(f"alias {record.version} {step}")
        if step % 7 == 0:
            registry.withdraw(record.uri, f"step {step}")
            say(f"withdrawn {record.version} {step}")
        step += 1


def kill_at_random(pid, lines, chance):
    """Wait for some lines, then kill in the middle of what comes next; all that was said, read to its end."""
    count = chance.randint(0, LINES_MAX)
    said = [line for _, line in zip(range(count), lines, strict=False)]
    until = time.perf_counter() + chance.uniform(0, SPIN_MAX_S)
    while time.perf_counter() < until:
        pass
    os.kill(pid, signal.SIGKILL)
    said += list(lines)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL, status
    return [line.split() for line in said if line.endswith("\n")]


class Told:
    """What the store has said to anybody, over all rounds: all of it must stay true."""

    def __init__(self):
        self.versions, self.withdrawn, self.aliases, self.newest = {}, set(), {}, 0
        self.torn = self.unsaid = 0

    def hear(self, said, writer):
        for kind, number, step in said:
            number = int(number)
            if kind == "version":
                assert number not in self.versions, f"v{number} was given out twice"
                self.versions[number] = (writer, int(step))
            elif kind == "alias":
                self.aliases[f"best-{writer}"] = number
            else:
                self.withdrawn.add(number)

    def check(self, root, torn_allowed):
        self.torn = self.unsaid = 0
        registry = open_registry(root)
        versions, newest = registry._versions, registry._versions.newest("race")
        assert newest >= max(self.versions, default=0), "a version that was reported is gone"
        for number in range(1, newest + 1):
            try:
                manifest = versions.read("race", number)
            except CorruptError:
                assert torn_allowed, f"v{number} is half there"
                assert number not in self.versions, f"v{number} was reported and is half there"
                self.torn += 1
                continue
            assert manifest is not None, f"v{number} is a gap below v{newest}"
            assert belongs_together(manifest), f"v{number} is mixed"
            said = manifest.metadata
            if number in self.versions:
                assert self.versions[number] == (said["writer"], said["step"])
            else:
                self.unsaid += 1
            assert not (number in self.withdrawn and not versions.is_withdrawn("race", number))
        # An alias that was reported holds, or the writer's next move landed unreported.
        for alias, number in self.aliases.items():
            assert registry._aliases.current("race", _alias(alias)).version >= number
        try:
            latest = registry.resolve("race").version
        except NotFoundError:
            latest = 0
        assert latest not in self.withdrawn
        assert latest >= max(self.versions.keys() - _withdrawn(versions, newest), default=0)


def _alias(text):
    from nemotron.kit.names import Alias

    return Alias(text)


def _withdrawn(versions, newest):
    return {number for number in range(1, newest + 1) if versions.is_withdrawn("race", number)}


def main(root, folder, rounds, seed, *flags):
    chance, told = random.Random(int(seed)), Told()
    nolink, snapshot = "nolink" in flags, "snapshot" in flags
    if nolink:
        without_hard_links()
    for number in range(int(rounds)):
        writers = [2 * number, 2 * number + 1][: 2 if "pair" in flags else 1]
        children = [
            (writer, *fork(lambda say, w=writer: publish_until_killed(root, folder, w, 1, snapshot, say)))
            for writer in writers
        ]
        for writer, pid, lines in children:
            told.hear(kill_at_random(pid, lines, chance), writer)
        told.check(root, nolink)
    # And the next publish goes on.
    record = open_registry(root).publish(draft(folder, "last", 1)).record
    newest = open_registry(root)._versions.newest("race")
    print(
        json.dumps(
            {
                "versions": len(told.versions),
                "newest": newest,
                "next": record.version,
                "torn": told.torn,
                "unsaid": told.unsaid,
            }
        )
    )


main(*sys.argv[1:])
