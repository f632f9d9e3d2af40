"""Bringing a lineage index up to what its store holds.

Every publish leaves an entry in the store's journal *before* it claims its version, so an index that lists
the journal learns which names to look at, without listing names. An entry whose version is not there waits:
its writer may be about to claim it, or have crashed. What the journal can't tell is found by a sweep over all
names: versions of older tools, folders copied into a root, entries lost with the power. See
`docs/design/008-lineage-index.md`.
"""

import itertools
import os
import random
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import NamedTuple

from nemotron.kit.errors import CorruptError, RefusedError
from nemotron.kit.lineage.index import Index
from nemotron.kit.lineage.reading import Reader, Reading, write_id_of
from nemotron.kit.names import is_key
from nemotron.kit.store.protocol import Store

JOURNAL = ".kit/journal"
SWEEP_EVERY_S = 3600.0
# So few names of a local store are asked every time: it costs less than opening the index.
SWEEP_NAMES_MAX = 100
WAIT_MAX_S = 86_400.0
# Entries come late by as much as the clocks of a cluster disagree; a day that was not seen is always listed.
DAYS_LISTED = 3
BATCH = 1000


class _Looked(NamedTuple):
    """One number of a name: nothing there, something that can't be read, or a version."""

    name: str
    number: int
    is_there: bool
    reading: Reading | None = None


def catch_up(index: Index, reader: Reader) -> None:
    """Read into the index what was published since it was last brought up, by whatever means.

    Raises:
        UnavailableError: the store can't be reached.
    """
    now = time.time()
    swept_at = index.fact("swept_at")
    due = swept_at is None or not 0 <= now - swept_at < SWEEP_EVERY_S
    # A long sweep is kept piece by piece, and others may go on meanwhile.
    with nullcontext() if due else index.writing():
        # First the journal, then the names: what is published in between is in one of them.
        complete = _read_journal(index, reader.store, now)
        due = due or not complete or reader.versions.older.present
        names = _names_to_sweep(reader, due)
        if names is None:
            _look_at(index, reader, index.waiting(), check=False)
        else:
            for name in index.names() - names:
                index.forget_name(name)
            _look_at(index, reader, names, check=True)
        _look_again(index, reader)
        index.settle(now - WAIT_MAX_S)
        if names is not None and due:
            index.set_fact("swept_at", now)


def _read_journal(index: Index, store: Store, now: float) -> bool:
    """Note the entries of all days that can have new ones; False if the journal can't be read."""
    listed = index.days()
    try:
        days = sorted(store.list(JOURNAL))
        for day in days:
            changed = _changed(store, day)
            is_old = day in listed and day not in days[-DAYS_LISTED:]
            if is_old and (changed is None or changed == listed[day]):
                continue
            entries = (tuple(name.split(".", 1)) for name in store.list(f"{JOURNAL}/{day}"))
            found = [(entry[0], entry[1]) for entry in entries if len(entry) == 2 and is_key(entry[1])]
            with index.writing():
                index.see_entries(found, now)
                # A folder that was changed just now may change again within the same tick of its clock.
                settled = changed if changed is not None and abs(now - changed / 1e9) > 10 else None
                index.set_day(day, settled if changed is not None else 0)
    except RefusedError:
        return False
    return True


def _changed(store: Store, day: str) -> int | None:
    """When a day's folder was last changed, where that can be seen."""
    path = store.local_path(f"{JOURNAL}/{day}")
    if path is None:
        return None
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _names_to_sweep(reader: Reader, due: bool) -> set[str] | None:
    """All names, if all are to be looked at; else None."""
    if not due and reader.store.local_path(JOURNAL) is None:
        return None
    names = {name for name in reader.store.list() if is_key(name)}
    if not due and len(names) > SWEEP_NAMES_MAX:
        return None
    return names | reader.versions.older.names()


def _look_again(index: Index, reader: Reader) -> None:
    """Try once more what could not be read."""
    if unread := index.unread():
        _add(index, [_look(reader, name, number) for name, number in unread])


def _look_at(index: Index, reader: Reader, names: Iterable[str], *, check: bool) -> None:
    # In any order: processes that begin together then share the work rather than do the same.
    order = list(names)
    random.shuffle(order)
    looked = itertools.chain.from_iterable(_look_at_name(index, reader, name, check) for name in order)
    while batch := list(itertools.islice(looked, BATCH)):
        _add(index, batch)


def _look_at_name(index: Index, reader: Reader, name: str, check: bool) -> Iterator[_Looked]:
    """The versions of a name above those that were looked at."""
    if check and _is_another(index, reader, name):
        with index.writing():
            index.forget_name(name)
    highest = reader.versions.older.highest(name)  # below it older tools left gaps
    for number in itertools.count(index.newest(name) + 1):
        looked = _look(reader, name, number)
        if not looked.is_there and number > highest:
            return
        yield looked


def _is_another(index: Index, reader: Reader, name: str) -> bool:
    """Whether the name's last version that was read is not the one that is there: the root was put back."""
    last = index.last_read(name)
    if last is None:
        return False
    number, write_id = last
    try:
        manifest = reader.versions.read(name, number)
    except (CorruptError, RefusedError):
        return False
    return manifest is None or write_id_of(manifest) != write_id


def _look(reader: Reader, name: str, number: int) -> _Looked:
    try:
        manifest = reader.versions.read(name, number)
    except (CorruptError, RefusedError):
        return _Looked(name, number, is_there=True)
    if manifest is None:
        return _Looked(name, number, is_there=False)
    return _Looked(name, number, is_there=True, reading=reader.reading(manifest))


def _add(index: Index, batch: list[_Looked]) -> None:
    with index.writing():
        index.add(looked.reading for looked in batch if looked.reading)
        for looked in batch:
            is_torn = looked.is_there and looked.reading is None
            index.set_unread(looked.name, looked.number, is_torn)
        for name, newest in {looked.name: looked.number for looked in batch}.items():
            index.set_newest(name, newest)
