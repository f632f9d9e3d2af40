"""An artifact's bytes: looking at them, and taking a copy into the store."""

import logging
import os
import time
from array import array
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import closing
from functools import partial
from typing import Protocol

from nemotron.kit.documents.columns import DIGEST, SAMPLED, Columns
from nemotron.kit.documents.digest import hex_of
from nemotron.kit.documents.positions import Positions
from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import ConflictError, CorruptError, FormatTooNewError
from nemotron.kit.registry import layout, parallel, reading, worker_processes
from nemotron.kit.registry.copying import copy_chunk, holds
from nemotron.kit.registry.digest_cache import DigestCache, now_ns
from nemotron.kit.registry.listed import sizes_of
from nemotron.kit.registry.scan import leaves, with_links_inside
from nemotron.kit.registry.work import Progress, Work
from nemotron.kit.store.protocol import Store

log = logging.getLogger(__name__)

# What is done is remembered so often, and that never takes more than a twentieth of the time.
REMEMBER_EVERY_S = 60.0
REMEMBER_SHARE = 20


class Previous(Protocol):
    """A version that the store has."""

    def is_listed(self, tree: Tree) -> bool:
        """Whether it is made of just these files, times included."""
        ...

    @property
    def uri(self) -> str:
        """Its name, for messages."""
        ...

    def parts(self) -> Iterator[Columns]:
        """Its listing, some entries after others; worth nothing if this raises CorruptError in the end."""
        ...


