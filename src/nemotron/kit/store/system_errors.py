"""What the operating system says, as errors of the kit."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from nemotron.kit.errors import (
    DiskFullError,
    KitError,
    OutsideRootError,
    PathNotFoundError,
    RefusedError,
    UnavailableError,
)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM})
_READING = frozenset({"read", "look at", "look into", "list"})


def translate(error: OSError, doing: str, path: object) -> KitError:
    """The kit's error for what the operating system said.

    Args:
        error: from a call on `path`.
        doing: what was tried, such as "write".
        path: where.
    """
    if isinstance(error, KitError):  # some of them are OSErrors too, and say it already
        return error
    # Here, since it is needed when something went wrong only. The path may be a URL.
    from nemotron.kit.redaction import clean_text, one_line

    said = f"Cannot {doing} {clean_text(str(path))}: {error.strerror or one_line(str(error))}"
    if error.errno in _FULL:
        return DiskFullError(f"{said}. Free some space or raise the quota, then try again; nothing was lost")
    if error.errno == errno.EROFS:
        return RefusedError(f"{said}. Mount it such that it can be written, or choose another root")
    if error.errno in _DENIED and doing in _READING:  # of the user's data too
        return RefusedError(f"{said}. Check its owner and mode, and those of the folders above it")
    if error.errno in _DENIED:
        return RefusedError(f"{said}. Check the owner and mode of the folder, or choose another root")
    if error.errno == errno.ENOENT or (error.errno == errno.ENOTDIR and doing == "read"):
        return PathNotFoundError(said)
    if error.errno == errno.ELOOP:
        return OutsideRootError(f"{said}. It is a link, and links are not followed: they may lead anywhere")
    if error.errno == errno.ENAMETOOLONG and doing in _READING:
        return RefusedError(f"{said}. Shorten its name, or the names of the folders above it")
    if error.errno == errno.ENAMETOOLONG:
        return RefusedError(f"{said}. Choose a root that is shorter, or shorter names")
    if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
        return RefusedError(
            f"{said}. A root must be a folder, with nothing of yours where the kit keeps its files"
        )
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return UnavailableError(f"{said}. Close what this process has open, or allow it more (ulimit -n)")
    return UnavailableError(f"{said}. The file system may be down; try again")


@contextmanager
def translating(doing: str, path: object) -> Iterator[None]:
    """Inside, what the operating system says of a path is an error of the kit; see `translate`."""
    try:
        yield
    except OSError as error:
        raise translate(error, doing, path) from error
