"""How a draft becomes a version. The steps are those of `docs/design/001-commit-protocol.md`."""

import logging
import os
import random
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace

from nemotron.kit.documents import codec
from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.documents.manifest import Content, Manifest
from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import (
    ConflictError,
    DiskFullError,
    KitError,
    MisuseError,
    NameConflictError,
    PathNotFoundError,
    UnavailableError,
)
from nemotron.kit.names import ArtifactName
from nemotron.kit.redaction import clean
from nemotron.kit.registry import (
    changes,
    companions,
    content,
    copying,
    digest_cache,
    garbage,
    layout,
    newer_stats,
    parallel,
    reading,
    scan,
    stamps,
    worker_processes,
)
from nemotron.kit.registry.insides import refuse_unnameable
from nemotron.kit.registry.records import Draft, Published, Record
from nemotron.kit.registry.resolved import folder_of
from nemotron.kit.registry.trees import Listed, create_listing, is_listed, readable_tree, with_tree
from nemotron.kit.registry.versions import Versions
from nemotron.kit.registry.work import Progress
from nemotron.kit.store import files
from nemotron.kit.store.protocol import Store

log = logging.getLogger(__name__)

ATTEMPTS_MAX = 10_000
PAUSE_MAX_S = 0.02
NAMED_MAX = 3
# No run of gc deletes what it set aside sooner than an hour later, so a publish that has taken half of that
# since it looked which objects are there looks again.
OBJECTS_TRUSTED_S = 1800.0


