"""Reading files for their digests: each byte once, and one state of each file.

The functions on chunks are what workers are given. Those that are processes start with this module, which
therefore loads little else.
"""

import os
import stat
from collections.abc import Callable
from functools import partial

from blake3 import blake3

from nemotron.kit.documents.columns import HASH_BYTES, Columns
from nemotron.kit.documents.digest import ALGORITHM, SAMPLE_BLOCK, SAMPLED_WHOLE_MAX, sample_of
from nemotron.kit.documents.entry import Entry, kept_time
from nemotron.kit.errors import ConflictError, KitError, PathNotFoundError
from nemotron.kit.registry.work import Told, Work, each
from nemotron.kit.store import file_copy, files, plain
from nemotron.kit.store.blocks import Seen
from nemotron.kit.store.system_errors import translate

# Given a descriptor of a file and its size, tells the digest and the number of bytes there were.
Read = Callable[[int, int], tuple[str, int]]

ATTEMPTS_MAX = 3
_NOT_YET = bytes(HASH_BYTES)
SMALL_SIZE_MAX = 1 << 20
# A buffer that stays in the core's own cache between reading, hashing and writing.
BUFFER_SIZE = 256 << 10
SHARED_BUFFER_SIZE = 4 << 20
# What is written at once lies together in the page cache: larger pieces take the system less time, but with
# several MiB it takes five times as long now and then.
COPY_BUFFER_SIZE = 1 << 20


def hash_chunk(folder: str, part: Columns, threads: int = 1, told: Told | None = None) -> Columns:
    """The entries with the digests of their files."""
    read = _hashing(threads, told)
    if not part.ctimes_ns:  # nobody has looked at them
        return each(part, lambda entry: steadily(folder, entry, read))
    digests, others = [], []
    looked_at = zip(part.paths, part.sizes, part.mtimes_ns, part.ctimes_ns, part.inodes, strict=True)
    for at, (path, size, *state) in enumerate(looked_at):
        digest = at_once(folder, path, size, state) if size <= SMALL_SIZE_MAX else None
        digests.append(digest or _NOT_YET)
        if digest is None:
            others.append(at)
        elif told is not None:
            told(size)
    done = part.digested(digests)
    for at in others:
        done.put(at, steadily(folder, part.entry(at), read))
    return done


def at_once(folder: str, path: str, size: int, state: list[int]) -> bytes | None:
    """The digest of a small file, by as little as can be done; None if it is not as it was looked at.

    Args:
        folder: where it is.
        path: in there.
        size: bytes.
        state: its times of `Columns`, and its inode.
    """
    try:
        descriptor = os.open(f"{folder}/{path}", plain.READ)
        try:
            data, after = os.read(descriptor, size + 1), os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except OSError:
        return None  # reading it steadily tells
    if len(data) != size or after.st_size != size:
        return None
    is_same = [after.st_mtime_ns, after.st_ctime_ns, after.st_ino] == state
    return blake3(data).digest() if is_same else None


def hash_file(folder: str, entry: Entry, threads: int = 1, told: Told | None = None) -> Entry:
    """The entry of a file with its digest.

    Raises:
        ConflictError: it keeps changing while it is read.
    """
    return steadily(folder, entry, _hashing(threads, told))


def _hashing(threads: int, told: Told | None) -> Read:
    def read(descriptor: int, size: int) -> tuple[str, int]:
        if size <= SMALL_SIZE_MAX:
            data = read_small(descriptor, size)
            if told is not None:
                told(len(data))
            return f"{ALGORITHM}:{blake3(data).hexdigest()}", len(data)
        hasher = blake3(max_threads=threads)
        count = read_through(descriptor, up_to(size, hasher.update), threads, told)
        return f"{ALGORITHM}:{hasher.hexdigest()}", count

    return read


def sample_chunk(folder: str, part: Columns, threads: int = 1, told: Told | None = None) -> Columns:
    """The entries with the digests of samples; of files no larger than a sample, with whole digests."""
    return each(part, lambda entry: sample_file(folder, entry, told))


