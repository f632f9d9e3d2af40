"""A root is moved, copied or mounted elsewhere: what lies inside goes with it."""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bucket_server import environment, new_bucket, serving
from nemotron.kit.artifact import Artifact
from nemotron.kit.lineage.collect import collect
from nemotron.kit.registry.adopting import adopt
from nemotron.kit.registry.doctor import examine
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.start import using
from nemotron.kit.store.connect import open_store
from nemotron.kit.store.memory import MemoryStore
from nemotron.kit.store.protocol import Store

GOLDEN = Path(__file__).parents[1] / "golden" / "old_stores"


def move(root: Path, to: Path) -> None:
    root.rename(to)


def copy(root: Path, to: Path) -> None:
    shutil.copytree(root, to, symlinks=True)
    shutil.rmtree(root)


def copy_without_times(root: Path, to: Path) -> None:
    """As rsync without -t does."""
    shutil.copytree(root, to, symlinks=True, copy_function=shutil.copy)
    for path in (*to.rglob("*"),):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    shutil.rmtree(root)


def link(root: Path, to: Path) -> None:
    """The same root under another name."""
    to.symlink_to(root)


@pytest.fixture(params=[move, copy, copy_without_times, link])
def relocate(request: pytest.FixtureRequest, root: Path, tmp_path: Path) -> Callable[[], Path]:
    to = tmp_path / "far/away"
    to.parent.mkdir()

    def relocate() -> Path:
        request.param(root, to)
        return to

    return relocate


@pytest.fixture
def inside(root: Path) -> Path:
    """Data in the root itself, as a recipe with one output folder has it."""
    folder = root / "outputs/run1"
    (folder / "train").mkdir(parents=True)
    (folder / "train/000.bin").write_bytes(b"123")
    (folder / "blend.json").write_text("{}")
    return folder


@pytest.mark.parametrize("evidence", ["stat", "full"])
def test_a_reference_inside_the_root(publish, inside: Path, relocate, evidence: str) -> None:
    publish("a", source=inside, evidence=evidence, metadata={"train": f"{inside}/train"})
    publish("b", source=inside, entry="blend.json", evidence=evidence)
    publish("c", source=inside / "blend.json", evidence=evidence, used_artifacts=("a:v1",))
    root = relocate()
    registry, now = Registry.open(root), root / "outputs/run1"
    assert registry.resolve("a").path == str(now)
    assert registry.resolve("a").metadata == {"train": f"{now}/train"}
    assert registry.resolve("b").path == registry.resolve("c").path == f"{now}/blend.json"
    assert registry.inside("art://b:v1/train/000.bin") == now / "train/000.bin"
    for name in "abc":
        assert registry.verify(name).ok
        assert [d.verdict for d in registry.check(registry.resolve(name))] in (
            [],
            ["touched"],
            ["touched"] * 2,
        )
    with using(root=root):
        assert Artifact.from_uri("art://a").metadata["train"] == f"{now}/train"
    assert collect(registry, "c").root.path == f"{now}/blend.json"
    assert [finding for finding in examine(registry) if finding.level == "problem"] == []


def test_saved_again_after_the_move_it_is_the_same_version(publish, inside: Path, relocate) -> None:
    publish("a", source=inside, evidence="full", metadata={"train": f"{inside}/train"})
    root = relocate()
    now = root / "outputs/run1"
    draft = Draft(name="a", source=now, evidence="full", metadata={"train": f"{now}/train"})
    assert not Registry.open(root).publish(draft).created