def hashed(
    folder: str,
    tree: Tree,
    *,
    only: Sequence[int] | None = None,
    alone: bool = False,
    trust_cache: bool = True,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Tree:
    """The same tree with a digest of every file; each byte is read at most once.

    Args:
        folder: where the files are.
        tree: what to read.
        only: the positions of the files to read, instead of all. What is known of others stays known.
        alone: the tree is one file, which need not be all of the folder.
        trust_cache: whether a file that has not changed since it was read for an earlier digest is not read.
        executor: who reads; threads of this process by default.
        progress: told the bytes done and those in all, of what has to be read.

    Raises:
        ConflictError: a file keeps changing while it is read.
    """
    cache, started = _cache(folder, tree, alone), now_ns(folder)
    known = cache.fill(tree) if trust_cache else tree
    unread = known.unread() if only is None else only
    if only is not None and trust_cache:
        unread = array("q", (at for at in only if not known.columns.marks[at] & DIGEST))
    work = parallel.on_all(reading.hashing(folder), known, unread, executor=executor, progress=progress)
    with closing(work):
        if not trust_cache:
            return known.with_parts(work)
        done = _done(known, work, cache, started)
    if unread or cache.files != tree.files:
        cache.remember(done, started)
    return done


def _cache(folder: str, tree: Tree, alone: bool) -> DigestCache:
    return DigestCache(folder, tree.columns.paths[0] if alone else None)


def _done(
    known: Tree, work: Iterator[tuple[Sequence[int], Columns]], cache: DigestCache, started: int
) -> Tree:
    """The tree, which is nobody else's, once all work is done. What is done is remembered now and then, and
    when the work breaks off, so that the next try reads none of it again.
    """
    columns, last_s, pause_s = known.columns, time.monotonic(), REMEMBER_EVERY_S
    try:
        for positions, part in work:
            columns.put_all(positions, part)
            if (began_s := time.monotonic()) - last_s >= pause_s:
                cache.remember(Tree.of_columns(columns), started)
                last_s = time.monotonic()
                pause_s = max(REMEMBER_EVERY_S, REMEMBER_SHARE * (last_s - began_s))
    except BaseException:  # an interrupt among them
        cache.remember(Tree.of_columns(columns), started)
        raise
    return Tree.of_columns(columns)


def sampled(
    folder: str,
    tree: Tree,
    *,
    only: Sequence[int] | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Tree:
    """The same tree with the digest of a sample of every file, or of all of it if it is no larger than that.

    Args:
        folder: where the files are.
        tree: what to read.
        only: the positions of the files to read, instead of all.
        executor: who reads; threads of this process by default.
        progress: told the bytes done and those in all, of what has to be read.

    Raises:
        ConflictError: a file keeps changing while it is read.
    """
    unread = tree.unread(DIGEST | SAMPLED) if only is None else only
    work = parallel.on_all(reading.sampling(folder), tree, unread, executor=executor, progress=progress)
    with closing(work):
        return tree.with_parts(work)


def snapshot(
    store: Store,
    folder: str,
    tree: Tree,
    previous: Previous | None = None,
    *,
    alone: bool = False,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Tree:
    """Copy the files of a tree into the store and return it with digests.

    Each byte is read once and hashed as it is copied; one that has not changed since it was last read is not
    read at all. What is in the store already is not stored again.

    Args:
        store: takes the copies.
        folder: where the files are.
        tree: what to copy.
        previous: a version whose contents the store has.
        alone: the tree is one file, which need not be all of the folder.
        executor: who copies; threads of this process by default.
        progress: told the bytes done and those in all, of what has to be looked at.

    Raises:
        ConflictError: a file keeps changing while it is read.
        DiskFullError: the store is full; what was copied is used by the next try.
    """
    cache, started = _cache(folder, tree, alone), now_ns(folder)
    known = with_links_inside(folder, cache.fill(tree))
    # What a living version names is in the store, unless it was set aside just before that was committed.
    is_tidy = previous is None or not store.list(layout.TRASH)
    if previous is not None and is_tidy and not known.unread() and previous.is_listed(known):
        return known
    wanted, likely = _to_copy(store, known, previous, is_tidy)
    wanted, listed = _less_listed(store, known.columns, wanted, likely)
    with store.mark() as mark:
        # Behind the mark: of a sync that fails from now on this process is told, whoever is told first.
        durably, doubtful_until = executor is not None, store.doubtful_until()
        work = partial(
            copy_chunk, store, folder, likely, durably=durably, doubtful_until=doubtful_until, listed=listed
        )
        with closing(_copied(store, work, known, wanted, executor, progress)) as copying:
            taken = _done(known, copying, cache, started) if wanted else known
        _warn_of_links(folder, taken)
        store.sync_since(mark)
    if wanted or cache.files != taken.files:
        cache.remember(taken, started)
    return taken


def _copied(
    store: Store,
    work: Work,
    tree: Tree,
    files: Sequence[int],
    executor: Executor | None,
    progress: Progress | None,
) -> Generator[tuple[Sequence[int], Columns], None, None]:
    """Copy files of a tree; yields positions of some, and a part with their entries. To be closed, as
    `parallel.on_all` is.
    """
    is_remote = store.at_once > 1
    copying = parallel.on_all(work, tree, files, executor=executor, progress=progress, is_remote=is_remote)
    with closing(copying):
        for positions, part in copying:
            if len(files) >= worker_processes.FILES_MIN:  # another process may have written it
                store.rely_on_all(layout.blob(part.digest(at) or "") for at in range(len(part)))
            yield positions, part


def _to_copy(
    store: Store, tree: Tree, previous: Previous | None, is_tidy: bool
) -> tuple[Sequence[int], dict[str, str]]:
    """The positions of the files that the store may not have, and by path what digest they may well have.

    Args:
        store: takes copies of them.
        tree: the files, with the digests that are known.
        previous: a version whose contents the store has.
        is_tidy: whether it surely has all of them.
    """
    files = tree.unread(known=0)
    if previous is None:
        return files, {}
    try:
        # What a far store is to be asked for is asked for by many at once, who copy what it has not.
        is_asked = store.at_once > 1 and not is_tidy
        wanted = files if is_asked else _not_in(previous, store, tree.columns, files, is_tidy)
        # Each worker process is told of it. Where there are many, a small one is known when it has been read,
        # and synced with all the others whatever it is.
        is_few = store.at_once > 1 or len(wanted) < worker_processes.FILES_MIN
        least = -1 if is_few else reading.SMALL_SIZE_MAX
        sizes = tree.columns.sizes
        return wanted, _likely(previous, tree.columns, [at for at in wanted if sizes[at] > least])
    except FormatTooNewError:
        raise
    except CorruptError as error:
        log.warning("%s. %s can't be compared with; run `nemotron kit doctor`", error, previous.uri)
        return files, {}


def _not_in(
    previous: Previous, store: Store, columns: Columns, files: Sequence[int], is_tidy: bool
) -> Sequence[int]:
    """Those of some files whose contents are not a version's: mostly these have the same path there."""

    def has(part: Columns, then: int) -> bool:
        return is_tidy or holds(store, layout.blob(part.digest(then) or ""), part.sizes[then])

    there, is_same = Positions(columns.paths), bytearray(len(columns))
    for part in previous.parts():
        for then, path in enumerate(part.paths):
            at = there.find(path)
            if at is not None and columns.marks[at] & DIGEST:
                is_same[at] = part.raw_digest(then) == columns.raw_digest(at) and has(part, then)
    left = array("q", (at for at in files if not is_same[at]))
    moved, held = {raw for at in left if (raw := columns.raw_digest(at))}, set()
    for part in previous.parts() if moved else ():
        raws = enumerate(map(part.raw_digest, range(len(part))))
        held |= {raw for then, raw in raws if raw in moved and has(part, then)}
    return array("q", (at for at in left if columns.raw_digest(at) not in held))


def _less_listed(
    store: Store, columns: Columns, wanted: Sequence[int], likely: Mapping[str, str]
) -> tuple[Sequence[int], frozenset[str]]:
    """The positions of those of some files that a listing does not show a far store to have, and those of the
    likely digests that it shows. A large file's is not asked for: it is little beside reading the file.
    """
    if not store.walks_in_pages:
        return wanted, frozenset()
    sizes: dict[bytes, int] = {}
    for at in wanted:
        raw, size = columns.raw_digest(at), columns.sizes[at]
        if raw is None and size <= reading.SMALL_SIZE_MAX and (digest := likely.get(columns.paths[at])):
            raw = bytes.fromhex(hex_of(digest))
        if raw is not None:
            sizes[raw] = size
    held = {raw for raw, size in sizes_of(store, sizes).items() if size == sizes[raw]}
    if not held:
        return wanted, frozenset()
    left = array("q", (at for at in wanted if columns.raw_digest(at) not in held))
    return left, frozenset(digest for digest in likely.values() if bytes.fromhex(hex_of(digest)) in held)


def _likely(previous: Previous, columns: Columns, files: Sequence[int]) -> dict[str, str]:
    """The digests that some files had in a version, by path, where their sizes are the same."""
    sizes, likely = {columns.paths[at]: columns.sizes[at] for at in files}, {}
    for part in previous.parts() if files else ():
        for then, path in enumerate(part.paths):
            if sizes.get(path) == part.sizes[then] and (digest := part.digest(then)):
                likely[path] = digest
    return likely


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
    work, wanted = partial(copy_chunk, store, folder, {}), tree.unread(known=0)
    with store.mark() as mark:
        with closing(_copied(store, work, tree, wanted, None, progress)) as copying:
            for positions, part in copying:
                for at, taken in enumerate(positions):
                    if part.raw_digest(at) != tree.columns.raw_digest(taken):
                        raise ConflictError(
                            f"Cannot publish {folder}: {part.paths[at]} changed meanwhile; publish it again"
                        )
        store.sync_since(mark)


def _warn_of_links(folder: str, tree: Tree) -> None:
    top = os.path.realpath(folder)
    for at, target in tree.columns.targets.items():
        path = f"{folder}/{tree.columns.paths[at]}"
        if leaves(path, top):
            log.warning(
                "%s links to %s, outside the artifact: recorded, not copied; follow_links=True "
                "(--follow-links) copies it",
                path,
                target,
            )
