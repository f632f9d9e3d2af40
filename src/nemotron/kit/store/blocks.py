"""A file on its way through memory, block by block: the next one is fetched while one is looked at."""

from collections.abc import Callable

Fetch = Callable[[memoryview, int], int]
Seen = Callable[[memoryview], object]


def pass_on(fetch: Fetch, seen: Seen, buffer_size: int, *, start: int = 0, ahead: bool = False) -> int:
    """Fetch block after block, and show each in order.

    Args:
        fetch: given a buffer and where its bytes are to begin, fills as much of it as there is, and tells how
            many bytes that were; 0 at the end.
        seen: told of each block by the thread that called; what it raises stops all.
        buffer_size: bytes at a time.
        start: where to begin.
        ahead: have another thread fetch a block while the one before it is shown. It takes two buffers, and
            pays where looking at a block takes about as long as fetching it and a core is free for that.

    Returns:
        Where the last block ended. Nothing is being fetched any more then, nor when this raises.

    >>> def fetch(buffer: memoryview, at: int) -> int:
    ...     block = b"hello"[at : at + len(buffer)]
    ...     buffer[: len(block)] = block
    ...     return len(block)
    >>> found: list[bytes] = []
    >>> pass_on(fetch, lambda block: found.append(bytes(block)), 2, ahead=True), found
    (5, [b'he', b'll', b'o'])
    """
    buffer, done = memoryview(bytearray(buffer_size)), start
    count = fetch(buffer, done)
    if not ahead or count < buffer_size:  # a short file is not worth a thread
        while count:
            seen(buffer[:count])
            done += count
            count = fetch(buffer, done)
        return done
    other = memoryview(bytearray(buffer_size))
    from nemotron.kit.workers import Workers  # not every process that reads files needs one

    with Workers(1, "kit-ahead") as pool:
        while count:
            coming = pool.submit(fetch, other, done + count)
            seen(buffer[:count])
            done += count
            count = coming.result()
            buffer, other = other, buffer
    return done
