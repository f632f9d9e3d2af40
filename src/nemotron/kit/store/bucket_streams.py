"""Large files on their way into a bucket and back.

The way into it: a file is read once for its digest, and once more as it is uploaded.

So a publish that was killed goes on where it was: what the bucket has is read, and not sent again. And no
copy is kept on a local disk meanwhile. What the second reading finds is compared with the first before the
upload is completed: a file that changes in between never gets another file's key.

An upload that was cut off is not completed by anybody; the parts of it that a bucket keeps are for its own
rule that clears incomplete uploads away.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from itertools import islice
from typing import TypedDict

from blake3 import blake3

from nemotron.kit.store import file_copy
from nemotron.kit.store.blocks import Seen
from nemotron.kit.workers import Workers

PART_SIZE = 5 << 20
# S3 and Google take 10,000 parts of an object; a few are left over for a file that grows.
PARTS_MAX = 9_900
PARTS_AT_ONCE = 12
# Of each of sixteen files that are fetched at the same time: enough to be busy for as long as a reply takes,
# and little enough that a slow line brings a part before the client gives up.
FETCHED_SIZE = 2 << 20
FETCHED_AT_ONCE = 4


class Parts(TypedDict):
    """Options of obstore's `put`: bytes of a part, and how many are under way."""

    chunk_size: int
    max_concurrency: int


def in_parts(size: int) -> Parts:
    """How obstore is to cut an object: into no more parts than a bucket takes, with little of it in memory.

    >>> in_parts(1 << 30), in_parts(1 << 40)
    ({'chunk_size': 5242880, 'max_concurrency': 12}, {'chunk_size': 111149056, 'max_concurrency': 2})
    """
    megabytes = -(-size // (PARTS_MAX << 20))
    part = max(PART_SIZE, megabytes << 20)
    return {"chunk_size": part, "max_concurrency": max(2, PARTS_AT_ONCE * PART_SIZE // part)}


class StreamedFile:
    """A file that is read twice.

    Args:
        descriptor: of the file; it stays open.
        buffer_size: bytes to read at a time.

    Attributes:
        size: bytes, by the first reading.
        has_changed: the second reading found something else than the first.
    """

    def __init__(self, descriptor: int, buffer_size: int) -> None:
        self._descriptor = descriptor
        self._buffer_size = buffer_size
        self._digest = b""
        self.size = 0
        self.has_changed = False

    def read(self, seen: Seen, ahead: bool = False) -> int:
        """Show all of it, in order; returns the number of bytes.

        Args:
            seen: told of each block.
            ahead: have another thread read a block while the one before it is shown.
        """
        hasher = blake3()

        def both(block: memoryview) -> None:
            hasher.update(block)
            seen(block)

        done = file_copy.show(self._descriptor, both, self._buffer_size, ahead=ahead)
        self._digest, self.size = hasher.digest(), done
        return done

    def again(self, told: Callable[[int], object] | None = None) -> Iterator[bytes]:
        """All of it once more, in parts; `told` hears of each once the next one is asked for.

        Raises:
            OSError: it is not what it was.
        """
        hasher, done = blake3(), 0
        while part := os.pread(self._descriptor, PART_SIZE, done):
            hasher.update(part)
            done += len(part)
            yield part
            if told is not None:
                told(len(part))
        if hasher.digest() != self._digest:
            self.has_changed = True
            raise OSError("the file has changed while it was uploaded")


def in_order(fetch: Callable[[int, int], bytes], start: int, size: int) -> Iterator[bytes]:
    """The parts of an object from one of its bytes on, in order; a few are under way while one is used.

    Args:
        fetch: given the first byte of a part and the one after its last, gets the part.
        start: the first byte.
        size: of the object.
    """
    starts = iter(range(start, size, FETCHED_SIZE))
    with Workers(FETCHED_AT_ONCE, "kit-parts") as pool:

        def begin(at: int) -> Future[bytes]:
            return pool.submit(fetch, at, min(size, at + FETCHED_SIZE))

        running = deque(map(begin, islice(starts, FETCHED_AT_ONCE)))
        while running:
            part = running.popleft().result()
            running.extend(map(begin, islice(starts, 1)))
            yield part
