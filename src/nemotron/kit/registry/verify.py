"""Whether the files of a version are still those that were published, and how sure that is."""

import stat
from array import array
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from nemotron.kit.documents.columns import DIGEST, FILE_MAX, KIND_MASK, SAMPLED
from nemotron.kit.documents.digest import SAMPLE_BLOCK
from nemotron.kit.documents.manifest import Evidence
from nemotron.kit.documents.positions import Positions
from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import MisuseError, PathNotFoundError
from nemotron.kit.registry import changes
from nemotron.kit.registry.differences import Difference, Differences
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.scan import scan_file, scan_folder
from nemotron.kit.registry.work import Progress
from nemotron.kit.store import files
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
        seconds: how long it took.
        notes: what the files together show: that their folder is gone, that nobody kept what was asked for.
    """

    uri: str
    ok: bool
    evidence: Evidence
    bytes_read: int
    files: Sequence[Difference]
    requests: int | None = None
    seconds: float = field(default=0.0, compare=False)
    notes: tuple[str, ...] = ()


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
    from nemotron.kit.registry import content  # a load that only looks at sizes and times needs none of it

    by_digest, by_sample = places(now, tree, DIGEST), places(now, tree, SAMPLED)
    now = content.hashed(
        record.folder, now, only=by_digest, trust_cache=False, executor=executor, progress=progress
    )
    now = content.sampled(record.folder, now, only=by_sample, executor=executor)
    columns = now.columns
    if columns.hashes == tree.columns.hashes:  # 32 MB of a million files
        columns.hashes = tree.columns.hashes
    read = sum(
        size if mark & DIGEST else 3 * SAMPLE_BLOCK
        for size, mark in zip(columns.sizes, columns.marks, strict=True)
        if mark & (DIGEST | SAMPLED)
    )
    return now, read


def places(now: Tree, tree: Tree, mark: int, paths: Iterable[str] | None = None) -> Sequence[int]:
    """The positions now of the files of which there is a digest, or a sample; only those at some paths."""
    then, there = Positions(tree.columns.paths), Positions(now.columns.paths)
    marks, own = tree.columns.marks, now.columns.marks
    found = array("q")
    for path in now.columns.paths if paths is None else paths:
        old, at = then.find(path), there.find(path)
        if old is not None and at is not None and marks[old] & mark and _is_file(own[at]):
            found.append(at)
    return found


def _is_file(mark: int) -> bool:
    return mark & KIND_MASK <= FILE_MAX


def check(
    store: Store, record: Record, tree: Tree, settle: Callable[[Tree, Differences], Differences]
) -> Differences:
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
    if "touched" not in found.verdicts:
        return found
    from nemotron.kit.registry import content  # a load that only looks at sizes and times needs none of it

    if sampled := places(now, tree, SAMPLED, found.of("touched").paths()):
        found = settle(now, changes.compare(tree, content.sampled(record.folder, now, only=sampled)))
    touched = places(now, tree, DIGEST, found.of("touched").paths())
    if not touched or sum(now.columns.sizes[at] for at in touched) > LOAD_BYTES_MAX:
        return found
    return _settled(tree, content.hashed(record.folder, now, only=touched, trust_cache=False), found)


def _settled(tree: Tree, read: Tree, found: Differences) -> Differences:
    """The differences without those of touched files whose bytes, now that they were read, are the same."""
    then, there = Positions(tree.columns.paths), Positions(read.columns.paths)
    settled = Differences()
    for item in found:
        old, at = then.find(item.path), there.find(item.path)
        is_read = at is not None and read.columns.marks[at] & DIGEST
        if item.verdict == "touched" and old is not None and at is not None and is_read:
            became = changes.became(tree.columns.entry(old), read.columns.entry(at))
            if became is not None and became.verdict == "changed":
                settled.add(item.path, "changed")
        else:
            settled.extend((item,))
    return settled


def _scan(store: Store, record: Record, tree: Tree) -> Tree:
    looked_at = record.manifest.content
    skip = store.url if store.url.startswith("/") else None
    is_file = record.scope == "file"
    # Asked here: what can't be looked at is not missing, and what is a folder by now is no file.
    there = files.looked_at(record.path if is_file else record.folder)
    if there is None or not (stat.S_ISREG if is_file else stat.S_ISDIR)(there.st_mode):
        return Tree(())
    try:
        if is_file:
            return scan_file(record.path)
        follow_links = looked_at is not None and looked_at.follow_links
        return scan_folder(record.folder, follow_links=follow_links, skip=skip, like=tree)
    except PathNotFoundError:
        return Tree(())


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
    from nemotron.kit.registry import checkouts, verify_snapshot  # who loads a reference needs none of it

    found, read = verify_snapshot.in_store(store, tree, wanted, executor=executor, progress=progress)
    for folder in checkouts.laid_out(store, record):
        more, count = verify_snapshot.in_checkout(
            store, record, folder, tree, wanted, executor=executor, progress=progress
        )
        found.extend(more)
        read += count
    # Of a snapshot there are digests, not samples.
    return outcome(record, found, "stat" if wanted == "stat" else "full", read)


def outcome(record: Record, found: Differences, evidence: Evidence, bytes_read: int) -> Verification:
    """What a check found, with its verdict on all files together."""
    return Verification(
        uri=record.uri, ok=is_ok(found), evidence=evidence, bytes_read=bytes_read, files=found
    )


def is_ok(found: Differences) -> bool:
    """Whether nothing is changed, missing or extra."""
    return found.verdicts <= {"touched"}
