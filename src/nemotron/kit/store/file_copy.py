"""Copying a file into another, and having every byte that was written looked at on the way."""

import errno
import os
import threading
from queue import SimpleQueue

from nemotron.kit.store import blocks, files
from nemotron.kit.store.blocks import Seen

# Enough to be written in few requests, little enough that most of a file is on its way when its end is read.
WRITE_BACK_SIZE = 32 << 20
# How far what is copied may be ahead of what is read: enough that none waits, and in memory still.
LEAD_SIZE = 8 << 20
_WRITE = 2  # SYNC_FILE_RANGE_WRITE, see sync_file_range(2)
_CLONE = 0x40049409  # FICLONE, see ioctl_ficlonerange(2)
_NO_RANGE = frozenset(
    {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF, errno.ETXTBSY}
)


def copy(
    source: int,
    target: int,
    seen: Seen,
    buffer_size: int,
    *,
    share: bool = True,
    write_back: bool = False,
    ahead: bool = False,
) -> int:
    """Copy all of a file behind another, and show every byte that was *written*, in order.

    A file system that shares blocks (xfs, btrfs) copies nothing; one that can copy by itself (NFS 4.2) does.
    A block is shown right after it was written, while it is still in the processor's cache. Where the one has
    holes, so has the other.

    Args:
        source: a descriptor for reading.
        target: an empty file, for reading and writing.
        seen: told of each block.
        buffer_size: bytes at a time.
        share: whether both may share blocks, or are to be two of everything.
        write_back: have the disk take what is written while the rest is copied, so that a sync that follows
            finds little left to do.
        ahead: have another thread copy, up to `LEAD_SIZE` ahead of what is shown.

    Returns:
        The number of bytes.
    """
    done = show(target, seen, buffer_size, ahead=ahead) if share and _clone(source, target) else 0
    started = done

    def copied(block: memoryview) -> None:
        nonlocal done, started
        seen(block)
        done += len(block)
        if write_back and done - started >= WRITE_BACK_SIZE:
            start_write_back(target, started, done - started)
            started = done

    copy_block = _copying(source, target, share)
    is_long = os.fstat(source).st_size - done > LEAD_SIZE
    if ahead and is_long and not copies_by_itself(target):
        _follow(copy_block, target, copied, buffer_size, done)
    else:
        blocks.pass_on(copy_block, copied, buffer_size, start=done, ahead=ahead)
    if write_back and done > started:
        start_write_back(target, started, done - started)
    return done


def _copying(source: int, target: int, share: bool) -> blocks.Fetch:
    """Copies a block, and has it in the buffer."""
    from nemotron.kit.store import sparse  # who only looks a path up needs none of it

    has_holes = sparse.has_holes(source)
    by_itself = share and not has_holes and copies_by_itself(target)
    write = _write_with_holes if has_holes else _write_at

    def copy_block(buffer: memoryview, at: int) -> int:
        nonlocal by_itself
        if by_itself:
            try:
                count = os.copy_file_range(source, target, len(buffer), at, at)
            except OSError as error:
                if error.errno not in _NO_RANGE:
                    raise
                count = 0
            by_itself = count > 0  # some file systems say 0 where they mean that they can't
            if by_itself:
                return os.preadv(target, [buffer[:count]], at)  # which may be less
        if count := os.preadv(source, [buffer], at):
            write(target, buffer[:count], at)
        return count

    return copy_block


def _write_at(descriptor: int, block: memoryview, at: int) -> None:
    os.lseek(descriptor, at, os.SEEK_SET)
    files.write_all(descriptor, block)


def _write_with_holes(descriptor: int, block: memoryview, at: int) -> None:
    """Write a block at the end of a file; where it is zeros for long, the file gets a hole."""
    from nemotron.kit.store import sparse

    end = 0
    for start, end in sparse.data_in(block):
        _write_at(descriptor, block[start:end], at + start)
    if end < len(block):
        try:
            os.ftruncate(descriptor, at + len(block))
        except OSError:  # some file systems can't; if it is full, this tells
            _write_at(descriptor, block[end:], at + end)


def _follow(copy_block: blocks.Fetch, target: int, seen: Seen, buffer_size: int, start: int) -> None:
    """Have another thread copy, and read what it has written behind it, from the page cache.

    Reading it once more costs less than handing buffers from one core to another and back does, where those
    have no cache in common: then each write to a buffer waits for the other's. Neither waits for the other at
    each step, as one of the two is always held up a little.
    """
    buffer, own = memoryview(bytearray(buffer_size)), memoryview(bytearray(buffer_size))
    written: SimpleQueue[int | None] = SimpleQueue()  # up to where; None when no more comes
    room: SimpleQueue[None] = SimpleQueue()
    for _ in range(max(1, LEAD_SIZE // buffer_size)):
        room.put(None)
    is_over, caller = False, threading.get_ident()

    def copy_on() -> None:
        # Where no thread can be had, all is copied before any of it is read: nobody makes room meanwhile.
        waits = threading.get_ident() != caller
        end = start
        try:
            while True:
                if waits:
                    room.get()
                count = 0 if is_over else copy_block(buffer, end)
                if not count:
                    break
                end += count
                written.put(end)
        finally:
            written.put(None)

    from nemotron.kit.workers import Workers  # not every process that reads files needs one

    with Workers(1, "kit-ahead") as pool:
        try:
            copying, done = pool.submit(copy_on), start
            while (end := written.get()) is not None:
                while done < end and (count := os.preadv(target, [own[: end - done]], done)):
                    seen(own[:count])
                    done += count
                if done < end:
                    return  # somebody has cut it, and who compares the size will see that
                room.put(None)
        finally:
            is_over = True
            room.put(None)
        copying.result()


def copies_by_itself(descriptor: int) -> bool:
    """Whether to ask the file system of a file to copy without us.

    Those of disks copy through memory just as we do, in smaller steps; those that may have a server do it, or
    another file system below them, have no device of their own: their major number is 0.
    """
    return hasattr(os, "copy_file_range") and os.major(os.fstat(descriptor).st_dev) == 0


def start_write_back(descriptor: int, start: int, size: int) -> None:
    """Have the disk begin to take a part of a file. What it says does not matter: the sync then tells."""
    if (call := files.c_function("sync_file_range")) is not None:
        import ctypes

        before = ctypes.set_errno(0)
        call(descriptor, ctypes.c_int64(start), ctypes.c_int64(size), _WRITE)
        ctypes.set_errno(before)


def _clone(source: int, target: int) -> bool:
    """Let a file share the blocks of another, where the file system can."""
    try:
        import fcntl

        fcntl.ioctl(target, _CLONE, source)
    except (ImportError, OSError):  # one of a dozen reasons why it can't; copying tells what is really wrong
        return False
    return True


def show(descriptor: int, seen: Seen, buffer_size: int, *, ahead: bool = False) -> int:
    """Show every byte of a file, in order; the number of bytes.

    Args:
        descriptor: for reading.
        seen: told of each block.
        buffer_size: bytes at a time.
        ahead: have another thread read a block while the one before it is shown.
    """
    read = lambda buffer, at: os.preadv(descriptor, [buffer], at)  # noqa: E731
    return blocks.pass_on(read, seen, buffer_size, ahead=ahead)
