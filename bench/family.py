"""What a process and those that it started cost: processor time and memory, children counted."""

import os
import resource
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

# How often it is looked who lives, in seconds; a look takes some tens of microseconds of another process.
EVERY_S = 0.05
KIB_IN_MIB = 1024


def family(pid: int) -> list[int]:
    """A process and all that descend from it and live, as far as the system tells."""
    found = [pid]
    for one in found:  # grows meanwhile
        with suppress(OSError):  # it ended, or this is no Linux
            for children in Path(f"/proc/{one}/task").glob("*/children"):
                found += [int(child) for child in children.read_text().split()]
    return found


def spent_s() -> float:
    """Seconds of processor time of this process and of all that it started, whether they live or not."""
    spent = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        spent += usage.ru_utime + usage.ru_stime
    for child in family(os.getpid())[1:]:
        with suppress(OSError):
            after_name = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            spent += sum(map(int, after_name[11:15])) / os.sysconf("SC_CLK_TCK")
    return spent


def own_peak_mib() -> float:
    """The peak of the memory of this process, in MiB.

    That of its children is not added: what the system says of one begins with all that its parent had when
    it was started.
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_IN_MIB


def peak_mib(pid: int) -> float:
    """The sum of the peaks of a process and of its family that lives now, in MiB.

    Each peak is a process's own, and what they share is counted in each: they took this much at most.
    """
    kib = 0
    for one in family(pid):
        with suppress(OSError):
            for line in Path(f"/proc/{one}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    kib += int(line.split()[1])
    return kib / KIB_IN_MIB


def watched(command: Sequence[str], environment: dict[str, str]) -> tuple[str, float]:
    """Run a command.

    Returns:
        What it wrote, and the greatest `peak_mib` that was seen while it ran.
    """
    most = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        while True:
            try:
                said, _ = process.communicate(timeout=EVERY_S)
                break
            except subprocess.TimeoutExpired:
                most = max(most, peak_mib(process.pid))
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return said, most
