"""Laying a snapshot out as a folder with real files."""

import os
import secrets
import shutil
from contextlib import closing, suppress
from functools import partial

from blake3 import blake3

from nemotron.kit.documents.columns import Columns
from nemotron.kit.documents.digest import ALGORITHM
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.errors import RefusedError, UnavailableError
from nemotron.kit.registry import checkout_cache, layout, objects, parallel, reading
from nemotron.kit.registry.blobs import Blobs
from nemotron.kit.registry.checkout_options import Way
from nemotron.kit.registry.scan import leaves
from nemotron.kit.registry.work import Progress, Told
from nemotron.kit.store import file_copy, files
from nemotron.kit.store.protocol import Store
from nemotron.kit.store.system_errors import translate


def lay_out(
    store: Store,
    tree: Tree,
    target: str,
    extra: dict[str, bytes],
    way: Way = "reflink",
    *,
    uri: str = "",
    progress: Progress | None = None,
) -> None:
    """Write the files of a snapshot into a folder, whole or not at all.

    The files are read-only: they are everybody's. They share blocks with the store where the file system
    can; they are no hard links, through which root would write into the store, unless these are asked for.
    Links that would leave the folder are left out.

    Of a store that is far, what had arrived when a process was killed, interrupted or cut off is read, and
    not fetched once more; the digest of all of a file decides, as always.

    Args:
        store: holds the blobs.
        tree: what to write.
        target: the folder to make; if it is there already, it is taken as it is.
        extra: further small files by name.
        way: how files come to be there; what can't be a hard link is copied.
        uri: of the snapshot, for messages.
        progress: told the bytes done and those in all.

    Raises:
        CorruptError: a blob is missing or is not what its name says.
        DiskFullError: no space is left; nothing stays behind.
    """
    is_far, is_left = store.local_path(layout.BLOBS) is None, False
    building = f"{os.path.dirname(target)}/.tmp-{secrets.token_hex(8)}"
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if is_far:
            building = checkout_cache.begin(target)
            _clear_last_steps(tree, building, extra)
        os.makedirs(building, exist_ok=True)
        _make_folders(tree, building)
        work = partial(write_chunk, store, building, uri=uri, way=way, goes_on=is_far)
        is_remote = store.at_once > 1
        files = tree.unread(known=0)
        writing = parallel.on_all(work, tree, files, progress=progress, is_remote=is_remote)
        with closing(writing):
            for _ in writing:
                pass  # nothing is learnt of what is written
        _make_links(tree, building)  # last: nothing is written through a link
        for name, data in extra.items():
            _create(f"{building}/{name}", data, 0o644)
        _into_place(building, target)
    except (UnavailableError, RefusedError, KeyboardInterrupt, SystemExit):
        is_left = is_far
        raise
    except OSError as error:
        raise translate(error, "lay out", target) from error
    finally:
        if is_left:
            checkout_cache.leave(building)
        else:
            shutil.rmtree(building, ignore_errors=True)


def _clear_last_steps(tree: Tree, building: str, extra: dict[str, bytes]) -> None:
    """Take away what is made last, where another process got that far."""
    for path in [*(entry.path for entry in tree.entries if entry.kind == "link"), *extra]:
        with suppress(FileNotFoundError):
            os.unlink(f"{building}/{path}")


def _make_folders(tree: Tree, building: str) -> None:
    folders = {entry.path if entry.kind == "dir" else entry.path.rpartition("/")[0] for entry in tree.entries}
    for folder in sorted(folders):
        os.makedirs(f"{building}/{folder}", exist_ok=True)


def _make_links(tree: Tree, building: str) -> None:
    links = [entry for entry in tree.entries if entry.kind == "link"]
    for entry in links:
        os.symlink(entry.target or "", f"{building}/{entry.path}")
    top = os.path.realpath(building)
    for entry in links:
        if leaves(f"{building}/{entry.path}", top):
            os.unlink(f"{building}/{entry.path}")


def _into_place(building: str, target: str) -> None:
    try:
        os.rename(building, target)
    except OSError:
        if not os.path.isdir(target):
            raise  # else somebody was faster, with the same content


