"""References to data at a URL: what its server says of each object, and what is read of it.

Looking costs listings and heads; bytes are read only for `sampled` and `full`. Why an etag counts as it does
is in `docs/design/018-evidence-at-urls.md`.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import islice

from blake3 import blake3

from nemotron.kit.documents.columns import Columns
from nemotron.kit.documents.digest import ALGORITHM, SAMPLE_BLOCK, sample_of
from nemotron.kit.documents.entry import is_inside, kept_time
from nemotron.kit.documents.manifest import Content, Evidence, Scope
from nemotron.kit.documents.tags import is_tag
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.errors import KitError, NotFoundError, PathNotFoundError, RefusedError
from nemotron.kit.redaction import clean_text
from nemotron.kit.registry import parallel, reading
from nemotron.kit.registry.insides import refuse_unnameable
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.scan import METADATA_FILE, is_reserved, kit_metadata
from nemotron.kit.registry.work import Progress, Told, each
from nemotron.kit.store.at_url import Objects, Seen
from nemotron.kit.store.at_url_connect import objects_at
from nemotron.kit.workers import Workers

log = logging.getLogger(__name__)

# Versions are told by heads alone, one for each object: of more objects than this, etags have to do.
HEADS_MAX = 1000
METADATA_SIZE_MAX = 1 << 20


def gather(
    draft: Draft, executor: Executor | None = None, progress: Progress | None = None
) -> tuple[Content | None, Tree | None]:
    """What can be told of the objects that a draft refers to; nothing, with a warning, where nothing can.

    Args:
        draft: its source is a URL, and `at_url` says how to reach it.
        executor: who reads the objects, if they are to be read.
        progress: told the bytes read so far, and those in all.

    Raises:
        PathNotFoundError: nothing is there, and it must be.
    """
    options = draft.at_url or {}
    source = str(draft.source)
    try:
        objects = objects_at(source.rstrip("/"), options)
        scope, tree = _found(objects, source, is_folder=draft.entry is not None)
        entry = tree.entries[0].path if scope == "file" else draft.entry
        refuse_unnameable(draft.name, entry)
        _refuse_unknown_sizes(objects, tree, draft.evidence)
        if draft.evidence != "stat":
            tree = read(objects, scope, tree, tree.unread(known=0), draft.evidence, executor, progress)
    except KitError as error:
        if draft.must_be_there and isinstance(error, NotFoundError):
            raise _nothing_there(draft, error) from error
        log.warning(
            "%s is recorded without evidence, so nothing can tell later whether its data is the same: %s",
            draft.name,
            error,
        )
        return None, None
    _warn_of_little(draft, objects, tree)
    content = Content(
        mode="reference",
        evidence=draft.evidence,
        scope=scope,
        entry=entry,
        files=tree.files,
        size=tree.size,
    )
    return content, tree


def _nothing_there(draft: Draft, error: NotFoundError) -> PathNotFoundError:
    what = "nothing is there" if isinstance(error, PathNotFoundError) else "there is no such bucket"
    return PathNotFoundError(f"Cannot publish {draft.name}: {what}: {clean_text(str(draft.source))}")


# -- looking -----------------------------------------------------------------------------------------------


def _found(objects: Objects, source: str, *, is_folder: bool) -> tuple[Scope, Tree]:
    """What is at a URL: everything below it, else the object that it names."""
    try:
        tree = _listed(objects, (seen for seen in objects.below() if not _is_the_kits(objects, seen)))
        if tree.entries or is_folder:
            return "folder", _with_something(objects, tree)
    except RefusedError:  # one object may be read where a listing may not be
        if is_folder:
            raise
    name = source.partition("?")[0].partition("#")[0].rstrip("/").rpartition("/")[2]
    return "file", Tree([entry_of(replace(objects.one(), path=name))])


def _with_something(objects: Objects, tree: Tree) -> Tree:
    if not tree.entries:
        raise PathNotFoundError(f"Nothing is at {objects.url} yet")
    return tree


def _listed(objects: Objects, found: Iterable[Seen]) -> Tree:
    """The tree of some objects; of a few, with their versions."""
    rest = iter(found)
    first = list(islice(rest, HEADS_MAX + 1))
    if len(first) <= HEADS_MAX:
        return Tree.of_columns(_columns(_with_versions(objects, first)))
    columns = _columns(first)
    del first
    for seen in rest:
        columns.append(entry_of(seen))
    return Tree.of_columns(columns)


def _with_versions(objects: Objects, found: list[Seen]) -> list[Seen]:
    if not found or not objects.has_versions() or found[0].version is not None:
        return found
    head = objects.one(found[0].path)
    if head.version is None:
        return found
    with Workers(parallel.REMOTE_WORKERS, "kit-heads") as pool:
        return [head, *pool.map(lambda seen: objects.one(seen.path), found[1:])]


def _columns(found: Iterable[Seen]) -> Columns:
    columns = Columns()
    for seen in found:
        columns.append(entry_of(seen))
    return columns


def entry_of(seen: Seen) -> Entry:
    """An object as a listing keeps it.

    Raises:
        RefusedError: its key is no path.
    """
    if not is_inside(seen.path):
        raise RefusedError(f"An object is called {seen.path[:80]!r}, which is no path")
    return Entry(
        seen.path,
        seen.size or 0,
        kept_time(seen.modified_ns),
        etag=seen.etag if is_tag(seen.etag) else None,
        object_version=seen.version if is_tag(seen.version) else None,
        # Not stored, and of no use at a URL otherwise: whether the server tells the size.
        inode=0 if seen.size is not None else _NO_SIZE,
    )


_NO_SIZE = 1


def _is_the_kits(objects: Objects, seen: Seen) -> bool:
    """Whether the kit wrote an object beside the user's data."""
    if seen.path != METADATA_FILE:
        return is_reserved(seen.path)
    if not seen.size or seen.size > METADATA_SIZE_MAX:
        return False
    return kit_metadata(objects.block(seen.path, 0, seen.size)) is not None


