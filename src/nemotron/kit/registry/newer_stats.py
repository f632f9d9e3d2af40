"""Newer times and etags of files that were written again with the same bytes, kept beside their version.

So a check that was settled once by reading is settled by a look from then on. What is kept is a hint that
may be lost: a log under `.kit/stats/`, of which the newest entry counts; see
`docs/design/018-evidence-at-urls.md`.
"""

import logging
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from nemotron.kit.documents import tree_text
from nemotron.kit.documents.columns import DIGEST, Columns
from nemotron.kit.documents.excerpt import Excerpt
from nemotron.kit.documents.newer_stats import NewerStats
from nemotron.kit.documents.positions import Positions
from nemotron.kit.documents.tree import INLINE_SIZE_MAX, Entry, Tree
from nemotron.kit.errors import CorruptError, FormatTooNewError, KitError, PathNotFoundError
from nemotron.kit.registry import changes, layout, objects, stamps
from nemotron.kit.registry.differences import Difference, Differences
from nemotron.kit.registry.findings import Finding
from nemotron.kit.registry.trees import INLINE_ROWS_MAX
from nemotron.kit.store.protocol import Found, Store

log = logging.getLogger(__name__)

ATTEMPTS_MAX = 10
# Of a packed listing at a time: what it is unpacked to is held too.
READ_BYTES = 16 << 10
T = TypeVar("T")


def newest(store: Store, name: str, version: int) -> Tree | None:
    """The files of a version that were seen again, as they were seen last; None if there are none."""
    return _of_newest(store, name, version, lambda seen, entries: Tree(entries))


def _of_newest(
    store: Store, name: str, version: int, use: Callable[[NewerStats, Iterable[Entry]], T]
) -> T | None:
    """What `use` makes of the newest entry that is whole, and of the files in it; None if there is none."""
    for sequence in sorted(sequences(store, name, version), reverse=True):
        key = layout.stats(name, version, sequence)
        try:
            data = store.read(key)
            if data is not None:
                seen = NewerStats.from_bytes(data, f"{store.url}/{key}")
                entries = _entries(store, seen)
                return None if entries is None else use(seen, entries)
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


def _entries(store: Store, seen: NewerStats) -> Iterable[Entry] | None:
    if seen.listing is not None or seen.tree is None:
        return seen.listing.entries if seen.listing else None
    key = layout.tree(seen.tree)
    pieces = objects.pieces(store, key)
    # One that a kit without this collected is as good as none.
    return None if pieces is None else tree_text.entries(pieces, f"{store.url}/{key}", seen.tree)


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
    doubtful = bytes(map(_is_doubtful, found))
    if 1 not in doubtful:
        return array("q")
    paths = Differences(found).paths()
    try:
        again = _of_newest(store, name, version, lambda _, entries: _seen(paths, published, now, entries))
    except KitError as error:  # a hint: the check goes on without it
        log.info("%s. The files are looked at instead", error)
        again = None
    flags = zip(doubtful, again or b"", strict=False)
    return array("q", (at for at, (is_doubtful, is_known) in enumerate(flags) if is_doubtful and is_known))


def _seen(paths: Sequence[str], published: Tree, now: Tree, entries: Iterable[Entry]) -> bytearray:
    """For each path whether it was seen as it is now, with the bytes as published; 1 or 0."""
    among, then, there = Positions(paths), _Finder(published), _Finder(now)
    flags = bytearray(len(paths))
    for entry in entries:
        at = among.find(entry.path)
        old, new = (None, None) if at is None else (then.find(entry.path), there.find(entry.path))
        if at is not None and old and new:
            flags[at] = _stat(entry) == _stat(new) and entry.digest == old.digest
    return flags


def doubtful(found: Iterable[Difference]) -> int:
    """Of how many of some differences the bytes may be as they were published."""
    return sum(map(_is_doubtful, found))


def _is_doubtful(item: Difference) -> bool:
    return item.verdict == "touched" or not item.is_sure


class _Finder:
    """The entries of a listing, by path."""

    def __init__(self, tree: Tree) -> None:
        self._columns, self._positions = tree.columns, Positions(tree.columns.paths)

    def find(self, path: str) -> Entry | None:
        """The entry of a path, if there is one."""
        at = self._positions.find(path)
        return None if at is None else self._columns.entry(at)


def _stat(entry: Entry) -> tuple[int, int, str | None]:
    return entry.size, entry.mtime_ns, entry.etag


