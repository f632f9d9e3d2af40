"""A root that store format 1 wrote when it was new: whatever becomes of the code, it says the same."""

import json
import math
import shutil
from pathlib import Path

import pytest

from nemotron.kit.documents.alias import AliasMove, Tombstone
from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.documents.remap import RemapLog
from nemotron.kit.errors import WithdrawnError
from nemotron.kit.lineage.collect import collect
from nemotron.kit.registry.doctor import examine
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

GOLDEN = Path(__file__).parents[1] / "golden/old_stores/format_1"
RUN = "01a20e00-0000-7000-8000-000000000001"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy; git keeps no times, so those of the data inside are anybody's."""
    return Path(shutil.copytree(GOLDEN, tmp_path / "root"))


@pytest.fixture
def registry(root: Path) -> Registry:
    return Registry.open(root)


def test_names_versions_aliases(registry: Registry) -> None:
    assert [(e.name, e.semantic_name, e.versions, e.aliases) for e in registry.list()] == [
        ("model", "model", (1, 2), {"production": 2}),
        ("nano-corpus", "nano/corpus", (1, 2), {}),
        ("old-set", "old-set", (1,), {}),
        ("remote", "remote", (1,), {}),
    ]
    assert [
        (move.version, move.previous, move.why) for move in registry.alias_log("model", "production")
    ] == [
        (1, None, "first"),
        (2, 1, "passed the evals"),
    ]
    assert registry.resolve("model").version == 2
    with pytest.raises(WithdrawnError, match="trained on the test set"):
        registry.resolve("model:v3")


def test_a_reference_inside_the_root(registry: Registry, root: Path) -> None:
    record = registry.resolve("nano/corpus:v1")
    assert record.path == str(root / "outputs/corpus/blend.json")
    assert record.metadata["train"] == str(root / "outputs/corpus/train")
    assert math.isnan(record.metadata["nan"])
    assert (record.type, record.created_at) == ("DataBlendsArtifact", "2026-01-02T03:04:05+00:00")
    assert (record.manifest.run, record.manifest.producer) == (RUN, "job-1")
    assert (registry.verify("nano/corpus:v1").ok, registry.verify("nano/corpus:v1").evidence) == (
        True,
        "full",
    )
    assert registry.verify("nano/corpus:v2").ok
    assert registry.inside("art://nano/corpus:v1/train/000.txt").read_text() == "hello\n"


def test_a_snapshot(registry: Registry) -> None:
    record = registry.resolve("model:production")
    folder = registry.folder(record)
    assert (folder / "shards/0.bin").read_bytes() == bytes(range(256))
    assert (folder / "run.sh").stat().st_mode & 0o111
    assert (folder / "latest").resolve() == (folder / "shards/0.bin").resolve()
    assert registry.verify("model:v2", "full").ok
    assert json.loads((folder / "metadata.json").read_text())["metadata"] == {"step": 2}


def test_what_was_adopted_and_what_was_remapped(registry: Registry, root: Path) -> None:
    assert registry.resolve("old-set").path == str(root / "old-set/v1")
    assert registry.resolve("old-set").metadata == {"rows": 10}
    assert registry.verify("old-set").ok
    assert registry.resolve("remote").path == "s3://new-bucket/moved/x"


def test_lineage(registry: Registry) -> None:
    assert {node.uri for node in collect(registry, "model")} == {
        "art://model:v2",
        "art://nano-corpus:v1",
        "art://old-set:v1",
        "hf://datasets/org/name",
    }
    withdrawn = collect(registry, "model:v3").root
    assert withdrawn.withdrawn == "trained on the test set"


def test_every_document_is_written_as_it_was(root: Path) -> None:
    kinds = {
        "*/v*/manifest.json": Manifest,
        ".kit/adopted/*/*.json": Manifest,
        "*/aliases/*/*.json": AliasMove,
        "*/v*/tombstone.json": Tombstone,
        ".kit/remaps/*.json": RemapLog,
    }
    for pattern, kind in kinds.items():
        files = list(root.glob(pattern))
        assert files
        for file in files:
            assert kind.from_bytes(file.read_bytes(), str(file)).to_bytes() == file.read_bytes(), file


def test_reading_changes_nothing_and_nothing_is_wrong(registry: Registry, root: Path) -> None:
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    problems = [finding for finding in examine(registry) if finding.level == "problem"]
    assert problems == []
    for entry in registry.list():
        registry.versions(entry.name)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_it_goes_on(registry: Registry, root: Path) -> None:
    inside = root / "outputs/corpus"
    for name, number in (("nano/corpus", 3), ("old-set", 2), ("model", 4), ("new", 1)):
        draft = Draft(name=name, source=inside, metadata={"new": True})
        assert registry.publish(draft).record.version == number
        assert Registry.open(root).resolve(name).version == number
    assert registry.alias("model", "production", 4).sequence == 3
