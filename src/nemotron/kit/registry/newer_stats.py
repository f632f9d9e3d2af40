"""Newer times and etags of files that were written again with the same bytes, kept beside their version.

So a check that was settled once by reading is settled by a look from then on. What is kept is a hint that
may be lost: a log under `.kit/stats/`, of which the newest entry counts; see
`docs/design/018-evidence-at-urls.md`.
"""

import logging
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from nemotron.kit.documents.newer_stats import NewerStats
from nemotron.kit.documents.positions import Positions
from nemotron.kit.documents.tree import INLINE_SIZE_MAX, Entry, Tree
from nemotron.kit.errors import CorruptError, FormatTooNewError, KitError
from nemotron.kit.registry import changes, layout, objects, stamps
from nemotron.kit.registry.differences import Difference
from nemotron.kit.registry.findings import Finding
from nemotron.kit.registry.trees import INLINE_ROWS_MAX
from nemotron.kit.store.protocol import Found, Store

log = logging.getLogger(__name__)

ATTEMPTS_MAX = 10


def newest(store: Store, name: str, version: int, like: Tree | None = None) -> Tree | None:
    """The files of a version that were seen again, as they were seen last; None if there are none.

    Args:
        store: of the version.
        name: its key.
        version: its number.
        like: a listing of much the same files, whose texts are then shared.
    """
    for sequence in sorted(sequences(store, name, version), reverse=True):
        key = layout.stats(name, version, sequence)
        try:
            data = store.read(key)
            if data is not None:
                return _tree(store, NewerStats.from_bytes(data, f"{store.url}/{key}"), like)
        except (CorruptError, FormatTooNewError) as error:
            log.info("%s. The files are looked at instead", error)
    return None


def sequences(store: Store, name: str, version: int) -> list[int]:
    """The numbers of the entries that there are."""
    found = map(layout.move_sequence, store.list(layout.stats_of(name, version)))
    return [sequence for sequence in found if sequence is not None]


def listings(store: Store) -> set[str]:
    """The keys of the listings that any entry of any version names, for who collects garbage."""
    named = set()
    for found in store.walk(layout.STATS):
        data = store.read(found.key)
        try:
            seen = None if data is None else NewerStats.from_bytes(data, f"{store.url}/{found.key}")
        except (CorruptError, FormatTooNewError) as error:
            log.info("%s. It is passed over", error)
            continue
        if seen is not None and seen.tree is not None:
            named.add(layout.tree(seen.tree))
    return named


def superseded(store: Store, withdrawn: Collection[tuple[str, int]]) -> list[Found]:
    """The entries that nobody needs: all but the newest of a version, and those of withdrawn versions."""
    logs: dict[tuple[str, int], list[Found]] = {}
    for found in store.walk(layout.STATS):
        if (place := layout.stats_place(found.key)) is not None:
            logs.setdefault(place, []).append(found)
    old = []
    for place, entries in logs.items():
        entries.sort(key=lambda found: found.key)
        old += entries if place in withdrawn else entries[:-1]
    return old


def findings(store: Store, name: str, version: int) -> Iterator[Finding]:
    """What `doctor` has to say of a version's entries: of damaged ones, which only cost reading."""
    for sequence in sequences(store, name, version):
        key = layout.stats(name, version, sequence)
        data = store.read(key)
        try:
            if data is not None:
                NewerStats.from_bytes(data, f"{store.url}/{key}")
        except (CorruptError, FormatTooNewError) as error:
            yield Finding(
                kind="damaged_stats",
                where=f"{store.url}/{key}",
                what=f"{error}. Files are read again instead",
                fix="nothing: the next check that reads the files writes another one",
                level="note",
            )


def _tree(store: Store, seen: NewerStats, like: Tree | None) -> Tree | None:
    if seen.listing is not None or seen.tree is None:
        return seen.listing
    data = objects.read(store, layout.tree(seen.tree))
    if data is None:  # one that a kit without this collected is as good as none
        return None
    return Tree.from_bytes(data, f"{store.url}/{layout.tree(seen.tree)}", seen.tree, like=like)


