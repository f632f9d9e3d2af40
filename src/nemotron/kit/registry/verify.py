"""Whether the files of a version are still those that were published, and how sure that is."""

from array import array
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from nemotron.kit.documents.columns import DIGEST, FILE_MAX, KIND_MASK, SAMPLED
from nemotron.kit.documents.digest import SAMPLE_BLOCK
from nemotron.kit.documents.manifest import Evidence
from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import MisuseError, PathNotFoundError
from nemotron.kit.registry import changes, checkouts, content, verify_snapshot
from nemotron.kit.registry.reading import Progress
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.scan import scan_file, scan_folder
from nemotron.kit.store.protocol import Store

LOAD_BYTES_MAX = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a check found.

    Attributes:
        uri: the version.
        ok: nothing is changed, missing or extra.
        evidence: how sure that is: `full` if every file's bytes were compared, `sampled` if at least a sample
            of each was, else `stat`.
        bytes_read: how much was read for it.
        files: the files that are not as they were, by path; of a snapshot those in the store, then those in
            the folder where it is laid out.
        requests: made of the server, where the data lies at a URL; None elsewhere.
    """

    uri: str
    ok: bool
    evidence: Evidence
    bytes_read: int
    files: tuple[changes.Difference, ...]
    requests: int | None = None


def verify(
    store: Store,
    record: Record,
    tree: Tree,
    wanted: Evidence,
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> tuple[Verification, Tree]:
    """Compare what a reference to local data refers to with what was published; also tells what there is now.

    Args:
        store: of the version.
        record: the version.
        tree: its listing.
        wanted: `stat` reads no bytes; `sampled` and `full` read of each file what can be compared: all of it
            where a digest is known, a sample where that is known.
        executor: who reads; threads by default.
        progress: told the bytes read so far, and those in all.
    """
    now = _scan(store, record, tree)
    read, achieved = 0, wanted
    if wanted != "stat":
        now, read = _read_again(record, tree, now, executor, progress)
        achieved = known_of_all(tree)
    return outcome(record, changes.compare(tree, now), achieved, read), now


def wanted_of(record: Record, evidence: Evidence | None) -> Evidence:
    """How closely to look: as is asked, or as it was published.

    Raises:
        MisuseError: the evidence is of no known kind.
    """
    recorded = record.manifest.content.evidence if record.manifest.content else "stat"
    wanted = evidence or recorded
    if wanted not in ("stat", "sampled", "full"):
        raise MisuseError(f"Unknown evidence={wanted!r}; use 'stat', 'sampled' or 'full'")
    return wanted


def known_of_all(tree: Tree) -> Evidence:
    """How sure one can be of all files, given what is known of each."""
    if not tree.unread(DIGEST):
        return "full"
    return "stat" if tree.unread(DIGEST | SAMPLED) else "sampled"


def _read_again(
    record: Record, tree: Tree, now: Tree, executor: Executor | None, progress: Progress | None
) -> tuple[Tree, int]:
    """The files as they are now, each read as closely as is known what it was; and the bytes read."""
    by_digest, by_sample = places(now, tree, DIGEST), places(now, tree, SAMPLED)
    now = content.hashed(
        record.folder, now, only=by_digest, trust_cache=False, executor=executor, progress=progress
    )
    now = content.sampled(record.folder, now, only=by_sample, executor=executor)
    columns = now.columns
    read = sum(
        size if mark & DIGEST else 3 * SAMPLE_BLOCK
        for size, mark in zip(columns.sizes, columns.marks, strict=True)
        if mark & (DIGEST | SAMPLED)
    )
    return now, read


def places(now: Tree, tree: Tree, mark: int, paths: Collection[str] | None = None) -> Sequence[int]:
    """The positions now of the files of which there is a digest, or a sample; only those at some paths."""
    marks = zip(now.columns.marks, tree.columns.marks, strict=False)
    if paths is None and now.columns.paths == tree.columns.paths:
        return array("q", (at for at, (own, then) in enumerate(marks) if then & mark and _is_file(own)))
    known = {path for path, then in zip(tree.columns.paths, tree.columns.marks, strict=True) if then & mark}
    if paths is not None:
        known &= set(paths)
    listed = zip(now.columns.paths, now.columns.marks, strict=True)
    return array("q", (at for at, (path, own) in enumerate(listed) if path in known and _is_file(own)))


def _is_file(mark: int) -> bool:
    return mark & KIND_MASK <= FILE_MAX


def check(
    store: Store,
    record: Record,
    tree: Tree,
    settle: Callable[[Tree, list[changes.Difference]], list[changes.Difference]],
) -> list[changes.Difference]:
    """What a load has to know: drift by size and time.

    Files that were only touched are compared by their samples where there are some, which can show that they
    are changed, and by their digests, up to 1 GiB in all, which settle it.

    Args:
        store: of the version.
        record: the version; its data is local.
        tree: its listing.
        settle: leaves out of some differences what is known to be none; told what there is now.
    """
    now = _scan(store, record, tree)
    found = settle(now, changes.compare(tree, now))
    if not (suspects := touched_in(found)):
        return found
    if sampled := places(now, tree, SAMPLED, suspects):
        found = settle(now, changes.compare(tree, content.sampled(record.folder, now, only=sampled)))
    touched = places(now, tree, DIGEST, touched_in(found))
    if not touched or sum(now.columns.sizes[at] for at in touched) > LOAD_BYTES_MAX:
        return found
    read = content.hashed(record.folder, now, only=touched, trust_cache=False)
    again = {item.path for item in changes.compare(tree, read) if item.verdict == "changed"}
    settled = {now.columns.paths[at] for at in touched} - again
    return [
        replace(item, verdict="changed") if item.path in again else item
        for item in found
        if item.path not in settled
    ]


def _scan(store: Store, record: Record, tree: Tree) -> Tree:
    looked_at = record.manifest.content
    skip = store.url if store.url.startswith("/") else None
    try:
        if record.scope == "file":
            return scan_file(record.path)
        follow_links = looked_at is not None and looked_at.follow_links
        return scan_folder(record.folder, follow_links=follow_links, skip=skip, like=tree)
    except PathNotFoundError:
        return Tree(())


def touched_in(found: Iterable[changes.Difference]) -> set[str]:
    """The paths of the files that were only touched."""
    return {item.path for item in found if item.verdict == "touched"}


def verify_snapshot_of(
    store: Store,
    record: Record,
    tree: Tree,
    wanted: Evidence,
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Compare a snapshot's bytes in the store, and where it is laid out, with what was published."""
    found, read = verify_snapshot.in_store(store, tree, wanted, executor=executor, progress=progress)
    for folder in checkouts.laid_out(store, record):
        more, count = verify_snapshot.in_checkout(
            store, record, folder, tree, wanted, executor=executor, progress=progress
        )
        found += more
        read += count
    # Of a snapshot there are digests, not samples.
    return outcome(record, found, "stat" if wanted == "stat" else "full", read)


def outcome(
    record: Record, found: Iterable[changes.Difference], evidence: Evidence, bytes_read: int
) -> Verification:
    """What a check found, with its verdict on all files together."""
    files = tuple(found)
    return Verification(
        uri=record.uri, ok=is_ok(files), evidence=evidence, bytes_read=bytes_read, files=files
    )


def is_ok(found: Iterable[changes.Difference]) -> bool:
    """Whether nothing is changed, missing or extra."""
    return all(item.verdict == "touched" for item in found)
