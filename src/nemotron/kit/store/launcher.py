"""Who started the ranks of this node, from `/proc`."""

import os

from nemotron.kit.store import proc

_SAME_WORKER = ("TORCHELASTIC_RUN_ID", "RANK")
_ANCESTORS_MAX = 64


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
        above = proc.stat(pid)
        pid = above.parent if above is not None else 1
    there = proc.stat(pid)  # of another user's process, where these are hidden, the pid must do
    return f"{pid}@{there.started if there is not None else ''}@{proc.boot()}"


def _environment(pid: int) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in proc.text(f"/proc/{pid}/environ").split("\0"))
    return {name: value for name, _, value in pairs}
