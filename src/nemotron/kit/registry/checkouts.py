"""Snapshots laid out as folders with real files."""

import os

from nemotron.kit.documents import codec
from nemotron.kit.documents.digest import digest_of, hex_of
from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import CorruptError, RefusedError
from nemotron.kit.registry import layout
from nemotron.kit.registry.laying_out import is_laid_out, lay_out
from nemotron.kit.registry.publishing import companion
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.scan import METADATA_FILE
from nemotron.kit.store.protocol import Store


def check_out(store: Store, record: Record, tree: Tree | None) -> str:
    """The folder of a snapshot: in the store where it can be written, else in the user's cache.

    Raises:
        CorruptError: the listing or a blob is missing or damaged.
        DiskFullError: no space is left.
    """
    if tree is None:
        raise CorruptError(f"{record.uri} is a snapshot without a listing; `nemotron kit doctor` tells more")
    inside = store.local_path(layout.checkout(record.name, record.version))
    if inside is not None:
        try:
            return _laid_out(store, record, tree, str(inside))
        except RefusedError:
            pass_on = _cached(store, record)  # a root that this user may only read
        return _laid_out(store, record, tree, pass_on)
    return _laid_out(store, record, tree, _cached(store, record))


def _cached(store: Store, record: Record) -> str:
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    place = hex_of(digest_of(store.url.encode()))[:16]
    # Another store may come to lie at this place: the write id tells this version from every other.
    mark = hex_of(digest_of(f"{record.manifest.write_id} {record.manifest.created_at}".encode()))[:16]
    return f"{cache}/nemotron-kit/checkouts/{place}/{record.name}/v{record.version}-{mark}"


def _laid_out(store: Store, record: Record, tree: Tree, target: str) -> str:
    # Asked first: what appears while this looks was laid out by somebody else, whole.
    was_there = os.path.lexists(target)
    if is_laid_out(tree, target):
        return target
    if was_there:
        _set_aside(target)
    taken = any(entry.path == METADATA_FILE for entry in tree.entries)
    extra = {} if taken else {METADATA_FILE: codec.encode(companion(record, target))}
    lay_out(store, tree, target, extra)
    return target


def _set_aside(target: str) -> None:
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
