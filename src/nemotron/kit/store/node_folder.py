"""A folder that the ranks of one node share, and nobody else."""

import fcntl
import logging
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from nemotron.kit.errors import KitError
from nemotron.kit.store.local import LocalStore
from nemotron.kit.store.system_errors import translate

log = logging.getLogger(__name__)


class NodeFolder:
    """Answers that one rank of a node has got for all of them.

    Args:
        path: the folder, which must be this user's own.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.store = LocalStore(path)

    def read(self, key: str) -> bytes | None:
        """The copy that another rank of the node left, or None."""
        try:
            return self.store.read(key)
        except KitError as error:
            log.warning("This rank asks the store itself: %s", error)
            return None

    def keep(self, key: str, data: bytes) -> None:
        """Leave a copy for the other ranks of the node; without it they ask for themselves."""
        try:
            self.store.create(key, data, durable=False)
        except KitError as error:
            log.warning("The other ranks of this node ask the store themselves: %s", error)

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Let one rank of the node at a time through; a rank that dies in here lets the next one in.

        It is a lock of the kernel's, which takes it back from a dead process, on a file that stays. Where it
        can't be had, ranks come in together: that costs requests, and gives the same answer.
        """
        descriptor = -1
        try:
            descriptor = os.open(f"{self.path}/{key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            log.info("No lock in %s: %s", self.path, error)
        try:
            yield
        finally:
            if descriptor != -1:
                os.close(descriptor)


def open_node_folder(environ: Mapping[str, str]) -> NodeFolder | None:
    """The folder of this user on this node, made if it is missing: `$TMPDIR`, else `/tmp`.

    Returns:
        None where it can't be used, with a warning that says why: somebody else's folder is not trusted.
    """
    path = node_folder_path(environ)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            if problem := _distrust(os.lstat(path)):
                log.warning(
                    "%s is not used, %s: remove it, or set TMPDIR to a folder of your own", path, problem
                )
                return None
    except OSError as error:
        log.warning("%s. The ranks of this node agree through the store", translate(error, "use", path))
        return None
    return NodeFolder(path)


def node_folder_path(environ: Mapping[str, str]) -> str:
    """Where it is or would be."""
    return os.path.join(os.path.abspath(environ.get("TMPDIR") or "/tmp"), f"nemotron-kit-{os.geteuid()}")


def _distrust(found: os.stat_result) -> str | None:
    """Why a folder that was there already can't be trusted, or None."""
    if not stat.S_ISDIR(found.st_mode):
        return "it is no folder"
    if found.st_uid != os.geteuid():
        return f"it belongs to user {found.st_uid}"
    if stat.S_IMODE(found.st_mode) & 0o077:
        return f"others may enter it (mode {stat.S_IMODE(found.st_mode):o}, expected 700)"
    return None
