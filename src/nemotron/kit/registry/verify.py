"""Whether the files of a version are still those that were published, and how sure that is."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from nemotron.kit.documents.manifest import Evidence
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.errors import MisuseError, PathNotFoundError
from nemotron.kit.registry import changes, content, layout
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
        evidence: how sure that is: `full` if every file's bytes were compared, else `stat`.
        bytes_read: how much was read for it.
        files: the files that are not as they were, by path.
    """

    uri: str
    ok: bool
    evidence: Evidence
    bytes_read: int
    files: tuple[changes.Difference, ...]


def verify(store: Store, record: Record, tree: Tree, evidence: Evidence | None) -> Verification:
    """Compare what is there with what was published.

    Args:
        store: of the version.
        record: the version; its data lies on a file system or in the store.
        tree: its listing.
        evidence: `stat` reads no bytes; `full` reads every file of which a digest is known; None takes what
            the version has.

    Raises:
        MisuseError: the evidence is of no known kind.
    """
    recorded = record.manifest.content.evidence if record.manifest.content else "stat"
    wanted = evidence or recorded
    if wanted not in ("stat", "full"):
        raise MisuseError(f"evidence={wanted!r} is not available; use 'stat' or 'full'")
    if record.is_snapshot:
        return _verify_snapshot(store, record, tree, wanted)
    now = _scan(store, record)
    read = 0
    if wanted == "full":
        known = {entry.path for entry in tree.entries if entry.digest}
        now = _with_digests(record, now, known)
        read = sum(entry.size for entry in now.entries if entry.digest)
    every = all(entry.digest for entry in tree.entries if entry.is_file)
    achieved: Evidence = "full" if wanted == "full" and every else "stat"
    return _outcome(record, changes.compare(tree, now), achieved, read)


def check(store: Store, record: Record, tree: Tree) -> list[changes.Difference]:
    """What a load has to know: drift by size and time.

    Files that were only touched are compared by their digests where there are some, up to 1 GiB in all.
    """
    now = _scan(store, record)
    found = changes.compare(tree, now)
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


def _with_digests(record: Record, now: Tree, paths: Iterable[str]) -> Tree:
    """The same tree, with digests of the files at `paths`."""
    chosen = set(paths)
    files = Tree(tuple(entry for entry in now.entries if entry.path in chosen))
    read = content.hashed(record.folder, files, trust_cache=False)
    fresh = {entry.path: entry for entry in read.entries}
    return Tree(tuple(fresh.get(entry.path, entry) for entry in now.entries))


def _verify_snapshot(store: Store, record: Record, tree: Tree, wanted: Evidence) -> Verification:
    found: list[changes.Difference] = []
    read = 0
    for entry in tree.entries:
        if not entry.is_file:
            continue
        if entry.digest is None or not store.exists(layout.blob(entry.digest)):
            found.append(changes.Difference(entry.path, "missing"))
        elif wanted == "full":
            same, size = _blob_is_whole(store, entry)
            read += size
            if not same:
                found.append(changes.Difference(entry.path, "changed"))
    return _outcome(record, found, wanted, read)


def _blob_is_whole(store: Store, entry: Entry) -> tuple[bool, int]:
    from blake3 import blake3

    hasher, size = blake3(), 0
    for chunk in store.chunks(layout.blob(entry.digest or "")):
        hasher.update(chunk)
        size += len(chunk)
    return f"blake3:{hasher.hexdigest()}" == entry.digest, size


def _outcome(
    record: Record, found: Iterable[changes.Difference], evidence: Evidence, bytes_read: int
) -> Verification:
    files = tuple(found)
    ok = all(item.verdict == "touched" for item in files)
    return Verification(uri=record.uri, ok=ok, evidence=evidence, bytes_read=bytes_read, files=files)
