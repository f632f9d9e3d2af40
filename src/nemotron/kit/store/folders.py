"""Trees of folders on a file system: making them, what is in them, and taking away what is empty."""

import errno
import os
from collections.abc import Iterator

from nemotron.kit.store.protocol import Found


def make(path: str) -> None:
    """Make a folder, if it is not there; the one above it is.

    Raises:
        NotADirectoryError: what has the name is no folder.
    """
    try:
        os.mkdir(path)
    except FileExistsError:
        if not os.path.isdir(path):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from None


def is_version(path: str) -> bool:
    """Whether it is a `vN` folder: there may be 100,000 of them, and each is used once."""
    name = os.path.basename(path)
    return name[:1] == "v" and name[1:].isdigit()


def walk(path: str, prefix: str = "") -> Iterator[Found]:
    """The regular files below a folder; none if it is not there, or goes while it is looked at.

    Args:
        path: the folder.
        prefix: put before the path of each file in it.
    """
    waiting = [(path, prefix)]
    while waiting:
        folder, before = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                children = list(entries)
        except (FileNotFoundError, NotADirectoryError):
            continue
        for child in children:
            if child.is_dir(follow_symlinks=False):
                waiting.append((child.path, f"{before}{child.name}/"))
            elif child.is_file(follow_symlinks=False):
                try:
                    info = child.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                yield Found(f"{before}{child.name}", info.st_size, info.st_mtime)


def prune(path: str) -> None:
    """Take away the empty folders below a folder, and itself if that makes it empty."""
    for folder, _, _ in os.walk(path, topdown=False):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
