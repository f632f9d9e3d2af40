"""NeMo-Run mounts the job's folder into its container as `/nemo_run`; this finds the folder outside.

What is recorded has to be found by other jobs, which see the file system and not this container.
"""

import os
import re
from dataclasses import dataclass

MOUNT_POINT = "/nemo_run"
FOLDER_VARIABLE = "NEMO_RUN_DIR"

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Mount:
    """One line of `/proc/self/mountinfo`, see proc(5).

    Attributes:
        device: `major:minor` of the file system.
        root: the folder of the file system that is mounted.
        point: where it is mounted.
    """

    device: str
    root: str
    point: str


def outside_path(path: str) -> str:
    """The path outside the container of one below `/nemo_run`; other paths stay what they are.

    The kernel's list of mounts is asked first: the mount of `/nemo_run` is a folder of a file system that is
    mounted as a whole somewhere else. Then `/proc/mounts`, where some container runtimes write the folder
    itself, then `$NEMO_RUN_DIR`.

    Args:
        path: an absolute path, as seen in the container.

    Returns:
        The path outside, or `path` where it can't be known.
    """
    if not _is_below(path, MOUNT_POINT):
        return path
    return (
        _by_mountinfo(path, parse_mountinfo(_read("/proc/self/mountinfo")))
        or _by_mounts(path, _read("/proc/mounts"))
        or _by_environment(path)
        or path
    )


def parse_mountinfo(text: str) -> list[Mount]:
    """The mounts in `/proc/self/mountinfo`; lines of another form are left out.

    >>> parse_mountinfo("36 35 98:0 /jobs/7 /nemo_run rw - lustre 10.0.0.1@tcp:/fs rw")
    [Mount(device='98:0', root='/jobs/7', point='/nemo_run')]
    """
    fields = (line.split(" ") for line in text.splitlines())
    return [Mount(f[2], _unescape(f[3]), _unescape(f[4])) for f in fields if len(f) > 5]


def _by_mountinfo(path: str, mounts: list[Mount]) -> str | None:
    inside = [
        mount for mount in mounts if _is_below(mount.point, MOUNT_POINT) and _is_below(path, mount.point)
    ]
    if not inside:
        return None
    job = max(inside, key=lambda mount: len(mount.point))
    wholes = [
        mount
        for mount in mounts
        if mount.device == job.device
        and _is_below(job.root, mount.root)
        and not _is_below(mount.point, MOUNT_POINT)
    ]
    if not wholes:
        return None
    # The nearer to the whole file system a mount is, the likelier it lies at the same place everywhere.
    whole = min(wholes, key=lambda mount: len(mount.root))
    return _join(whole.point, _rest(job.root, whole.root), _rest(path, job.point))


def _by_mounts(path: str, text: str) -> str | None:
    for line in text.splitlines():
        source, _, tail = line.partition(" ")
        is_folder = source.startswith("/") and not _is_below(source, "/dev")
        if is_folder and _unescape(tail.partition(" ")[0]) == MOUNT_POINT:
            return _join(_unescape(source), _rest(path, MOUNT_POINT))
    return None


def _by_environment(path: str) -> str | None:
    folder = os.environ.get(FOLDER_VARIABLE)
    return _join(folder, _rest(path, MOUNT_POINT)) if folder else None


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        # Not Linux, or /proc is not mounted: the next way is tried.
        return ""


def _unescape(field: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), field)


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _rest(path: str, folder: str) -> str:
    return path[len(folder.rstrip("/")) :].lstrip("/")


def _join(*parts: str) -> str:
    return "/".join([parts[0].rstrip("/"), *(part for part in parts[1:] if part)]) or "/"
