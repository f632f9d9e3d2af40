"""Saves an artifact again and again; signals come meanwhile, whose handler saves another one.

    saving_in_handlers.py FOLDER at-lines STEP   at each STEP-th line that a save comes to,
                                                 and at all of Python's own on threads
    saving_in_handlers.py FOLDER at-times COUNT  by real signals, as many

Prints how often the handler saved. What waits for ever is ended, with the stacks of all threads.
"""

import faulthandler
import os
import random
import signal
import sys
import threading
from concurrent import futures
from pathlib import Path
from types import FrameType
from typing import Any

import nemotron.kit as kit
from nemotron.kit import Artifact
from nemotron.kit.store import file_copy

LIMIT_S = 60
KIT = os.path.dirname(kit.__file__)
THREADS = (threading.__file__, os.path.dirname(futures.__file__))


class Job:
    """Two folders, one saved by the job and one by its handler."""

    def __init__(self, root: Path) -> None:
        self.folder, self.last = root / "data", root / "last"
        self.count, self.is_busy = 0, False
        # So many that their file system is synced, and so few that each of them is.
        for folder, files in ((self.folder, 20), (self.last, 3)):
            folder.mkdir()
            for number in range(files):
                (folder / f"{number}.bin").write_bytes(os.urandom(100))
        (self.folder / "large.bin").write_bytes(os.urandom(9 << 20))
        self.large = [os.urandom(5 << 19), os.urandom(5 << 19)]

    def save(self) -> None:
        (self.folder / "0.bin").write_bytes(os.urandom(100))
        Artifact(path=self.folder).save(name="data", snapshot=True)

    def handle(self, *_: object) -> None:
        if self.is_busy:
            return
        self.is_busy = True
        (self.last / "0.bin").write_bytes(b"%100d" % self.count)
        (self.last / "large.bin").write_bytes(self.large[self.count % 2])  # copied each time, and stored once
        Artifact(path=self.last).save(name="last", snapshot=True)
        self.count += 1
        self.is_busy = False


def at_lines(job: Job, step: int) -> None:
    """A handler runs between two lines of the thread that is interrupted, as this does."""
    seen: set[object] = set()

    def at_line(frame: FrameType, event: str, arg: object) -> Any:
        line = frame.f_code, frame.f_lineno
        if event == "line" and line not in seen:
            seen.add(line)
            if len(seen) % step == 0 or frame.f_code.co_filename.startswith(THREADS):
                job.handle()
        return at_line

    def at_call(frame: FrameType, event: str, arg: object) -> Any:
        return at_line if frame.f_code.co_filename.startswith((KIT, *THREADS)) else None

    sys.settrace(at_call)
    job.save()
    sys.settrace(None)


def at_times(job: Job, count: int) -> None:
    rng = random.Random(count)
    signal.signal(signal.SIGALRM, job.handle)
    while job.count < count:
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.0001, 0.03))
        job.save()
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> None:
    folder, how, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    faulthandler.dump_traceback_later(LIMIT_S, exit=True)
    os.fsync = lambda descriptor: None  # hundreds of them; who waits for whom is the same
    file_copy.LEAD_SIZE = 1 << 20  # so that not only files of tens of MiB are copied ahead of who reads them
    kit.init(root=folder / "store")
    job = Job(folder)
    job.save()  # else the handler comes into the middle of imports, which Python refuses to begin once more
    job.handle()
    {"at-lines": at_lines, "at-times": at_times}[how](job, number)
    print(job.count)


if __name__ == "__main__":
    main()
