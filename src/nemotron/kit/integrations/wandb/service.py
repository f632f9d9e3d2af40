"""The client's service process, `wandb-core`: find ours, and end it.

It is found in the table of processes, as a child of ours that runs that program: the client does not say
which one it is, and where it keeps it moves between its versions.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from nemotron.kit.store import proc

PROGRAM = "wandb-core"


def services_of(parent: int) -> list[int]:
    """The service processes that a process has started, and that still run."""
    return [pid for pid, its_parent in _processes() if its_parent == parent and is_service(pid)]


def is_service(pid: int) -> bool:
    """Whether a process runs the client's service program."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode("utf-8", "replace")
    except OSError:
        command = _ps(pid, "comm") if not os.path.isdir("/proc/self") else ""
    return os.path.basename(command.strip()) == PROGRAM


def kill(pid: int) -> bool:
    """End a service process at once. Its transaction log stays.

    Returns:
        Whether there was one: a process of another program is left alone.
    """
    if not is_service(pid):
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return True


def _processes() -> Iterator[tuple[int, int]]:
    """Each process, and its parent."""
    if not os.path.isdir("/proc/self"):
        yield from _ps_all()
        return
    for name in os.listdir("/proc"):
        if name.isdecimal() and (found := proc.stat(int(name))):  # else it has ended meanwhile
            yield int(name), found.parent


def _ps_all() -> Iterator[tuple[int, int]]:
    for line in _run_ps("-axo", "pid=,ppid=").splitlines():
        pid, parent = line.split()
        yield int(pid), int(parent)


def _ps(pid: int, what: str) -> str:
    return _run_ps("-p", str(pid), "-o", f"{what}=")


def _run_ps(*arguments: str) -> str:
    try:
        return subprocess.run(["ps", *arguments], capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""
