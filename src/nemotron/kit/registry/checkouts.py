"""Snapshots laid out as folders with real files."""

import logging
import os
import stat
from array import array
from collections.abc import Sequence

from nemotron.kit.documents import codec
from nemotron.kit.documents.digest import digest_of, hex_of
from nemotron.kit.documents.positions import Positions
from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import CorruptError, DiskFullError, RefusedError
from nemotron.kit.registry import checkout_cache, layout
from nemotron.kit.registry.checkout_options import CheckoutOptions, Way
from nemotron.kit.registry.companions import companion
from nemotron.kit.registry.findings import some
from nemotron.kit.registry.laying_out import lay_out
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.scan import METADATA_FILE
from nemotron.kit.registry.verify_snapshot import changed_in, settled_checkout
from nemotron.kit.registry.work import Progress
from nemotron.kit.store.files import looked_at
from nemotron.kit.store.protocol import Store
from nemotron.kit.store.system_errors import translate
from nemotron.kit.store.user_folder import cache_folder

log = logging.getLogger(__name__)

# Checkouts of which this process has said that files were added to them.
_told: set[str] = set()


def check_out(
    store: Store,
    record: Record,
    tree: Tree | None,
    options: CheckoutOptions | None = None,
    progress: Progress | None = None,
) -> str:
    """The folder of a snapshot: in the store where it can be written, else in the user's cache.

    Args:
        store: holds the blobs.
        record: the snapshot.
        tree: its listing.
        options: how it is laid out if it is not yet, and how much of the cache may be taken; by default what
            the environment says.
        progress: told the bytes laid out so far, and those in all.

    Raises:
        MisuseError: `$NEMO_CHECKOUT` names no way, or `$NEMO_CHECKOUT_LIMIT` no size.
        CorruptError: the listing or a blob is missing or damaged.
        DiskFullError: no space is left.
    """
    # Values that are none are refused before anything is looked at, wherever it will be laid out.
    options = options or CheckoutOptions()
    way, most = options.way_in_force, options.limit_in_force
    if tree is None:
        raise CorruptError(f"{record.uri} is a snapshot without a listing; `nemotron kit doctor` tells more")
    inside = store.local_path(layout.checkout(record.name, record.version))
    if inside is not None:
        try:
            return _laid_out(store, record, tree, str(inside), way, progress)
        except RefusedError:
            pass_on = _cached(store, record)  # a root that this user may only read
        return _in_cache(store, record, tree, pass_on, way, most, progress)
    return _in_cache(store, record, tree, _cached(store, record), way, most, progress)


def _in_cache(
    store: Store,
    record: Record,
    tree: Tree,
    target: str,
    way: Way,
    most: int,
    progress: Progress | None,
) -> str:
    """Lay out in the user's cache, and let what was not used for longest make room for it."""
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
    except OSError as error:
        said = translate(error, "lay out", target)
        if isinstance(said, DiskFullError):
            raise said from error
        raise RefusedError(
            f"{record.uri} can't be laid out in this user's cache, {_cache_folder()}: {error.strerror}. "
            "Name a folder that can be written with XDG_CACHE_HOME"
        ) from error
    checkout_cache.mark_used(target, tree.size)
    if not os.path.isdir(target):
        checkout_cache.make_room(_cache_folder(), max(0, most - tree.size), target)
    return _laid_out(store, record, tree, target, way, progress)


def laid_out(store: Store, record: Record) -> list[str]:
    """The folders where a snapshot is laid out: in the store, in the user's cache, or nowhere yet."""
    return [place for place in _places(store, record) if os.path.isdir(place) and not os.path.islink(place)]


