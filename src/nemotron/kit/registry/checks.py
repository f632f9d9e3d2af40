"""Checks of a version, wherever its data lies; what a check learns about newer times is kept."""

import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from typing import Any

from nemotron.kit.documents.manifest import Evidence
from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import MisuseError
from nemotron.kit.registry import newer_stats, verify
from nemotron.kit.registry.differences import Differences
from nemotron.kit.registry.insides import PUT_BACK
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.verify import Verification
from nemotron.kit.registry.work import Progress
from nemotron.kit.store.protocol import Store

_SURE: Mapping[Evidence, int] = {"stat": 0, "sampled": 1, "full": 2}


def check_on_load(store: Store, record: Record, tree: Tree) -> Differences:
    """See `Registry.check`; `tree` is the listing of the version."""

    def settle(then: Tree, now: Tree, found: Differences) -> Differences:
        known = newer_stats.recognised(store, record.name, record.version, then, now, found)
        return found.without(known) if known else found

    if record.is_at_url:
        from nemotron.kit.registry import verify_at_url  # who loads local data needs none of it

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
    began_s = time.perf_counter()
    found = _check(store, record, tree, evidence, options, executor, progress)
    notes = tuple(_notes(record, tree, evidence, found))
    return replace(found, seconds=time.perf_counter() - began_s, notes=notes)


def _notes(record: Record, tree: Tree | None, asked: Evidence | None, found: Verification) -> Iterator[str]:
    """What no verdict on a single file says."""
    if not (record.is_snapshot or record.is_at_url):
        place = record.path if record.scope == "file" else record.folder
        if not os.path.lexists(place):
            yield f"{place} is gone: {PUT_BACK}"
        elif not (os.path.isfile if record.scope == "file" else os.path.isdir)(place):
            yield f"{place} is no {record.scope} any more"
    places = {file.place for file in found.files if file.verdict in ("changed", "missing")}
    if places == {"checkout"}:
        ref = f"{record.name}:v{record.version}"
        yield (
            "the store's copy is whole, only where it is laid out it was changed: "
            f"`nemotron kit verify {ref} --repair-from {ref}` sets that aside, and lays it out anew"
        )
    if tree is not None and not (files := Differences(found.files)).is_proven:
        from nemotron.kit.registry import touched  # who loads needs none of it

        yield from touched.notes(record, tree, verify.wanted_of(record, asked), files)
    if asked is not None and _SURE[found.evidence] < _SURE[asked]:
        yield (
            "not all files could be compared by their bytes: no digests were kept when they were published. "
            f"Publish with --evidence {asked} to have them next time"
        )


def _check(
    store: Store,
    record: Record,
    tree: Tree | None,
    evidence: Evidence | None,
    options: Mapping[str, Any] | None,
    executor: Executor | None,
    progress: Progress | None,
) -> Verification:
    if tree is None:
        raise MisuseError(f"Cannot verify {record.uri}: no listing of its files was recorded")
    wanted = verify.wanted_of(record, evidence)
    if record.is_snapshot:
        return verify.verify_snapshot_of(store, record, tree, wanted, executor=executor, progress=progress)
    if record.is_at_url:
        from nemotron.kit.registry import verify_at_url

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
