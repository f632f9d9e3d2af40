"""Looking at a folder: which files are there, and which of them are an artifact's content."""

import errno
import json
import logging
import os
import re
import stat
from operator import attrgetter
from typing import NamedTuple

from nemotron.kit.documents.columns import Columns
from nemotron.kit.documents.entry import kept_time
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.errors import KitError, PathNotFoundError, RefusedError
from nemotron.kit.store.system_errors import translate

log = logging.getLogger(__name__)

METADATA_FILE = "metadata.json"
METADATA_KEYS = frozenset({"path", "type", "created_at", "producer", "tracking"})
METADATA_SIZE_MAX = 64 << 20
_RESERVED = re.compile(r"\.metadata\.json\.[0-9a-z]+\.tmp")


def is_reserved(name: str) -> bool:
    """Whether the kit uses the name for its temporary files."""
    return _RESERVED.fullmatch(name) is not None


def is_kit_metadata(path: str) -> bool:
    """Whether a `metadata.json` was written by the kit: it has the keys that the kit writes."""
    try:
        with open(path, "rb") as file:
            document = json.loads(file.read(METADATA_SIZE_MAX))
    except (OSError, ValueError, RecursionError):
        return False  # unreadable, or the user's own: then it is content like any other file
    return isinstance(document, dict) and document.keys() >= METADATA_KEYS


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
    folder: str, *, follow_links: bool = False, skip: str | None = None, like: Tree | None = None
) -> Tree:
    """The tree of a folder, by `stat` alone.

    Files that vanish while it looks are taken as gone. The kit's own `metadata.json` and temporary files at
    the top are not content.

    Args:
        folder: an absolute path.
        follow_links: take the targets of links that leave the folder as content.
        skip: an absolute path to leave out with all below it (a store inside the folder).
        like: a listing that is likely the same, whose texts are then shared.

    Raises:
        PathNotFoundError: there is no such folder.
        RefusedError: something in it may not be read.
    """
    if not os.path.isdir(folder):
        raise PathNotFoundError(f"No such folder: {folder}. Check the path, or write the data first")
    seen = {os.path.realpath(folder)} if follow_links else None
    found = Columns()
    _walk(
        folder, "", _Scan(found, os.path.realpath(folder), seen, skip, like.columns.paths if like else None)
    )
    own = [at for at, path in enumerate(found.paths) if "/" not in path and _is_own(folder, path)]
    if own:
        found = found.taken([at for at in range(len(found)) if at not in own])
    return Tree.of_columns(found)


class _Scan(NamedTuple):
    """What a walk has found, and what it must know on its way."""

    found: Columns
    top: str
    seen: set[str] | None
    skip: str | None
    like: list[str] | None


def _is_own(folder: str, path: str) -> bool:
    """Whether the kit wrote it beside the user's data."""
    if path == METADATA_FILE:
        return is_kit_metadata(f"{folder}/{path}")
    return is_reserved(path)


def _walk(folder: str, prefix: str, scan: _Scan) -> None:
    try:
        with os.scandir(folder) as iterator:
            # By name, which is all but the order of the listing, so that it needs no sorting afterwards.
            children = sorted(iterator, key=attrgetter("name"))
    except OSError as error:
        if error.errno == errno.ENOENT and prefix:
            return
        raise translate(error, "look into", folder) from error
    if not children and prefix:
        scan.found.append(Entry(prefix[:-1], kind="dir"))
    skipped = os.path.basename(scan.skip) if scan.skip else None
    start = len(scan.found)
    is_plain, add = stat.S_ISREG, scan.found.append_seen
    for child in children:
        if scan.skip is not None and child.name == skipped and _is_same(child, scan.skip):
            continue
        try:
            # A million times for a million files: nothing is called here that need not be.
            if not child.is_symlink() and is_plain((info := child.stat(follow_symlinks=False)).st_mode):
                add(prefix + child.name, *_seen(info))
            else:
                _look(child, f"{prefix}{child.name}", scan)
        except KitError:
            raise
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise translate(error, "look at", child.path) from error
    if scan.like is not None:
        scan.found.share_paths(scan.like, start)


def _is_same(child: "os.DirEntry[str]", path: str) -> bool:
    """Whether what has the last name of an absolute path is that, also when it was reached by a link."""
    return child.path == path or os.path.realpath(child.path) == os.path.realpath(path)


def _look(child: "os.DirEntry[str]", path: str, scan: _Scan) -> None:
    seen = scan.seen
    if child.is_symlink() and not (seen is not None and leaves(child.path, scan.top)):
        scan.found.append(Entry(path, kind="link", target=os.readlink(child.path)))
        return
    info = child.stat()
    if stat.S_ISREG(info.st_mode):
        scan.found.append_seen(path, *_seen(info))
    elif stat.S_ISDIR(info.st_mode):
        if seen is not None:
            real = os.path.realpath(child.path)
            if real in seen:
                raise RefusedError(
                    f"Cannot follow the links in {child.path}: they lead back to a folder above, {real}"
                )
            seen = seen | {real}  # of the folders above, not beside: two links may lead to one folder
        _walk(child.path, f"{path}/", scan._replace(seen=seen))
    else:
        log.warning("%s is no file, folder or link; it is not part of the artifact", child.path)


def _seen(info: os.stat_result) -> tuple[int, int, int, int, int]:
    return info.st_size, kept_time(info.st_mtime_ns), info.st_mode, info.st_ino, kept_time(info.st_ctime_ns)


def leaves(path: str, top: str) -> bool:
    """Whether a path, its links followed, lies outside the real folder `top`."""
    real = os.path.realpath(path)
    return real != top and not real.startswith(top.rstrip("/") + "/")
