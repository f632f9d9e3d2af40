"""Of a snapshot there are two places to look at: the store, and the folder where it is laid out."""

import logging
import os

import pytest

from nemotron.kit.artifact import Artifact
from nemotron.kit.registry import checkouts
from nemotron.kit.start import using


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch):
    monkeypatch.setattr(checkouts, "_told", set())


@pytest.fixture
def folder(publish, registry):
    """The checkout of a snapshot."""
    return registry.folder(publish(snapshot=True).record)


def overwrite(path, data, *, keep_time=False):
    """What root, or the owner after a chmod, can do to a file that is read-only."""
    before = path.stat()
    path.chmod(0o644)
    path.write_bytes(data)
    if keep_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def found(registry, evidence=None):
    said = registry.verify("m", evidence)
    return said.ok, [(file.path, file.verdict, file.place) for file in said.files]


def test_both_places_are_read(registry, folder):
    said = registry.verify("m", "full")
    assert (said.ok, said.files, said.bytes_read) == (True, (), 2 * (5 + 256))
    assert registry.verify("m", "stat").bytes_read == 0


def test_what_was_not_laid_out_is_not_looked_at(publish, registry):
    publish(snapshot=True)
    assert registry.verify("m").bytes_read == 5 + 256


@pytest.mark.parametrize("evidence", ["stat", "full"])
def test_a_checkout_that_was_overwritten_or_added_to(registry, folder, evidence):
    overwrite(folder / "part.txt", b"longer than hello")
    (folder / "sub/cache.npy").write_bytes(b"index")
    expected = [("part.txt", "changed", "checkout"), ("sub/cache.npy", "extra", "checkout")]
    assert found(registry, evidence) == (False, expected)


def test_a_change_that_hides_its_tracks_takes_full_evidence(registry, folder):
    overwrite(folder / "part.txt", b"jello", keep_time=True)
    assert found(registry, "stat") == (True, [])
    assert registry.verify("m", "stat").evidence == "stat"
    assert found(registry, "full") == (False, [("part.txt", "changed", "checkout")])


def test_a_damaged_store_and_a_good_checkout_are_told_apart(registry, folder, root):
    blob = next(
        path for path in (root / ".kit/blobs").rglob("*") if path.is_file() and path.stat().st_size == 5
    )
    overwrite(blob, b"jell")
    assert found(registry, "stat") == (False, [("part.txt", "changed", "store")])
    blob.unlink()
    assert found(registry, "full") == (False, [("part.txt", "missing", "store")])


def test_a_full_empty_folder_is_extra_alone(publish, registry, data):
    (data / "empty").mkdir()
    folder = registry.folder(publish(snapshot=True).record)
    (folder / "empty/x").write_text("x")
    assert found(registry) == (False, [("empty/x", "extra", "checkout")])


def test_the_next_load_in_the_same_process_lays_out_anew(data, root, caplog):
    with using(root=root):
        Artifact(path=data).save("m", snapshot=True)
        path = Artifact.from_uri("art://m:v1").path
        overwrite(path / "part.txt", b"overwritten")
        again = Artifact.from_uri("art://m:v1").path
    assert again == path
    assert (path / "part.txt").read_bytes() == b"hello"
    kept = path.with_name("v1.changed-1")
    assert (kept / "part.txt").read_bytes() == b"overwritten"
    assert "part.txt changed" in caplog.text
    assert str(kept) in caplog.text


def test_the_next_load_says_once_what_was_added_and_leaves_it(data, root, caplog):
    with using(root=root):
        Artifact(path=data).save("m", snapshot=True)
        path = Artifact.from_uri("art://m:v1").path
        (path / "index.npy").write_bytes(b"cache")
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                assert Artifact.from_uri("art://m:v1").path == path
    assert (path / "index.npy").exists()
    assert caplog.text.count("not published: index.npy") == 1


def test_resolving_looks_at_no_file_twice(publish, registry, folder):
    overwrite(folder / "part.txt", b"overwritten")
    assert registry.folder(registry.resolve("m")) == folder
    assert (folder / "part.txt").read_bytes() == b"overwritten"
