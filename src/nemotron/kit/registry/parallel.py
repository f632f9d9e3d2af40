"""Work on many files, in parallel: by threads, by worker processes, or by whom the caller has.

The work is done by module-level functions on parts of a listing, so that any executor can take it, one of
other processes or machines included.
"""

import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from itertools import chain, islice

from nemotron.kit.documents.columns import Columns
from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import MisuseError
from nemotron.kit.registry import cores
from nemotron.kit.registry.reading import SMALL_SIZE_MAX
from nemotron.kit.registry.work import Progress, Work
from nemotron.kit.registry.worker_processes import in_processes
from nemotron.kit.workers import Workers, is_alone

# At most, where there are as many cores.
WORKERS = 16
# A chunk is as much as makes the hand-over cheap, and little enough to keep all workers busy to the end.
CHUNK_FILES = 256
CHUNK_BYTES = 32 << 20
# Chunks that are handed out before the first of them is asked for: enough to keep all workers busy, of which
# an executor of many machines has many.
AHEAD_EXECUTOR = 1024
# Where each file is a round trip or more.
REMOTE_WORKERS = 16
REMOTE_CHUNK_FILES = 16


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
        self._lock = threading.RLock()
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


def processes_most() -> int:
    """How many worker processes there are at once: one for each core.

    This process works on one of them itself where it has no other thread: one that computes would keep it
    waiting for the interpreter after each call. The one that shows progress does not.
    """
    return workers_most() - is_alone()


def chunked(
    positions: Sequence[int], sizes: Sequence[int], most: int = CHUNK_FILES
) -> Iterator[Sequence[int]]:
    """Positions of files in chunks, by number and by bytes.

    Args:
        positions: in the order in which they are to be read.
        sizes: of the files at all positions, bytes.
        most: files in a chunk.
    """
    for start in range(0, len(positions), most):
        block = positions[start : start + most]
        if sum(map(sizes.__getitem__, block)) <= CHUNK_BYTES:
            yield block
            continue
        begin = size = 0
        for at, position in enumerate(block):
            if size >= CHUNK_BYTES:
                yield block[begin:at]
                begin, size = at, 0
            size += sizes[position]
        yield block[begin:]


def on_all(
    work: Work,
    tree: Tree,
    positions: Sequence[int],
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
    is_remote: bool = False,
) -> Generator[tuple[Sequence[int], Columns], None, None]:
    """Do some work to many files; yields positions of some, and a part with their entries, completed.

    Who may leave it before its end closes it (`contextlib.closing`): until then the workers go on.

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
    meter = Meter(progress, sum(map(sizes.__getitem__, positions)))
    threads = max(1, at_once // len(first))
    # What waits or is done and not yet asked for is held twice, so that is never all of it.
    ahead = 4 * first_most if executor is None else AHEAD_EXECUTOR
    running: deque[tuple[Sequence[int], Future[Columns]]] = deque()
    with ExitStack() as stack:
        workers, do, told = executor, work, None
        if workers is None:
            told = meter.told
            if not is_remote:
                do = stack.enter_context(in_processes(work, len(positions), processes_most()))
            workers = stack.enter_context(Workers(len(first), "kit-content"))
        try:
            for chunk in chain(first, chunks):
                if len(running) >= ahead:
                    yield _next(running, sizes, meter if executor is not None else None)
                running.append((chunk, workers.submit(do, tree.columns.taken(chunk), threads, told)))
            while running:
                yield _next(running, sizes, meter if executor is not None else None)
        except BaseException:  # an interrupt among them: what runs stops at its next block
            meter.stopped = True
            for _, future in running:
                future.cancel()
            raise


def _large_first(positions: Sequence[int], sizes: Sequence[int]) -> Sequence[int]:
    """The largest files first, so that none is left alone at the end; small ones as they lie on the disk."""
    if max(sizes) <= SMALL_SIZE_MAX:
        return positions
    large = sorted(
        (at for at in positions if sizes[at] > SMALL_SIZE_MAX), key=sizes.__getitem__, reverse=True
    )
    return [*large, *(at for at in positions if sizes[at] <= SMALL_SIZE_MAX)]


def _next(
    running: "deque[tuple[Sequence[int], Future[Columns]]]", sizes: Sequence[int], meter: Meter | None
) -> tuple[Sequence[int], Columns]:
    chunk, future = running[0]
    done = future.result()
    running.popleft()
    if meter is not None:
        meter.told(sum(map(sizes.__getitem__, chunk)))
    return chunk, done
