"""Putting back what a store lost and can be had elsewhere: its digest tells whether it is the right thing."""

import io
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import BinaryIO

from blake3 import blake3

from nemotron.kit.documents.digest import ALGORITHM
from nemotron.kit.documents.tree import Entry
from nemotron.kit.errors import CorruptError
from nemotron.kit.registry import layout, objects
from nemotron.kit.registry.copying import holds
from nemotron.kit.registry.findings import some
from nemotron.kit.registry.reading import COPY_BUFFER_SIZE, Grown, up_to
from nemotron.kit.registry.records import Record
from nemotron.kit.store import plain
from nemotron.kit.store.protocol import CHUNK_SIZE, Mark, Store
from nemotron.kit.store.system_errors import translating


def bring_back(
    store: Store,
    record: Record,
    entries: Iterable[Entry],
    *,
    is_damaged: Callable[[Entry], bool] = lambda entry: False,
) -> str:
    """Put contents of a snapshot back into the store, wherever they still are.

    Places are the trash, the folder that the snapshot was taken from, and a folder that it was laid out in.

    Args:
        store: lost them.
        record: the snapshot.
        entries: what is lost.
        is_damaged: whether the store is known to have something else in the place of one.

    Returns:
        What was done, for a person.

    Raises:
        CorruptError: some of it is in none of these places.
    """
    nowhere: list[str] = []
    written: list[str] = []
    done = 0
    with store.mark() as mark:
        for entry in entries:
            places = _places(store, record, entry)
            is_cut = is_damaged(entry)
            if entry.digest and any(take_from(store, it, entry, written, is_damaged=is_cut) for it in places):
                done += 1
            else:
                nowhere.append(entry.path)
        sync_written(store, mark, written)
    if nowhere:
        origin = record.manifest.content.origin if record.manifest.content else None
        raise CorruptError(
            f"{some(nowhere)} can't be brought back: neither the trash, nor {origin}, nor a checkout has it. "
            "Restore .kit/blobs from a backup, or withdraw the version"
        )
    return f"{done} brought back"


def bring_back_listing(store: Store, key: str) -> str:
    """Put a listing of files that is in the trash back.

    Raises:
        CorruptError: it is not there any more.
    """
    data = objects.read(store, key)
    if data is None:
        raise CorruptError(f"{key} is gone from the trash of {store.url}")
    store.create(key, data)
    return "its listing brought back"


def _places(store: Store, record: Record, entry: Entry) -> Iterator[Callable[[], BinaryIO]]:
    key = layout.blob(entry.digest or "")
    aside = objects.locate_aside(store, key)
    if aside is not None:
        yield partial(store.open, aside)
    origin = record.manifest.content.origin if record.manifest.content else None
    laid_out = store.local_path(layout.checkout(record.name, record.version))
    for folder in (origin, laid_out):
        if folder is not None:
            yield _opener(os.path.join(folder, entry.path))


def _opener(path: str) -> Callable[[], BinaryIO]:
    return lambda: open(path, "rb", opener=plain.opener)


def take_from(
    store: Store,
    opened: Callable[[], BinaryIO],
    entry: Entry,
    written: list[str] | None = None,
    *,
    is_damaged: bool = False,
) -> bool:
    """Whether a place had the content, which is in the store now.

    Args:
        store: takes it.
        opened: opens what may be the content.
        entry: what it must be.
        written: gets the key, if this call put the content there; None if nobody wants to know.
        is_damaged: what the store has under its key is known to be wrong, whatever its size.
    """
    key, hasher = layout.blob(entry.digest or ""), blake3()
    try:
        file = opened()
    except (FileNotFoundError, NotADirectoryError, plain.NotPlainError, PermissionError):
        return False  # not here
    with translating("read", entry.path), file, store.stage() as staging:
        raw, seen = getattr(file, "raw", None), up_to(entry.size, hasher.update)
        try:
            if isinstance(raw, io.FileIO) and store.local_path(key) is not None:
                staging.fill(raw.fileno(), seen, COPY_BUFFER_SIZE)  # with its holes
            else:
                while chunk := file.read(CHUNK_SIZE):
                    seen(memoryview(chunk))
                    staging.write(chunk)
        except Grown:
            return False
        if f"{ALGORITHM}:{hasher.hexdigest()}" != entry.digest:
            return False
        if is_damaged or not holds(store, key, entry.size):
            store.remove(key)  # it would keep the right one out
        if staging.commit(key) and written is not None:
            written.append(key)
    return True


def sync_written(store: Store, mark: Mark, written: Iterable[str]) -> None:
    """Make durable what was brought back, or have it missing as before.

    A version names it already, so that nobody would be in doubt of what a failed sync may have lost.

    Args:
        store: has it.
        mark: from before it was written.
        written: the keys of what this process wrote.

    Raises:
        KitError: it can't be made durable.
    """
    try:
        store.sync_since(mark)
    except BaseException:  # an interrupt among them
        for key in written:
            store.remove(key)
        raise
