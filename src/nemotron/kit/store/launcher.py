"""Who started the ranks of this node, from `/proc`."""

import os
from pathlib import Path

_SAME_WORKER = ("TORCHELASTIC_RUN_ID", "RANK")
_ANCESTORS_MAX = 64
_START_FIELD = 22  # of /proc/PID/stat, see proc(5); the first two may hold spaces and are cut off


def launcher() -> str:
    """The process that started this rank, told from all others before and after it on this machine.

    Between it and the rank there may be shells and wrappers: the launcher is the nearest ancestor that does
    not have the rank's own variables. It is told apart by pid, start time and boot.
    """
    pid = os.getppid()
    mine = {name: os.environ.get(name) for name in _SAME_WORKER}
    for _ in range(_ANCESTORS_MAX):
        theirs = _environment(pid)
        if mine["RANK"] is None or {name: theirs.get(name) for name in _SAME_WORKER} != mine:
            break
        pid = int(_status(pid)[1])
    return f"{pid}@{_started(pid)}@{_text('/proc/sys/kernel/random/boot_id')}"


def _environment(pid: int) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in _text(f"/proc/{pid}/environ").split("\0"))
    return {name: value for name, _, value in pairs}


def _started(pid: int) -> str:
    fields = _status(pid)
    return fields[_START_FIELD - 3] if len(fields) > _START_FIELD - 3 else ""


def _status(pid: int) -> list[str]:
    """The fields of `/proc/PID/stat` after the name of the program: state, parent, …"""
    return _text(f"/proc/{pid}/stat").rpartition(")")[2].split() or ["", "1"]


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="surrogateescape").strip()
    except OSError:
        return ""  # no Linux, or another user's process: the pid must do
