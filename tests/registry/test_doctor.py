"""The doctor: each kind of damage is found, by its name, and nothing is touched."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nemotron.kit.documents.digest import digest_of
from nemotron.kit.errors import DiskFullError
from nemotron.kit.registry import layout
from nemotron.kit.registry import unused as unused_contents
from nemotron.kit.registry.doctor import examine
from nemotron.kit.registry.findings import Finding
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.local import LocalStore
from nemotron.kit.store.memory import MemoryStore
from nemotron.kit.store.protocol import Found, Store

TEMPORARY = ".tmp-0123456789abcdef"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.txt").write_text("hello")
    (folder / "b.txt").write_text("x")
    return folder


@pytest.fixture
def root(tmp_path: Path, data: Path) -> Path:
    """`ref` v1 to v3 (the same folder), `snap` v1 with alias `good`."""
    registry = Registry.open(tmp_path / "store")
    for number in (1, 2, 3):
        registry.publish(Draft(name="ref", source=data, metadata={"n": number}))
    registry.publish(Draft(name="snap", source=data, snapshot=True, aliases=("good",)))
    return tmp_path / "store"


def look(root: Path, **options: bool) -> dict[str, Finding]:
    """The findings by kind, from a registry that remembers nothing; the store stays as it was."""
    before = state(root)
    findings = examine(Registry.open(root), **options)
    assert state(root) == before
    assert all(finding.where and finding.what and finding.fix for finding in findings)
    return {finding.kind: finding for finding in findings}


def state(root: Path) -> dict[str, tuple[int, int]]:
    paths = (path for path in root.rglob("*") if not path.is_symlink())
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in paths}


def problems(found: dict[str, Finding]) -> set[str]:
    return {kind for kind, finding in found.items() if finding.level == "problem"}


def test_a_healthy_store(root: Path) -> None:
    assert look(root) == {}


def test_healthy_after_withdrawals_checkouts_and_many_publishes(root: Path) -> None:
    registry = Registry.open(root)
    registry.location(registry.resolve("snap"))
    registry.withdraw("ref:v3", "no good")
    assert look(root) == {}


def unused(registry: Registry) -> list[tuple[str, int | None, int | None]]:
    found = [finding for finding in examine(registry) if finding.kind == "unused"]
    assert all(not finding.is_problem for finding in found)
    return [(finding.where, finding.count, finding.size) for finding in found]


@pytest.mark.parametrize("where", ["a folder", "memory"])
def test_contents_that_no_version_uses_are_told(tmp_path: Path, data: Path, where: str) -> None:
    store = MemoryStore() if where == "memory" else LocalStore(tmp_path / "store")
    registry, blobs = Registry(store), f"{store.url}/.kit/blobs"
    registry.publish(Draft(name="snap", source=data, snapshot=True))
    assert unused(registry) == []
    taken = [b"copied before it was killed", b"hello"]  # the second is one of those that are used
    for content in taken:
        store.put(layout.blob(digest_of(content)), content)
    store.create(".kit/blobs/ab/readme", b"somebody's own")
    assert unused(registry) == [(blobs, 1, len(taken[0]))]
    registry.withdraw("snap:v1", "no good")
    assert unused(registry) == [(blobs, 3, len(taken[0]) + 6)]
    document = f'{{"content": {{"digest": "{digest_of(taken[0])}"}}}}'
    store.create(".kit/adopted/older/v1.json", document.encode())  # gc keeps it
    assert unused(registry) == [(blobs, 2, 6)]


def test_what_gc_would_keep_is_not_called_unused(root: Path, data: Path) -> None:
    registry = Registry.open(root)
    registry.publish(Draft(name="other", source=data / "a.txt", snapshot=True))
    registry.withdraw("snap:v1", "no good")
    assert [count for _, count, _ in unused(registry)] == [1]
    (root / "other/v1/manifest.json").write_text("{")  # what it names, nobody knows
    assert unused(Registry.open(root)) == []


def test_of_very_many_no_more_are_counted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unused_contents, "COUNTED_MAX", 1)
    Registry.open(root).withdraw("snap:v1", "no good")
    assert look(root)["unused"].what.startswith("at least 1 content that no version uses")


def test_a_store_that_can_not_list_them_says_nothing_of_them(data: Path) -> None:
    class Own(MemoryStore):
        def walk(self, prefix: str = "") -> Iterator[Found]:
            return Store.walk(self, prefix)

    registry = Registry(Own())
    registry.publish(Draft(name="snap", source=data, snapshot=True))
    registry.withdraw("snap:v1", "no good")
    assert examine(registry) == []


def test_no_root_and_an_empty_root(tmp_path: Path) -> None:
    assert problems(look(tmp_path / "nowhere")) == {"missing_root"}
    (tmp_path / "empty").mkdir()
    assert look(tmp_path / "empty") == {}


def test_a_store_in_memory(data: Path) -> None:
    registry = Registry(MemoryStore())
    registry.publish(Draft(name="x", source=data, metadata={"n": 1}))
    assert examine(registry, probe=True) == []
    registry.store.remove("x/v1/metadata.json")
    assert [finding.kind for finding in examine(registry)] == ["missing_companion"]


@pytest.mark.parametrize(
    "content", ["", "{", '{"name": "ref"', "[]", '{"name": "other", "version": 2}', "\x00" * 50]
)
def test_a_damaged_manifest(root: Path, content: str) -> None:
    (root / "ref/v2/manifest.json").write_text(content)
    found = look(root)
    assert problems(found) == {"damaged_manifest"}
    assert found["damaged_manifest"].where == str(root / "ref/v2/manifest.json")


def test_a_manifest_of_a_newer_kit(root: Path) -> None:
    path = root / "ref/v2/manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 99}))
    assert problems(look(root)) == {"too_new"}


@pytest.mark.parametrize("hint", ["v9", "rubbish", ""])
def test_a_wrong_latest(root: Path, hint: str) -> None:
    (root / "ref/latest").write_text(hint)
    found = look(root)
    assert problems(found) == {"wrong_latest"}
    assert "v3" in found["wrong_latest"].what


@pytest.mark.parametrize("hint", ["v1", None])
def test_a_latest_that_a_crash_left_behind_is_told_and_no_problem(root: Path, hint: str | None) -> None:
    path = root / "ref/latest"
    path.unlink()
    if hint:
        path.write_text(hint)
    found = look(root)
    assert (set(found), problems(found)) == ({"wrong_latest"}, set())


def test_a_missing_companion_is_told_and_no_problem(root: Path) -> None:
    (root / "ref/v2/metadata.json").unlink()
    found = look(root)
    assert (set(found), problems(found)) == ({"missing_companion"}, set())


def test_a_gap(root: Path) -> None:
    shutil.rmtree(root / "ref/v2")
    found = look(root)
    assert problems(found) == {"gap"}
    assert found["gap"].where.endswith("ref/v2")


def test_missing_and_cut_blobs(root: Path) -> None:
    blobs = [path for path in (root / ".kit/blobs").rglob("*") if path.is_file()]
    os.chmod(blobs[0], 0o644)
    blobs[0].write_bytes(b"")
    blobs[1].unlink()
    found = look(root)
    assert problems(found) == {"missing_content"}
    assert "a.txt, b.txt" in found["missing_content"].what


def test_a_missing_and_a_damaged_listing(root: Path, tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for number in range(1000):
        (many / f"{number:04}-{'x' * 20}").touch()
    Registry.open(root).publish(Draft(name="many", source=many))
    (listing,) = (path for path in (root / ".kit/trees").rglob("*") if path.is_file())
    whole = listing.read_bytes()
    os.chmod(listing, 0o644)
    listing.write_bytes(whole[:-10])
    assert problems(look(root)) == {"damaged_tree"}
    listing.unlink()
    assert problems(look(root)) == {"damaged_tree"}


def test_data_that_is_gone(root: Path, data: Path) -> None:
    shutil.rmtree(data)
    found = look(root)
    assert problems(found) == {"missing_data"}
    assert "nemotron kit rm ref:v3 -m WHY" in found["missing_data"].fix


def test_data_that_was_moved_is_found_again_as_its_advice_says(root: Path, data: Path) -> None:
    moved = data.rename(data.parent / "moved")
    assert "was moved, say so: nemotron kit remap OLD NEW" in look(root)["missing_data"].fix
    Registry.open(root).remap(str(data), str(moved))
    assert look(root) == {}


def test_data_that_has_changed(root: Path, data: Path) -> None:
    (data / "a.txt").write_text("longer than it was")
    (data / "b.txt").unlink()
    (data / "c.txt").touch()
    found = look(root)
    assert problems(found) == {"drifted"}
    assert "a.txt (changed), b.txt (missing), c.txt (extra)" in found["drifted"].what


def test_a_folder_that_was_published_again_since_is_a_note(root: Path, data: Path) -> None:
    # A team that appends to a dataset has this of all versions but the latest, and nothing is wrong.
    (data / "a.txt").write_text("longer than it was")
    assert problems(look(root)) == {"drifted"}
    published = Registry.open(root).publish(Draft(name="ref", source=data)).record
    found = look(root)
    assert problems(found) == set()
    assert f"published again as v{published.version}" in found["drifted"].what
    assert "nemotron kit rm ref:v3 -m WHY" in found["drifted"].fix
    (data / "a.txt").write_text("longer still than it was")
    assert problems(look(root)) == {"drifted"}  # the latest is not what was published either


def test_data_that_was_only_touched_is_a_note(root: Path, data: Path) -> None:
    os.utime(data / "a.txt", ns=(1, 1))
    found = look(root)
    assert (set(found), problems(found)) == ({"touched"}, set())


def test_data_at_a_url_is_not_looked_at(root: Path) -> None:
    Registry.open(root).publish(Draft(name="far", source="s3://bucket/x"))
    assert look(root) == {}


def test_withdrawn_versions_need_no_data(root: Path, data: Path) -> None:
    registry = Registry.open(root)
    for number in (1, 2, 3):
        registry.withdraw(f"ref:v{number}", "gone")
    shutil.rmtree(data)
    assert look(root) == {}
    (root / "ref/v1/tombstone.json").write_text("{")
    assert problems(look(root)) == {"damaged_tombstone"}


def test_aliases(root: Path) -> None:
    registry = Registry.open(root)
    registry.alias("ref", "prod", 2)
    registry.withdraw("ref:v2", "bad")
    found = look(root)
    assert problems(found) == {"dangling_alias"}
    assert (found["dangling_alias"].where, "is withdrawn" in found["dangling_alias"].what) == (
        "art://ref:prod",
        True,
    )
    log = root / "snap/aliases/good/00000001.json"
    log.write_text(log.read_text().replace('"version": 1', '"version": 7'))
    assert "does not exist" in look(root)["dangling_alias"].what


def test_a_damaged_alias(root: Path) -> None:
    (root / "snap/aliases/good/00000001.json").write_text("{")
    assert problems(look(root)) == {"damaged_alias"}


def test_leftovers_and_foreign_files_are_notes(root: Path) -> None:
    for path in ("ref", "ref/v1", "snap/aliases/good", ".kit", ".kit/staging"):
        (root / path).mkdir(exist_ok=True)
        (root / path / TEMPORARY).touch()
        (root / path / ".tmp-of-mine").touch()  # gc leaves it
    (root / "README.md").touch()
    (root / "some.txt").touch()
    (root / "my folder").mkdir()
    (root / "folder").mkdir()
    (root / "ref/v1/notes.txt").touch()
    (root / "ref/v9").mkdir()
    (root / "ref/extra").touch()
    (root / "snap/aliases/latest").mkdir()
    checkout = root / ".kit/checkouts/snap/v1.changed-1"
    checkout.mkdir(parents=True)
    before = state(root)
    findings = examine(Registry.open(root))
    assert state(root) == before
    assert {finding.level for finding in findings} == {"note"}
    kinds = sorted(finding.kind for finding in findings)
    assert kinds.count("leftover") == 5
    assert kinds.count("foreign") == 7 + 5
    assert kinds.count("empty_version") == 1
    assert kinds.count("changed_checkout") == 1


def test_links_in_a_root_are_not_followed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside" / "v1").mkdir(parents=True)
    (root / "linked").symlink_to(tmp_path / "outside")
    found = look(root)
    assert problems(found) == {"unreadable"}
    assert "link" in found["unreadable"].what


@pytest.mark.parametrize(
    ("content", "kind"), [("{", "damaged_format"), ('{"format_version": 99}', "unknown_format")]
)
def test_the_format_file(root: Path, content: str, kind: str) -> None:
    (root / ".kit/format.json").write_text(content)
    assert kind in problems(look(root))


def test_a_missing_format_file_is_a_note(root: Path) -> None:
    (root / ".kit/format.json").unlink()
    found = look(root)
    assert (set(found), problems(found)) == ({"missing_format"}, set())


def test_versions_spelt_differently(root: Path) -> None:
    path = root / "ref/v2/manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "semantic_name": "r/ef"}))
    assert problems(look(root)) == {"name_conflict"}


def test_a_manifest_root_of_an_earlier_tool_is_healthy(tmp_path: Path, data: Path) -> None:
    folder = tmp_path / "old" / "model" / "v3"
    folder.mkdir(parents=True)
    document = {"name": "model", "version": 3, "type": "model", "path": str(data), "created_at": "2024-01-01"}
    (folder / "manifest.json").write_text(json.dumps(document))
    (folder / "metadata.json").write_text("{}")
    (folder.parent / "latest").write_text("v3")
    assert problems(look(tmp_path / "old")) == set()


def test_a_manifest_of_an_earlier_tool_that_is_none_is_told(tmp_path: Path, data: Path) -> None:
    root = tmp_path / "old"
    for number, content in ((1, "[1]"), (2, "{}")):
        (root / f"m/v{number}").mkdir(parents=True)
        (root / f"m/v{number}/manifest.json").write_text(content)
    found = [one for one in examine(Registry.open(root)) if one.kind == "unreadable_manifest"]
    assert [Path(one.where).parent.name for one in found] == ["v1", "v2"]


def test_an_index_root_of_an_earlier_tool_is_healthy(tmp_path: Path) -> None:
    folder = tmp_path / "old" / "model" / "v1"
    folder.mkdir(parents=True)
    (folder / "weights.bin").touch()
    versions = [{"version": 1, "path": str(folder), "created_at": "2024-01-01", "metadata": {}}]
    index = {"model": {"name": "model", "versions": versions, "aliases": {"prod": 1}}}
    (tmp_path / "old" / ".art_index.json").write_text(json.dumps(index))
    found = look(tmp_path / "old")
    assert problems(found) == set()
    assert "older_index" in found


def test_the_probe_leaves_nothing(root: Path) -> None:
    registry = Registry.open(root)
    before = set(root.rglob("*"))
    assert examine(registry, probe=True) == []
    assert set(root.rglob("*")) == before


def test_the_probe_of_a_store_that_excludes_nobody(data: Path) -> None:
    class Careless(MemoryStore):
        def create(self, key: str, data: bytes, *, durable: bool = True) -> bool:
            self.replace(key, data)
            return True

    registry = Registry(Careless())
    assert [finding.kind for finding in examine(registry, probe=True)] == ["not_exclusive"]


def test_the_probe_of_a_full_disk(data: Path) -> None:
    class Full(MemoryStore):
        def create(self, key: str, data: bytes, *, durable: bool = True) -> bool:
            if self.exists(key):
                raise DiskFullError("No space left on device")
            return super().create(key, data)

    registry = Registry(Full())
    [found] = examine(registry, probe=True)
    assert (found.kind, found.is_problem) == ("disk_full", True)
    assert found.fix.startswith("free some space")
    assert list(registry.store.walk(".kit/probe")) == []


def test_the_probe_of_a_root_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = look(tmp_path / "file" / "below", probe=True)
    assert "not_writable" in problems(found)


def test_progress(root: Path) -> None:
    seen: list[tuple[int, int]] = []
    examine(Registry.open(root), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 2), (1, 2), (2, 2)]


def test_a_place_is_named_once(root: Path) -> None:
    (root / "ref/v2/manifest.json").write_text("{")
    finding = look(root)["damaged_manifest"]
    assert finding.what.startswith("it is damaged: not JSON")
    assert finding.where not in finding.what