def write_chunk(
    store: Store,
    folder: str,
    part: Columns,
    threads: int = 1,
    told: Told | None = None,
    *,
    uri: str = "",
    way: Way = "reflink",
    goes_on: bool = False,
) -> Columns:
    """Write files of a snapshot below a folder whose own folders are there; on from what there is of them."""
    blobs = Blobs(store, uri)
    for entry in part.entries(range(len(part))):
        path, mode = f"{folder}/{entry.path}", 0o555 if entry.kind == "exec" else 0o444
        if way == "hardlink" and entry.kind != "exec" and _link(blobs, entry, path, threads, told):
            continue  # the mode is that of all names, and a blob is not executable
        if goes_on and _is_there(path, entry, mode, threads, told):
            continue
        if entry.size <= reading.SMALL_SIZE_MAX:
            _create(path, blobs.small(entry), mode, entry.mtime_ns)
            if told is not None:
                told(entry.size)
        else:
            _copy_out(blobs, entry, path, mode, threads, told, share=way != "copy", goes_on=goes_on)
    return part


def _link(blobs: Blobs, entry: Entry, path: str, threads: int, told: Told | None) -> bool:
    """Make a file another name of its blob, once that is known to be right; False where there is no such."""
    key = objects.locate(blobs.store, blobs.key(entry))
    blob = blobs.store.local_path(key) if key else None
    if blob is None or not files.link_read_only(str(blob), path):
        return False
    hasher = blake3(max_threads=threads)

    def seen(block: memoryview) -> None:
        hasher.update(block)
        if told is not None:
            told(len(block))

    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        file_copy.show(descriptor, seen, reading.buffer_size(threads), ahead=threads > 1)
    finally:
        os.close(descriptor)
    if f"{ALGORITHM}:{hasher.hexdigest()}" != entry.digest:
        raise blobs.damaged(entry)
    return True


def _is_there(path: str, entry: Entry, mode: int, threads: int, told: Told | None) -> bool:
    """Whether a file is there, whole; one that is not, and no beginning of a large one, is taken away."""
    try:
        if os.lstat(path).st_size < entry.size > reading.SMALL_SIZE_MAX:
            os.chmod(path, 0o600)
            return False
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        hasher = blake3(max_threads=threads)
        reading.read_through(descriptor, hasher.update, threads, told)
        if f"{ALGORITHM}:{hasher.hexdigest()}" == entry.digest:
            _finish(descriptor, mode, entry.mtime_ns)
            return True
    finally:
        os.close(descriptor)
    os.unlink(path)
    return False


def _copy_out(
    blobs: Blobs,
    entry: Entry,
    path: str,
    mode: int,
    threads: int,
    told: Told | None,
    share: bool,
    goes_on: bool = False,
) -> None:
    hasher = blake3(max_threads=reading.beside_copying(threads))

    def seen(block: bytes | memoryview) -> None:
        hasher.update(block)
        if told is not None:
            told(len(block))

    how = os.O_NOFOLLOW if goes_on else os.O_EXCL
    descriptor, begun = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | how, 0o600), 0
    try:
        if blobs.store.local_path(layout.BLOBS) is not None:
            with blobs.opened(entry) as blob:
                file_copy.copy(
                    blob.fileno(),
                    descriptor,
                    seen,
                    reading.COPY_BUFFER_SIZE,
                    share=share,
                    ahead=threads > 1,
                )
        else:
            begun = os.lseek(descriptor, reading.read_through(descriptor, seen, threads, None), os.SEEK_SET)
            for chunk in blobs.chunks(entry, begun):
                files.write_all(descriptor, chunk)
                seen(chunk)
        _finish(descriptor, mode, entry.mtime_ns)
    finally:
        os.close(descriptor)
    if f"{ALGORITHM}:{hasher.hexdigest()}" == entry.digest:
        return
    if not begun:
        raise blobs.damaged(entry)
    os.unlink(path)  # the disk lost what had been written, say: all of it once more, and that decides
    _copy_out(blobs, entry, path, mode, threads, told, share)


def _create(path: str, data: bytes, mode: int, mtime_ns: int | None = None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        folder, _, name = path.rpartition("/")
        if name not in os.listdir(folder):
            raise  # to this file system, another name is the same
        os.unlink(path)  # begun by a worker process that ended
        descriptor = os.open(path, flags, 0o600)
    try:
        files.write_all(descriptor, data)
        _finish(descriptor, mode, mtime_ns)
    finally:
        os.close(descriptor)


def _finish(descriptor: int, mode: int, mtime_ns: int | None) -> None:
    os.fchmod(descriptor, mode)
    if mtime_ns is not None:
        os.utime(descriptor, ns=(mtime_ns, mtime_ns))
