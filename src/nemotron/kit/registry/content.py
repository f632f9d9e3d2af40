"""An artifact's bytes: hashing them, taking a copy into the store, and laying a copy out as a folder."""

import logging
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import BinaryIO

from nemotron.kit.documents.digest import ALGORITHM
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.errors import ConflictError, CorruptError
from nemotron.kit.registry import layout
from nemotron.kit.registry.digest_cache import DigestCache, now_ns
from nemotron.kit.registry.scan import leaves
from nemotron.kit.store.local import translate
from nemotron.kit.store.protocol import CHUNK_SIZE, Store

log = logging.getLogger(__name__)

WORKERS = min(4, os.cpu_count() or 1)
ATTEMPTS_MAX = 3


def hashed(folder: str, tree: Tree, *, trust_cache: bool = True) -> Tree:
    """The same tree with a digest of every file; each byte is read at most once.

    Args:
        folder: where the files are.
        tree: what to read.
        trust_cache: whether a file that has not changed since it was read for an earlier digest is not read.

    Raises:
        ConflictError: a file keeps changing while it is read.
    """
    cache, started = DigestCache(folder), now_ns()
    done = _each_file(
        cache.fill(tree) if trust_cache else tree, lambda entry: _read_steadily(folder, entry, None)
    )
    if trust_cache:
        cache.remember(done, started)
    return done


def snapshot(store: Store, folder: str, tree: Tree, previous: Tree | None) -> Tree:
    """Copy the files of a tree into the store and return it with digests.

    Each byte is read once and hashed as it is copied; a file that looks as it did in the previous version is
    only hashed, and copied if it turns out to be new; one that has not changed since it was last read is not
    read at all. What is in the store already is not stored again.

    Args:
        store: where the copy goes.
        folder: where the files are.
        tree: which files.
        previous: the listing of the latest version if that is a snapshot, else None.

    Raises:
        ConflictError: a file keeps changing while it is read.
        DiskFullError: the store is full; what was copied is used by the next try.
    """
    cache, started = DigestCache(folder), now_ns()
    before = {entry.path: entry for entry in previous.entries} if previous else {}
    stored = {entry.digest for entry in before.values()}

    def is_stored(entry: Entry) -> bool:
        if entry.digest is None:
            return False
        # In a bucket each look is a request, and what the latest snapshot has is there.
        if entry.digest in stored and store.local_path(layout.FORMAT) is None:
            return True
        if not _holds(store, entry.digest, entry.size):
            return False
        if entry.digest not in stored:  # no commit speaks for it: who copied it may have been killed
            store.rely_on(layout.blob(entry.digest))
        return True

    def take(entry: Entry) -> Entry:
        old = before.get(entry.path)
        if old is not None and old.size == entry.size and old.digest:
            probed = _read_steadily(folder, entry, None)
            if is_stored(probed):
                return probed
        return _read_steadily(folder, entry, store)

    taken = _each_file(cache.fill(tree), take, skip=is_stored)
    cache.remember(taken, started)
    _warn_of_links(folder, taken)
    store.sync()
    return taken


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


def _each_file(
    tree: Tree,
    work: Callable[[Entry], Entry],
    skip: Callable[[Entry], bool] = lambda entry: entry.digest is not None,
) -> Tree:
    """Apply `work` to the files of a tree, but those to skip, on a few threads (hashing releases the GIL)."""
    files = [entry for entry in tree.entries if entry.is_file and not skip(entry)]
    if not files:
        return tree
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="kit-content") as pool:
        try:
            done = dict(zip((entry.path for entry in files), _in_chunks(pool, work, files), strict=True))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return Tree(tuple(done.get(entry.path, entry) for entry in tree.entries))


