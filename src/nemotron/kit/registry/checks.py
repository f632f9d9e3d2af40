"""Checks of a version, wherever its data lies; what a check learns about newer times is kept."""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import Any

from nemotron.kit.documents.manifest import Evidence
from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import MisuseError
from nemotron.kit.registry import newer_stats, verify, verify_at_url
from nemotron.kit.registry.differences import Differences
from nemotron.kit.registry.reading import Progress
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.verify import Verification
from nemotron.kit.store.protocol import Store


def check_on_load(store: Store, record: Record, tree: Tree) -> Differences:
    """See `Registry.check`; `tree` is the listing of the version."""

    def settle(then: Tree, now: Tree, found: Differences) -> Differences:
        known = newer_stats.recognised(store, record.name, record.version, then, now, found)
        return found.without(known) if known else found

    if record.is_at_url:
        looked, found = verify_at_url.peek(record, tree)
        return settle(looked.then, looked.now, found)
    return verify.check(store, record, tree, partial(settle, tree))


def check(
    store: Store,
    record: Record,
    tree: Tree | None,
    evidence: Evidence | None,
    options: Mapping[str, Any] | None = None,
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Verification:
    """See `Registry.verify`; `tree` is the listing of the version."""
    if tree is None:
        raise MisuseError(f"Cannot verify {record.uri}: no listing of its files was recorded")
    wanted = verify.wanted_of(record, evidence)
    if record.is_snapshot:
        return verify.verify_snapshot_of(store, record, tree, wanted, executor=executor, progress=progress)
    if record.is_at_url:
        found, looked = verify_at_url.verify(
            record, tree, wanted, options=options, executor=executor, progress=progress
        )
        then, now = looked.then, looked.now
    else:
        found, now = verify.verify(store, record, tree, wanted, executor=executor, progress=progress)
        then = tree
    if not found.files:
        return found
    files = Differences(found.files)
    known = newer_stats.recognised(store, record.name, record.version, then, now, files)
    if len(known) < newer_stats.doubtful(files):
        newer_stats.remember(store, record.name, record.version, then, now, files)
    if known:
        files = files.as_touched(known)
        found = replace(found, ok=verify.is_ok(files), files=files)
    return found
