"""What counts as being there for a copy: bytes of that version, whatever sizes and times say."""

import os
from pathlib import Path
from typing import Any

import fsspec
import pytest

from nemotron.kit import context, start
from nemotron.kit.artifacts.base import Artifact
from nemotron.kit.errors import ConflictError, DriftError, MisuseError
from nemotron.kit.integrations.copying import copy_out
from nemotron.kit.registry import digest_cache
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

SIZE = 100_000
KINDS: dict[str, dict[str, Any]] = {
    "snapshot": {"snapshot": True},
    "full": {"evidence": "full"},
    "stat": {"evidence": "stat"},
}
kinds = pytest.mark.parametrize("how", KINDS.values(), ids=KINDS.keys())


def written(path: Path, byte: bytes) -> Path:
    """A file of one size and time, whatever is in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(byte * SIZE)
    os.utime(path, (0, 0))
    return path


@pytest.fixture
def store(tmp_path: Path) -> Registry:
    return Registry.open(tmp_path / "store")


@kinds
@pytest.mark.parametrize("alone", [False, True])
def test_another_version_with_the_same_size_and_time_is_not_there(
    store: Registry, tmp_path: Path, how: dict[str, Any], alone: bool
) -> None:
    for at, byte in enumerate((b"1", b"2"), 1):
        path = written(tmp_path / f"n{at}/model.bin", byte)
        store.publish(Draft(name="nm", source=path if alone else path.parent, **how))
    for inside in ("", "/model.bin"):
        to = tmp_path / f"serve{inside.replace('/', '-')}"
        to.mkdir()
        for version in (1, 2):
            if version == 2:
                with pytest.raises(ConflictError, match=r"serve.*/model\.bin differs from art://nm:v2"):
                    copy_out(store, f"nm:v2{inside}", str(to))
                assert (to / "model.bin").read_bytes() == b"1" * SIZE
            copied = copy_out(store, f"nm:v{version}{inside}", str(to), force=True)
            assert (copied.files, copied.size, copied.skipped) == (1, SIZE, 0)
            assert (to / "model.bin").read_bytes() == b"%d" % version * SIZE
            assert copy_out(store, f"nm:v{version}{inside}", str(to)).skipped == 1


@pytest.mark.parametrize("snapshot", [True, False])
def test_the_record_says_of_which_version_the_bytes_are(tmp_path: Path, snapshot: bool) -> None:
    with start.using(root=tmp_path / "store"):
        for at, byte in enumerate((b"1", b"2"), 1):
            folder = written(tmp_path / f"n{at}/model.bin", byte).parent
            Artifact(path=folder, metadata={"at": at}).save(name="nm", snapshot=snapshot)
        for at in (1, 2, 1):
            copy_out(context.require_registry(), f"nm:v{at}", "serve", force=True)
            assert Artifact.load("serve").metadata["at"] == at
            assert (tmp_path / "serve/model.bin").read_bytes() == b"%d" % at * SIZE


@pytest.mark.parametrize("how", [KINDS["snapshot"], KINDS["full"]], ids=["snapshot", "full"])
@pytest.mark.parametrize("ref", ["data", "data:v1/deep/b.bin"])
def test_what_stays_as_it_is_is_read_once(
    store: Registry, tmp_path: Path, how: dict[str, Any], ref: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest_cache, "SETTLED_NS", -(10**12))  # as if it had been copied long ago
    written(tmp_path / "data/a.bin", b"a")
    written(tmp_path / "data/deep/b.bin", b"b")
    store.publish(Draft(name="data", source=tmp_path / "data", **how))
    read: list[tuple[int, int]] = []
    copies = [
        copy_out(store, ref, "out", progress=lambda done, total: read.append((done, total))) for _ in range(2)
    ]
    size = copies[0].size
    assert (copies[1].files, copies[1].skipped, read[-1]) == (0, copies[0].files, (size, size))
    read.clear()
    assert copy_out(store, ref, "out", progress=lambda *told: read.append(told)).files == 0
    assert read == []
    there = tmp_path / ("out/deep/b.bin" if ref == "data" else "out")
    written(there, b"x")  # whoever puts the time back is found out all the same
    with pytest.raises(ConflictError, match="differs"):
        copy_out(store, ref, "out")
    copy_out(store, ref, "out", force=True)
    assert there.read_bytes() == b"b" * SIZE


def test_what_was_published_is_there_though_the_reference_has_changed(
    store: Registry, tmp_path: Path
) -> None:
    path = written(tmp_path / "data/model.bin", b"1")
    store.publish(Draft(name="nm", source=path.parent, evidence="full"))
    copy_out(store, "nm", "out")
    written(path, b"2")
    assert copy_out(store, "nm", "out").skipped == 1
    written(tmp_path / "out/model.bin", b"2")
    with pytest.raises(ConflictError, match="differs"):
        copy_out(store, "nm", "out")
    with pytest.raises(DriftError, match="is not what was published"):
        copy_out(store, "nm", "out", force=True)
    assert (tmp_path / "out/model.bin").read_bytes() == b"2" * SIZE


@pytest.mark.parametrize("evidence", ["stat", "full"])
def test_data_at_a_url_is_fetched_again_only_where_nothing_else_tells(
    store: Registry, tmp_path: Path, evidence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = fsspec.filesystem("memory")
    for at in (1, 2):
        memory.pipe_file(f"/{tmp_path.name}/n{at}/model.bin", b"%d" % at * SIZE)
        source = f"memory://{tmp_path.name}/n{at}"
        store.publish(Draft(name="far", source=source, evidence=evidence, at_url={}))  # type: ignore[arg-type]
    copy_out(store, "far:v1", "out")
    modified = memory.modified(f"/{tmp_path.name}/n2/model.bin").timestamp()
    os.utime("out/model.bin", (modified, modified))
    with pytest.raises(ConflictError, match=r"model\.bin differs"):
        copy_out(store, "far:v2", "out")
    assert copy_out(store, "far:v2", "out", force=True).files == 1
    fetched: list[str] = []
    real = type(memory).cat_file
    monkeypatch.setattr(
        type(memory), "cat_file", lambda self, path, **how: (fetched.append(path), real(self, path, **how))[1]
    )
    assert copy_out(store, "far:v2", "out").skipped == 1
    assert bool(fetched) == (evidence == "stat")


@pytest.mark.parametrize("how", [KINDS["full"], KINDS["stat"]], ids=["full", "stat"])
def test_a_reference_is_not_copied_onto_itself(store: Registry, tmp_path: Path, how: dict[str, Any]) -> None:
    written(tmp_path / "f/deep/a.bin", b"1")
    one = written(tmp_path / "one.bin", b"1")
    (tmp_path / "link").symlink_to("f")
    store.publish(Draft(name="f", source=tmp_path / "f", **how))
    store.publish(Draft(name="one", source=one, **how))
    written(tmp_path / "f/deep/a.bin", b"2")
    onto = [("f", "f"), ("f", "link"), ("f:v1/deep", "f/deep"), ("f:v1/deep/a.bin", "link/deep")]
    for ref, to in [*onto, ("one", "one.bin"), ("one", ".")]:
        with pytest.raises(MisuseError, match=r"Nothing was copied: .* is itself what art://(f|one):v1"):
            copy_out(store, ref, to, force=True)
    assert (tmp_path / "f/deep/a.bin").read_bytes() == b"2" * SIZE
    store.publish(Draft(name="kept", source=tmp_path / "f", snapshot=True))
    assert copy_out(store, "kept", "f").skipped == 1, "the store has its own"
