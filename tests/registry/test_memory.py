"""Bytes that a step takes for each file: a million of them must fit beside what is being saved."""

import json
import tracemalloc
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from nemotron.kit.documents.columns import Columns
from nemotron.kit.documents.digest import digest_of
from nemotron.kit.documents.manifest import Content, Manifest
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.registry import changes, content, layout, newer_stats, scan
from nemotron.kit.registry.digest_cache import DigestCache
from nemotron.kit.registry.trees import Listed, create_listing, with_tree
from nemotron.kit.store.local import LocalStore

FILES = 40_000


def listing(mtime_ns: int = 1, *, digests: bool = True) -> Tree:
    """Files of which the tenth has that time, and the others the time 1."""
    columns = Columns()
    for at in range(FILES):
        columns.append_seen(f"{at // 1000:04}/{at:09}", 64, mtime_ns if at == 10 else 1, 0o644, at + 1, 1)
        if digests:
            columns.put(at, columns.entry(at)._replace(digest=digest_of(f"{at}".encode())))
    return Tree.of_columns(columns)


def bytes_a_file(step: Callable[[], object], files: int = FILES, *, kept: bool = False) -> float:
    """The most that a step had in memory at once beyond what there was before; or what it leaves there."""
    tracemalloc.start()
    try:
        step()
        return tracemalloc.get_traced_memory()[0 if kept else 1] / files
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
    looked_at, large = with_tree(Content(mode="snapshot", evidence="full"), tree)
    assert large is not None
    create_listing(store, *large)
    manifest = Manifest(name="x", version=1, type="artifact", path="x", created_at="", content=looked_at)
    assert store.exists(layout.tree(looked_at.tree or ""))
    seen: list[Entry] = []

    def read() -> None:
        for part in Listed(store, manifest).parts():
            seen[:] = [part.entry(len(part) - 1)]

    whole = bytes_a_file(lambda: Tree.from_pieces((large[1],), "x"))
    assert bytes_a_file(read) < whole * 2 / 3
    assert seen == [tree.entries[-1]]


def test_a_listing_that_was_read_has_no_room_for_looks_at_files() -> None:
    tree = listing()
    key, data = tree.packed()
    found: list[Tree] = []
    # A text of 63 bytes and its place, 32 of a digest, 16 of numbers and a mark; some of it grows ahead.
    assert bytes_a_file(lambda: found.append(Tree.from_bytes(data, "x", key)), kept=True) < 130
    assert found[0].entries[5] == tree.entries[5]._replace(inode=0, ctime_ns=0)


def test_newer_times_are_kept_without_holding_their_listing(tmp_path: Path) -> None:
    store, then, now = LocalStore(tmp_path), listing(), listing()
    now.columns.mtimes_ns[:] = array("q", [2]) * FILES
    found = changes.compare(then, now)
    # What is doubtful, and where: 16 bytes, and some rows at a time. The listing, packed, takes 44 more.
    assert bytes_a_file(lambda: newer_stats.remember(store, "x", 1, then, now, found)) < 60
    assert newer_stats.newest(store, "x", 1) == now
    assert len(newer_stats.recognised(store, "x", 1, then, now, found)) == FILES


def test_newer_times_of_most_files_are_kept_by_their_places(tmp_path: Path) -> None:
    class Contended(LocalStore):
        lost = 0

        def create(self, key: str, data: bytes, *, durable: bool = True) -> bool:
            self.lost += 1
            return self.lost > 1 and super().create(key, data, durable=durable)

    store, then, now = Contended(tmp_path), listing(), listing()
    now.columns.mtimes_ns[:] = array("q", [2]) * FILES
    for at in range(0, FILES, 20):
        now.columns.hashes[32 * at] ^= 1
    found = changes.compare(then, now)
    # Which are doubtful, and which of these are proven, 8 bytes each; the second try takes no more.
    assert bytes_a_file(lambda: newer_stats.remember(store, "x", 1, then, now, found)) < 70
    assert store.lost == 2
    seen = newer_stats.newest(store, "x", 1)
    assert seen == Tree(entry for at, entry in enumerate(now.entries) if at % 20)


def test_what_the_kit_wrote_is_left_out_without_a_second_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "METADATA_SIZE_MAX", 4096)  # as much is asked for, whatever there is
    files = 2_000
    for at in range(files):
        (tmp_path / f"{at:04}").touch()
    (tmp_path / "link").symlink_to("0000")
    (tmp_path / "n").symlink_to("0001")
    plain = bytes_a_file(lambda: scan.scan_folder(str(tmp_path)), files)
    without = scan.scan_folder(str(tmp_path))
    (tmp_path / scan.METADATA_FILE).write_text(json.dumps(dict.fromkeys(scan.METADATA_KEYS, "")))
    assert bytes_a_file(lambda: scan.scan_folder(str(tmp_path)), files) < plain * 1.1
    assert scan.scan_folder(str(tmp_path)) == without


def test_files_that_all_changed_are_held_by_their_places(tmp_path: Path) -> None:
    class Empty(Listed):
        def parts(self) -> Iterator[Columns]:
            return iter(())

    manifest = Manifest(name="x", version=1, type="artifact", path="x", created_at="")
    store, now = LocalStore(tmp_path), listing(digests=False)
    wanted: list[Sequence[int]] = []

    def look() -> None:
        wanted.append(content._to_copy(store, now, Empty(store, manifest), True)[0])

    # Three times 8 bytes, which grow ahead.
    assert bytes_a_file(look) < 35
    assert [*wanted[0]] == [*range(FILES)]
