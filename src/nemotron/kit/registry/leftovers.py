"""What killed writers leave in a folder of a store: files under temporary names, which `Store.list` hides."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

from nemotron.kit.documents.sizes import size as spelt
from nemotron.kit.registry import garbage, layout
from nemotron.kit.registry.findings import Finding
from nemotron.kit.registry.garbage import is_over, is_temporary
from nemotron.kit.store.protocol import Found, Store
from nemotron.kit.store.system_errors import translating

# Those of others: gc has nothing to do with them.
NOT_OURS = (".kit/runs", ".kit/outbox", ".kit/adopted")
# Nothing in a name tells whose a file is, but a writer writes: what nobody has written to for so long is
# nobody's any more, and who should come back to it is told that it is gone.
REPAIRED_AFTER = timedelta(days=2)
_HIDDEN = ".tmp-"
_CHECKOUTS = ".kit/checkouts/"


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


def findings(store: Store, key: str) -> Iterator[Finding]:
    """What to say of a folder's files and folders that `Store.list` hides; nothing if there are none.

    Args:
        store: where to look.
        key: the folder; none that an earlier tool filled.

    Raises:
        RefusedError, UnavailableError: it can't be listed.
    """
    path = store.local_path(key)
    if path is None or not os.path.isdir(path):
        return
    if files := list(in_folder(store, key)):
        yield _said(store, key, files)
    with translating("list", path), os.scandir(path) as children:
        others = {
            child.name: child.is_dir(follow_symlinks=False)
            for child in children
            if child.name.startswith(_HIDDEN)
            and not (is_temporary(child.name) and child.is_file(follow_symlinks=False))
        }
    for name, is_folder in sorted(others.items()):
        if is_folder and is_temporary(name) and key.startswith(_CHECKOUTS):
            yield _half_made(store, f"{key}/{name}")
        else:
            yield Finding(
                kind="foreign",
                where=f"{store.url}/{key}/{name}",
                what="not the kit's: its temporary names are others",
                fix="move it out of the store if nothing needs it here",
                level="note",
            )


def _said(store: Store, key: str, files: list[Found]) -> Finding:
    size = sum(found.size for found in files)
    oldest, newest = (_moment(pick(found.modified for found in files)) for pick in (min, max))
    written = newest if oldest == newest else f"{oldest} to {newest}"
    who = "its writer is at work, or was" if len(files) == 1 else "their writers are at work, or were"
    return Finding(
        kind="leftover",
        where=f"{store.url}/{key}",
        what=f"{_many(len(files))}, {spelt(size)}, last written to {written} UTC: {who} killed",
        fix=f"nothing: it is only space. To free it: {garbage.command(store.url)} deletes what nobody has "
        "written to for an hour, and --repair here for two days",
        level="note",
        remedy=partial(_remove, store, key) if _old(files) else None,
        count=len(files),
        size=size,
    )


def _half_made(store: Store, key: str) -> Finding:
    days = garbage.GRACE_DEFAULT.days
    return Finding(
        kind="leftover",
        where=f"{store.url}/{key}",
        what="a snapshot's folder that is being laid out, or was when its writer was killed",
        fix=f"nothing: {garbage.command(store.url, soon=False)} deletes it when it is {days} days old. "
        "If nobody lays out a snapshot just now, delete the folder",
        level="note",
    )


def _old(files: list[Found]) -> list[Found]:
    now = time.time()
    return [found for found in files if is_over(found.modified, now, REPAIRED_AFTER)]


def _remove(store: Store, key: str) -> str:
    files = list(in_folder(store, key))
    old = _old(files)  # by now
    for found in old:
        store.remove(found.key)
    left = len(files) - len(old)
    more = f"; {left:,} stay{'s' if left == 1 else ''}, written to within two days" if left else ""
    return f"{_many(len(old))} deleted, {spelt(sum(found.size for found in old))}{more}"


def _many(count: int) -> str:
    return f"{count:,} temporary file{'' if count == 1 else 's'}"


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
