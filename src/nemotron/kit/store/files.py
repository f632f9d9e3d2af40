"""The system calls of a store in a folder, each with what it must not forget."""

import errno
import os
import stat
from functools import cache
from typing import Any

from nemotron.kit.store.system_errors import translate

READ_ONLY = 0o444
_NO_LINK = frozenset(
    {
        errno.EXDEV,
        errno.EMLINK,
        errno.EPERM,
        errno.EACCES,
        errno.EOPNOTSUPP,
        errno.ENOSYS,
        errno.EROFS,
        errno.ENOENT,
    }
)


def looked_at(path: str, *, follow_links: bool = True) -> os.stat_result | None:
    """What is at a path; None if nothing is, or a link that leads nowhere.

    Raises:
        KitError: it can't be looked at, which is not the same: a folder above is somebody else's, say, or
            its server is down.

    >>> looked_at("/no/such/file") is None
    True
    """
    try:
        return os.stat(path, follow_symlinks=follow_links)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise translate(error, "look at", path) from error


def create_exclusive(path: str, data: bytes, durable: bool) -> bool:
    """The way for file systems without hard links."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        return False
    try:
        write_all(descriptor, data)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of it: one call may write less."""
    view = memoryview(data)
    while view := view[os.write(descriptor, view) :]:
        pass


def read_at(descriptor: int, size: int, start: int) -> bytes:
    """The bytes of a file from `start` on, `size` of them unless it ends sooner: one call may give less."""
    data = os.pread(descriptor, size, start)
    while 0 < len(data) < size and (more := os.pread(descriptor, size - len(data), start + len(data))):
        data += more
    return data


def unlink(path: str) -> None:
    """Take a file away, if it is there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


class LostError(OSError):
    """A sync failed: what was written may be lost, though it can still be read and the next sync succeeds."""


def sync_path(path: str) -> None:
    """Sync a file or the entries of a folder.

    Raises:
        LostError: what was written to it may be lost.
        OSError: it can't be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF):  # some network file systems can't sync a folder
            raise LostError(error.errno, error.strerror, path) from error
    finally:
        os.close(descriptor)


@cache
def can_sync_file_system() -> bool:
    """Whether the system has a call that syncs one file system, and no sandbox refuses it."""
    call = c_function("syncfs")
    if call is None:
        return False
    import ctypes

    before = ctypes.set_errno(0)
    call(-1)
    return ctypes.set_errno(before) == errno.EBADF  # so it was looked at, unlike by a sandbox: EPERM, ENOSYS


def sync_file_system(folder: str | int) -> bool:
    """Sync the one file system that holds a folder; False where the system has no such call.

    `os.sync()` would flush every mount, and hang on a dead one.

    Args:
        folder: its path, or a descriptor. That is told of all that failed since it was opened, once.

    Raises:
        LostError: something that was written to the file system may be lost.
        OSError: the folder can't be opened.
    """
    if not can_sync_file_system():
        return False
    descriptor = folder if isinstance(folder, int) else open_folder(folder)
    try:
        _sync_all(c_function("syncfs"), descriptor)
    finally:
        if descriptor != folder:
            os.close(descriptor)
    return True


def open_folder(path: str) -> int:
    """A descriptor of a folder, for reading."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _sync_all(call: Any, descriptor: int) -> None:
    import ctypes

    # Each call puts back what it found: a signal handler comes when the call is over, and may sync as well.
    before = ctypes.set_errno(0)
    try:
        call(descriptor)
    finally:  # nor is it told again after an interrupt
        if number := ctypes.set_errno(before):
            raise LostError(number, os.strerror(number))


@cache
def c_function(name: str) -> Any:
    """A function of the C library that Python has no name for; None where there is none."""
    import ctypes

    return getattr(ctypes.CDLL(None, use_errno=True), name, None)


_UNNAMED = getattr(os, "O_TMPFILE", 0)
_NO_UNNAMED = frozenset(
    {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT, errno.ENOSYS, errno.EXDEV, errno.EPERM}
)


def create_whole(path: str, data: bytes) -> bool | None:
    """Create a read-only file that nobody ever sees in part, without a temporary name that may stay behind.

    Returns:
        False if there is one already; None, with nothing done, where the file system has no such files.
    """
    if not _UNNAMED:
        return None
    try:
        descriptor = os.open(path.rpartition("/")[0], os.O_WRONLY | _UNNAMED | os.O_CLOEXEC, READ_ONLY)
    except OSError as error:
        if error.errno in _NO_UNNAMED:
            return None
        raise
    try:
        write_all(descriptor, data)
        # With a descriptor given, Python asks the system to follow the link, as the name in /proc is one.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno in _NO_UNNAMED:
            return None
        raise
    finally:
        os.close(descriptor)
    return True


def link_read_only(source: str, target: str) -> bool:
    """Give a file a second name, read-only: who can't write to one name of it can't write to the other.

    Returns:
        False, with nothing done, where there can be no such link: another file system, too many names (some
        allow 1,024, others 65,000), somebody else's file, or none.
    """
    try:
        mode = os.lstat(source).st_mode
        if not stat.S_ISREG(mode):
            return False
        if mode & 0o222:
            os.chmod(source, stat.S_IMODE(mode) & ~0o222)
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NO_LINK:
            return False
        # NFS may have done it and lost the reply.
        if error.errno != errno.EEXIST or not os.path.samefile(source, target):
            raise
    return True
