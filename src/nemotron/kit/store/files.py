"""The system calls of a store in a folder, each with what it must not forget."""

import errno
import os


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
    while view:
        view = view[os.write(descriptor, view) :]


def unlink(path: str) -> None:
    """Take a file away, if it is there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def sync_path(path: str) -> None:
    """Sync a file or the entries of a folder."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF):  # some network file systems can't sync a folder
            raise
    finally:
        os.close(descriptor)


def sync_file_system(folder: str) -> bool:
    """Sync the one file system that holds a folder; False where the system has no such call.

    `os.sync()` would flush every mount, and hang on a dead one.
    """
    import ctypes

    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if call is None:
        return False
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if call(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), folder)
    finally:
        os.close(descriptor)
    return True
