"""Reading many files for their digests: each byte once, one state of each file, in parallel.

The work is done by module-level functions on chunks of a listing, so that any executor can take it, one of
other processes or machines included.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from functools import partial
from itertools import chain, islice
from typing import Any, cast

from blake3 import blake3

from nemotron.kit.documents.columns import Columns
from nemotron.kit.documents.digest import ALGORITHM, SAMPLE_BLOCK, sample_of
from nemotron.kit.documents.entry import kept_time
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.errors import ConflictError, MisuseError, PathNotFoundError
from nemotron.kit.registry import cores
from nemotron.kit.registry.work import DoPart, Told, Work, do_part
from nemotron.kit.registry.worker_processes import in_processes
from nemotron.kit.store import files
from nemotron.kit.store.blocks import Seen
from nemotron.kit.store.system_errors import translate
from nemotron.kit.workers import Workers

# At most, where there are as many cores.
WORKERS = 16
ATTEMPTS_MAX = 3
# A chunk is as much as makes the hand-over cheap, and little enough to keep all workers busy to the end.
CHUNK_FILES = 256
CHUNK_BYTES = 32 << 20
SMALL_SIZE_MAX = 1 << 20
# Chunks that are handed out before the first of them is asked for: enough to keep all workers busy, of which
# an executor of many machines has many.
AHEAD_EXECUTOR = 1024
# Where each file is a round trip or more.
REMOTE_WORKERS = 16
REMOTE_CHUNK_FILES = 16
# A buffer that stays in the core's own cache between reading, hashing and writing.
BUFFER_SIZE = 256 << 10
SHARED_BUFFER_SIZE = 4 << 20
# What is written at once lies together in the page cache: larger pieces take the system less time, but with
# several MiB it takes five times as long now and then.
COPY_BUFFER_SIZE = 1 << 20

Progress = Callable[[int, int], object]


class Stopped(BaseException):
    """Nobody waits for the result any more."""


class Meter:
    """Adds up what all threads have done, and stops them when nobody waits any more.

    Args:
        progress: told the bytes done and those in all; called by any thread, one at a time.
        total: bytes in all.
    """

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0
        self._lock = threading.Lock()
        self.stopped = False

    def told(self, count: int) -> None:
        """So many bytes more are done.

        Raises:
            Stopped: nobody waits.
        """
        if self.stopped:
            raise Stopped
        if self._progress is not None:
            with self._lock:
                self._done = min(self._total, self._done + count)  # a file that is read again counts once
                self._progress(self._done, self._total)


def workers_most() -> int:
    """How many workers there are at once, where each keeps a core busy."""
    return min(WORKERS, cores.usable())


def chunked(positions: Iterable[int], sizes: Sequence[int], most: int = CHUNK_FILES) -> Iterator[list[int]]:
    """Positions of files in chunks, by number and by bytes.

    Args:
        positions: in the order in which they are to be read.
        sizes: of the files at all positions, bytes.
        most: files in a chunk.
    """
    chunk: list[int] = []
    size = 0
    for at in positions:
        if size >= CHUNK_BYTES or len(chunk) >= most:
            yield chunk
            chunk, size = [], 0
        chunk.append(at)
        size += sizes[at]
    if chunk:
        yield chunk


def on_all(
    work: Work,
    tree: Tree,
    positions: Sequence[int],
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
    is_remote: bool = False,
) -> Iterator[tuple[list[int], Columns]]:
    """Do some work to many files; yields positions of some, and a part with their entries, completed.

    Args:
        work: picklable if the executor needs that.
        tree: lists the files.
        positions: of the files in the tree.
        executor: who does it; threads of this process, and worker processes for many small files, by default.
        progress: told the bytes done and those in all.
        is_remote: the work waits for replies more than it computes, so many threads do it.

    Raises:
        MisuseError: the executor is none.
    """
    if executor is not None and (isinstance(executor, type) or not hasattr(executor, "submit")):
        raise MisuseError(f"Not an executor: {executor!r}; expected one such as ProcessPoolExecutor(8)")
    if not positions:
        return
    sizes, at_once = tree.columns.sizes, workers_most()
    first_most, files_most = (REMOTE_WORKERS, REMOTE_CHUNK_FILES) if is_remote else (at_once, CHUNK_FILES)
    chunks = chunked(_large_first(positions, sizes), sizes, files_most)
    first = list(islice(chunks, first_most))
    meter = Meter(progress, sum(sizes[at] for at in positions))
    threads = max(1, at_once // len(first))
    # What waits or is done and not yet asked for is held twice, so that is never all of it.
    ahead = 4 * first_most if executor is None else AHEAD_EXECUTOR
    running: deque[tuple[list[int], Future[Columns]]] = deque()
    with ExitStack() as stack:
        workers, do, told = executor, cast(DoPart, partial(do_part, work)), None
        if workers is None:
            told = meter.told
            if not is_remote:
                do = stack.enter_context(in_processes(work, len(positions)))
            workers = stack.enter_context(Workers(len(first), "kit-content"))
        try:
            for chunk in chain(first, chunks):
                if len(running) >= ahead:
                    yield _next(running, sizes, meter if executor else None)
                running.append((chunk, workers.submit(do, tree.columns.taken(chunk), threads, told)))
            while running:
                yield _next(running, sizes, meter if executor else None)
        except BaseException:  # an interrupt among them: what runs stops at its next block
            meter.stopped = True
            for _, future in running:
                future.cancel()
            raise


def _large_first(positions: Sequence[int], sizes: Sequence[int]) -> Iterator[int]:
    """The largest files first, so that none is left alone at the end; small ones as they lie on the disk."""
    large = [at for at in positions if sizes[at] > SMALL_SIZE_MAX]
    yield from sorted(large, key=sizes.__getitem__, reverse=True)
    yield from (at for at in positions if sizes[at] <= SMALL_SIZE_MAX) if large else positions


def _next(
    running: "deque[tuple[list[int], Future[Columns]]]", sizes: Sequence[int], meter: Meter | None
) -> tuple[list[int], Columns]:
    chunk, future = running[0]
    done = future.result()
    running.popleft()
    if meter is not None:
        meter.told(sum(sizes[at] for at in chunk))
    return chunk, done


def hash_chunk(
    folder: str, entries: Sequence[Entry], threads: int = 1, told: Told | None = None
) -> list[Entry]:
    """The entries with the digests of their files."""
    return [hash_file(folder, entry, threads, told) for entry in entries]


def hash_file(folder: str, entry: Entry, threads: int = 1, told: Told | None = None) -> Entry:
    """The entry of a file with its digest.

    Raises:
        ConflictError: it keeps changing while it is read.
    """

    def read(descriptor: int, size: int) -> tuple[str, int]:
        if size <= SMALL_SIZE_MAX:
            data = read_small(descriptor, size)
            return f"{ALGORITHM}:{blake3(data).hexdigest()}", len(data)
        hasher = blake3(max_threads=threads)
        count = read_through(descriptor, hasher.update, threads, told)
        return f"{ALGORITHM}:{hasher.hexdigest()}", count

    done = steadily(folder, entry, read)
    if told is not None and done.size <= SMALL_SIZE_MAX:
        told(done.size)
    return done


def sample_chunk(
    folder: str, entries: Sequence[Entry], threads: int = 1, told: Told | None = None
) -> list[Entry]:
    """The entries with the digests of samples; of files no larger than a sample, with whole digests."""
    return [sample_file(folder, entry, told) for entry in entries]


def sample_file(folder: str, entry: Entry, told: Told | None = None) -> Entry:
    """The entry of a file with the digest of a sample, or of the whole if that is no more.

    Raises:
        ConflictError: it keeps changing while it is read.
    """
    if is_sampled_whole(entry):
        return hash_file(folder, entry, 1, told)

    def read(descriptor: int, size: int) -> tuple[str, int]:
        starts = (0, (size - SAMPLE_BLOCK) // 2, size - SAMPLE_BLOCK)
        first, middle, last = (os.pread(descriptor, SAMPLE_BLOCK, max(0, start)) for start in starts)
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
    return entry.size <= 3 * SAMPLE_BLOCK


def steadily(folder: str, entry: Entry, read: Callable[[int, int], tuple[str, int]]) -> Entry:
    """Read a file such that what is said of it is true of one state of the file.

    Args:
        folder: where it is.
        entry: as it was looked at before.
        read: given a descriptor and the size, tells the digest and the number of bytes there were.

    Raises:
        ConflictError: it keeps changing while it is read.
        PathNotFoundError: it is gone.
    """
    path = f"{folder}/{entry.path}"
    known = (entry.size, entry.mtime_ns, entry.ctime_ns)
    for _ in range(ATTEMPTS_MAX):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                digest, size = read(descriptor, known[0])
                after = os.fstat(descriptor)
            finally:
                os.close(descriptor)
        except FileNotFoundError as error:
            raise PathNotFoundError(
                f"{path} was there a moment ago, and is gone; try again when nobody deletes files"
            ) from error
        except OSError as error:
            raise translate(error, "read", path) from error
        now = (after.st_size, kept_time(after.st_mtime_ns), kept_time(after.st_ctime_ns))
        if now == known and size == after.st_size:
            return Entry(
                entry.path,
                size,
                now[1],
                digest,
                entry.kind,
                inode=after.st_ino,
                ctime_ns=now[2],
            )
        known = now  # it changed since the scan, which is fine, or while it was read: once more
    raise ConflictError(f"{path} keeps changing while it is read; save it when its writer is done")


def read_small(descriptor: int, size: int) -> bytes:
    """All bytes of a file of about this size; one byte more is asked for, so that growth is seen."""
    data = os.read(descriptor, size + 1)
    if len(data) in (0, size):
        return data
    parts = [data]
    while more := os.read(descriptor, SMALL_SIZE_MAX):
        parts.append(more)
    return b"".join(parts)


def read_through(descriptor: int, seen: Seen, threads: int, told: Told | None) -> int:
    """Show all bytes of a file, in order, and return how many there were.

    With several threads to one file the next block is read while they look at this one.
    """

    def looked_at(block: memoryview) -> None:
        seen(block)
        if told is not None:
            told(len(block))

    return files.show(descriptor, looked_at, buffer_size(threads), ahead=threads > 1)


def buffer_size(threads: int) -> int:
    """Bytes to read at once: few stay in the cache of a core, many keep several cores at work."""
    return BUFFER_SIZE if threads == 1 else SHARED_BUFFER_SIZE


def hashing(folder: str) -> Work:
    """The work of `hash_chunk` in a folder."""
    work: Any = partial(hash_chunk, folder)
    return work  # type: ignore[no-any-return]


def sampling(folder: str) -> Work:
    """The work of `sample_chunk` in a folder."""
    work: Any = partial(sample_chunk, folder)
    return work  # type: ignore[no-any-return]
