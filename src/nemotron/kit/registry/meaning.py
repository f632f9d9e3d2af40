"""What a reference with slashes and no version means in a store: `a/b/c`, `c` in `a/b`, or `b/c` in `a`."""

import os
from collections.abc import Callable, Sequence
from functools import partial

from nemotron.kit.documents.look_up import LookUp
from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import (
    AmbiguousReferenceError,
    ArtifactNotFoundError,
    ArtifactVersionNotFoundError,
    CorruptError,
    KitError,
    OutsideRootError,
    PathNotFoundError,
)
from nemotron.kit.names import LATEST, ArtifactRef, meant
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.scan import METADATA_FILE
from nemotron.kit.registry.trees import read_tree
from nemotron.kit.registry.versions import Versions
from nemotron.kit.store.protocol import Store


def find(
    versions: Versions, resolve: Callable[[ArtifactRef], Record], readings: Sequence[ArtifactRef]
) -> tuple[Record, str] | KitError:
    """The reading that is meant: its version, and the path inside it; or why there is none.

    Args:
        versions: of the store.
        resolve: the store's own, for one reading.
        readings: the longest name first.

    Returns:
        An error where no name exists, or none that holds the rest: others may know the reference.

    Raises:
        AmbiguousReferenceError: several are there.
        ArtifactVersionNotFoundError: the longest name that exists has no living version.
    """
    records: dict[ArtifactRef, Record] = {}
    problem: KitError | None = None
    # Saying well what is not there takes a listing, and most readings are not. How the root was founded is
    # asked before, once; then every name at the same time.
    _ = versions.older.present
    there = versions.store.together([partial(versions.is_there, reading.name.key) for reading in readings])
    for reading, is_there in zip(readings, there, strict=True):
        if not is_there:
            continue
        try:
            records[reading] = resolve(reading)
        except ArtifactNotFoundError as error:  # the key of another spelling
            problem = problem or error
        except ArtifactVersionNotFoundError:
            if not records:
                raise
    if (
        readings[0].is_cut and len(records) == 1
    ):  # no choice: whether it holds the path is seen when it is used
        return next((record, reading.inside) for reading, record in records.items())
    found = meant(list(records), lambda reading: holds(versions.store, records[reading], reading.inside))
    if len(found) > 1:
        choices = " or ".join(str(reading.at(LATEST)) for reading in found)
        raise AmbiguousReferenceError(
            f"{readings[0]} can mean {choices} in {versions.store.url}: write the one that is meant"
        )
    if found:
        return records[found[0]], found[0].inside
    if not records:
        return problem or ArtifactNotFoundError(readings[0].name.semantic)
    looked = " and ".join(
        f"no {reading.inside} in {record.uri} ({record.folder})" for reading, record in records.items()
    )
    nor = "" if readings[0] in records else f", and no artifact {readings[0].name} in {versions.store.url}"
    return PathNotFoundError(f"{looked[0].upper()}{looked[1:]}{nor}")


def holds(store: Store, record: Record, inside: str) -> bool | None:
    """Whether a path is inside a version: by what lies there or was listed; None if neither can be told.

    A file that was published and is gone since counts: whoever opens it is told so.
    """
    content = record.manifest.content
    if not inside or (record.is_snapshot and inside == METADATA_FILE):  # which laying it out adds
        return True
    if content is not None and content.scope == "file":
        return inside == content.entry
    is_local = not (record.is_snapshot or record.is_at_url)
    if is_local and os.path.lexists(f"{record.folder}/{inside}"):
        return True
    try:
        tree = read_tree(store, record.manifest)
    except CorruptError:
        return None
    if tree is None:
        return False if is_local and os.path.isdir(record.folder) else None
    is_listed = any(entry.path == inside or entry.path.startswith(f"{inside}/") for entry in tree.entries)
    is_listed = is_listed or (record.is_snapshot and _is_behind_a_link(tree, inside))
    return True if is_listed else None if record.is_at_url else False


def _is_behind_a_link(tree: Tree, inside: str) -> bool:
    """Whether links of a listing lead from a path to something in it."""
    if not tree.columns.targets:
        return False
    try:
        return LookUp(tree).at(inside) is not None
    except OutsideRootError:
        return False
