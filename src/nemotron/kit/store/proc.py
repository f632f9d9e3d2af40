"""What the system tells of processes and mounts, in `/proc`; nothing where there is none."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stat:
    """A process, see `/proc/PID/stat` in proc(5).

    Attributes:
        is_dead: it has ended, and only its number is still taken.
        parent: the number of its parent.
        started: in clock ticks since boot.
    """

    is_dead: bool
    parent: int
    started: int


def stat(pid: int) -> Stat | None:
    """The process of a number; None if there is none, or if it must not be seen (`hidepid`).

    >>> stat(os.getpid()).parent == os.getppid(), stat(-1)
    (True, None)
    """
    # The name in parentheses may hold anything: what follows the last one counts, the state first.
    fields = text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if len(fields) < 20:
        return None
    return Stat(is_dead=fields[0] in "ZX", parent=int(fields[1]), started=int(fields[19]))


def boot() -> str:
    """An id of its own for each boot of each machine, or an empty text."""
    return text("/proc/sys/kernel/random/boot_id")


def pid_namespace() -> str:
    """In which the numbers of processes count: containers have their own; or an empty text."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def file_system(device: int) -> str:
    """The type of a file system that is mounted, or an empty text.

    Args:
        device: its number, as `st_dev` tells it. Those of btrfs are not known here.

    >>> file_system(os.stat("/proc").st_dev)
    'proc'
    """
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in text("/proc/self/mountinfo").splitlines():
        mount, _, kind = line.partition(" - ")
        if mount.split(" ", 3)[2:3] == [number]:
            return kind.partition(" ")[0]
    return ""


def text(path: str) -> str:
    """What a file says, or an empty text: it is gone meanwhile, not to be read, or this is no Linux."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="surrogateescape").strip()
    except OSError:
        return ""
