"""What the child processes of `store_suite` run; they need neither pytest nor hypothesis."""

from collections.abc import Callable
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

from nemotron.kit.store.protocol import Store

PAYLOAD_SIZE = 16 * 1024


def payload(racer: int, key: int) -> bytes:
    """What a racer writes under a key: long, and recognisable from any part of it."""
    mark = f"{racer:04d}-{key:06d};".encode()
    return mark * (PAYLOAD_SIZE // len(mark))


def claim(
    opener: Callable[[], Store],
    racer: int,
    keys: int,
    start: Barrier,
    results: "Queue[tuple[int, list[int]]]",
) -> None:
    """Open the store, wait for the others, and try to create every key; tell which were won."""
    store = opener()
    start.wait()
    won = [key for key in range(keys) if store.create(f"race/{key}", payload(racer, key))]
    results.put((racer, won))
