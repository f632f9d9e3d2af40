"""What killed writers leave in a folder of a store: files under temporary names, which `Store.list` hides."""

import os
from collections.abc import Iterator

from nemotron.kit.registry import layout
from nemotron.kit.registry.garbage import is_temporary
from nemotron.kit.store.protocol import Found, Store
from nemotron.kit.store.system_errors import translating

# Those of others: gc has nothing to do with them.
NOT_OURS = (".kit/runs", ".kit/outbox", ".kit/adopted")


def in_folder(store: Store, key: str) -> Iterator[Found]:
    """The temporary files right in a folder; none where the store is on no file system."""
    path = store.local_path(key)
    if path is None or not os.path.isdir(path):
        return
    with translating("list", path), os.scandir(path) as children:
        for child in children:
            if is_temporary(child.name) and child.is_file(follow_symlinks=False):
                try:
                    info = child.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # its writer is at work
                yield Found(f"{key}/{child.name}", info.st_size, info.st_mtime)


def folders(store: Store, names: dict[str, frozenset[int]]) -> Iterator[str]:
    """Every folder where the kit gives temporary names to files; not those that earlier tools filled.

    Args:
        store: where to look.
        names: all names, and of each the numbers that earlier tools took.
    """
    yield from (".kit", ".kit/staging", ".kit/resolutions", ".kit/older")
    for parent in (layout.BLOBS, layout.TREES, layout.TRASH, ".kit/journal"):
        yield from (f"{parent}/{child}" for child in sorted(store.list(parent)))
    for name in store.list(layout.STATS):
        yield from (f"{layout.STATS}/{name}/{child}" for child in store.list(f"{layout.STATS}/{name}"))
    for name, older in names.items():
        yield name
        for child in store.list(name):
            number = layout.version_number(child)
            if number is not None and number not in older:
                yield f"{name}/{child}"
        yield from (f"{layout.aliases(name)}/{alias}" for alias in store.list(layout.aliases(name)))


def all_in(store: Store, names: dict[str, frozenset[int]]) -> Iterator[Found]:
    """The temporary files of a whole store, and what looking whether it can be written left behind."""
    if store.local_path(".kit") is not None:
        for folder in folders(store, names):
            yield from in_folder(store, folder)
    yield from store.walk(".kit/probe")
