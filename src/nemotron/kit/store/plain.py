"""Opening what should be a plain file, and may be something else by now.

A pipe waits for a writer when it is opened, and a device may never end; whoever looked a moment ago can't
know that nobody put one in the file's place since. So files of the user's are opened without waiting.
"""

import errno
import os
import stat

READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
# What the system says when it is asked to do to something else what it does to a file; the last on a Mac, of
# a socket.
_OTHER = frozenset({errno.ENXIO, errno.ESPIPE, errno.EISDIR, errno.EOPNOTSUPP})


class NotPlainError(OSError):
    """It is a folder, a pipe, a socket or a device."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.EINVAL, "It is not a plain file", path)


def opener(path: str, _: int = 0) -> int:
    """A descriptor of a plain file for reading; for `open(path, "rb", opener=opener)` too.

    Raises:
        NotPlainError: it is something else.
        OSError: it can't be opened.

    >>> opener("/dev/zero")
    Traceback (most recent call last):
    nemotron.kit.store.plain.NotPlainError: [Errno 22] It is not a plain file: '/dev/zero'
    """
    try:
        descriptor = os.open(path, READ)
    except BlockingIOError:
        # So only a file is refused: another program has a lease of it, and is being asked to give it back.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if is_other(error):
            raise NotPlainError(path) from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotPlainError(path)
        # Some file systems of clusters (Lustre) refuse a read that may not wait for another machine.
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_other(error: OSError) -> bool:
    """Whether the error says that what was opened or read is no plain file."""
    return isinstance(error, NotPlainError) or error.errno in _OTHER
