"""A root with what object stores say of their objects, as it was written when that was new."""

import json
import shutil
import zlib
from pathlib import Path

import pytest

from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.documents.newer_stats import NewerStats
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.errors import CorruptError
from nemotron.kit.registry import newer_stats
from nemotron.kit.registry.doctor import examine
from nemotron.kit.registry.registry import Registry

GOLDEN = Path(__file__).parents[1] / "golden/old_stores/format_1_objects"
LARGE = ".kit/trees/42/42b50a641b7b4e3e73714efaa360e839d30f8cf913da8dd317ca61fac04c6845"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "root"))


def test_what_was_recorded_of_objects(root: Path) -> None:
    registry = Registry.open(root)
    small = registry.tree(registry.resolve("small"))
    assert small is not None
    first = small.entries[0]
    assert (first.path, first.size, first.etag) == ("a.bin", 4, '"74b87337454200d4d33f80c4663dc5e5"')
    assert first.object_version == "e0aa3ca2-6d3f-48b7-a0d8-687e14758a78"
    assert first.digest is not None
    one = registry.resolve("one")
    assert (one.scope, one.folder, one.path) == ("file", "s3://b816161cf771d/small", f"{one.folder}/a.bin")
    many = registry.tree(registry.resolve("many"))
    assert many is not None
    assert (many.files, many.entries[1002].path) == (1003, "1002.bin")
    assert {entry.etag for entry in many.entries[:7]} == {entry.etag for entry in many.entries[7:14]}
    assert many.entries[0].object_version is None
    seen = newer_stats.newest(registry.store, "small", 1)
    assert seen is not None
    assert seen.entries[0] == first._replace(
        mtime_ns=first.mtime_ns + 10**9, etag='"another-2"', object_version=None
    )


def test_every_document_is_written_as_it_was(root: Path) -> None:
    for file in root.glob("*/v*/manifest.json"):
        assert Manifest.from_bytes(file.read_bytes(), str(file)).to_bytes() == file.read_bytes()
    for file in root.glob(".kit/stats/*/*/*.json"):
        assert NewerStats.from_bytes(file.read_bytes(), str(file)).to_bytes() == file.read_bytes()
    tree = Tree.from_bytes((root / LARGE).read_bytes(), LARGE, f"blake3:{LARGE[-64:]}")
    assert tree.key == f"blake3:{LARGE[-64:]}"
    assert zlib.decompress(tree.to_bytes()) == zlib.decompress((root / LARGE).read_bytes())


def test_readers_from_before_find_all_that_they_look_for(root: Path) -> None:
    """Two fields of the header, five of each row; and an inline listing beside fields that they keep."""
    head, *rows = zlib.decompress((root / LARGE).read_bytes()).splitlines()
    said = json.loads(head)
    assert (said["format_version"], said["entries"]) == (1, len(rows))
    assert said.keys() == {"format_version", "entries", "etags"}
    assert {len(json.loads(row)) for row in rows} == {5}
    content = json.loads((root / "small/v1/manifest.json").read_bytes())["content"]
    assert {len(row) for row in content["listing"]} == {5}


def test_nothing_is_wrong_and_looking_changes_nothing(root: Path) -> None:
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    registry = Registry.open(root)
    assert list(examine(registry)) == []
    assert registry.gc(grace="1h").items == ()
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_tags_that_are_none_are_damage(root: Path) -> None:
    file = root / "small/v1/manifest.json"
    document = json.loads(file.read_bytes())
    for tags in (["a", "b", "c"], [7], "x\ny\nz", ["two\nlines"], {"a": 1}):
        document["content"]["etags"] = tags
        with pytest.raises(CorruptError):
            Manifest.from_bytes(json.dumps(document).encode(), "here")


def test_a_tree_keeps_the_tags_of_any_of_its_entries() -> None:
    entries = [Entry("c", 1, etag="x"), Entry("a", 1), Entry("b", 1, object_version="7"), Entry("d", 1)]
    tree = Tree.of(entries)
    assert list(tree.entries) == sorted(entries, key=lambda entry: entry.path)
    assert Tree.from_bytes(tree.to_bytes(), "here", tree.key) == tree
    assert Tree.from_rows(tree.rows(), "here", tree.tags()) == tree
    assert tree != Tree.of(entry._replace(etag=None) for entry in entries)
    # The key of a listing without any is what it was before there were any.
    plain = Tree.of([Entry("a", 1, 2)])
    assert plain.lines() == b'{"format_version": 1, "entries": 1}\n[0, "a", 1, 2, null]\n'
