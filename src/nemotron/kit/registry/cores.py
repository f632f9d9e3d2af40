"""How many cores this process may use: its job's or container's share, often fewer than the machine has.

A container with two of sixty-four cores that starts sixteen workers only has them wait: once its time of a
tenth of a second is used up, all of them stand still until the next begins.
"""

import math
import os
import posixpath
from collections.abc import Iterator
from functools import cache

from nemotron.kit.store import proc


def usable(root: str = "/") -> int:
    """How many threads of this process can compute at once; at least 1.

    They are the cores that it is bound to (by Slurm, `taskset`, a cpuset; from Python 3.13 on
    `PYTHON_CPU_COUNT` may say another number), and no more than its control groups have time for, as
    `docker run --cpus` and limits of Kubernetes set it: 1.5 cores keep two threads busy.

    Args:
        root: below which `/proc` and `/sys` are.

    >>> 1 <= usable() <= os.cpu_count()
    True
    """
    limit = _limit(root)
    return bound() if limit is None else max(1, min(bound(), math.ceil(limit)))


def bound() -> int:
    """How many cores this process is bound to; all of the machine's where nobody can tell."""
    # Both are not on all systems, and the first not before 3.13.
    if (count := getattr(os, "process_cpu_count", None)) is not None:
        return count() or 1
    if (affinity := getattr(os, "sched_getaffinity", None)) is not None:
        return len(affinity(0))
    return os.cpu_count() or 1


@cache  # it is a dozen small files, and nobody gives a running job other limits
def _limit(root: str) -> float | None:
    """The smallest share, in cores, of the control groups that this process is in; None for no limit."""
    return min(_limits(root), default=None)


def _limits(root: str) -> Iterator[float]:
    """The share of each control group that has a limit; see cgroups(7)."""
    top = f"{root.rstrip('/')}/sys/fs/cgroup"
    for line in proc.text(f"{root.rstrip('/')}/proc/self/cgroup").splitlines():
        _, _, said = line.partition(":")
        controllers, _, path = said.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounts = (f"{top}/{controllers}", f"{top}/cpu") if controllers else (top, f"{top}/unified")
        # Every group above counts. Inside of a container the path may be the one outside: then only the last
        # of these folders, the top of what is mounted here, is there.
        group = posixpath.normpath(f"/{path.lstrip('/')}")
        while True:
            for mount in mounts:
                folder = f"{mount}{group.rstrip('/')}"
                share = _share_v1(folder) if controllers else _share_v2(folder)
                if share is not None:
                    yield share
            if group == "/":
                break
            group = posixpath.dirname(group)


def _share_v2(folder: str) -> float | None:
    """Of `cpu.max`, which is `max 100000` or `150000 100000`: microseconds of each period."""
    return _share(*proc.text(f"{folder}/cpu.max").split()[:2])


def _share_v1(folder: str) -> float | None:
    return _share(proc.text(f"{folder}/cpu.cfs_quota_us"), proc.text(f"{folder}/cpu.cfs_period_us"))


def _share(quota: str = "", period: str = "") -> float | None:
    if not quota.isdecimal() or not period.isdecimal() or int(period) == 0:  # `max` and -1 are no limit
        return None
    return int(quota) / int(period)
