"""Roots that earlier tools wrote: they open as they are, and new versions continue their numbers."""

import json
import shutil
from pathlib import Path

import pytest

from nemotron.kit.errors import ArtifactVersionNotFoundError
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

GOLDEN = Path(__file__).parents[1] / "golden" / "old_stores"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "part.txt").write_text("new")
    return folder


@pytest.fixture(params=["manifest_root", "index_root"])
def any_root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / request.param, tmp_path / "root"))


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / "manifest_root", tmp_path / "root"))


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / "index_root", tmp_path / "root"))


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_reading_writes_nothing(any_root: Path) -> None:
    before = files(any_root)
    registry = Registry.open(any_root)
    for entry in registry.list():
        for record in registry.versions(entry.name):
            assert registry.resolve(record.uri) == record
    assert files(any_root) == before


def test_manifest_root_resolves(manifests: Path) -> None:
    registry = Registry.open(manifests)
    assert [(entry.name, entry.latest) for entry in registry.list()] == [("base-model", 1), ("corpus", 5)]
    assert [record.version for record in registry.versions("corpus")] == [1, 2, 5]
    latest = registry.resolve("art://corpus")
    assert (latest.path, latest.metadata, latest.type) == (
        "/lustre/corpus/5",
        {"total_tokens": 500},
        "PretrainDataArtifact",
    )
    assert registry.resolve("art://base-model").inputs == ["art://corpus:v2", "hf://org/corpus"]


def test_a_gap_of_an_old_crash_is_no_version_and_hides_nothing(manifests: Path) -> None:
    registry = Registry.open(manifests)
    with pytest.raises(ArtifactVersionNotFoundError):
        registry.resolve("art://corpus:v3")
    (manifests / "corpus" / "latest").unlink()
    assert Registry.open(manifests).resolve("art://corpus").version == 5


def test_index_root_resolves_by_layout_when_its_paths_are_gone(index: Path) -> None:
    registry = Registry.open(index)
    first, second = registry.versions("eval-set")
    assert first.path == str(index / "eval-set/v1")
    assert (registry.folder(second) / "a.txt").read_text() == "two\n"
    assert (first.metadata, second.metadata) == ({"rows": 10}, {"rows": 20})
    assert registry.resolve("art://eval-set:production").version == 1


def test_a_users_own_manifest_is_not_a_commit(index: Path) -> None:
    # Without the index only the folders are known; the manifest.json in v2 speaks of something else.
    (index / ".art_index.json").unlink()
    registry = Registry.open(index)
    with pytest.raises(ArtifactVersionNotFoundError):
        registry.resolve("art://eval-set:v2")


def test_a_damaged_index_costs_only_what_it_alone_knew(manifests: Path) -> None:
    (manifests / ".art_index.json").write_text('{"corpus": ')
    assert Registry.open(manifests).resolve("art://corpus").version == 5


@pytest.mark.parametrize(("name", "highest"), [("corpus", 5), ("base-model", 1)])
def test_manifest_numbers_continue(manifests: Path, data: Path, name: str, highest: int) -> None:
    published = Registry.open(manifests).publish(Draft(name=name, source=data)).record
    assert published.version == highest + 1
    assert Registry.open(manifests).resolve(f"art://{name}") == published
    assert json.loads((manifests / ".kit/format.json").read_text())["older_generations"] is True


def test_index_numbers_continue_above_a_half_written_folder(index: Path, data: Path) -> None:
    published = Registry.open(index).publish(Draft(name="eval-set", source=data)).record
    assert published.version == 4
    assert not (index / "eval-set/v3/manifest.json").exists()


def test_a_folder_left_empty_by_our_own_crash_means_the_same_to_everybody(
    manifests: Path, data: Path
) -> None:
    early = Registry.open(manifests)
    early.publish(Draft(name="corpus", source=data))
    (manifests / "corpus/v7").mkdir()  # claimed a folder, died before the commit
    late = Registry.open(manifests)
    first = late.publish(Draft(name="corpus", source=data, metadata={"a": 1})).record
    second = early.publish(Draft(name="corpus", source=data, metadata={"a": 2})).record
    assert (first.version, second.version) == (7, 8)
    assert late.resolve("art://corpus") == second


def test_an_alias_of_an_index_moves_on(index: Path) -> None:
    registry = Registry.open(index)
    registry.alias("eval-set", "production", 2, why="better", if_current=1)
    assert registry.aliases("eval-set") == {"production": 2}
    assert Registry.open(index).resolve("art://eval-set:production").version == 2
    assert registry.alias_log("eval-set", "production")[0].previous == 1


def test_a_new_name_in_an_old_root_begins_at_one(any_root: Path, data: Path) -> None:
    assert Registry.open(any_root).publish(Draft(name="fresh", source=data)).record.version == 1


def test_gaps_are_not_counted(manifests: Path) -> None:
    entry = Registry.open(manifests).get("corpus")
    assert entry is not None
    assert (entry.versions, entry.latest) == ((1, 2, 5), 5)


@pytest.mark.parametrize("torn", [b"", b'{"format_vers', b'{"floor": "5"}', b'{"floor": -1}', b"[5]"])
def test_a_torn_floor_stops_neither_reading_nor_publishing(manifests: Path, data: Path, torn: bytes) -> None:
    Registry.open(manifests).publish(Draft(name="corpus", source=data))
    (manifests / ".kit/older/corpus.json").chmod(0o644)
    (manifests / ".kit/older/corpus.json").write_bytes(torn)
    early, late = Registry.open(manifests), Registry.open(manifests)
    assert [record.version for record in early.versions("corpus")] == [1, 2, 5, 6]
    (manifests / "corpus/v7").mkdir()  # which the two read differently
    numbers = [
        registry.publish(Draft(name="corpus", source=data, metadata={"a": step})).record.version
        for step, registry in enumerate((early, late, early, late))
    ]
    assert numbers == sorted(set(numbers))
    found = [record.version for record in Registry.open(manifests).versions("corpus")]
    assert found == [1, 2, 5, 6, *numbers]


def test_a_torn_floor_hides_no_version_of_an_index(index: Path, data: Path) -> None:
    (index / ".kit/older").mkdir(parents=True)
    (index / ".kit/older/eval-set.json").write_bytes(b"{")
    published = Registry.open(index).publish(Draft(name="eval-set", source=data)).record
    assert published.version == 4
    assert [record.version for record in Registry.open(index).versions("eval-set")] == [1, 2, 4]
