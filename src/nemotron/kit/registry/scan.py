"""Looking at a folder: which files are there, and which of them are an artifact's content."""

import errno
import json
import logging
import os
import re
import stat
from bisect import bisect_left
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from nemotron.kit.documents.columns import OWNER_EXECUTES, Columns
from nemotron.kit.documents.entry import CODES, INTEGER_MAX, kept_time
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.errors import ConflictError, KitError, PathNotFoundError, RefusedError
from nemotron.kit.registry.parts import owner_of
from nemotron.kit.store import plain
from nemotron.kit.store.files import looked_at
from nemotron.kit.store.system_errors import translate

log = logging.getLogger(__name__)

METADATA_FILE = "metadata.json"
METADATA_KEYS = frozenset({"path", "type", "created_at", "producer", "tracking"})
METADATA_SIZE_MAX = 64 << 20
_RESERVED_START = f".{METADATA_FILE}."
_RESERVED = re.compile(re.escape(_RESERVED_START) + r"[0-9a-z]+\.tmp")
# The part of a mode that tells what it is; S_IFMT of stat(2).
_TYPE = 0o170000
ATTEMPTS_MAX = 3
_FILE, _EXEC = CODES["file"], CODES["exec"]


def is_reserved(path: str) -> bool:
    """Whether the kit uses a path for its temporary files.

    >>> is_reserved(".metadata.json.0a.tmp"), is_reserved("sub/.metadata.json.0a.tmp")
    (True, False)
    >>> is_reserved("sub/.a.txt.0123456789abcdef-7-0-01234567.kit-part")
    True

    Args:
        path: relative to the folder that is the artifact.
    """
    return _RESERVED.fullmatch(path) is not None or owner_of(path.rpartition("/")[2]) is not None


def is_kit_metadata(path: str) -> bool:
    """Whether a `metadata.json` was written by the kit: it has the keys that the kit writes."""
    try:
        with open(path, "rb", opener=plain.opener) as file:
            return kit_metadata(file.read(METADATA_SIZE_MAX)) is not None
    except OSError:
        return False  # unreadable: then it is content like any other file


def kit_metadata(data: bytes) -> dict[str, Any] | None:
    """What a `metadata.json` that the kit wrote says; None if it is the user's own.

    >>> kit_metadata(b'{"n": 1}') is None, kit_metadata(b"no JSON") is None
    (True, True)
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and document.keys() >= METADATA_KEYS else None


def scan_file(path: str) -> Tree:
    """The tree of one file."""
    try:
        info = os.stat(path)
    except OSError as error:
        raise translate(error, "look at", path) from error
    if not stat.S_ISREG(info.st_mode):
        raise RefusedError(f"Cannot publish {path}: it is neither a file nor a folder")
    found = Columns()
    found.append_seen(os.path.basename(path), *_seen(info))
    return Tree.of_columns(found)


def scan_folder(
    folder: str,
    *,
    follow_links: bool = False,
    skip: str | None = None,
    like: Tree | None = None,
    told: Callable[[int], object] | None = None,
    unfinished: list[str] | None = None,
) -> Tree:
    """The tree of a folder, by `stat` alone.

    Files that vanish while it looks are taken as gone. The kit's own `metadata.json` and temporary files at
    the top are not content, nor is anywhere what a copy out of an artifact has not finished.

    Args:
        folder: an absolute path.
        follow_links: take the targets of links that leave the folder as content.
        skip: an absolute path to leave out with all below it (a store inside the folder).
        like: a listing that is likely the same, whose texts are then shared.
        told: hears now and then how many files were found so far.
        unfinished: gets the paths of what a copy has not finished.

    Raises:
        PathNotFoundError: there is no such folder.
        RefusedError: something in it, or it, may not be looked at.
        ConflictError: something in it was replaced meanwhile, such as a folder by a link.
    """
    there = looked_at(folder)
    if there is None or not stat.S_ISDIR(there.st_mode):
        raise PathNotFoundError(f"No such folder: {folder}. Check the path, or write the data first")
    found, top = Columns(), _real(folder)
    seen = {top} if follow_links else None
    shared, parts = like.columns.paths if like else None, [] if unfinished is None else unfinished
    scan = _Scan(found, top, seen, skip, shared, told, parts)
    try:
        _walk(folder, "", scan)
    except RecursionError as error:  # by far deeper than any data
        raise RefusedError(f"Cannot look into {folder}: it has hundreds of folders in each other") from error
    tree = Tree.of_columns(found)
    for at in sorted(_own(folder, tree.columns.paths), reverse=True):
        tree.columns.remove(at)
    return tree


class _Scan(NamedTuple):
    """What a walk has found, and what it must know on its way."""

    found: Columns
    top: str
    seen: set[str] | None
    skip: str | None
    like: list[str] | None
    told: Callable[[int], object] | None
    unfinished: list[str]


def _own(folder: str, paths: list[str]) -> set[int]:
    """Where in a listing is what the kit wrote beside the user's data."""
    own = set()
    for at in range(bisect_left(paths, _RESERVED_START), len(paths)):
        if not paths[at].startswith(_RESERVED_START):
            break
        if is_reserved(paths[at]):
            own.add(at)
    at = bisect_left(paths, METADATA_FILE)
    if paths[at : at + 1] == [METADATA_FILE] and is_kit_metadata(f"{folder}/{METADATA_FILE}"):
        own.add(at)
    return own


