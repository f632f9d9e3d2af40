"""What a run is surrounded by: the command, the job, the code and the packages."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from nemotron.kit.documents.digest import digest_of
from nemotron.kit.documents.run import RunEnvironment, packages_text
from nemotron.kit.redaction import clean_text

GIT_PATIENCE_S = 20.0
# By name, so that nothing is recorded of an environment that nobody looked at.
SCHEDULER_VARIABLES = (
    *("SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_STEP_ID", "SLURM_RESTART_COUNT", "SLURM_ARRAY_JOB_ID"),
    *("SLURM_ARRAY_TASK_ID", "SLURM_CLUSTER_NAME", "SLURM_JOB_NUM_NODES", "SLURM_JOB_PARTITION"),
    *("LSB_JOBID", "PBS_JOBID", "JOB_ID", "RAY_JOB_ID", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"),
)
IMAGE_VARIABLES = ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER")
_DIST_INFO = re.compile(r"(.+?)-([^-]+)(?:-[^-]+)?\.(?:dist|egg)-info", re.ASCII)
_READ_SIZE = 1 << 20


def scheduler(environ: Mapping[str, str]) -> dict[str, str]:
    """The scheduler's names and ids, as it calls them.

    >>> scheduler({"SLURM_JOB_ID": "42", "SECRET": "x"})
    {'SLURM_JOB_ID': '42'}
    """
    return {name: clean_text(environ[name]) for name in SCHEDULER_VARIABLES if environ.get(name)}


def world_size(environ: Mapping[str, str]) -> int | None:
    """The number of ranks, where the launcher said it.

    >>> world_size({"WORLD_SIZE": "8"}), world_size({"SLURM_NTASKS": "2"}), world_size({})
    (8, 2, None)
    """
    for name in ("WORLD_SIZE", "SLURM_NTASKS"):
        if (text := environ.get(name, "").strip()).isdecimal():
            return int(text)
    return None


def image(environ: Mapping[str, str]) -> str | None:
    """The container image, where the runtime names it."""
    found = next((environ[name] for name in IMAGE_VARIABLES if environ.get(name)), None)
    return None if found is None else clean_text(found)


def command() -> list[str]:
    """The command line as it was typed, as far as Python knows it."""
    words = list(getattr(sys, "orig_argv", ())) or [sys.executable, *sys.argv]
    return [os.path.basename(words[0]), *words[1:]] if words else []


def entry() -> str | None:
    """The file that Python was started with, or None in a shell."""
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return os.path.abspath(file) if isinstance(file, str) else None


def environment(entry_file: str | None, cwd: str) -> RunEnvironment:
    """The code and the packages; takes some tens of milliseconds, more where git has much to look at.

    Args:
        entry_file: the file that Python was started with.
        cwd: where to look for a repository if there is none around that file.
    """
    packages = installed()
    text = packages_text(packages).encode()
    return RunEnvironment(
        **(_git(os.path.dirname(entry_file)) if entry_file else {}) or _git(cwd),
        entry_digest=None if entry_file is None else _digest_of(entry_file),
        packages=packages,
        packages_digest=digest_of(text),
    )


def installed() -> dict[str, str]:
    """Name → version of the packages on the path, by the names of their folders: nothing is opened.

    >>> "pydantic" in installed()
    True
    """
    found: dict[str, str] = {}
    for place in sys.path:
        try:
            names = os.listdir(place or ".")
        except OSError:
            continue
        for name in names:
            if match := _DIST_INFO.fullmatch(name):
                found.setdefault(re.sub(r"[-_.]+", "-", match[1]).lower(), match[2])
    return dict(sorted(found.items()))


def _digest_of(file: str) -> str | None:
    try:
        with open(file, "rb") as opened:
            return digest_of(opened.read())
    except OSError:
        return None


def _git(folder: str) -> dict[str, Any]:
    """Commit, branch and difference of the repository around a folder; {} if there is none, or no git."""
    said = _output(folder, "rev-parse", "HEAD", "--abbrev-ref", "HEAD")
    if said is None or len(lines := said.decode(errors="replace").split()) != 2:
        return {}
    commit, branch = lines
    found: dict[str, Any] = {"commit": commit, "branch": None if branch == "HEAD" else branch}
    difference = _output(folder, "diff", "HEAD", "--binary", "--no-ext-diff", "--no-textconv", "--no-color")
    if difference is not None:
        found["dirty"] = bool(difference)
        found["diff"] = digest_of(difference) if difference else None
    return found


def _output(folder: str, *arguments: str) -> bytes | None:
    """What git says, or None if it fails or takes too long. It takes no locks and asks nobody."""
    quiet = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            ["git", "-C", folder, *arguments],
            env=os.environ | quiet,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
