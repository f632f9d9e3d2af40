"""Files with holes: parts that nobody ever wrote, which take no space and are read as zeros.

What the file system says of holes decides alone where a copy looks for zeros, never what is in it: there were
releases of file systems that told of holes where data had just been written. So holes are read like data.
"""

import os
from collections.abc import Iterator

# Of a copy: what is zeros for so long, counted from the start of a block that is copied, becomes a hole.
PIECE_SIZE = 64 << 10
_ZEROS = bytes(PIECE_SIZE)
_BLOCK_SIZE = 512  # of `st_blocks`, whatever the file system's own is


def has_holes(descriptor: int) -> bool:
    """Whether a file has holes, as far as its file system tells.

    It is asked only where the file takes less space than it is long, as one that is compressed does too.
    """
    seen = os.fstat(descriptor)
    if seen.st_blocks * _BLOCK_SIZE >= seen.st_size or not hasattr(os, "SEEK_HOLE"):
        return False
    at = os.lseek(descriptor, 0, os.SEEK_CUR)
    try:
        return os.lseek(descriptor, 0, os.SEEK_HOLE) < seen.st_size
    except OSError:
        return False  # it knows nothing of holes, or the file was cut meanwhile; then it is copied in full
    finally:
        os.lseek(descriptor, at, os.SEEK_SET)


def data_in(block: memoryview) -> Iterator[tuple[int, int]]:
    """Where a block has other bytes than zeros, by pieces: the start and the end of each part.

    >>> block = bytearray(5 * PIECE_SIZE)
    >>> block[PIECE_SIZE] = block[3 * PIECE_SIZE - 1] = block[-1] = 1
    >>> [(start // PIECE_SIZE, end // PIECE_SIZE) for start, end in data_in(memoryview(block))]
    [(1, 3), (4, 5)]
    """
    start = None
    for at in range(0, len(block), PIECE_SIZE):
        if not _ZEROS.startswith(block[at : at + PIECE_SIZE]):
            start = at if start is None else start
        elif start is not None:
            yield start, at
            start = None
    if start is not None:
        yield start, len(block)
