"""Whether the files of a version are still those that were published, and how sure that is."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from nemotron.kit.documents.digest import SAMPLE_BLOCK
from nemotron.kit.documents.manifest import Evidence
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.errors import MisuseError, PathNotFoundError
from nemotron.kit.registry import changes, content, layout, objects
from nemotron.kit.registry.reading import Progress
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.scan import scan_file, scan_folder
from nemotron.kit.store.protocol import CHUNK_SIZE, Store

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
        files: the files that are not as they were, by path.
    """

    uri: str
    ok: bool
    evidence: Evidence
    bytes_read: int
    files: tuple[changes.Difference, ...]


def verify(
    store: Store,
    record: Record,
    tree: Tree,
    evidence: Evidence | None,
    progress: Progress | None = None,
) -> Verification:
    """Compare what is there with what was published.

    Args:
        store: of the version.
        record: the version; its data lies on a file system or in the store.
        tree: its listing.
        evidence: `stat` reads no bytes; `sampled` and `full` read of each file what can be compared: all of
            it where a digest is known, a sample where that is known; None takes what the version has.
        progress: told the bytes read so far, and those in all.

    Raises:
        MisuseError: the evidence is of no known kind.
    """
    recorded = record.manifest.content.evidence if record.manifest.content else "stat"
    wanted = evidence or recorded
    if wanted not in ("stat", "sampled", "full"):
        raise MisuseError(f"Unknown evidence={wanted!r}; use 'stat', 'sampled' or 'full'")
    if record.is_snapshot:
        return _verify_snapshot(store, record, tree, wanted, progress)
    now = _scan(store, record)
    read, achieved = 0, wanted
    if wanted != "stat":
        now, read = _read_again(record, tree, now, progress)
        achieved = _known(tree)
    return _outcome(record, changes.compare(tree, now), achieved, read)


def _known(tree: Tree) -> Evidence:
    """How sure one can be of all files, given what is known of each."""
    files = [entry for entry in tree.entries if entry.is_file]
    if all(entry.digest for entry in files):
        return "full"
    return "sampled" if all(entry.digest or entry.sample for entry in files) else "stat"


def _read_again(record: Record, tree: Tree, now: Tree, progress: Progress | None) -> tuple[Tree, int]:
    """The files as they are now, each read as closely as is known what it was; and the bytes read."""
    by_digest = {entry.path for entry in tree.entries if entry.digest}
    by_sample = {entry.path for entry in tree.entries if entry.sample}
    now = _with_samples(record, _with_digests(record, now, by_digest, progress), by_sample)
    read = sum(
        entry.size if entry.digest else 3 * SAMPLE_BLOCK
        for entry in now.entries
        if entry.digest or entry.sample
    )
    return now, read


def check(store: Store, record: Record, tree: Tree) -> list[changes.Difference]:
    """What a load has to know: drift by size and time.

    Files that were only touched are compared by their samples where there are some, which can show that they
    are changed, and by their digests, up to 1 GiB in all, which settle it.
    """
    now = _scan(store, record)
    found = changes.compare(tree, now)
    suspects = {item.path for item in found if item.verdict == "touched"}
    if sampled := suspects & {entry.path for entry in tree.entries if entry.sample}:
        found = changes.compare(tree, _with_samples(record, now, sampled))
    digests = {entry.path: entry for entry in tree.entries if entry.digest}
    touched = [item.path for item in found if item.verdict == "touched" and item.path in digests]
    if not touched or sum(digests[path].size for path in touched) > LOAD_BYTES_MAX:
        return found
    again = {
        item.path
        for item in changes.compare(tree, _with_digests(record, now, touched))
        if item.verdict == "changed"
    }
    settled = set(touched) - again
    return [
        replace(item, verdict="changed") if item.path in again else item
        for item in found
        if item.path not in settled
    ]


def _scan(store: Store, record: Record) -> Tree:
    looked_at = record.manifest.content
    skip = store.url if store.url.startswith("/") else None
    try:
        if record.scope == "file":
            return scan_file(record.path)
        return scan_folder(
            record.folder, follow_links=looked_at is not None and looked_at.follow_links, skip=skip
        )
    except PathNotFoundError:
        return Tree(())


def _with_digests(
    record: Record, now: Tree, paths: Collection[str], progress: Progress | None = None
) -> Tree:
    """The same tree, with digests of the files at `paths`."""
    chosen = _only(now, set(paths))
    return _merged(now, content.hashed(record.folder, chosen, trust_cache=False, progress=progress))


def _with_samples(record: Record, now: Tree, paths: Collection[str]) -> Tree:
    """The same tree, with samples of the files at `paths`; one that has shrunk to less has changed anyway."""
    return _merged(now, content.sampled(record.folder, _only(now, set(paths))))


def _only(tree: Tree, paths: set[str]) -> Tree:
    return Tree(tuple(entry for entry in tree.entries if entry.path in paths))


def _merged(tree: Tree, part: Tree) -> Tree:
    fresh = {entry.path: entry for entry in part.entries}
    return Tree(tuple(fresh.get(entry.path, entry) for entry in tree.entries)) if fresh else tree


def _verify_snapshot(
    store: Store, record: Record, tree: Tree, wanted: Evidence, progress: Progress | None
) -> Verification:
    found: list[changes.Difference] = []
    read = 0
    for entry in tree.entries:
        if not entry.is_file:
            continue
        if entry.digest is None or objects.locate(store, layout.blob(entry.digest)) is None:
            found.append(changes.Difference(entry.path, "missing"))
        elif wanted != "stat":  # of a snapshot there are digests, not samples
            same, size = _blob_is_whole(store, entry)
            read += size
            if progress is not None:
                progress(read, max(read, tree.size))
            if not same:
                found.append(changes.Difference(entry.path, "changed"))
    return _outcome(record, found, "stat" if wanted == "stat" else "full", read)


def _blob_is_whole(store: Store, entry: Entry) -> tuple[bool, int]:
    from blake3 import blake3

    hasher, size = blake3(), 0
    with objects.open_object(store, layout.blob(entry.digest or "")) as blob:
        while chunk := blob.read(CHUNK_SIZE):
            hasher.update(chunk)
            size += len(chunk)
    return f"blake3:{hasher.hexdigest()}" == entry.digest, size


def _outcome(
    record: Record, found: Iterable[changes.Difference], evidence: Evidence, bytes_read: int
) -> Verification:
    files = tuple(found)
    ok = all(item.verdict == "touched" for item in files)
    return Verification(uri=record.uri, ok=ok, evidence=evidence, bytes_read=bytes_read, files=files)