def _walk(folder: str, prefix: str, scan: _Scan) -> None:
    found, start = scan.found, len(scan.found)
    follow_links = scan.seen is not None or not prefix
    try:
        descriptor, names = _opened(folder, follow_links=follow_links)
    except OSError as error:
        if error.errno == errno.ENOENT and prefix:
            return
        if error.errno == errno.ELOOP and not follow_links:  # what a Mac says of a link there
            error = NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder)
        raise _not_seen(error, "look into", folder) from error
    try:
        _leave_out_parts(names, prefix, scan.unfinished)
        if not names and prefix:
            found.append(Entry(prefix[:-1], kind="dir"))
        if scan.skip is not None and _is_in(folder, names, scan.skip):
            names.remove(os.path.basename(scan.skip))
        others = _take_files(found, descriptor, names, folder, prefix)
    finally:
        os.close(descriptor)  # before a look into the folders inside: only so many may be open at once
    if scan.told is not None:
        scan.told(len(found))
    if scan.like is not None:
        found.share_paths(scan.like, start)
    if others:
        files, done = found.cut(start), 0
        for before, name, mode in others:
            found.extend(files, done, before)
            done = before
            _look(f"{folder}/{name}", f"{prefix}{name}", mode, scan)
        found.extend(files, done, len(files))


def _leave_out_parts(names: list[str], prefix: str, unfinished: list[str]) -> None:
    """Take what a copy has not finished out of the sorted names of a folder."""
    at = bisect_left(names, ".")
    while at < len(names) and names[at].startswith("."):
        if owner_of(names[at]) is None:
            at += 1
        else:
            unfinished.append(prefix + names.pop(at))


def _not_seen(error: OSError, doing: str, path: str) -> KitError:
    """The kit's error for what the system said of something that was there when the folder was read."""
    if error.errno in (errno.ENOTDIR, errno.EINVAL):  # it is no folder any more, or no link
        return ConflictError(f"{path} was replaced while it was looked at; try again when nobody does that")
    return translate(error, doing, path)


def _real(path: str) -> str:
    """A path, its links followed; `realpath` fails where a link goes between its look and its reading it."""
    for _ in range(ATTEMPTS_MAX):
        with suppress(OSError):
            return os.path.realpath(path)
    raise ConflictError(f"{path} keeps being replaced while it is looked at; try again when nobody does that")


def _opened(folder: str, *, follow_links: bool) -> tuple[int, list[str]]:
    """A folder, opened, and the names of what is in it. A link that took its place leads anywhere."""
    how = 0 if follow_links else os.O_NOFOLLOW
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | how)
    try:
        # By name, which is all but the order of the listing, so that it needs no sorting afterwards.
        return descriptor, sorted(os.listdir(descriptor))
    except BaseException:
        os.close(descriptor)
        raise


def _is_in(folder: str, names: list[str], path: str) -> bool:
    """Whether an absolute path is one of these in a folder, also when this was reached by a link."""
    name = os.path.basename(path)
    if name not in names:
        return False
    return path == f"{folder}/{name}" or _real(path) == _real(f"{folder}/{name}")


