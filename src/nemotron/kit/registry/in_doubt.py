"""Whether anything is left of what a failed sync casts doubt on."""

from collections.abc import Callable, Collection, Iterator

from nemotron.kit.registry import layout
from nemotron.kit.registry.garbage import is_object
from nemotron.kit.store.protocol import Found, Store

STAGING = ".kit/staging"
# Times of files come as seconds here, which have no room for nanoseconds.
_MARGIN_S = 0.001


def is_left(store: Store, until_ns: int, is_sound: Callable[[str], bool], gone: Collection[str]) -> bool:
    """Whether there is content of that time or older that need not be on the disk.

    Args:
        store: where to look.
        until_ns: see `Store.doubtful_until`.
        is_sound: whether the content under a key was on the disk before something relied on it.
        gone: keys that are taken for gone.
    """
    until = until_ns / 1e9 + _MARGIN_S
    old = (found for found in _contents(store) if found.modified <= until and found.key not in gone)
    return any(not (is_object(found.key) and is_sound(found.key)) for found in old)


def _contents(store: Store) -> Iterator[Found]:
    """What may be somebody's content, each in every place where it may be when it is moved meanwhile."""
    yield from store.walk(STAGING)  # from here to the blobs,
    yield from _trash(store)  # from here to the blobs, and back
    yield from (found for found in store.walk(layout.BLOBS) if is_object(found.key))
    yield from _trash(store)


def _trash(store: Store) -> Iterator[Found]:
    return (found for found in store.walk(layout.TRASH) if layout.put_back(found.key))
