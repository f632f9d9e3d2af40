"""Data moved: what was recorded stays, and everything looks for it where it is now."""

import logging
import shutil
import threading
from pathlib import Path

import pytest

from nemotron.kit.artifact import Artifact
from nemotron.kit.errors import MisuseError, NotFoundError, RefusedError
from nemotron.kit.integrations.fsspec import ArtifactFileSystem
from nemotron.kit.lineage.collect import collect
from nemotron.kit.registry.adopting import adopt
from nemotron.kit.registry.doctor import examine
from nemotron.kit.registry.registry import Registry
from nemotron.kit.start import using
from nemotron.kit.store.local import LocalStore
from nemotron.kit.testing.faults import WRITES, Fault, FaultyStore

GOLDEN = Path(__file__).parents[1] / "golden" / "old_stores"


@pytest.fixture
def moved(publish, data: Path, tmp_path: Path) -> Path:
    """`m:v1` was published at `data`, which lies elsewhere now."""
    publish(metadata={"train": f"{data}/part.txt", "other": "/x"}, evidence="full", aliases=("good",))
    there = tmp_path / "elsewhere/data"
    there.parent.mkdir()
    data.rename(there)
    return there


def test_everything_sees_through_it(opened, root: Path, data: Path, moved: Path) -> None:
    before = (root / "m/v1/manifest.json").read_bytes()
    Registry.open(root).remap(str(data), str(moved), why="moved house")
    registry = opened()
    record = registry.resolve("m:good")
    assert (record.path, record.folder) == (str(moved), str(moved))
    assert record.metadata == {"train": f"{moved}/part.txt", "other": "/x"}
    assert registry.inside("m:v1/part.txt") == moved / "part.txt"
    assert registry.check(record) == []
    assert registry.verify("m:v1").ok
    (moved / "part.txt").write_text("hallo")
    assert [(d.path, d.verdict) for d in registry.check(record)] == [("part.txt", "changed")]
    (moved / "part.txt").write_text("hello")
    with using(root=root):
        artifact = Artifact.from_uri("art://m:v1")
        assert (artifact.path, artifact.metadata["train"]) == (moved, f"{moved}/part.txt")
    assert ArtifactFileSystem(root=root).cat_file("art://m:v1/part.txt") == b"hello"
    assert collect(registry, "m").root.path == str(moved)
    assert [finding.kind for finding in examine(opened()) if finding.level == "problem"] == []
    assert (root / "m/v1/manifest.json").read_bytes() == before


def test_lineage_that_was_indexed_before_sees_it_too(opened, data: Path, moved: Path) -> None:
    assert collect(opened(), "m").root.path == str(data)
    opened().remap(str(data), str(moved))
    assert collect(opened(), "m").root.path == str(moved)


def test_it_can_be_taken_back_and_changed(opened, data: Path, moved: Path) -> None:
    registry = opened()
    registry.remap(str(data), "/nowhere")
    registry.remap(str(data), "/nowhere")  # the same again is nothing new
    assert registry.resolve("m").path == "/nowhere"
    registry.remap(f"{data}/", str(moved))
    assert opened().resolve("m").path == str(moved)
    assert [(remap.old, remap.new) for remap in opened().remaps()] == [(str(data), str(moved))]
    registry.remap(str(data), None)
    assert (registry.resolve("m").path, opened().remaps()) == (str(data), ())
    with pytest.raises(NotFoundError, match="nothing is"):
        registry.remap(str(data), None)
    assert len(list(Path(registry.root, ".kit/remaps").iterdir())) == 3


def test_urls(opened, publish) -> None:
    publish("u", source="s3://old/team/x")
    registry = opened()
    registry.remap("s3://old", "s3://new/from-old/")
    assert opened().resolve("u").path == "s3://new/from-old/team/x"
    registry.remap("s3://old/team", "/mnt/team")
    assert opened().resolve("u").path == "/mnt/team/x"
    publish("v", source="s3://older/x")
    assert opened().resolve("v").path == "s3://older/x"


