"""This process, told from all others, and whether another one is still there."""

import os
from functools import cache
from pathlib import Path

from nemotron.kit.documents.outbox import Maker

_START_FIELD = 22  # of /proc/PID/stat, see proc(5); the first two may hold spaces and are cut off
_ZOMBIE = ("Z", "X")


def this_process() -> Maker:
    """Who makes a record or takes a lease.

    >>> this_process() == this_process(), is_gone(this_process())
    (True, False)
    """
    pid = os.getpid()
    return Maker(host=_host(), pid=pid, started=_status(pid)[1])


def is_here(maker: Maker) -> bool:
    """Whether it is, or was, a process of this machine, whose end can be seen from here."""
    return maker.host == _host() and bool(maker.started)


def is_gone(maker: Maker) -> bool:
    """Whether it is known to have ended; of other machines nothing is known."""
    if not is_here(maker):
        return False
    state, started = _status(maker.pid)
    return state in ("", *_ZOMBIE) or started != maker.started


def start_of(pid: int) -> str:
    """When a process began, in the words of this machine; empty if there is none, or no way to know."""
    return _status(pid)[1]


@cache
def _host() -> str:
    """The machine, its boot and its process ids: those of two containers are not the same numbers."""
    boot = _text("/proc/sys/kernel/random/boot_id")
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""  # no Linux
    return ":".join(part for part in (os.uname().nodename, boot, namespace) if part)


def _status(pid: int) -> tuple[str, str]:
    """State and start time; both empty if there is no such process, or no way to know."""
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (fields[0], fields[_START_FIELD - 3]) if len(fields) > _START_FIELD - 3 else ("", "")


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="surrogateescape").strip()
    except OSError:
        return ""  # ended meanwhile, or no Linux
