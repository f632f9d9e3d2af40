"""Which process this is, in a form that lets others find out later whether it is still there."""

import os
from typing import TYPE_CHECKING, Literal

from nemotron.kit.documents.digest import digest_of, hex_of
from nemotron.kit.documents.run import Process
from nemotron.kit.registry import stamps
from nemotron.kit.store import proc

if TYPE_CHECKING:
    from nemotron.kit.documents.outbox import Maker

Life = Literal["alive", "gone", "unknown"]


def this_process(pid: int | None = None) -> Process:
    """A process of this machine, this one by default.

    >>> life_of(this_process())
    'alive'
    """
    pid = os.getpid() if pid is None else pid
    host, machine, there = os.uname().nodename, proc.text("/etc/machine-id"), proc.stat(pid)
    return Process(
        host=host,
        # systemd asks not to show the id itself.
        machine=hex_of(digest_of(host.encode() + b"\0" + machine.encode()))[:16] if machine else None,
        boot=proc.boot() or None,
        pid=pid,
        pid_namespace=proc.pid_namespace() or None,
        pid_started=None if there is None or there.is_dead else there.started,
        user=stamps.user(),
    )


def this_maker() -> "Maker":
    """This process, in the words of the outbox.

    >>> life_of(this_maker().process)
    'alive'
    """
    from nemotron.kit.documents.outbox import Maker

    return Maker.of(this_process())


def is_here(process: Process) -> bool:
    """Whether its number, if it still has it, counts here: it is, or was, of this boot of this machine."""
    here = this_process()
    # A boot's id is its own: it alone tells the machine, to who did not say which.
    knows_machine = process.machine == here.machine or (process.machine is None and process.boot is not None)
    return (
        knows_machine
        and process.pid is not None
        and process.pid > 0
        and (process.host, process.boot) == (here.host, here.boot)
        and process.pid_namespace == here.pid_namespace
    )


def life_of(process: Process) -> Life:
    """Whether a process is still there, as far as it can be known from here.

    Of another machine, of another container's processes, and of what was recorded too scantily, nothing is
    known. A machine that was booted since has none of its processes any more.
    """
    if not is_here(process):
        return "gone" if _was_booted_since(process) else "unknown"
    assert process.pid is not None
    there = proc.stat(process.pid)
    if there is not None:
        same = process.pid_started in (None, there.started)
        return "alive" if same and not there.is_dead else "gone"
    # Where processes of others are hidden, that a number is taken is all that can be seen.
    taken: Life = "alive" if process.pid_started is None else "unknown"
    return taken if _is_taken(process.pid) else "gone"


def _was_booted_since(process: Process) -> bool:
    """Whether it was of an earlier boot; two machines of one name are told apart by the machine's id."""
    here = this_process()
    if not (process.machine and process.boot and here.boot) or process.pid is None:
        return False
    is_machine = (process.host, process.machine) == (here.host, here.machine)
    return is_machine and process.boot != here.boot


def _is_taken(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