def test_a_container_of_azure_is_no_credential_and_a_file_url_is_its_path(opened, publish) -> None:
    publish("u", source="abfs://data@account.dfs.core.windows.net/team/x")
    opened().remap("abfs://data@account.dfs.core.windows.net/team", "abfss://data@other.dfs.core.windows.net")
    assert opened().resolve("u").path == "abfss://data@other.dfs.core.windows.net/x"
    opened().remap("file:///old%20data", "/new")
    assert "/old data" in [remap.old for remap in opened().remaps()]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("abfs://c:secret@account.dfs.core.windows.net/x", "/b", "credentials"),
        ("/a", "/a", "circle"),
        ("/a", "/a/b", "circle"),
        ("/a/b", "/c", "circle"),  # with /c → /a/b, from the fixture below
        ("relative", "/b", "absolute"),
        ("/", "/b", "absolute"),
        ("/a", "", "absolute"),
        ("art://m", "/b", "such as"),
        ("s3://", "/b", "such as"),
        ("s3://key:secret@bucket/x", "/b", "credentials"),
        ("/a", "https://host/x?token=secret", "credentials"),
        ("/a\n", "/b", "control"),
    ],
)
def test_what_is_refused(registry, publish, old: str, new: str, said: str) -> None:
    publish()
    registry.remap("/c", "/a/b")
    with pytest.raises(MisuseError, match=said) as caught:
        registry.remap(old, new)
    assert "secret" not in str(caught.value)
    assert len(registry.remaps()) == 1


def test_what_lies_in_the_store_moves_with_it(registry, publish, root: Path) -> None:
    inside = root / "out/data"
    inside.mkdir(parents=True)
    (inside / "x").write_text("1")
    publish(source=inside)
    with pytest.raises(MisuseError, match="move with it"):
        registry.remap(str(root / "out"), "/elsewhere")
    registry.remap(str(root.parent), "/elsewhere")
    assert registry.resolve("m").path == str(inside)


def test_two_at_once_lose_nothing(opened, publish, root: Path) -> None:
    publish()

    def work(start: int) -> None:
        registry = opened()
        for number in range(start, start + 10):
            registry.remap(f"/old/{number}", f"/new/{number}")

    threads = [threading.Thread(target=work, args=(start,)) for start in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {f"/old/{n}" for start in (0, 100, 200) for n in range(start, start + 10)}
    assert {remap.old for remap in opened().remaps()} == expected


@pytest.mark.parametrize("when", ["lost", "torn", "after"])
def test_faults(publish, opened, root: Path, when) -> None:
    publish()
    store = FaultyStore(LocalStore(root), Fault(when, 1, WRITES))
    try:
        Registry(store).remap("/old", "/new")
    except ConnectionError:
        assert when in ("torn", "after")
    registry = opened()
    registry.remap("/old", "/new")
    registry.remap("/older", "/new")
    assert [(remap.old, remap.new) for remap in opened().remaps()] == [("/old", "/new"), ("/older", "/new")]
    assert len(list((root / ".kit/remaps").iterdir())) == (3 if when == "torn" else 2)


def test_a_hand_made_circle_is_an_error_and_not_for_ever(opened, publish, root: Path, data: Path) -> None:
    publish()
    opened().remap(str(data), "/b")
    entry = root / ".kit/remaps/00000001.json"
    entry.chmod(0o644)
    entry.write_text(entry.read_text().replace('"new": "/b"', f'"new": "{data}/x"'))
    with pytest.raises(RefusedError, match="circle"):
        _ = opened().resolve("m").path


def test_what_is_published_where_nobody_will_look_is_told(registry, publish, data: Path, caplog) -> None:
    registry.remap(str(data), "/gone")
    with caplog.at_level(logging.WARNING):
        publish()
    assert "will be looked for at /gone" in caplog.text


def test_it_costs_one_listing_a_process_and_only_when_a_path_is_asked_for(counted, publish, opened) -> None:
    publish()
    publish("n")
    fresh, store = counted()
    record = fresh.resolve("m")
    assert not any(key.startswith(".kit/remaps") for _, key in store.calls)
    for _ in range(3):
        _ = record.path, fresh.resolve("n").folder, record.metadata
    assert [call for call in store.calls if call[1].startswith(".kit/remaps")] == [("list", ".kit/remaps")]
    opened().remap("/old", "/new")
    fresh, store = counted()
    _ = fresh.resolve("m").path
    asked = [call for call in store.calls if call[1].startswith(".kit/remaps")]
    assert asked == [("list", ".kit/remaps"), ("read", ".kit/remaps/00000001.json")]


def test_a_manifest_root_whose_data_moved_is_adopted_where_it_is(tmp_path: Path) -> None:
    root = Path(shutil.copytree(GOLDEN / "manifest_root", tmp_path / "root"))
    for number in (1, 2, 5):
        folder = tmp_path / f"mnt/corpus/{number}"
        folder.mkdir(parents=True)
        (folder / "a.bin").write_bytes(b"x" * number)
    Registry.open(root).remap("/lustre", str(tmp_path / "mnt"))
    assert [one.status for one in adopt(Registry.open(root))] == ["skipped", *["adopted"] * 3]
    registry = Registry.open(root)
    record = registry.resolve("corpus:v5")
    assert (record.manifest.path, record.path) == ("/lustre/corpus/5", str(tmp_path / "mnt/corpus/5"))
    assert registry.verify("corpus:v5").ok