def _take_files(
    found: Columns, descriptor: int, names: list[str], folder: str, prefix: str
) -> list[tuple[int, str, int]]:
    """Add the files of an open folder. What else is in it is returned: after how many files, name, mode."""
    # A million times for a million files: nothing is called or looked up here that need not be, and the
    # system finds a name in an open folder sooner than a path.
    look, add_path, add_size, add_mtime = (
        os.stat,
        found.paths.append,
        found.sizes.append,
        found.mtimes_ns.append,
    )
    add_mark, add_inode, add_ctime = found.marks.append, found.inodes.append, found.ctimes_ns.append
    others: list[tuple[int, str, int]] = []
    start = len(found)
    for name in names:
        try:
            info = look(name, dir_fd=descriptor, follow_symlinks=False)
        except OSError as error:
            if error.errno == errno.ENOENT:
                continue
            raise translate(error, "look at", f"{folder}/{name}") from error
        mode = info.st_mode
        if mode & _TYPE != stat.S_IFREG:
            others.append((len(found) - start, name, mode))
            continue
        mtime_ns, ctime_ns = info.st_mtime_ns, info.st_ctime_ns
        if not 0 <= mtime_ns <= ctime_ns <= INTEGER_MAX:
            mtime_ns, ctime_ns = kept_time(mtime_ns), kept_time(ctime_ns)
        add_path(prefix + name)
        add_size(info.st_size)
        add_mtime(mtime_ns)
        add_mark(_EXEC if mode & OWNER_EXECUTES else _FILE)
        add_inode(info.st_ino)
        add_ctime(ctime_ns)
    return others


def _look(path: str, inside: str, mode: int, scan: _Scan) -> None:
    """Add what is no plain file: a link, a folder, or what a link leads to.

    Args:
        path: absolute.
        inside: the same, relative to the folder that is scanned.
        mode: of it, a link not followed.
        scan: takes it.
    """
    try:
        if stat.S_ISLNK(mode):
            if scan.seen is None or not leaves(path, scan.top):
                scan.found.append(Entry(inside, kind="link", target=os.readlink(path)))
                return
            info = os.stat(path)
            mode = info.st_mode
            if stat.S_ISREG(mode):
                scan.found.append_seen(inside, *_seen(info))
                return
    except OSError as error:
        if error.errno == errno.ENOENT:
            return
        raise _not_seen(error, "look at", path) from error
    if stat.S_ISDIR(mode):
        _walk(path, f"{inside}/", scan if scan.seen is None else _below(path, scan, scan.seen))
    else:
        log.warning("%s is no file, folder or link; it is not part of the artifact", path)


def _below(folder: str, scan: _Scan, above: set[str]) -> _Scan:
    """What a walk of a folder must know where links are followed: they may lead back."""
    real = _real(folder)
    if real in above:
        raise RefusedError(f"Cannot follow the links in {folder}: they lead back to a folder above, {real}")
    # Of the folders above, not beside: two links may lead to one folder.
    return scan._replace(seen=above | {real})


def _seen(info: os.stat_result) -> tuple[int, int, int, int, int]:
    return info.st_size, kept_time(info.st_mtime_ns), info.st_mode, info.st_ino, kept_time(info.st_ctime_ns)


def leaves(path: str, top: str) -> bool:
    """Whether a path, its links followed, lies outside the real folder `top`."""
    real = _real(path)
    return real != top and not real.startswith(top.rstrip("/") + "/")


def with_links_inside(folder: str, tree: Tree) -> Tree:
    """The listing of a copy of a folder, in which links are to lead to what they lead to now.

    A link that stays in the folder by way of a path outside it, an absolute one most often, would leave the
    copy.

    Args:
        folder: an absolute path.
        tree: its listing.
    """
    top, inside = _real(folder), {}
    for at, target in tree.columns.targets.items():
        path = tree.columns.paths[at]
        above = os.path.dirname(path)
        is_outside = f"{os.path.normpath(os.path.join(above, target))}/".startswith(("/", "../"))
        if is_outside and not leaves(f"{folder}/{path}", top):
            real = _real(f"{folder}/{path}")
            inside[at] = os.path.relpath(real, _real(f"{folder}/{above}"))
    if not inside:
        return tree
    columns = tree.columns.shared()
    columns.targets = {**columns.targets, **inside}
    return Tree.of_columns(columns)
