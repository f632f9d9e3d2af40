"""Blobs and trees as readers find them: under their key, or set aside in the trash.

House-keeping puts into the trash what no version names. A version that is committed just then may name it all
the same; the next run puts it back, and until then readers take it from there. Publishers don't: to them what
is in the trash is absent. See `docs/design/009-house-keeping.md`.
"""

from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

from nemotron.kit.errors import PathNotFoundError
from nemotron.kit.registry import layout
from nemotron.kit.store.protocol import Store
from nemotron.kit.store.system_errors import translating

LOOKS_MAX = 3


def locate(store: Store, key: str) -> str | None:
    """The key under which an object lies now, or None if it is nowhere."""
    if store.exists(key):
        return key
    if (aside := locate_aside(store, key)) is not None:
        return aside
    return key if store.exists(key) else None  # it was put back while the trash was looked through


def locate_aside(store: Store, key: str) -> str | None:
    """Where in the trash an object lies, or None."""
    for batch in sorted(store.list(layout.TRASH), reverse=True):
        if store.exists(aside := layout.set_aside(batch, key)):
            return aside
    return None


def read(store: Store, key: str) -> bytes | None:
    """All bytes of an object, or None if it is nowhere."""
    data = store.read(key)
    for _ in range(LOOKS_MAX):  # it may move between being found and being read
        place = locate(store, key) if data is None else None
        if place is None:
            break
        data = store.read(place)
    return data


def pieces(store: Store, key: str) -> Iterator[bytes] | None:
    """The bytes of an object, or None if it is nowhere; a piece at a time where that takes no round trips."""
    if store.local_path(key) is None:
        data = read(store, key)
        return None if data is None else iter((data,))
    found = _translated(chunks(store, key), f"{store.url}/{key}")
    try:
        return chain((next(found, b""),), found)
    except PathNotFoundError:
        return None


def _translated(found: Iterator[bytes], where: str) -> Iterator[bytes]:
    with translating("read", where):
        yield from found


def open_object(store: Store, key: str) -> BinaryIO:
    """Open an object for reading.

    Raises:
        PathNotFoundError: it is nowhere.
    """
    place: str | None = key
    for _ in range(LOOKS_MAX):
        try:
            return store.open(place or key)
        except PathNotFoundError:
            place = locate(store, key)
    return store.open(place or key)


def chunks(store: Store, key: str, start: int = 0) -> Iterator[bytes]:
    """The bytes of an object, a piece at a time, from one of them on; it may move meanwhile.

    Raises:
        PathNotFoundError: it is nowhere.
    """
    place: str | None = key
    for _ in range(LOOKS_MAX):
        try:
            for chunk in store.chunks(place or key, start):
                start += len(chunk)
                yield chunk
            return
        except PathNotFoundError:
            place = locate(store, key)
    yield from store.chunks(place or key, start)
