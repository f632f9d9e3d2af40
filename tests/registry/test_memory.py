"""Bytes that a step takes for each file: a million of them must fit beside what is being saved."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from nemotron.kit.documents.columns import Columns
from nemotron.kit.documents.manifest import Content, Manifest
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.registry import layout
from nemotron.kit.registry.digest_cache import DigestCache
from nemotron.kit.registry.trees import Listed, with_tree
from nemotron.kit.store.local import LocalStore

FILES = 40_000


def listing(mtime_ns: int = 1, *, digests: bool = True) -> Tree:
    """Files of which the tenth has that time, and the others the time 1."""
    columns = Columns()
    for at in range(FILES):
        columns.append_seen(f"{at // 1000:04}/{at:09}", 64, mtime_ns if at == 10 else 1, 0o644, at + 1, 1)
        if digests:
            columns.put(at, columns.entry(at)._replace(digest=f"blake3:{at * 2654435761 % 2**256:064x}"))
    return Tree.of_columns(columns)


def bytes_a_file(step: Callable[[], object]) -> float:
    """The most that a step had in memory at once beyond what there was before."""
    tracemalloc.start()
    try:
        step()
        return tracemalloc.get_traced_memory()[1] / FILES
    finally:
        tracemalloc.stop()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DigestCache:
    """Knows the digests of all files of `listing()`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cache = DigestCache(str(tmp_path))
    cache.remember(listing(), 10**18)
    return cache


@pytest.mark.parametrize("mtime_ns", [1, 2])
def test_known_digests_are_held_once(cache: DigestCache, mtime_ns: int) -> None:
    now = listing(mtime_ns, digests=False)
    found: list[Tree] = []
    # Digests of 32 bytes, those that are stored and those of the tree; no second list of 90 bytes a path.
    assert bytes_a_file(lambda: found.append(cache.fill(now))) < 140
    assert len(found[0].unread()) == mtime_ns - 1
    assert bytes_a_file(lambda: cache.remember(found[0], 10**18)) < 70


def test_an_earlier_listing_is_never_held_whole(tmp_path: Path) -> None:
    tree, store = listing(), LocalStore(tmp_path)
    content, large = with_tree(Content(mode="snapshot", evidence="full"), tree)
    assert large is not None
    store.create(*large)
    manifest = Manifest(name="x", version=1, type="artifact", path="x", created_at="", content=content)
    assert store.exists(layout.tree(content.tree or ""))
    seen: list[Entry] = []

    def read() -> None:
        for part in Listed(store, manifest).parts():
            seen[:] = [part.entry(len(part) - 1)]

    whole = bytes_a_file(lambda: Tree.from_pieces((large[1],), "x"))
    assert bytes_a_file(read) < whole * 2 / 3
    assert seen == [tree.entries[-1]]