def _in_chunks(
    pool: ThreadPoolExecutor, work: Callable[[Entry], Entry], files: list[Entry]
) -> Iterator[Entry]:
    # A task a file costs more than reading a small file does.
    size = max(1, min(256, len(files) // (WORKERS * 4)))
    chunks = [files[i : i + size] for i in range(0, len(files), size)]
    for entries in pool.map(lambda chunk: [work(entry) for entry in chunk], chunks):
        yield from entries


def _read_steadily(folder: str, entry: Entry, store: Store | None) -> Entry:
    """Hash a file, and copy it if a store is given, such that the digest is of one state of the file."""
    path = f"{folder}/{entry.path}"
    for _ in range(ATTEMPTS_MAX):
        try:
            with open(path, "rb", buffering=0) as file:
                before = os.fstat(file.fileno())
                digest, size = _copy_in(file, store)
                after = os.fstat(file.fileno())
        except OSError as error:
            raise translate(error, "read", path) from error
        if store is not None and not _holds(store, digest, size):
            store.remove(layout.blob(digest))
            continue
        if size == after.st_size and _stamp(before) == _stamp(after):
            return replace(
                entry,
                size=size,
                mtime_ns=after.st_mtime_ns,
                digest=digest,
                inode=after.st_ino,
                ctime_ns=after.st_ctime_ns,
            )
    raise ConflictError(f"{path} keeps changing while it is read; save it when its writer is done")


def _holds(store: Store, digest: str, size: int) -> bool:
    """Whether the store has some content, as far as the size tells.

    A power loss between a copy and its sync may leave an empty file under a good name.
    """
    key = layout.blob(digest)
    path = store.local_path(key)
    if path is None:
        return store.exists(key)
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _stamp(info: os.stat_result) -> tuple[int, int, int]:
    return info.st_size, info.st_mtime_ns, info.st_ctime_ns


def _copy_in(file: BinaryIO, store: Store | None) -> tuple[str, int]:
    """Hash what a file holds, and put it into the store under its digest."""
    from blake3 import blake3

    hasher, size = blake3(), 0
    buffer = memoryview(bytearray(CHUNK_SIZE))
    if store is None:
        while count := file.readinto(buffer):  # type: ignore[attr-defined]
            hasher.update(buffer[:count])
            size += count
        return f"{ALGORITHM}:{hasher.hexdigest()}", size
    with store.stage() as staging:
        while count := file.readinto(buffer):  # type: ignore[attr-defined]
            hasher.update(buffer[:count])
            staging.write(buffer[:count])
            size += count
        digest = f"{ALGORITHM}:{hasher.hexdigest()}"
        staging.commit(layout.blob(digest))
    return digest, size


def lay_out(store: Store, tree: Tree, target: str, extra: dict[str, bytes]) -> None:
    """Write the files of a snapshot into a folder, whole or not at all.

    The files are read-only: they are everybody's. Links that would leave the folder are left out.

    Args:
        store: holds the blobs.
        tree: what to write.
        target: the folder to make; if it is there already, it is taken as it is.
        extra: further small files by name.

    Raises:
        CorruptError: a blob is missing or is not what its name says.
        DiskFullError: no space is left; nothing stays behind.
    """
    above = os.path.dirname(target)
    building = f"{above}/.tmp-{secrets.token_hex(8)}"
    try:
        os.makedirs(building)
        for entry in sorted(
            tree.entries, key=lambda entry: entry.kind == "link"
        ):  # nothing is written through a link
            _write_entry(store, entry, building)
        for entry in tree.entries:
            if entry.kind == "link" and leaves(f"{building}/{entry.path}", os.path.realpath(building)):
                os.unlink(f"{building}/{entry.path}")
        for name, data in extra.items():
            _write_file(f"{building}/{name}", [data], 0o644)
        _into_place(building, target)
    except OSError as error:
        raise translate(error, "lay out", target) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _into_place(building: str, target: str) -> None:
    try:
        os.rename(building, target)
    except OSError:
        if not os.path.isdir(target):
            raise  # else somebody was faster, with the same content


def is_laid_out(tree: Tree, target: str) -> bool:
    """Whether every file of a tree is in a folder, by size and time, and by its bytes where those differ."""
    if os.path.islink(target):
        return False
    for entry in tree.entries:
        try:
            info = os.lstat(f"{target}/{entry.path}")
        except OSError:
            if entry.kind == "link":
                continue  # left out because it leaves the folder
            return False
        if not entry.is_file:
            continue
        if not stat.S_ISREG(info.st_mode) or info.st_size != entry.size:
            return False
        # Not every file system keeps times to the nanosecond; the bytes decide.
        if info.st_mtime_ns != entry.mtime_ns and _read_steadily(target, entry, None).digest != entry.digest:
            return False
    return os.path.isdir(target)


def _write_entry(store: Store, entry: Entry, folder: str) -> None:
    path = f"{folder}/{entry.path}"
    if entry.kind == "dir":
        os.makedirs(path, exist_ok=True)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if entry.kind == "link":
        os.symlink(entry.target or "", path)
        return
    if entry.digest is None:
        raise CorruptError(
            f"The listing of a snapshot has no digest for {entry.path}; `nemotron kit doctor` tells more"
        )
    _write_file(path, _verified(store, entry), 0o555 if entry.kind == "exec" else 0o444)
    os.utime(path, ns=(entry.mtime_ns, entry.mtime_ns))


def _verified(store: Store, entry: Entry) -> Iterator[bytes]:
    """The bytes of a blob; CorruptError at its end if they are not what its key says."""
    from blake3 import blake3

    key = layout.blob(entry.digest or "")
    if not store.exists(key):
        raise CorruptError(f"The content of {entry.path} is missing from the store: no {key} in {store.url}")
    hasher = blake3()
    for chunk in store.chunks(key):
        hasher.update(chunk)
        yield chunk
    if f"{ALGORITHM}:{hasher.hexdigest()}" != entry.digest:
        raise CorruptError(f"The content of {entry.path} is damaged in the store: {key} in {store.url}")


def _write_file(path: str, chunks: Iterable[bytes], mode: int) -> None:
    with open(path, "xb") as file:
        for chunk in chunks:
            file.write(chunk)
        os.fchmod(file.fileno(), mode)