def publish(
    store: Store,
    versions: Versions,
    draft: Draft,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Published:
    """See `Registry.publish`."""
    try:
        return _publish(store, versions, draft, executor, progress)
    except DiskFullError as error:
        if not draft.snapshot:
            raise
        raise _kept(store, error) from error


def _publish(
    store: Store, versions: Versions, draft: Draft, executor: Executor | None, progress: Progress | None
) -> Published:
    name = ArtifactName.parse(draft.name)
    metadata = clean(codec.plain(draft.metadata, "metadata"))
    assert isinstance(metadata, dict)
    source = _source(draft)
    latest = versions.latest(name.key) if draft.snapshot else None
    is_snapshot = latest is not None and latest.content is not None and latest.content.mode == "snapshot"
    previous = Listed(store, latest) if latest and is_snapshot else None
    began = clocks()
    looked_at, tree = gather(store, draft, source, previous, executor, progress)
    manifest = Manifest(
        name=name.key,
        semantic_name=name.semantic,
        version=0,
        type=draft.type,
        path=source,
        created_at=draft.created_at or stamps.now(),
        producer=draft.producer,
        metadata=metadata,
        inputs=tuple(dict.fromkeys(map(clean, draft.inputs))),
        used_artifacts=tuple(dict.fromkeys(draft.used_artifacts)),
        edges=_edges(draft),
        run=draft.run,
        write_id=stamps.uuid7(),
        content=looked_at,
    )
    return _commit(store, versions, within(store, manifest), tree, began)


def _kept(store: Store, error: DiskFullError) -> DiskFullError:
    """The error of a snapshot that found no space, with what becomes of what was copied before."""
    becomes = "Files that were copied whole stay in the store, and the next try goes on with them"
    if isinstance(error.__cause__, files.LostError):
        becomes = "What was copied may be lost, and the next try copies it again"
    return DiskFullError(
        f"{error}. {becomes}. To have that space instead: {garbage.command(store.url)} an hour from now, and "
        "once more an hour after that; it needs a little space itself"
    )


def clocks() -> tuple[float, float]:
    """The time by two clocks, seconds: the machine's, which counts its sleep where that is known; the wall's.

    A machine that was suspended, or put back as it was, may see its absence in one of them alone.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock), time.time()


def _is_late(since: tuple[float, float]) -> bool:
    """Whether gc may have taken away what was there at a time: by whichever clock more has passed."""
    return max(now - then for now, then in zip(clocks(), since, strict=True)) > OBJECTS_TRUSTED_S


def _edges(draft: Draft) -> tuple[InputEdge, ...]:
    """What is said of inputs beyond that they are some, by their URIs without secrets."""
    told = (replace(edge, uri=clean(edge.uri)) for edge in draft.edges if not edge.is_plain)
    return tuple(dict.fromkeys(told))


def _source(draft: Draft) -> str:
    """The artifact's path: absolute or a URL; it must be there."""
    text = os.fspath(draft.source)
    if "://" in text:
        if draft.snapshot:
            raise MisuseError(
                f"Cannot take a snapshot of {clean(text)}: only local files can be copied. "
                "Leave out the snapshot, and it is referred to"
            )
        url = str(clean(text))
        return f"{url.rstrip('/')}/{draft.entry}" if draft.entry else url
    if "\x00" in text or not text:
        raise MisuseError(f"Not a path: {text!r}")
    path = os.path.abspath(os.path.expanduser(text))
    if files.looked_at(path) is None:
        raise PathNotFoundError(f"Cannot publish {draft.name}: no such file or folder: {path}")
    return f"{path}/{draft.entry}" if draft.entry else path


def gather(
    store: Store,
    draft: Draft,
    source: str,
    latest: Listed | None,
    executor: Executor | None,
    progress: Progress | None,
) -> tuple[Content | None, Tree | None]:
    """Look at the bytes, and take a copy if asked to."""
    if draft.evidence not in ("stat", "sampled", "full"):
        raise MisuseError(f"Unknown evidence={draft.evidence!r}; use 'stat', 'sampled' or 'full'")
    if "://" in source:
        if draft.at_url is None:
            return None, None
        from nemotron.kit.registry import at_url

        return at_url.gather(draft, executor, progress)
    path = source[: -len(draft.entry) - 1] if draft.entry else source
    single = not os.path.isdir(path)
    folder, entry = (os.path.dirname(path), os.path.basename(path)) if single else (path, draft.entry)
    skip = store.url if store.url.startswith("/") else None
    if skip is not None and not single and os.path.realpath(folder) == os.path.realpath(skip):
        raise MisuseError(f"Cannot publish {folder}: it is the store itself; publish a folder of data")
    with worker_processes.standing_by(
        _work(draft, store, folder, executor), parallel.processes_most()
    ) as told:
        tree = scan.scan_file(path) if single else _scanned(draft, folder, skip, told)
        if draft.entry and not any(item.path == draft.entry for item in tree.entries):
            raise PathNotFoundError(f"Cannot publish {draft.name}: no {draft.entry} in {folder}")
        refuse_unnameable(draft.name, entry)
        tree = _read(store, draft, folder, tree, latest, single, executor, progress)
    looked_at = Content(
        mode="snapshot" if draft.snapshot else "reference",
        evidence="full" if draft.snapshot else draft.evidence,
        scope="file" if single else "folder",
        entry=entry,
        origin=folder if draft.snapshot else None,
        follow_links=draft.follow_links,
        files=tree.files,
        size=tree.size,
    )
    return looked_at, tree


def _scanned(draft: Draft, folder: str, skip: str | None, told: Callable[[int], object] | None) -> Tree:
    """What is in a folder; that a copy into it is not finished is said."""
    left: list[str] = []
    tree = scan.scan_folder(folder, follow_links=draft.follow_links, skip=skip, told=told, unfinished=left)
    if left:
        more = f" and {len(left) - NAMED_MAX:,} more" if len(left) > NAMED_MAX else ""
        log.warning(
            "%s: left out what a `nemotron kit cp` into %s has not finished: %s%s. Files may be missing too. "
            "If it was killed, repeat it (that removes these) or delete them, and publish again",
            draft.name,
            folder,
            ", ".join(left[:NAMED_MAX]),
            more,
        )
    return tree


def _read(
    store: Store,
    draft: Draft,
    folder: str,
    tree: Tree,
    latest: Listed | None,
    single: bool,
    executor: Executor | None,
    progress: Progress | None,
) -> Tree:
    """The tree with the digests that are asked for; of a snapshot, whose bytes the store has."""
    if draft.snapshot:
        return content.snapshot(
            store, folder, tree, latest, alone=single, executor=executor, progress=progress
        )
    if draft.evidence == "full":
        return content.hashed(folder, tree, alone=single, executor=executor, progress=progress)
    if draft.evidence == "sampled":
        return content.sampled(folder, tree, executor=executor, progress=progress)
    return tree


def _work(draft: Draft, store: Store, folder: str, executor: Executor | None) -> str | None:
    """The module whose work many files of a folder will need; None if most of them are likely known."""
    is_read = draft.snapshot or draft.evidence != "stat"
    if not is_read or executor is not None or store.at_once > 1 or digest_cache.is_known(folder):
        return None
    return copying.__name__ if draft.snapshot else reading.__name__


def within(store: Store, manifest: Manifest) -> Manifest:
    """Paths under the root are kept relative to it, so that a root can be moved.

    What metadata says of the artifact's own files is said of where they were when it was published.
    """
    inside = _inside(store.url, manifest.path)
    if inside is None:
        return manifest
    content = manifest.content
    if content is not None and content.origin is None:
        content = replace(content, origin=folder_of(manifest))
    return replace(manifest, path=inside, content=content)


def _inside(root: str, path: str) -> str | None:
    """A path below the root, relative to it; None for any other. The root may have two names, by a link."""
    if path.startswith(f"{root}/"):
        return path[len(root) + 1 :]
    if not root.startswith("/") or not path.startswith("/"):
        return None
    try:
        here = os.stat(root)
        folder = os.path.dirname(path)
        while folder != "/":
            if os.path.samestat(os.stat(folder), here):
                return path[len(folder) + 1 :]
            folder = os.path.dirname(folder)
    except OSError:
        return None  # there is no root yet, or the folder is hidden: then it is not below it
    return None


def _commit(
    store: Store, versions: Versions, draft: Manifest, tree: Tree | None, looked_at: tuple[float, float]
) -> Published:
    announced = False
    listing_written = False
    versions.older.fix_floor(draft.name)
    for attempt in range(ATTEMPTS_MAX):
        number, latest = versions.newest_and_latest(draft.name)
        _refuse_other_spelling(versions, draft, number)
        if latest and (there := _there_already(store, latest, draft, tree)):
            return there
        manifest, large = _numbered(draft, number + 1, tree)
        is_late = _is_late(looked_at)
        if is_late:
            looked_at = clocks()
            _take_again(store, draft, tree)
        if large and (is_late or not listing_written):
            create_listing(store, *large)
            listing_written = True
        if not announced:
            store.create(layout.journal(stamps.today(), draft.write_id, draft.name), b"", durable=False)
            announced = True
        created = store.create(layout.manifest(draft.name, number + 1), manifest.to_bytes())
        if created or _is_mine(versions, manifest):
            versions.learn(manifest)
            if _is_late(looked_at):
                _make_whole(store, versions, manifest, tree, large)
            companions.write(store, manifest)
            return Published(Record(manifest, store.url), created=True)
        versions.lost(draft.name, number + 1)
        winner = versions.read_whole(draft.name, number + 1)
        if winner and (there := _there_already(store, winner, draft, tree)):
            return there
        time.sleep(random.uniform(0, min(PAUSE_MAX_S, 0.0005 * (attempt + 1))))
    raise UnavailableError(f"{draft.name} is published by so many others that no number was left; try again")


def _take_again(store: Store, draft: Manifest, tree: Tree | None) -> None:
    """See that the store still has what a snapshot names, and bring what it has not."""
    origin = draft.content.origin if draft.content else None
    if origin is not None and tree is not None:
        content.take_again(store, origin, tree)


def _make_whole(
    store: Store, versions: Versions, manifest: Manifest, tree: Tree | None, large: tuple[str, bytes] | None
) -> None:
    """See to the content of a version that was committed long after the last look at it.

    The process stood still in between, so gc may have taken away what it had seen. From the commit on nothing
    is taken that the version names. What can't be brought any more makes it none: it is withdrawn.
    """
    try:
        _take_again(store, manifest, tree)
        if large:
            create_listing(store, *large)
    except KitError as error:
        why = f"its content was collected while its publisher stood still, and can't be brought: {error}"
        versions.withdraw(manifest.name, manifest.version, why)
        raise ConflictError(f"{manifest.uri} is withdrawn: {why}. Publish it again") from error


def _there_already(store: Store, old: Manifest, draft: Manifest, tree: Tree | None) -> Published | None:
    """A version, if it says the same; that its files have newer times by now is kept beside it."""
    if tree is not None and is_listed(store, old, tree):
        listing: Tree | None = tree
    elif _is_other(old, tree):
        return None
    else:
        listing = readable_tree(store, old, tree)
    has_one = old.content is not None and (old.content.listing or old.content.tree) is not None
    if (listing is None and has_one) or not changes.identical(old, listing, draft, tree):
        return None
    is_reference = old.content is not None and old.content.mode == "reference"
    if is_reference and listing is not None and tree is not None and listing is not tree:
        newer_stats.remember(store, old.name, old.version, listing, tree)
    return Published(Record(old, store.url), created=False)


def _is_other(old: Manifest, tree: Tree | None) -> bool:
    """Whether digests show that a version has other files, so that nobody need read its listing."""
    known = old.content.digest if old.content else None
    return tree is not None and known is not None and tree.digest not in (None, known)


def _numbered(draft: Manifest, number: int, tree: Tree | None) -> tuple[Manifest, tuple[str, bytes] | None]:
    """The manifest of a version number, and its listing's object if that is large."""
    manifest, large = replace(draft, version=number), None
    looked_at = draft.content
    if looked_at is not None and looked_at.mode == "snapshot":
        folder = layout.checkout(draft.name, number)
        manifest = replace(manifest, path=f"{folder}/{looked_at.entry}" if looked_at.entry else folder)
    if looked_at is not None and tree is not None:
        looked_at, large = with_tree(looked_at, tree)
        manifest = replace(manifest, content=looked_at)
    return manifest, large


def _refuse_other_spelling(versions: Versions, draft: Manifest, newest: int) -> None:
    known = next((m for n in range(newest, 0, -1) if (m := versions.read_whole(draft.name, n))), None)
    if known and known.format_version > 0 and known.semantic_name != draft.semantic_name:
        raise NameConflictError(
            f"Cannot publish {draft.semantic_name}: its key {draft.name} belongs to {known.semantic_name}, "
            f"which has {known.uri}. Use that name, or another one"
        )


def _is_mine(versions: Versions, manifest: Manifest) -> bool:
    """Whether the version that is there is this attempt's own: the reply to the claim was lost."""
    there = versions.read_whole(manifest.name, manifest.version)
    return there is not None and there.write_id == manifest.write_id
