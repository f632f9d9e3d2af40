"""Files that were written again with the same bytes: known as the same from then on, beside the manifest."""

import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from nemotron.kit.documents import tree_rows
from nemotron.kit.documents.digest import digest_of
from nemotron.kit.documents.newer_stats import NewerStats
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.errors import CorruptError, FormatTooNewError, RefusedError
from nemotron.kit.registry import changes, content, layout, newer_stats, scan
from nemotron.kit.registry.doctor import examine
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.local import LocalStore
from nemotron.kit.store.memory import MemoryStore

# Of every twenty files these become something else than touched.
FATES = {1: "changed", 2: "same", 3: "missing"}


def rewrite(path: Path, seconds: int = 5) -> None:
    """The same bytes, later."""
    info = os.stat(path)
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns + seconds * 1_000_000_000))


def log_of(root: Path) -> list[str]:
    return sorted(path.name for path in (root / ".kit/stats/m/v1").glob("*.json"))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many files each check has read for their digests."""
    counts: list[int] = []
    hashed = content.hashed

    def counted(folder, tree, *, only=None, **more):
        counts.append(len(tree.unread() if only is None else only))
        return hashed(folder, tree, only=only, **more)

    monkeypatch.setattr(content, "hashed", counted)
    return counts


@pytest.mark.parametrize("how", ["published again", "verified"])
def test_what_was_read_once_is_not_read_again(publish, opened, root, data, reads, how) -> None:
    publish(evidence="full")
    manifest = (root / "m/v1/manifest.json").read_bytes()
    rewrite(data / "part.txt")
    assert opened().check(opened().resolve("m")) == []
    assert reads[-1] == 1  # each load would read it
    if how == "verified":
        assert [item.verdict for item in opened().verify("m").files] == ["touched"]
    else:
        assert publish(via=opened(), evidence="full").created is False
    reads.clear()
    assert opened().check(opened().resolve("m")) == []
    assert reads == []
    assert (root / "m/v1/manifest.json").read_bytes() == manifest
    # Doing it again writes nothing; another time is another entry.
    opened().verify("m")
    assert log_of(root) == ["00000001.json"]
    rewrite(data / "part.txt")
    opened().verify("m")
    assert log_of(root) == ["00000001.json", "00000002.json"]


def test_other_bytes_are_never_taken_for_the_same(publish, opened, root, data) -> None:
    publish(evidence="full")
    (data / "part.txt").write_text("jello")
    os.utime(data / "part.txt", (9, 9))
    assert [item.verdict for item in opened().verify("m").files] == ["changed"]
    assert not (root / ".kit/stats").exists()
    # What is kept of an earlier look does not cover for it, either.
    (data / "part.txt").write_text("hello")
    os.utime(data / "part.txt", (9, 9))
    opened().verify("m")
    (data / "part.txt").write_text("jello")
    os.utime(data / "part.txt", (10, 10))
    assert [item.verdict for item in opened().check(opened().resolve("m"))] == ["changed"]


def test_without_digests_there_is_no_proof(publish, opened, root, data) -> None:
    publish()
    rewrite(data / "part.txt")
    assert [item.verdict for item in opened().verify("m").files] == ["touched"]
    assert not (root / ".kit/stats").exists()
    assert [item.verdict for item in opened().check(opened().resolve("m"))] == ["touched"]


def test_who_may_not_write_goes_on_without(publish, root, data, monkeypatch) -> None:
    publish(evidence="full")
    rewrite(data / "part.txt")
    registry = Registry.open(root)

    def refuse(*args, **more):
        raise RefusedError("read only")

    monkeypatch.setattr(registry.store, "create", refuse)
    assert registry.verify("m").ok
    assert not (root / ".kit/stats").exists()


def test_writers_at_the_same_time(publish, root, data) -> None:
    publish(evidence="full")
    rewrite(data / "part.txt")
    threads = [threading.Thread(target=lambda: Registry.open(root).verify("m")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log_of(root)[0] == "00000001.json"
    seen = newer_stats.newest(LocalStore(root), "m", 1)
    assert seen is not None
    assert [entry.path for entry in seen.entries] == ["part.txt"]


def test_what_is_known_of_one_object_outlives_news_of_another() -> None:
    """One was read, the same under another etag; a look alone then sees it, and another's new time."""
    store = MemoryStore()
    a, b = (Entry(path, 1, 10, etag=f'"{path}"')._replace(digest=digest_of(path.encode())) for path in "ab")
    published = Tree.of([a, b])
    again = a._replace(mtime_ns=20, etag='"parts-2"')
    assert newer_stats.remember(store, "m", 1, published, Tree.of([again, b]))
    looked = Tree.of([again._replace(digest=None), b._replace(mtime_ns=30, digest=None)])
    assert newer_stats.remember(store, "m", 1, published, looked)
    seen = newer_stats.newest(store, "m", 1)
    assert seen is not None
    assert [(entry.path, entry.mtime_ns, entry.digest) for entry in seen.entries] == [
        ("a", 20, a.digest),
        ("b", 30, b.digest),
    ]
    differences = changes.compare(published, looked)
    known = newer_stats.recognised(store, "m", 1, published, looked, differences)
    assert [differences[at].path for at in known] == ["a", "b"]


