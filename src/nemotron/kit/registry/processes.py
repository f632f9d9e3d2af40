"""Which process this is, in a form that lets others find out later whether it is still there."""

import getpass
import os
from typing import Literal

from nemotron.kit.documents.digest import digest_of, hex_of
from nemotron.kit.documents.run import Process

Life = Literal["alive", "gone", "unknown"]


def this_process(pid: int | None = None) -> Process:
    """A process of this machine, this one by default.

    >>> life_of(this_process())
    'alive'
    """
    pid = os.getpid() if pid is None else pid
    host = os.uname().nodename
    name = (_read("/etc/machine-id") or "").encode()
    return Process(
        host=host,
        # systemd asks not to show the id itself.
        machine=hex_of(digest_of(host.encode() + b"\0" + name))[:16] if name else None,
        boot=_read("/proc/sys/kernel/random/boot_id"),
        pid=pid,
        pid_namespace=_link("/proc/self/ns/pid"),
        pid_started=_started(pid),
        user=_user(),
    )


def life_of(process: Process) -> Life:
    """Whether a process is still there, as far as it can be known from here.

    Of another machine, of another container's processes, and of what was recorded too scantily, nothing is
    known. A machine that was booted since has none of its processes any more.
    """
    here = this_process()
    if process.pid is None or process.host != here.host or process.machine != here.machine:
        return "unknown"
    if process.boot != here.boot:
        # Two machines of one name would look like one that was booted, but for the machine's id.
        return "gone" if process.machine and process.boot and here.boot else "unknown"
    if process.pid_namespace != here.pid_namespace:
        return "unknown"
    if process.pid_started is not None:
        return "alive" if _started(process.pid) == process.pid_started else "gone"
    return "alive" if _exists(process.pid) else "gone"


def _started(pid: int) -> int | None:
    """In clock ticks since boot, from /proc; None where there is none, and for a zombie."""
    stat = _read(f"/proc/{pid}/stat")
    if stat is None:
        return None
    # The name in parentheses may hold anything: what follows the last one counts.
    fields = stat.rpartition(")")[2].split()
    return None if not fields or fields[0] in "ZX" else int(fields[19])


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without an entry
        return str(os.getuid())


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def _link(path: str) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None