def recognised(
    store: Store, name: str, version: int, published: Tree, now: Tree, found: Sequence[Difference]
) -> Sequence[int]:
    """Which of some differences are of files that were seen as they are now, with the bytes as published.

    Args:
        store: of the version.
        name: its key.
        version: its number.
        published: its listing.
        now: what there is now.
        found: how that differs, sorted by path.

    Returns:
        Positions among the differences.
    """
    known = array("q")
    if not any(map(_is_doubtful, found)):
        return known
    newer = _newest_or_none(store, name, version, published)
    if newer is None:
        return known
    seen, then, there = map(_Finder, (newer, published, now))
    for at, item in enumerate(found):
        entry = seen.find(item.path) if _is_doubtful(item) else None
        if entry is None:
            continue
        old, new = then.find(item.path), there.find(item.path)
        if old and new and _stat(entry) == _stat(new) and entry.digest == old.digest:
            known.append(at)
    return known


def _is_doubtful(item: Difference) -> bool:
    return item.verdict == "touched" or not item.is_sure


class _Finder:
    """The entries of a listing, by path."""

    def __init__(self, tree: Tree) -> None:
        self._columns, self._positions = tree.columns, Positions(tree.columns.paths)

    def find(self, path: str) -> Entry | None:
        at = self._positions.find(path)
        return None if at is None else self._columns.entry(at)


def _newest_or_none(store: Store, name: str, version: int, like: Tree) -> Tree | None:
    try:
        return newest(store, name, version, like)
    except KitError as error:  # a hint: the check goes on without it
        log.info("%s. The files are looked at instead", error)
        return None


def _stat(entry: Entry) -> tuple[int, int, str | None]:
    return entry.size, entry.mtime_ns, entry.etag


def remember(store: Store, name: str, version: int, published: Tree, now: Tree) -> bool:
    """Keep the times and etags of files that are known to have the bytes that were published.

    Whoever may not write to the store, or finds it down, goes on without.

    Args:
        store: of the version.
        name: its key.
        version: its number.
        published: its listing.
        now: what there is now, with digests where they were read.

    Returns:
        Whether something was written.
    """
    doubtful = [item.path for item in changes.compare(published, now) if _is_doubtful(item)]
    if not doubtful:
        return False
    try:
        return _remember(store, name, version, published, now, doubtful)
    except KitError as error:
        log.info("Newer times of %s:v%d are not kept: %s", name, version, error)
        return False


def _remember(
    store: Store, name: str, version: int, published: Tree, now: Tree, doubtful: Sequence[str]
) -> bool:
    for _ in range(ATTEMPTS_MAX):
        numbers = sequences(store, name, version)
        before = newest(store, name, version, published) if numbers else None
        tree = Tree.of(_proven(published, now, before or Tree(), doubtful))
        if not tree.entries or tree == before:
            return False
        seen = NewerStats(name=name, version=version, seen_at=stamps.now())
        if len(tree.entries) <= INLINE_ROWS_MAX and len(tree.lines()) < INLINE_SIZE_MAX:
            seen = replace(seen, listing=tree)
        else:
            digest, data = tree.packed()
            store.create(layout.tree(digest), data)
            seen = replace(seen, tree=digest)
        key = layout.stats(name, version, max(numbers, default=0) + 1)
        if store.create(key, seen.to_bytes(), durable=False):
            return True
    return False  # others keep writing it: what they saw is as good


def _proven(published: Tree, now: Tree, before: Tree, doubtful: Iterable[str]) -> Iterator[Entry]:
    """The files whose stats are others than published, and whose bytes are known to be the same."""
    then, there, earlier = map(_Finder, (published, now, before))
    for path in doubtful:
        old, entry, seen = then.find(path), there.find(path), earlier.find(path)
        if old is None or entry is None:
            continue
        is_read = old.digest is not None and old.digest == entry.digest
        is_same_state = old.etag is not None and old.etag == entry.etag
        is_seen = seen is not None and _stat(seen) == _stat(entry) and seen.digest == old.digest
        if is_read or is_same_state or is_seen:
            yield replace(entry, digest=old.digest, sample=old.sample if old.digest is None else None)
