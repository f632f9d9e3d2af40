"""`${auto_mount:git+URL@REF[,TARGET]}`: a repository that a launcher is to mount into the container."""

import re
import threading
from typing import Any

from nemotron.kit.errors import MisuseError

MARK = "__auto_mount__:"
TARGET_FOLDER = "/opt"
_URL = re.compile(r"git\+(?P<scheme>[a-z]+)://(?P<host>[^/\s]+)/(?P<path>[^@\s]+)@(?P<ref>\S+)", re.ASCII)

_mounts: dict[str, dict[str, str]] = {}
_lock = threading.Lock()


def mount(url: Any, target: Any = None) -> str:
    """Remember a repository to mount, and return what stands for it in the config.

    Args:
        url: `git+URL@REF`; the reference is a branch, a tag or a commit.
        target: where to mount it; `/opt/REPO` by default.

    Raises:
        MisuseError: it is not of that form, or another reference of the repository is mounted already.

    >>> mount("git+https://example.org/team/bridge.git@v1", "/opt/bridge")
    '__auto_mount__:bridge'
    >>> git_mounts()
    {'bridge': {'url': 'https://example.org/team/bridge.git', 'ref': 'v1', 'target': '/opt/bridge'}}
    >>> clear_git_mounts()
    """
    match = _URL.fullmatch(str(url))
    repo = match["path"].rstrip("/").rpartition("/")[2].removesuffix(".git") if match else ""
    if match is None or not repo:
        raise MisuseError(
            "${auto_mount:…} takes git+URL@REF[,TARGET], such as git+https://HOST/TEAM/REPO.git@main"
        )
    said = {
        "url": f"{match['scheme']}://{match['host']}/{match['path']}",
        "ref": match["ref"],
        "target": str(target) if target else f"{TARGET_FOLDER}/{repo}",
    }
    with _lock:
        before = _mounts.setdefault(repo, said)
    if before != said:
        raise MisuseError(
            f"{repo} is mounted twice: {before['ref']} at {before['target']}, "
            f"and {said['ref']} at {said['target']}"
        )
    return f"{MARK}{repo}"


def git_mounts() -> dict[str, dict[str, str]]:
    """Repository → its `url`, `ref` and `target`, of all that configs have asked for so far."""
    with _lock:
        return {repo: dict(said) for repo, said in _mounts.items()}


def clear_git_mounts() -> None:
    """Forget them."""
    with _lock:
        _mounts.clear()