def test_of_a_mix_just_what_was_only_touched_is_kept(publish, opened, root, data, reads, monkeypatch) -> None:
    """Made some rows at a time, it is the listing that these files alone would have."""
    monkeypatch.setattr(tree_rows, "BLOCK_ROWS", 64)
    (data / "empty").mkdir()
    (data / "link").symlink_to("part.txt")
    for number in range(400):
        (data / f"{number:03}.txt").write_text(f"{number:03}")
    publish(evidence="full")
    fates: dict[str, str] = {}
    for number in range(400):
        path, fate = data / f"{number:03}.txt", FATES.get(number % 20, "touched")
        if fate == "touched":
            rewrite(path)
        elif fate == "changed":
            path.write_text("abc")
            os.utime(path, (9, 9))
        elif fate == "missing":
            path.unlink()
        if fate != "same":
            fates[path.name] = fate
    (data / "extra.txt").touch()
    (data / "empty too").mkdir()
    (data / "empty").rmdir()
    (data / "link").unlink()
    (data / "link").symlink_to("000.txt")
    others = {"extra.txt": "extra", "empty too": "extra", "empty": "missing", "link": "changed"}
    found = opened().verify("m").files
    assert {item.path: item.verdict for item in found} == fates | others
    kept = newer_stats.newest(LocalStore(root), "m", 1)
    now = content.hashed(str(data), scan.scan_folder(str(data)))
    expected = Tree(entry for entry in now.entries if fates.get(entry.path) == "touched")
    assert kept == expected
    assert newer_stats.listings(LocalStore(root)) == {layout.tree(expected.key)}
    # The next load reads only what was changed, and the next check has nothing to add.
    left = {path: fate for path, fate in (fates | others).items() if fate != "touched"}
    assert {item.path: item.verdict for item in opened().check(opened().resolve("m"))} == left
    assert reads[-1] == list(fates.values()).count("changed")
    opened().verify("m")
    assert log_of(root) == ["00000001.json"]


def test_a_large_listing_and_what_becomes_of_it(publish, opened, root, data) -> None:
    """Of many files it is an object of its own, which gc keeps, and lets go of with its version."""
    for number in range(400):
        (data / f"{number:03}.txt").write_text(str(number))
    publish(evidence="full")
    for number in range(400):
        rewrite(data / f"{number:03}.txt")
    opened().verify("m")
    for number in range(400):
        rewrite(data / f"{number:03}.txt", 9)
    opened().verify("m")
    store = LocalStore(root)
    assert len(list(store.walk(layout.TREES))) == 3
    for path in (*root.rglob("*.json"), *(root / ".kit/trees").rglob("*")):
        if path.is_file():
            os.utime(path, (1, 1))
    swept = opened().gc(apply=True, grace=timedelta(hours=2))
    done = {(item.what, item.action): item.count for item in swept.items}
    assert done["stats", "deleted"] == 1
    assert opened().check(opened().resolve("m")) == []
    assert log_of(root) == ["00000002.json"]
    swept = opened().gc(apply=True, grace=timedelta(hours=2))
    assert {(item.what, item.action): item.count for item in swept.items}["trees", "set aside"] == 1
    assert opened().check(opened().resolve("m")) == []
    opened().withdraw("m:v1", "old")
    opened().gc(apply=True, grace=timedelta(hours=2))
    assert log_of(root) == []


@pytest.mark.parametrize("damaged", [b"", b"cut short"])
def test_a_listing_that_was_cut_short_is_written_anew(publish, opened, root, tmp_path, damaged) -> None:
    (folder := tmp_path / "many").mkdir()
    for number in range(400):
        (folder / f"{number:03}.txt").write_text(str(number))
    publish(source=folder, evidence="full")
    for path in folder.iterdir():
        rewrite(path)
    (before,) = (path for path in (root / ".kit/trees").rglob("*") if path.is_file())
    opened().verify("m")
    (listing,) = (path for path in (root / ".kit/trees").rglob("*") if path.is_file() and path != before)
    whole = listing.read_bytes()
    # The version that is published of the files as they are has the very same listing.
    for by in (lambda: opened().verify("m"), lambda: publish("n", source=folder, evidence="full")):
        listing.chmod(0o644)
        listing.write_bytes(damaged)
        by()
        assert listing.read_bytes() == whole
        assert opened().check(opened().resolve("m")) == []


def test_a_damaged_entry_is_stepped_over_and_told_of(publish, opened, root, data) -> None:
    publish(evidence="full")
    rewrite(data / "part.txt")
    opened().verify("m")
    (root / ".kit/stats/m/v1/00000002.json").write_text("{")
    assert opened().check(opened().resolve("m")) == []
    found = [finding for finding in examine(opened()) if finding.kind == "damaged_stats"]
    assert [(finding.level, finding.where.endswith("00000002.json")) for finding in found] == [("note", True)]


def test_documents_round_trip_and_refuse_what_is_none() -> None:
    from nemotron.kit.documents.tree import Entry, Tree

    tree = Tree.of([Entry("a", 1, 2, etag="x"), Entry("b", 1, 2)])
    seen = NewerStats(name="m", version=3, seen_at="2026-01-02T03:04:05+00:00", listing=tree)
    assert NewerStats.from_bytes(seen.to_bytes(), "here") == seen
    with pytest.raises(FormatTooNewError):
        NewerStats.from_bytes(seen.to_bytes().replace(b'"format_version": 1', b'"format_version": 2'), "here")
    for old, new in ((b'"version": 3', b'"version": "3"'), (b'"listing"', b'"other"'), (b'"x"', b"7")):
        with pytest.raises(CorruptError, match="here"):
            NewerStats.from_bytes(seen.to_bytes().replace(old, new), "here")
