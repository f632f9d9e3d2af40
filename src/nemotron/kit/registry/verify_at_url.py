"""Whether the objects of a reference to a URL are still those that were published."""

from array import array
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

from nemotron.kit.documents.columns import DIGEST, SAMPLED, Columns
from nemotron.kit.documents.digest import SAMPLE_BLOCK
from nemotron.kit.documents.manifest import Evidence, Scope
from nemotron.kit.documents.positions import Positions
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.errors import PathNotFoundError
from nemotron.kit.registry import changes
from nemotron.kit.registry.at_url import entry_of, read
from nemotron.kit.registry.differences import Differences
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.scan import METADATA_FILE, is_reserved
from nemotron.kit.registry.verify import Verification, known_of_all, outcome, places
from nemotron.kit.registry.work import Progress
from nemotron.kit.store.at_url import Objects, Seen
from nemotron.kit.store.at_url_connect import objects_at


@dataclass(frozen=True, slots=True)
class Looked:
    """What may not be the same: of a million objects that are, no second listing is held in memory.

    Attributes:
        then: a part of what was published.
        now: the same part of what there is.
    """

    then: Tree
    now: Tree

    def compare(self) -> Differences:
        """What became of each object."""
        return changes.compare(self.then, self.now)


def verify(
    record: Record,
    tree: Tree,
    wanted: Evidence,
    *,
    options: Mapping[str, Any] | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> tuple[Verification, Looked]:
    """Compare what is at a URL with what was published.

    Args:
        record: a reference to a URL.
        tree: its listing.
        wanted: `stat` asks for listings and heads; `sampled` and `full` read what can be compared.
        options: of the client.
        executor: who reads; threads by default.
        progress: told the bytes read so far, and those in all.

    Raises:
        RefusedError, UnavailableError: the server does not say.
    """
    objects = objects_at(_place(record), options)
    if wanted == "stat":
        looked, bytes_read = _looked_at(objects, record.scope, tree), 0
    else:
        now, bytes_read = _read_again(objects, record.scope, tree, executor, progress)
        looked = Looked(tree, now)
    achieved = wanted if wanted == "stat" else known_of_all(tree)
    found = outcome(record, looked.compare(), achieved, bytes_read)
    return replace(found, requests=objects.requests), looked


def peek(record: Record, tree: Tree) -> tuple[Looked, Differences]:
    """What one request tells of the objects of a reference: all of one, or of the first page of a listing.

    Returns:
        What may not be the same, and how it differs from what was published.

    Raises:
        RefusedError, UnavailableError: the server does not say.
    """
    objects = objects_at(_place(record))
    looked = _looked_at(objects, record.scope, tree, first_page=True)
    # In a listing that has no order, what is missing from a part of it may come later.
    is_known = objects.is_ordered or objects.is_complete or record.scope == "file"
    found = looked.compare()
    return looked, found if is_known else found.of("touched", "changed", "extra")


def _looked_at(objects: Objects, scope: Scope, tree: Tree, *, first_page: bool = False) -> Looked:
    """Go through what was published and what there is side by side; what is the same is let go of at once."""
    if scope == "file":
        return Looked(tree, _now(objects, scope, tree))
    then, now, at, end = array("q"), Columns(), 0, len(tree.columns)
    paths = tree.columns.paths
    for seen in objects.below(first_page=first_page):
        if not _is_content(seen, tree):
            continue
        while at < end and paths[at] < seen.path:
            then.append(at)
            at += 1
        entry = entry_of(seen)
        if at < end and paths[at] == seen.path:
            if not _is_plainly_same(tree.columns, at, entry):
                then.append(at)
                now.append(entry)
            at += 1
        else:  # an extra one; or one out of order, whose path is in both parts then
            now.append(entry)
    if objects.is_complete or not first_page or not (at or now):
        then.extend(range(at, end))
    return Looked(Tree.of_columns(tree.columns.taken(then)), Tree.of_columns(now))


def _is_plainly_same(columns: Columns, at: int, entry: Entry) -> bool:
    return (
        columns.sizes[at] == entry.size
        and columns.mtimes_ns[at] == entry.mtime_ns
        and columns.etags[at] == entry.etag
    )


def _read_again(
    objects: Objects, scope: Scope, tree: Tree, executor: Executor | None, progress: Progress | None
) -> tuple[Tree, int]:
    """The objects as they are now, each read as closely as is known what it was; and the bytes read."""
    now, bytes_read = _now(objects, scope, tree), 0
    then = Positions(tree.columns.paths)
    for mark, evidence in ((DIGEST, "full"), (SAMPLED, "sampled")):
        columns = now.columns
        # Of another size is changed; there is no need to read it.
        wanted = array("q")
        for at in places(now, tree, mark):
            old = then.find(columns.paths[at])
            if old is not None and columns.sizes[at] == tree.columns.sizes[old]:
                wanted.append(at)
        now = read(objects, scope, now, wanted, evidence, executor, progress)
        bytes_read += sum(columns.sizes[at] if mark == DIGEST else 3 * SAMPLE_BLOCK for at in wanted)
    return now, bytes_read


def _place(record: Record) -> str:
    return record.path if record.scope == "file" else record.folder


def _is_content(seen: Seen, tree: Tree) -> bool:
    """Whether an object counts now: `metadata.json` does if it did, which saves reading it."""
    if seen.path != METADATA_FILE:
        return not is_reserved(seen.path)
    return METADATA_FILE in tree.columns.paths


def _now(objects: Objects, scope: Scope, tree: Tree) -> Tree:
    """What there is now of a version's objects."""
    if scope == "folder":
        found = (entry_of(seen) for seen in objects.below() if _is_content(seen, tree))
        return Tree.of(found)
    try:
        seen = objects.one()
    except PathNotFoundError:
        return Tree()
    return Tree([entry_of(replace(seen, path=path)) for path in tree.columns.paths])
