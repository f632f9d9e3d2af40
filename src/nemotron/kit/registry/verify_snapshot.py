"""Whether a snapshot is whole: its bytes in the store, and the folders in which it is laid out."""

import os
from array import array
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import closing
from functools import partial

from blake3 import blake3

from nemotron.kit.documents.columns import FILE_MAX, KIND_MASK, Columns
from nemotron.kit.documents.digest import ALGORITHM
from nemotron.kit.documents.entry import KINDS
from nemotron.kit.documents.manifest import Evidence
from nemotron.kit.documents.positions import Positions
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.errors import PathNotFoundError
from nemotron.kit.registry import changes, content, layout, objects, parallel, reading
from nemotron.kit.registry.differences import Differences, Verdict
from nemotron.kit.registry.listed import sizes_of
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.scan import scan_folder
from nemotron.kit.registry.work import Progress, Told, each
from nemotron.kit.store.protocol import Store

MISSING = -1
_KINDS = bytes(mark & KIND_MASK for mark in range(256))


def in_store(
    store: Store,
    tree: Tree,
    evidence: Evidence,
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> tuple[Differences, int]:
    """What is missing or damaged of a snapshot's bytes in the store, and how many bytes were read.

    Args:
        store: should have all of it.
        tree: the listing, with digests.
        evidence: `stat` looks for the objects, and at their sizes where that is free: on a disk, and where a
            listing shows them; else they are read.
        executor: who reads; threads by default.
        progress: told the bytes read so far, and those in all.
    """
    work = partial(look_chunk if evidence == "stat" else read_chunk, store)
    lost: dict[int, Verdict] = {}
    read = 0
    told = None if evidence == "stat" else progress
    files, is_remote = tree.unread(known=0), store.at_once > 1
    sizes, raw_digest = tree.columns.sizes, tree.columns.raw_digest
    if evidence == "stat" and (
        shown := sizes_of(store, (raw for at in files if (raw := raw_digest(at)) is not None))
    ):
        for at in files:
            if (raw := raw_digest(at)) in shown and shown[raw] != sizes[at]:
                lost[at] = "changed"
        files = array("q", (at for at in files if raw_digest(at) not in shown))
    looking = parallel.on_all(work, tree, files, executor=executor, progress=told, is_remote=is_remote)
    with closing(looking):
        for positions, part in looking:
            read += 0 if evidence == "stat" else sum(size for size in part.sizes if size != MISSING)
            for at, there in enumerate(positions):
                if part.sizes[at] == MISSING:
                    lost[there] = "missing"
                elif (part.sizes[at], part.raw_digest(at)) != (sizes[there], raw_digest(there)):
                    lost[there] = "changed"
    found = Differences()
    for at in sorted(lost):  # they were read in another order
        found.add(tree.columns.paths[at], lost[at], "store")
    return found, read


def look_chunk(store: Store, part: Columns, threads: int = 1, told: Told | None = None) -> Columns:
    """The entries, with the store's sizes where these are free to know; MISSING where it has none."""
    return each(part, lambda entry: _looked_at(store, entry))


def _looked_at(store: Store, entry: Entry) -> Entry:
    key = layout.blob(entry.digest) if entry.digest else None
    for _ in range(objects.LOOKS_MAX):  # house-keeping may move it between being found and being looked at
        place = objects.locate(store, key) if key else None
        if place is None:
            break
        path = store.local_path(place)
        try:
            return entry if path is None else entry._replace(size=path.stat().st_size)
        except FileNotFoundError:
            continue
    return entry._replace(size=MISSING)


def read_chunk(store: Store, part: Columns, threads: int = 1, told: Told | None = None) -> Columns:
    """The entries, with the sizes and digests of what the store really has; MISSING where it has none."""
    return each(part, lambda entry: _read(store, entry, threads, told))


def _read(store: Store, entry: Entry, threads: int, told: Told | None) -> Entry:
    if entry.digest is None:
        return entry._replace(size=MISSING)
    hasher, size = blake3(max_threads=threads), 0
    try:
        for chunk in objects.chunks(store, layout.blob(entry.digest)):
            hasher.update(chunk)
            size += len(chunk)
            if told is not None:
                told(len(chunk))
    except PathNotFoundError:
        return entry._replace(size=MISSING)
    return entry._replace(size=size, digest=f"{ALGORITHM}:{hasher.hexdigest()}")


def in_checkout(
    store: Store,
    record: Record,
    folder: str,
    tree: Tree,
    evidence: Evidence,
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> tuple[Differences, int]:
    """What is not as published in a folder where a snapshot is laid out, and how many bytes were read.

    Args:
        store: of the snapshot.
        record: the snapshot.
        folder: where it is laid out.
        tree: the listing, with digests.
        evidence: `stat` goes by size and time, else the files are read.
        executor: who reads; threads by default.
        progress: told the bytes read so far, and those in all.
    """
    now, read = _as_executable(scan_folder(folder, like=tree), tree), 0
    then, found = Positions(tree.columns.paths), Differences()
    if evidence != "stat":
        paths = now.columns.paths
        files = array("q", (at for at in now.unread(known=0) if then.find(paths[at]) is not None))
        read = sum(now.columns.sizes[at] for at in files)
        now = content.hashed(folder, now, only=files, trust_cache=False, executor=executor, progress=progress)
    for item in _less_hard_links(store, record, folder, tree, changes.compare(tree, now)):
        at = then.find(item.path)
        is_link = at is not None and at in tree.columns.targets
        if item.verdict != "missing" or not is_link:  # those that would leave the folder are left out
            found.add(item.path, item.verdict, "checkout", is_proven=item.is_proven)
    return found, read


def _as_executable(now: Tree, tree: Tree) -> Tree:
    """The files of a checkout with the published executable bits.

    Some file systems (SMB, exFAT) show one mode for all, whatever a file was given: nobody changed these.
    """
    marks, published = now.columns.marks, tree.columns.marks
    if now.columns.paths == tree.columns.paths and marks == published.translate(_KINDS):
        return now
    then, changed = Positions(tree.columns.paths), []
    for at, path in enumerate(now.columns.paths):
        if marks[at] > FILE_MAX or (old := then.find(path)) is None:
            continue
        kind = published[old] & KIND_MASK
        if kind <= FILE_MAX and kind != marks[at]:
            changed.append((at, now.columns.entry(at)._replace(kind=KINDS[kind])))
    return now.with_entries(changed)


def _less_hard_links(
    store: Store, record: Record, folder: str, tree: Tree, found: Differences
) -> Differences:
    """Without files that are another name of their blob, which has the time when it was stored.

    Blobs are written before the commit that names them. One that has a later time was written to since, or
    is a new copy of one that was lost: its bytes have to tell.
    """
    committed = store.local_path(layout.manifest(record.name, record.version))
    if "touched" not in found.verdicts or committed is None:
        return found
    try:
        committed_ns = os.stat(committed).st_mtime_ns
    except FileNotFoundError:
        return found
    then, same = Positions(tree.columns.paths), array("q")
    for at, item in enumerate(found):
        old = then.find(item.path) if item.verdict == "touched" else None
        digest = tree.columns.entry(old).digest if old is not None else None
        if digest and _is_link(store.local_path(layout.blob(digest)), f"{folder}/{item.path}", committed_ns):
            same.append(at)
    return found.without(same)


def _is_link(blob: os.PathLike[str] | None, path: str, committed_ns: int) -> bool:
    try:
        info = os.lstat(path)
        return (
            info.st_nlink > 1
            and info.st_mtime_ns <= committed_ns
            and blob is not None
            and os.path.samestat(info, os.lstat(blob))
        )
    except FileNotFoundError:
        return False


def changed_in(folder: str, tree: Tree, files: Sequence[int]) -> set[int]:
    """The positions of those of some files whose bytes in a folder are others than a listing says.

    Args:
        folder: has these files.
        tree: the listing, with digests.
        files: positions in it.
    """
    raw_digest, changed = tree.columns.raw_digest, set()
    with closing(parallel.on_all(reading.hashing(folder), tree, files)) as looking:
        for positions, part in looking:
            changed |= {
                there for at, there in enumerate(positions) if part.raw_digest(at) != raw_digest(there)
            }
    return changed


def settled_checkout(store: Store, record: Record, folder: str, tree: Tree) -> Differences:
    """`in_checkout` by size and time; where only the time differs, the bytes settle it.

    Not every file system keeps times to the nanosecond, so a checkout may differ in these from the start.
    """
    found, _ = in_checkout(store, record, folder, tree, "stat")
    if "touched" not in found.verdicts:
        return found
    then = Positions(tree.columns.paths)
    wanted = array("q", (at for path in found.of("touched").paths() if (at := then.find(path)) is not None))
    changed = changed_in(folder, tree, wanted)
    settled = Differences()
    for item in found:
        if item.verdict != "touched":
            settled.extend((item,))
        elif then.find(item.path) in changed:
            settled.add(item.path, "changed", item.place)
    return settled