def set_aside_changed(store: Store, record: Record, tree: Tree, paths: Sequence[str]) -> None:
    """Move away each checkout in which a file that was seen to be changed is so, whatever its size and time.

    Looking at a checkout goes by size and time, and finds nothing where these were put back. Here the bytes
    of some files are read again.

    Args:
        store: of the snapshot.
        record: the snapshot.
        tree: its listing.
        paths: of the files that a check found changed, in whichever of the folders.
    """
    then = Positions(tree.columns.paths)
    for folder in laid_out(store, record):
        there = array("q")
        for path in paths:
            at, found = then.find(path), looked_at(f"{folder}/{path}", follow_links=False)
            if at is not None and found is not None and stat.S_ISREG(found.st_mode):
                there.append(at)
        if changed := changed_in(folder, tree, there):
            _set_aside(record, folder, some(sorted(f"{tree.columns.paths[at]} changed" for at in changed)))


def would_lie(store: Store, record: Record) -> str:
    """The folder that a snapshot is laid out as, by who may write there."""
    return _places(store, record)[0]


def _places(store: Store, record: Record) -> list[str]:
    inside = store.local_path(layout.checkout(record.name, record.version))
    return [_cached(store, record)] if inside is None else [str(inside), _cached(store, record)]


def _cached(store: Store, record: Record) -> str:
    place = hex_of(digest_of(store.url.encode()))[:16]
    # Another store may come to lie at this place: the write id tells this version from every other.
    mark = hex_of(digest_of(f"{record.manifest.write_id} {record.manifest.created_at}".encode()))[:16]
    return f"{_cache_folder()}/{place}/{record.name}/v{record.version}-{mark}"


def _cache_folder() -> str:
    return f"{cache_folder()}/nemotron-kit/checkouts"


def _laid_out(
    store: Store,
    record: Record,
    tree: Tree,
    target: str,
    way: Way,
    progress: Progress | None,
) -> str:
    # Asked first: what appears while this looks was laid out by somebody else, whole.
    was_there = _identity(target)
    problem = _not_laid_out(store, record, tree, target)
    if problem is None:
        return target
    if was_there is not None:
        if _identity(target) not in (was_there, None):  # others saw the same, and have laid it out anew
            return _laid_out(store, record, tree, target, way, progress)
        _set_aside(record, target, problem)
    taken = any(path.partition("/")[0] == METADATA_FILE for path in tree.columns.paths)
    extra = {} if taken else {METADATA_FILE: codec.encode(companion(record, target))}
    lay_out(store, tree, target, extra, way, uri=record.uri, progress=progress)
    return target


def _identity(path: str) -> tuple[int, int] | None:
    """What tells a folder from another that takes its place; None if there is none."""
    found = looked_at(path, follow_links=False)
    return None if found is None else (found.st_dev, found.st_ino)


def _not_laid_out(store: Store, record: Record, tree: Tree, target: str) -> str | None:
    """Why a folder is not the one where a snapshot is laid out; None if it is.

    Files that somebody added, such as indices that a framework caches beside its data, are left there, and a
    warning says so: whoever added them may need them, and what was published is all there.
    """
    if os.path.islink(target) or not os.path.isdir(target):
        return "it is no folder"
    found = settled_checkout(store, record, target, tree)
    wrong = [item for item in found if item.verdict != "extra"]
    if wrong:
        return some([f"{item.path} {item.verdict}" for item in wrong])
    if found and target not in _told:
        _told.add(target)
        log.warning(
            "%s has files in its checkout that were not published: %s, in %s. Move them away, or leave them "
            "if a program keeps them there",
            record.uri,
            some([item.path for item in found]),
            target,
        )
    return None


def _set_aside(record: Record, target: str, problem: str) -> None:
    """Move away a checkout that somebody changed: it may be the only copy of what they did."""
    number = 1
    while os.path.lexists(f"{target}.changed-{number}"):
        number += 1
    try:
        os.rename(target, f"{target}.changed-{number}")
    except FileNotFoundError:
        return  # somebody else did
    except OSError as error:
        raise RefusedError(f"Cannot set aside the changed checkout {target}: {error}") from error
    log.warning(
        "The checkout of %s was changed since it was laid out (%s): it is laid out anew, and what was there "
        "is kept in %s",
        record.uri,
        problem,
        f"{target}.changed-{number}",
    )