def sample_file(folder: str, entry: Entry, told: Told | None = None) -> Entry:
    """The entry of a file with the digest of a sample, or of the whole if that is no more.

    Raises:
        ConflictError: it keeps changing while it is read.
    """
    if is_sampled_whole(entry):
        return hash_file(folder, entry, 1, told)

    def read(descriptor: int, size: int) -> tuple[str, int]:
        starts = (0, (size - SAMPLE_BLOCK) // 2, size - SAMPLE_BLOCK)
        first, middle, last = (files.read_at(descriptor, SAMPLE_BLOCK, max(0, start)) for start in starts)
        return sample_of(size, first, middle, last), size

    done = steadily(folder, entry, read)
    if told is not None:
        told(done.size)
    return Entry(
        done.path,
        done.size,
        done.mtime_ns,
        None,
        done.kind,
        sample=done.digest,
        inode=done.inode,
        ctime_ns=done.ctime_ns,
    )


def is_sampled_whole(entry: Entry) -> bool:
    """Whether a sample of a file would be all of it."""
    return entry.size <= SAMPLED_WHOLE_MAX


def steadily(folder: str, entry: Entry, read: Read) -> Entry:
    """Read a file such that what is said of it is true of one state of the file.

    Args:
        folder: where it is.
        entry: as it was looked at before.
        read: tells of it.

    Raises:
        ConflictError: it keeps changing while it is read.
        PathNotFoundError: it is gone.
    """
    path = f"{folder}/{entry.path}"
    size, mtime_ns, ctime_ns = entry.size, entry.mtime_ns, entry.ctime_ns
    may_wait = False
    for _ in range(ATTEMPTS_MAX):
        try:
            # What a small one is shows afterwards: asking first would take a tenth of the time.
            is_quick = size <= SMALL_SIZE_MAX and not may_wait
            descriptor = os.open(path, plain.READ) if is_quick else plain.opener(path)
            try:
                try:
                    digest, count = read(descriptor, size)
                except Grown:
                    digest, count = "", -1
                after = os.fstat(descriptor)
            finally:
                os.close(descriptor)
        except BlockingIOError:
            may_wait = True  # for who has a lease of it, or for another machine
            continue
        except OSError as error:
            raise _not_read(path, error) from error
        before = size, mtime_ns, ctime_ns
        size, mtime_ns, ctime_ns = after.st_size, kept_time(after.st_mtime_ns), kept_time(after.st_ctime_ns)
        if count == size and (size, mtime_ns, ctime_ns) == before:
            # In order: names take half as long again, of each of many files.
            return Entry(
                entry.path, size, mtime_ns, digest, entry.kind, None, None, None, None, after.st_ino, ctime_ns
            )
        if not stat.S_ISREG(after.st_mode):
            raise _not_read(path, plain.NotPlainError(path))
        # It changed since the scan, which is fine, or while it was read: once more.
    raise ConflictError(f"{path} keeps changing while it is read; save it when its writer is done")


def _not_read(path: str, error: OSError) -> KitError:
    if isinstance(error, FileNotFoundError):
        return PathNotFoundError(
            f"{path} was there a moment ago, and is gone; try again when nobody deletes files"
        )
    if plain.is_other(error):
        return ConflictError(
            f"{path} was a file a moment ago, and is none any more; try again when nobody replaces files"
        )
    return translate(error, "read", path)


def read_small(descriptor: int, size: int) -> bytes:
    """All bytes of a file of this size; one byte more is asked for, so that growth is seen, and no more."""
    data = os.read(descriptor, size + 1)
    while 0 < len(data) < size and (more := os.read(descriptor, size + 1 - len(data))):
        data += more
    return data


class Grown(Exception):
    """A file has more bytes than it had. Who writes faster than we read would have us read for ever."""


def up_to(size: int, seen: Seen) -> Seen:
    """Shows blocks of a file, and raises `Grown` when these are more than its size."""
    left = size

    def looked_at(block: memoryview) -> None:
        nonlocal left
        left -= len(block)
        if left < 0:
            raise Grown
        seen(block)

    return looked_at


def read_through(descriptor: int, seen: Seen, threads: int, told: Told | None) -> int:
    """Show all bytes of a file, in order, and return how many there were.

    With several threads to one file the next block is read while they look at this one.
    """

    def looked_at(block: memoryview) -> None:
        seen(block)
        if told is not None:
            told(len(block))

    return file_copy.show(descriptor, looked_at, buffer_size(threads), ahead=threads > 1)


def beside_copying(threads: int) -> int:
    """How many of some threads are to hash a file while one of them copies it.

    With one more, blake3's, which yield their cores instead of sleeping, keep the copying from its own.

    >>> beside_copying(8), beside_copying(1)
    (7, 1)
    """
    return max(1, threads - 1)


def buffer_size(threads: int) -> int:
    """Bytes to read at once: few stay in the cache of a core, many keep several cores at work."""
    return BUFFER_SIZE if threads == 1 else SHARED_BUFFER_SIZE


def hashing(folder: str) -> Work:
    """The work of `hash_chunk` in a folder."""
    return partial(hash_chunk, folder)


def sampling(folder: str) -> Work:
    """The work of `sample_chunk` in a folder."""
    return partial(sample_chunk, folder)