def remember(
    store: Store,
    name: str,
    version: int,
    published: Tree,
    now: Tree,
    found: Sequence[Difference] | None = None,
) -> bool:
    """Keep the times and etags of files that are known to have the bytes that were published.

    Whoever may not write to the store, or finds it down, goes on without.

    Args:
        store: of the version.
        name: its key.
        version: its number.
        published: its listing.
        now: what there is now, with digests where they were read.
        found: how that differs, sorted by path, if that is known already.

    Returns:
        Whether something was written.
    """
    differences = changes.compare(published, now) if found is None else found
    doubtful = [item.path for item in differences if _is_doubtful(item)]
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
    def look(seen: NewerStats, entries: Iterable[Entry]) -> tuple[NewerStats, bytearray]:
        return seen, _seen(doubtful, published, now, entries)

    for _ in range(ATTEMPTS_MAX):
        numbers = sequences(store, name, version)
        before, again = _of_newest(store, name, version, look) or (None, bytearray(len(doubtful)))
        proven = _proven(published, now, doubtful, again)
        if not proven or (before is not None and proven.key == _key(before)):
            return False
        seen = NewerStats(name=name, version=version, seen_at=stamps.now())
        listing = Tree(proven) if len(proven) <= INLINE_ROWS_MAX else None
        if listing is not None and len(listing.lines()) < INLINE_SIZE_MAX:
            seen = replace(seen, listing=listing)
        else:
            seen = replace(seen, tree=_stored(store, proven))
        key = layout.stats(name, version, max(numbers, default=0) + 1)
        if store.create(key, seen.to_bytes(), durable=False):
            return True
    return False  # others keep writing it: what they saw is as good


def _stored(store: Store, listing: Excerpt) -> str:
    """Bring a listing into the store in pieces: beside two of a million files it would be too much whole."""
    with store.mark() as mark:
        digest, is_new = _brought(store, listing)
        if not is_new and not _is_whole(store, digest):  # a power loss came before its sync
            store.remove(layout.tree(digest))
            _brought(store, listing)
        store.sync_since(mark)
    return digest


def _brought(store: Store, listing: Excerpt) -> tuple[str, bool]:
    with store.stage() as staging:

        def keep(pieces: Iterable[bytes]) -> None:
            for piece in pieces:
                staging.write(piece)

        digest = listing.write(keep)
        return digest, staging.commit(layout.tree(digest))


def _is_whole(store: Store, digest: str) -> bool:
    try:
        with objects.open_object(store, layout.tree(digest)) as file:
            return tree_text.are_packed(iter(partial(file.read, READ_BYTES), b""), digest)
    except PathNotFoundError:
        return False


def _key(seen: NewerStats) -> str | None:
    return seen.tree if seen.listing is None else seen.listing.key


def _proven(published: Tree, now: Tree, doubtful: Sequence[str], again: bytearray) -> Excerpt:
    """The files whose stats are others than published, and whose bytes are known to be the same.

    Args:
        published: the listing of the version.
        now: what there is now.
        doubtful: the paths that come into question, sorted.
        again: for each of them, whether it was seen as it is now before.
    """
    old, new = published.columns, now.columns
    then, there = Positions(old.paths), Positions(new.paths)
    # `untold` are those of `positions` of which `now` does not know the bytes.
    positions, untold = array("q"), array("q")
    for path, is_seen in zip(doubtful, again, strict=True):
        at, before = there.find(path), then.find(path)
        if at is None or before is None:
            continue
        is_read = new.marks[at] & DIGEST and new.raw_digest(at) == old.raw_digest(before)
        if is_read or is_seen or (old.etags[before] is not None and old.etags[before] == new.etags[at]):
            if not is_read:
                untold.append(len(positions))
            positions.append(at)

    def complete(start: int, part: Columns) -> None:
        stop, known = start + len(part), _Finder(published)
        for at in untold[bisect_left(untold, start) : bisect_left(untold, stop)]:
            part.put(at - start, _told(part.entry(at - start), known))

    return Excerpt(new, range(len(new)) if len(positions) == len(new) else positions, complete)


def _told(entry: Entry, then: _Finder) -> Entry:
    """A file as it is now, with what is known of its bytes."""
    old = then.find(entry.path)
    assert old is not None
    return entry._replace(digest=old.digest, sample=old.sample if old.digest is None else None)