def _refuse_unknown_sizes(objects: Objects, tree: Tree, evidence: Evidence) -> None:
    if evidence != "full" and any(tree.columns.inodes):
        raise RefusedError(
            f"The server of {objects.url} does not tell how large it is; evidence='full' reads it "
            "(--evidence full)"
        )


def _warn_of_little(draft: Draft, objects: Objects, tree: Tree) -> None:
    columns = tree.columns
    if draft.evidence == "stat" and not columns.etags and not any(columns.mtimes_ns):
        log.warning(
            "%s is recognised by size alone: the server of %s tells neither an etag nor a time",
            draft.name,
            objects.url,
        )


# -- reading -----------------------------------------------------------------------------------------------


def read(
    objects: Objects,
    scope: Scope,
    tree: Tree,
    positions: Sequence[int],
    evidence: str,
    executor: Executor | None,
    progress: Progress | None,
) -> Tree:
    """The same tree with digests, or digests of samples, of some objects.

    Args:
        objects: where they are.
        scope: `file` if it is the one object at the URL itself.
        tree: what was found.
        positions: of the objects to read.
        evidence: `full` or `sampled`.
        executor: who reads; threads by default.
        progress: told the bytes read so far, and those in all.

    Raises:
        ConflictError: an object is in another state than the one that was found.
    """
    work = partial(read_chunk, objects, scope == "file", evidence == "sampled")
    reading = parallel.on_all(work, tree, positions, executor=executor, progress=progress, is_remote=True)
    with closing(reading):
        return tree.with_parts(reading)


def read_chunk(
    objects: Objects,
    is_one: bool,
    is_sample: bool,
    part: Columns,
    threads: int = 1,
    told: Told | None = None,
) -> Columns:
    """The entries with the digests of their objects, or of samples of them.

    Args:
        objects: where they are.
        is_one: they are the one object at the URL itself.
        is_sample: read three blocks of each, or all of it where that is no more.
        part: as they were listed.
        threads: how many hash a large one.
        told: hears of the bytes done.
    """
    return each(part, lambda entry: _read_one(objects, is_one, is_sample, entry, threads, told))


def _read_one(
    objects: Objects, is_one: bool, is_sample: bool, entry: Entry, threads: int, told: Told | None
) -> Entry:
    path = "" if is_one else entry.path
    if is_sample and not reading.is_sampled_whole(entry):
        starts = (0, (entry.size - SAMPLE_BLOCK) // 2, entry.size - SAMPLE_BLOCK)
        first, middle, last = (objects.block(path, start, SAMPLE_BLOCK) for start in starts)
        if told is not None:
            told(entry.size)
        return entry._replace(sample=sample_of(entry.size, first, middle, last))
    hasher, size = blake3(max_threads=threads), 0
    for chunk in _all_of(objects, path, entry):
        hasher.update(chunk)
        size += len(chunk)
        if told is not None:
            told(len(chunk))
    return entry._replace(size=size, digest=f"{ALGORITHM}:{hasher.hexdigest()}", sample=None, inode=0)


def _all_of(objects: Objects, path: str, entry: Entry) -> Iterator[bytes]:
    size = None if entry.inode == _NO_SIZE else entry.size
    yield from objects.chunks(Seen(path, size, entry.mtime_ns, entry.etag, entry.object_version))
