"""`doctor --repair`: what is derived or can be had elsewhere is put right, and no commit is touched."""

import os
import time
from pathlib import Path

import pytest

from nemotron.kit.registry import layout
from nemotron.kit.registry.doctor import examine
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.memory import MemoryStore
from nemotron.kit.testing.faults import Fault, FaultyStore

COMMITS = ("manifest.json", "tombstone.json", "format.json")


@pytest.fixture
def snap(registry, data):
    """A store with a snapshot and a reference."""
    registry.publish(Draft(name="ref", source=data))
    registry.publish(Draft(name="snap", source=data, snapshot=True))
    return registry


@pytest.fixture
def commits(root):
    return lambda: {
        p: p.read_bytes() for p in root.rglob("*.json") if p.name in COMMITS or "aliases" in p.parts
    }


def repair(root):
    """Repair, and tell kind, and what was done; whatever is found afterwards."""
    done = {finding.kind: finding.repaired for finding in examine(Registry.open(root), repair=True)}
    return done, {finding.kind for finding in examine(Registry.open(root))}


def blobs(root):
    return sorted(path for path in (root / ".kit/blobs").rglob("*") if path.is_file())


def test_hints_and_companions(snap, root, commits):
    (root / "ref/latest").write_text("v99")
    companion = (root / "snap/v1/metadata.json").read_bytes()
    (root / "snap/v1/metadata.json").unlink()
    before = commits()
    done, left = repair(root)
    assert done == {"wrong_latest": "it says v1 now", "missing_companion": "written anew"}
    assert left == set()
    assert (root / "ref/latest").read_text() == "v1"
    assert (root / "snap/v1/metadata.json").read_bytes() == companion
    assert commits() == before


def test_lost_and_cut_contents_are_taken_from_the_source_again(snap, root, commits):
    first, second = blobs(root)
    first.unlink()
    second.chmod(0o644)
    second.write_bytes(b"")
    before = commits()
    done, left = repair(root)
    assert (done, left) == ({"missing_content": "2 brought back"}, set())
    assert Registry.open(root).verify("snap", "full").ok
    assert commits() == before


def test_or_from_a_folder_they_were_laid_out_in(snap, root, data):
    snap.folder(snap.resolve("snap"))
    for path in data.rglob("*"):
        if path.is_file():
            path.write_bytes(b"x" * path.stat().st_size)  # of the same size, and not the same
    for blob in blobs(root):
        blob.unlink()
    done, left = repair(root)
    assert done["missing_content"] == "2 brought back"
    assert "missing_content" not in left
    assert Registry.open(root).verify("snap", "full").ok


def test_what_is_nowhere_stays_a_problem(snap, root, data):
    (data / "part.txt").write_text("other")
    for blob in blobs(root):
        blob.unlink()
    (found,) = (f for f in examine(Registry.open(root), repair=True) if f.kind == "missing_content")
    assert found.repaired is None
    assert found.is_problem
    assert "part.txt can't be brought back" in found.fix
    assert str(data) in found.fix
    assert len(blobs(root)) == 1  # the other one was


def test_what_is_in_the_trash_is_a_note_and_comes_back(snap, root, data):
    data.rename(data.with_name("elsewhere"))
    for blob in blobs(root):
        key = blob.relative_to(root).as_posix()
        assert snap.store.move(key, layout.set_aside("b1", key))
    (found,) = (f for f in examine(Registry.open(root)) if f.kind == "set_aside")
    assert (found.level, "part.txt" in found.what) == ("note", True)
    done, left = repair(root)
    assert done["set_aside"] == "2 brought back"
    assert "set_aside" not in left
    assert len(blobs(root)) == 2
    assert len(list(snap.store.walk(layout.TRASH))) == 2  # gc takes them away when their time is over


def test_a_listing_in_the_trash_comes_back(root, tmp_path):
    many = tmp_path / "many"
    many.mkdir()
    for number in range(300):
        (many / f"shard-{number:05}-of-00300.bin").touch()
    registry = Registry.open(root)
    registry.publish(Draft(name="m", source=many))
    (key,) = (found.key for found in registry.store.walk(layout.TREES))
    registry.store.move(key, layout.set_aside("b1", key))
    assert repair(root) == ({"set_aside": "its listing brought back"}, set())
    assert registry.store.exists(key)


def test_old_temporary_files_go_and_young_ones_stay(snap, root):
    for name, age in ((".tmp-0123456789abcdef", 15), (".tmp-fedcba9876543210", 1), (".tmp-mine", 99)):
        path = root / "ref" / name
        path.write_text("half")
        os.utime(path, (time.time() - age * 86_400,) * 2)
    found = examine(Registry.open(root), repair=True)
    assert {(f.kind, Path(f.where).name, f.repaired) for f in found} == {
        ("leftover", "ref", "1 temporary file deleted, 4 B; 1 stays, written to within two days"),
        ("foreign", ".tmp-mine", None),
    }
    assert sorted(path.name for path in (root / "ref").glob(".tmp-*")) == [
        ".tmp-fedcba9876543210",
        ".tmp-mine",
    ]


def test_a_repair_that_fails_says_why(data):
    store = MemoryStore()
    Registry(store).publish(Draft(name="m", source=data))
    store.remove("m/v1/metadata.json")
    faulty = FaultyStore(store, Fault("before", call=1, methods=frozenset({"replace"})))
    (found,) = examine(Registry(faulty), repair=True)
    assert (found.repaired, "Injected fault" in found.fix) == (None, True)


@pytest.mark.parametrize(
    ("skew", "level"), [(0.0, None), (30.0, None), (-100.0, "note"), (4000.0, "problem")]
)
def test_the_clock(data, skew, level):
    class Skewed(MemoryStore):
        def create(self, key, data, *, durable=True):
            created = super().create(key, data, durable=durable)
            self.age(key, -skew)
            return created

    found = examine(Registry(Skewed()), probe=True)
    assert [finding.level for finding in found] == ([level] if level else [])
    assert all(finding.kind == "clock_skew" for finding in found)
