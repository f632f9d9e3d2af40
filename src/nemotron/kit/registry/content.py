"""An artifact's bytes: looking at them, and taking a copy into the store."""

import logging
import os
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial

from blake3 import blake3

from nemotron.kit.documents.digest import ALGORITHM, SAMPLE_BLOCK
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.errors import ConflictError
from nemotron.kit.registry import layout, reading
from nemotron.kit.registry.digest_cache import DigestCache, now_ns
from nemotron.kit.registry.reading import Progress, Told
from nemotron.kit.registry.scan import leaves
from nemotron.kit.store.protocol import Store

log = logging.getLogger(__name__)


def hashed(
    folder: str,
    tree: Tree,
    *,
    trust_cache: bool = True,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Tree:
    """The same tree with a digest of every file; each byte is read at most once.

    Args:
        folder: where the files are.
        tree: what to read.
        trust_cache: whether a file that has not changed since it was read for an earlier digest is not read.
        executor: who reads; threads of this process by default.
        progress: told the bytes done and those in all, of what has to be read.

    Raises:
        ConflictError: a file keeps changing while it is read.
    """
    cache, started = DigestCache(folder), now_ns()
    known = cache.fill(tree) if trust_cache else tree
    unknown = [entry for entry in known.entries if entry.is_file and entry.digest is None]
    read = reading.on_all(reading.hashing(folder), unknown, executor=executor, progress=progress)
    done = _with(known, read)
    if trust_cache and (read or cache.files != tree.files):
        cache.remember(done, started)
    return done


def sampled(
    folder: str, tree: Tree, *, executor: Executor | None = None, progress: Progress | None = None
) -> Tree:
    """The same tree with the digest of a sample of every file, or of all of it if it is no larger than that.

    Raises:
        ConflictError: a file keeps changing while it is read.
    """
    unknown = [
        entry for entry in tree.entries if entry.is_file and entry.digest is None and entry.sample is None
    ]
    read = reading.on_all(reading.sampling(folder), unknown, executor=executor, progress=progress)
    return _with(tree, read)


def _with(tree: Tree, done: dict[str, Entry]) -> Tree:
    return Tree(tuple([done.get(entry.path, entry) for entry in tree.entries])) if done else tree


def snapshot(
    store: Store, folder: str, tree: Tree, previous: Tree | None, *, progress: Progress | None = None
) -> Tree:
    """Copy the files of a tree into the store and return it with digests.

    Each byte is read once and hashed as it is copied; one that has not changed since it was last read is not
    read at all. What is in the store already is not stored again.

    Args:
        store: takes the copies.
        folder: where the files are.
        tree: what to copy.
        previous: the listing of a version whose contents the store has.
        progress: told the bytes done and those in all, of what has to be looked at.

    Raises:
        ConflictError: a file keeps changing while it is read.
        DiskFullError: the store is full; what was copied is used by the next try.
    """
    cache, started = DigestCache(folder), now_ns()
    before = {entry.path: entry for entry in previous.entries if entry.digest} if previous else {}
    stored = {entry.digest for entry in before.values()}
    if stored and store.list(layout.TRASH):
        # What a living version names is there, unless it was set aside just before that was committed.
        stored = {entry.digest for entry in before.values() if _holds(store, entry.digest or "", entry.size)}
    known = cache.fill(tree)
    wanted = [entry for entry in known.entries if entry.is_file and entry.digest not in stored]
    likely = {
        entry.path: old.digest
        for entry in wanted
        if (old := before.get(entry.path)) and old.size == entry.size and old.digest
    }
    taken = _with(
        known, reading.on_all(partial(copy_chunk, store, folder, likely), wanted, progress=progress)
    )
    _warn_of_links(folder, taken)
    store.sync()
    if wanted or cache.files != taken.files:
        cache.remember(taken, started)
    return taken


def take_again(store: Store, folder: str, tree: Tree, *, progress: Progress | None = None) -> None:
    """Copy into the store what of a snapshot is not there any more, before it is committed.

    Args:
        store: should have all of it.
        folder: where the files were taken from.
        tree: the listing, with digests.
        progress: told the bytes done and those in all.

    Raises:
        ConflictError: something is gone from the store, and the file is another one by now.
    """
    regular = [entry for entry in tree.entries if entry.is_file]
    taken = reading.on_all(partial(copy_chunk, store, folder, {}), regular, progress=progress)
    changed = [entry.path for entry in regular if taken[entry.path].digest != entry.digest]
    if changed:
        raise ConflictError(f"Cannot publish {folder}: {changed[0]} changed meanwhile; publish it again")
    store.sync()


def _warn_of_links(folder: str, tree: Tree) -> None:
    top = os.path.realpath(folder)
    for entry in tree.entries:
        if entry.kind == "link" and leaves(f"{folder}/{entry.path}", top):
            log.warning(
                "%s/%s links to %s, outside the artifact: recorded, not copied; follow_links=True copies it",
                folder,
                entry.path,
                entry.target,
            )


def copy_chunk(
    store: Store,
    folder: str,
    likely: dict[str, str],
    entries: Sequence[Entry],
    threads: int = 1,
    told: Told | None = None,
) -> list[Entry]:
    """Copy files into the store, and return their entries with digests.

    Args:
        store: takes the copies.
        folder: where the files are.
        likely: the digest that a file may well have, by path: it had that in an earlier version.
        entries: the files.
        threads: how many hash one large file.
        told: hears of the bytes done.
    """
    return [_copy_file(store, folder, entry, likely.get(entry.path), threads, told) for entry in entries]


def _copy_file(
    store: Store, folder: str, entry: Entry, likely: str | None, threads: int, told: Told | None
) -> Entry:
    if entry.digest and _holds(store, entry.digest, entry.size):
        store.rely_on(layout.blob(entry.digest))  # who copied it may have been killed before it was on disk
        return entry
    large = entry.size > reading.SMALL_SIZE_MAX
    if likely and large and _looks_like(store, f"{folder}/{entry.path}", entry.size, likely):
        probed = reading.hash_file(folder, entry, threads)
        if probed.digest == likely:
            return probed
    return reading.steadily(
        folder, entry, lambda descriptor, size: _copy_in(store, descriptor, size, likely, threads, told)
    )


def _looks_like(store: Store, path: str, size: int, digest: str) -> bool:
    """Whether a few blocks of a file are those of a blob, so that reading all of it first may save a copy."""
    blob = store.local_path(layout.blob(digest))
    if blob is None:
        return False
    try:
        with open(path, "rb", buffering=0) as one, open(blob, "rb", buffering=0) as other:
            starts = (0, (size - SAMPLE_BLOCK) // 2, size - SAMPLE_BLOCK)
            return all(
                os.pread(one.fileno(), SAMPLE_BLOCK, start) == os.pread(other.fileno(), SAMPLE_BLOCK, start)
                for start in starts
            )
    except OSError:
        return False  # copying it will tell what is wrong


def _copy_in(
    store: Store, descriptor: int, size: int, likely: str | None, threads: int, told: Told | None
) -> tuple[str, int]:
    """Put what a file holds into the store under its digest; tells the digest and the number of bytes."""
    if size <= reading.SMALL_SIZE_MAX:
        data = reading.read_small(descriptor, size)
        digest, count = f"{ALGORITHM}:{blake3(data).hexdigest()}", len(data)
        if told is not None:
            told(count)
        if digest == likely and _holds(store, digest, count):
            return digest, count
        created = store.put(layout.blob(digest), data)
    else:
        hasher = blake3(max_threads=threads)

        def seen(block: memoryview) -> None:
            hasher.update(block)
            if told is not None:
                told(len(block))

        with store.stage() as staging:
            count = staging.fill(descriptor, seen, reading.buffer_size(threads))
            digest = f"{ALGORITHM}:{hasher.hexdigest()}"
            created = staging.commit(layout.blob(digest))
    if not created and not _holds(store, digest, count):
        store.remove(layout.blob(digest))
        return digest, -1  # once more
    return digest, count


def _holds(store: Store, digest: str, size: int) -> bool:
    return holds(store, layout.blob(digest), size)


def holds(store: Store, key: str, size: int) -> bool:
    """Whether the store has some content under its key, as far as the size tells; the trash does not count.

    A power loss between a copy and its sync may leave an empty file under a good name.
    """
    path = store.local_path(key)
    if path is None:
        return store.exists(key)
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False