def test_a_snapshot_with_and_without_a_checkout(publish, registry, data: Path, relocate) -> None:
    publish("m", snapshot=True, metadata={"file": f"{data}/part.txt"})
    publish("n", snapshot=True, source=data / "part.txt")
    registry.folder(registry.resolve("m"))
    shutil.rmtree(data)
    root = relocate()
    registry = Registry.open(root)
    record = registry.resolve("m")
    folder = registry.folder(record)
    assert folder == root / ".kit/checkouts/m/v1"
    assert record.metadata == {"file": f"{folder}/part.txt"}
    assert (folder / "part.txt").read_text() == "hello"
    assert registry.location(registry.resolve("n")).read_text() == "hello"
    assert registry.verify("m", "full").ok
    assert [path.name for path in folder.parent.iterdir()] == ["v1"]  # nothing had to be laid out anew


def test_aliases_and_withdrawals(publish, registry, relocate) -> None:
    publish("m", metadata={"step": 1}, aliases=("good",))
    publish("m", metadata={"step": 2})
    registry.withdraw("m:v2", "no good")
    registry = Registry.open(relocate())
    assert (registry.resolve("m").version, registry.resolve("m:good").version) == (1, 1)
    assert registry.alias_log("m", "good")[0].version == 1


@pytest.mark.parametrize("adopted", [False, True])
def test_an_older_index_root(root: Path, relocate, adopted: bool) -> None:
    shutil.copytree(GOLDEN / "index_root", root)
    if adopted:
        adopt(Registry.open(root), full=True)
    root = relocate()
    registry = Registry.open(root)
    assert registry.resolve("eval-set:production").path == str(root / "eval-set/v1")
    assert (registry.folder(registry.resolve("eval-set")) / "a.txt").read_text() == "two\n"
    assert not adopted or registry.verify("eval-set:v2").ok


def test_data_named_by_the_roots_other_name_is_inside(data: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    inside = tmp_path / "real/out/x"
    inside.mkdir(parents=True)
    (inside / "a").write_text("1")
    (tmp_path / "real2").mkdir()
    registry = Registry.open(tmp_path / "link")
    assert registry.publish(Draft(name="a", source=inside)).record.manifest.path == "out/x"
    assert registry.publish(Draft(name="b", source=data)).record.manifest.path == str(data)
    assert registry.publish(Draft(name="c", source=tmp_path / "real2")).record.manifest.path.startswith("/")
    (tmp_path / "real").rename(tmp_path / "moved")
    assert Registry.open(tmp_path / "moved").resolve("a").path == str(tmp_path / "moved/out/x")


# -- stores that are no folders: copied key by key ---------------------------------------------------------


def copied(store: Store, into: Store, prefix: str = "") -> None:
    for name in store.list(prefix):
        key = f"{prefix}/{name}" if prefix else name
        content = store.read(key)
        if content is None:
            copied(store, into, key)
        else:
            assert into.create(key, content)


@pytest.fixture(params=["memory", "bucket"])
def places(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Store, Store]]:
    if request.param == "memory":
        yield MemoryStore("memory://old/team"), MemoryStore("memory://new")
        return
    pytest.importorskip("obstore")
    pytest.importorskip("moto.server")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with serving() as (host, port):
        for key, value in environment(f"http://{host}:{port}").items():
            monkeypatch.setenv(key, value)
        buckets = [new_bucket((host, port)) for _ in range(2)]
        yield open_store(f"s3://{buckets[0]}/team"), open_store(f"s3://{buckets[1]}/elsewhere")


def test_a_store_copied_key_by_key(data: Path, places: tuple[Store, Store]) -> None:
    old, new = places
    registry = Registry(old)
    registry.publish(Draft(name="snap", source=data, snapshot=True, aliases=("good",)))
    registry.publish(Draft(name="inside", source=f"{old.url}/outputs/x"))
    registry.publish(Draft(name="beside", source=f"{old.url}s/x"))
    copied(old, new)
    registry = Registry(new)
    assert registry.resolve("inside").path == f"{new.url}/outputs/x"
    assert registry.resolve("beside").path == f"{old.url}s/x"
    assert (registry.folder(registry.resolve("snap:good")) / "part.txt").read_text() == "hello"
    assert registry.verify("snap", "full").ok
