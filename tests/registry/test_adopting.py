"""Versions of older tools get listings beside; what the tools wrote stays, and no number is lost or made."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nemotron.kit.errors import RefusedError, UnavailableError
from nemotron.kit.lineage.collect import collect
from nemotron.kit.registry import content, digest_cache
from nemotron.kit.registry.adopting import Adoption, adopt
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.scan import scan_folder
from nemotron.kit.store.local import LocalStore
from nemotron.kit.testing.faults import WRITES, Fault, FaultyStore

GOLDEN = Path(__file__).parents[1] / "golden" / "old_stores"
ADOPT = "import sys\nfrom nemotron.kit.registry.adopting import adopt\n" + (
    "from nemotron.kit.registry.registry import Registry\n"
    "found = adopt(Registry.open(sys.argv[1]), full=True)\n"
    "print(sum(one.status == 'adopted' for one in found))"
)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A root of all generations; the manifests speak of data outside, in `tmp_path/lustre`."""
    root = tmp_path / "root"
    for kind in ("manifest_root", "index_root"):
        shutil.copytree(GOLDEN / kind, root, dirs_exist_ok=True)
    for manifest in root.glob("*/v*/manifest.json"):
        text = manifest.read_text().replace("/lustre/", f"{tmp_path}/lustre/")
        manifest.write_text(text)
    for number in (1, 5):
        folder = tmp_path / f"lustre/corpus/{number}"
        folder.mkdir(parents=True)
        (folder / "part.bin").write_bytes(b"x" * number)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    (fresh / "a.txt").write_text("new")
    Registry.open(root).publish(Draft(name="fresh", source=fresh))
    return root


def outside_kit(root: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file() and ".kit" not in path.relative_to(root).parts
    }


def inside_kit(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in (root / ".kit").rglob("*") if path.is_file()}


def told(found: list[Adoption]) -> dict[str, str]:
    return {one.uri.removeprefix("art://"): one.status for one in found}


EXPECTED = {
    "base-model:v1": "skipped",  # its data is gone
    "corpus:v1": "adopted",
    "corpus:v2": "skipped",  # gone
    "corpus:v5": "adopted",
    "eval-set:v1": "adopted",
    "eval-set:v2": "adopted",
    "eval-set:v3": "skipped",  # half a folder, of which the index does not know
}


def test_what_is_adopted_and_what_is_skipped_and_why(mixed: Path) -> None:
    before = outside_kit(mixed)
    found = adopt(Registry.open(mixed))
    assert told(found) == EXPECTED
    why = {one.uri: one.why for one in found if one.status == "skipped"}
    assert "data is gone" in str(why["art://corpus:v2"])
    assert "no version" in str(why["art://eval-set:v3"])
    assert outside_kit(mixed) == before
    assert {key for key in inside_kit(mixed) if "adopted" in key} == {
        f".kit/adopted/{uri.replace(':', '/')}.json"
        for uri, status in EXPECTED.items()
        if status == "adopted"
    }


def test_adopted_versions_verify_and_notice_drift(mixed: Path, tmp_path: Path) -> None:
    adopt(Registry.open(mixed))
    registry = Registry.open(mixed)
    found = registry.verify("corpus:v5")
    assert (found.ok, found.evidence) == (True, "stat")
    (tmp_path / "lustre/corpus/5/part.bin").write_bytes(b"longer than before")
    assert [(d.path, d.verdict) for d in registry.check(registry.resolve("corpus:v5"))] == [
        ("part.bin", "changed")
    ]
    assert not registry.verify("corpus:v5").ok
    assert registry.verify("eval-set:v2").ok


def test_an_adopted_version_says_what_it_said(mixed: Path) -> None:
    before = {
        record.uri: record
        for entry in Registry.open(mixed).list()
        for record in Registry.open(mixed).versions(entry.name)
    }
    adopt(Registry.open(mixed), full=True)
    after = Registry.open(mixed)
    for uri, old in before.items():
        new = after.resolve(uri)
        assert (new.path, new.metadata, new.type, new.created_at, new.inputs) == (
            old.path, old.metadata, old.type, old.created_at, old.inputs
        )  # fmt: skip
        assert new.manifest.format_version == old.manifest.format_version
    assert after.aliases("eval-set") == {"production": 1}
    assert [entry.name for entry in after.list()] == ["base-model", "corpus", "eval-set", "fresh"]


def test_again_is_nothing_new(mixed: Path) -> None:
    adopt(Registry.open(mixed))
    before = inside_kit(mixed)
    again = told(adopt(Registry.open(mixed)))
    assert again == {uri: "already" if status == "adopted" else status for uri, status in EXPECTED.items()}
    assert inside_kit(mixed) == before


def test_a_dry_run_writes_nothing_and_reads_no_bytes(tmp_path: Path) -> None:
    root = Path(shutil.copytree(GOLDEN / "index_root", tmp_path / "root"))
    found = adopt(Registry.open(root), full=True, dry_run=True)
    assert [(one.status, one.evidence) for one in found][:2] == [("adopted", "stat")] * 2
    assert not (root / ".kit").exists()


def test_hashes_can_come_later_but_not_those_of_changed_files(mixed: Path, tmp_path: Path) -> None:
    adopt(Registry.open(mixed))
    (tmp_path / "lustre/corpus/5/part.bin").write_bytes(b"other")
    os.utime(tmp_path / "lustre/corpus/5/part.bin", ns=(1, 1))
    (tmp_path / "lustre/corpus/5/more.bin").write_bytes(b"more")
    seen: list[tuple[int, int]] = []
    found = {
        one.uri: one
        for one in adopt(
            Registry.open(mixed), full=True, progress=lambda done, total: seen.append((done, total))
        )
    }
    assert found["art://corpus:v1"].evidence == "full"
    assert (found["art://corpus:v5"].status, found["art://corpus:v5"].why) == (
        "skipped",
        "more.bin is extra since it was adopted",
    )
    assert seen
    registry = Registry.open(mixed)
    assert registry.verify("corpus:v1").evidence == "full"
    tree = registry.tree(registry.resolve("corpus:v5"))
    assert tree is not None
    assert [entry.path for entry in tree.entries] == ["part.bin"]
    assert adopt(Registry.open(mixed)) != []  # with less evidence asked for, nothing is taken back
    assert Registry.open(mixed).verify("corpus:v1").evidence == "full"


def test_new_versions_go_on_above_adopted_ones(mixed: Path, tmp_path: Path) -> None:
    adopt(Registry.open(mixed))
    registry = Registry.open(mixed)
    assert registry.publish(Draft(name="nano/eval", source=tmp_path / "fresh")).record.version == 1
    for name, number in (("corpus", 6), ("eval-set", 4), ("fresh", 2)):
        draft = Draft(name=name, source=tmp_path / "fresh", metadata={"new": True})
        assert registry.publish(draft).record.version == number
        assert Registry.open(mixed).resolve(name).version == number


def test_a_name_with_slashes_may_still_take_its_old_key(mixed: Path, tmp_path: Path) -> None:
    adopt(Registry.open(mixed))
    published = Registry.open(mixed).publish(Draft(name="eval/set", source=tmp_path / "fresh")).record
    assert (published.name, published.version) == ("eval-set", 4)


def test_a_lost_folder_loses_no_number(mixed: Path) -> None:
    adopt(Registry.open(mixed))
    shutil.rmtree(mixed / "corpus/v5")
    (mixed / "corpus/latest").unlink()
    assert Registry.open(mixed).resolve("corpus").version == 5


def test_withdrawn_versions_are_left_alone(mixed: Path) -> None:
    Registry.open(mixed).withdraw("corpus:v1", "wrong tokenizer")
    found = {one.uri: one.why for one in adopt(Registry.open(mixed))}
    assert found["art://corpus:v1"] == "it is withdrawn"


def test_an_adopted_root_moves(mixed: Path, tmp_path: Path) -> None:
    adopt(Registry.open(mixed), full=True)
    moved = tmp_path / "elsewhere"
    mixed.rename(moved)
    registry = Registry.open(moved)
    assert registry.resolve("eval-set:v2").path == str(moved / "eval-set/v2")
    assert registry.verify("eval-set:v2").ok
    assert registry.verify("corpus:v5").ok


def test_metadata_that_speaks_of_the_moved_folder_follows(tmp_path: Path) -> None:
    root = Path(shutil.copytree(GOLDEN / "index_root", tmp_path / "root"))
    index = root / ".art_index.json"
    index.write_text(
        index.read_text().replace('"rows": 10', '"file": "/home/someone/artifacts/eval-set/v1/a.txt"')
    )
    adopt(Registry.open(root))
    assert Registry.open(root).resolve("eval-set:v1").metadata == {"file": str(root / "eval-set/v1/a.txt")}


def test_a_file_that_is_the_face_of_its_folder(mixed: Path, tmp_path: Path) -> None:
    blend = tmp_path / "lustre/corpus/2"
    blend.mkdir()
    (blend / "blend.json").write_text("{}")
    (blend / "a.bin").write_bytes(b"1")
    said = {"path": f"{blend}/blend.json", "type": "DataBlendsArtifact", "created_at": "", "producer": None}
    (blend / "metadata.json").write_text(json.dumps({**said, "tracking": None}))
    (tmp_path / "lustre/base-model").mkdir()
    (tmp_path / "lustre/base-model/1").write_text("weights")
    manifest = mixed / "corpus/v2/manifest.json"
    manifest.write_text(manifest.read_text().replace("lustre/corpus/2", "lustre/corpus/2/blend.json"))
    adopt(Registry.open(mixed))
    registry = Registry.open(mixed)
    assert registry.resolve("corpus:v2").path == f"{blend}/blend.json"
    assert registry.inside("art://corpus:v2/a.bin") == blend / "a.bin"
    assert registry.resolve("base-model:v1").scope == "file"
    assert registry.verify("base-model:v1").ok


# -- a damaged index ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [0, 1, 60, 250, 450])
def test_a_damaged_index_costs_what_it_alone_knew(tmp_path: Path, kept: int) -> None:
    root = Path(shutil.copytree(GOLDEN / "index_root", tmp_path / "root"))
    index = root / ".art_index.json"
    index.write_bytes(index.read_bytes()[:kept])
    (root / "eval-set/v4").mkdir()
    found = told(adopt(Registry.open(root)))
    whole = kept == 450  # all but the last brace
    half = "skipped" if whole else "adopted"  # nothing tells any more that it is half a copy
    assert found == {
        "eval-set:v1": "adopted",
        "eval-set:v2": "adopted",
        "eval-set:v3": half,
        "eval-set:v4": "skipped",
    }
    record = Registry.open(root).resolve("eval-set:v2")
    assert record.path == str(root / "eval-set/v2")
    assert record.metadata == ({"rows": 20} if whole else {})
    assert Registry.open(root).verify("eval-set:v2").ok
    assert Registry.open(root).aliases("eval-set") == ({"production": 1} if whole else {})


def test_a_damaged_index_makes_no_versions_of_a_manifest_roots_leftovers(mixed: Path) -> None:
    (mixed / ".art_index.json").write_text('{"corpus": ')
    (mixed / "corpus/v6").mkdir()
    (mixed / "corpus/v6/metadata.json").write_text("{}")
    assert told(adopt(Registry.open(mixed)))["corpus:v6"] == "skipped"
    assert Registry.open(mixed).resolve("corpus").version == 5


# -- crashes and races -------------------------------------------------------------------------------------


def test_whichever_call_fails_a_second_run_completes_it(tmp_path: Path) -> None:
    template = Path(shutil.copytree(GOLDEN / "index_root", tmp_path / "template"))
    counted = FaultyStore(LocalStore(Path(shutil.copytree(template, tmp_path / "counted"))))
    adopt(Registry(counted))
    for when in ("before", "after", "lost", "torn"):
        methods = WRITES if when in ("lost", "torn") else frozenset()
        calls = sum(method in methods for method, _ in counted.calls) if methods else len(counted.calls)
        for call in range(1, calls + 1):
            root = Path(shutil.copytree(template, tmp_path / f"{when}-{call}"))
            try:
                adopt(Registry(FaultyStore(LocalStore(root), Fault(when, call, methods))))
            except UnavailableError:
                pass
            founding = root / ".kit/format.json"
            if when == "torn" and not founding.read_bytes().endswith(b"}\n"):
                founding.unlink()  # as its error says
            found = told(adopt(Registry.open(root)))
            assert {found["eval-set:v1"], found["eval-set:v2"]} <= {"adopted", "already"}
            assert Registry.open(root).verify("eval-set:v1").ok
            assert Registry.open(root).verify("eval-set:v2").ok


@pytest.fixture
def many(tmp_path: Path) -> Path:
    root = tmp_path / "many"
    entries = []
    for number in range(1, 41):
        folder = root / f"data/v{number}"
        folder.mkdir(parents=True)
        (folder / "part.txt").write_text(f"part {number}")
        entries.append({"version": number, "path": f"data/v{number}"})
    (root / ".art_index.json").write_text(json.dumps({"data": {"name": "data", "versions": entries}}))
    return root


def start(root: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", ADOPT, str(root)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_killed_and_run_again(many: Path) -> None:
    process = start(many)
    while not list((many / ".kit/adopted/data").glob("v*.json")) and process.poll() is None:
        os.sched_yield()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    found = adopt(Registry.open(many), full=True)
    assert {one.status for one in found} <= {"adopted", "already"}
    assert len(found) == 40
    registry = Registry.open(many)
    assert all(registry.verify(record.uri).ok for record in registry.versions("data"))


def test_two_at_once_share_the_work(many: Path) -> None:
    processes = [start(many) for _ in range(2)]
    said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert 40 <= sum(int(out) for out, _ in said) <= 80
    assert len(list((many / ".kit/adopted/data").iterdir())) == 40
    assert {one.status for one in adopt(Registry.open(many))} == {"already"}


def test_a_torn_or_strange_adopted_manifest_is_passed_over(mixed: Path) -> None:
    adopt(Registry.open(mixed))
    place = mixed / ".kit/adopted/corpus"
    for file, data in (("v1.json", b'{"name"'), ("v5.json", b'{"name": "other", "version": 5}')):
        (place / file).chmod(0o644)
        (place / file).write_bytes(data)
    (place / "v99.txt").write_text("a note")
    registry = Registry.open(mixed)
    assert [record.version for record in registry.versions("corpus")] == [1, 2, 5]
    assert registry.tree(registry.resolve("corpus:v1")) is None
    assert told(adopt(Registry.open(mixed)))["corpus:v1"] == "adopted"
    assert Registry.open(mixed).verify("corpus:v1").ok


@pytest.mark.skipif(os.getuid() == 0, reason="nothing is forbidden to root")
def test_a_root_that_can_only_be_read(tmp_path: Path) -> None:
    root = Path(shutil.copytree(GOLDEN / "index_root", tmp_path / "root"))
    root.chmod(0o555)
    with pytest.raises(RefusedError):
        adopt(Registry.open(root))
    assert told(adopt(Registry.open(root), dry_run=True))["eval-set:v1"] == "adopted"


# -- what else sees them -----------------------------------------------------------------------------------


def test_a_root_without_older_versions_has_nothing_to_adopt(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("1")
    registry = Registry.open(tmp_path / "store")
    registry.publish(Draft(name="m", source=tmp_path / "data.txt"))
    assert adopt(registry) == []


@pytest.mark.parametrize("adopted", [False, True])
def test_old_versions_are_in_the_lineage(mixed: Path, tmp_path: Path, adopted: bool) -> None:
    if adopted:
        adopt(Registry.open(mixed))
    registry = Registry.open(mixed)
    draft = Draft(name="tuned", source=tmp_path / "fresh", used_artifacts=("base-model:v1", "eval-set:v2"))
    registry.publish(draft)
    graph = collect(registry, "tuned")
    assert {node.uri for node in graph} == {
        "art://tuned:v1", "art://base-model:v1", "art://eval-set:v2", "art://corpus:v2", "hf://org/corpus"
    }  # fmt: skip
    assert all(node.kind in ("artifact", "external") for node in graph)
    down = collect(registry, "hf://org/corpus", direction="down")
    assert {"art://corpus:v2", "art://base-model:v1", "art://tuned:v1"} <= {node.uri for node in down}


def test_reading_a_version_by_number_costs_no_more_once_the_name_is_known(mixed: Path) -> None:
    adopt(Registry.open(mixed))
    store = FaultyStore(LocalStore(mixed))
    registry = Registry(store)
    registry.resolve("corpus:v1")
    store.calls.clear()
    registry.resolve("corpus:v5")
    assert len(store.calls) <= 2, store.calls


def test_what_a_newer_kit_adopted_is_left_as_it_is(mixed: Path) -> None:
    adopt(Registry.open(mixed))
    file = mixed / ".kit/adopted/corpus/v1.json"
    newer = {**json.loads(file.read_bytes()), "format_version": 2}
    file.write_text(json.dumps(newer))
    found = {one.uri: one for one in adopt(Registry.open(mixed))}
    assert json.loads(file.read_bytes()) == newer
    assert found["art://corpus:v1"].status == "skipped"
    assert "upgrade" in str(found["art://corpus:v1"].why)
    assert found["art://corpus:v5"].status == "already"


# -- digests later, of files that were touched since -------------------------------------------------------


@pytest.fixture
def shards(mixed: Path, tmp_path: Path) -> Path:
    """The folder of `corpus:v5`, three files, adopted without digests."""
    folder = tmp_path / "lustre/corpus/5"
    (folder / "more.bin").write_bytes(b"more")
    (folder / "last.bin").write_bytes(b"last")
    adopt(Registry.open(mixed))
    return folder


def hashed(root: Path, *, dry_run: bool = False) -> Adoption:
    found = adopt(Registry.open(root), full=True, dry_run=dry_run)
    return next(one for one in found if one.uri == "art://corpus:v5")


def digests(root: Path) -> dict[str, bool]:
    registry = Registry.open(root)
    tree = registry.tree(registry.resolve("corpus:v5"))
    return {entry.path: entry.digest is not None for entry in tree.entries} if tree else {}


def drift(root: Path) -> list[tuple[str, str]]:
    registry = Registry.open(root)
    return [(one.path, one.verdict) for one in registry.check(registry.resolve("corpus:v5"))]


def test_what_was_touched_since_gets_no_digest_and_still_shows(mixed: Path, shards: Path) -> None:
    (shards / "part.bin").write_bytes(b"other")  # of the same size
    os.utime(shards / "part.bin", ns=(1, 1))
    assert drift(mixed) == [("part.bin", "touched")]
    before = inside_kit(mixed)
    dry = hashed(mixed, dry_run=True)
    assert (dry.status, inside_kit(mixed)) == ("adopted", before)
    found = hashed(mixed)
    assert (found.status, found.evidence, found.files) == ("adopted", "stat", 3)
    assert found.why == dry.why == "no digest of part.bin: touched since it was adopted, and may be another"
    assert digests(mixed) == {"last.bin": True, "more.bin": True, "part.bin": False}
    assert drift(mixed) == [("part.bin", "touched")]
    # The digests of the rest tell what size and time don't.
    at = (shards / "more.bin").stat().st_mtime_ns
    (shards / "more.bin").write_bytes(b"MORE")
    os.utime(shards / "more.bin", ns=(at, at))
    told_ = {one.path: one.verdict for one in Registry.open(mixed).verify("corpus:v5", evidence="full").files}
    assert told_ == {"more.bin": "changed", "part.bin": "touched"}


def test_hashing_again_takes_what_fits_by_then(mixed: Path, shards: Path) -> None:
    times = {name: (shards / name).stat().st_mtime_ns for name in ("part.bin", "more.bin")}
    for name in times:
        os.utime(shards / name, ns=(1, 1))
    assert (hashed(mixed).status, hashed(mixed).status) == ("adopted", "already")
    assert str(hashed(mixed).why).startswith("no digest of more.bin and 1 more: touched since")
    os.utime(shards / "more.bin", ns=(times["more.bin"],) * 2)
    assert hashed(mixed).status == "adopted"
    assert digests(mixed) == {"last.bin": True, "more.bin": True, "part.bin": False}
    os.utime(shards / "part.bin", ns=(times["part.bin"],) * 2)
    found = hashed(mixed)
    assert (found.status, found.evidence, found.why) == ("adopted", "full", None)
    assert (hashed(mixed).status, drift(mixed)) == ("already", [])


@pytest.mark.parametrize("changes", [False, True])
def test_hashing_some_forgets_no_digest_of_the_others(
    mixed: Path,
    shards: Path,
    monkeypatch: pytest.MonkeyPatch,
    watch_reads: Callable[[Path], list[str]],
    changes: bool,
) -> None:
    monkeypatch.setattr(digest_cache, "SETTLED_NS", -(10**12))  # as if the files had been written long ago
    read = watch_reads(shards)

    def read_anew() -> list[str]:
        read.clear()
        content.hashed(str(shards), scan_folder(str(shards)))
        return sorted(read)

    os.utime(shards / "part.bin", ns=(1, 1))
    assert read_anew() == ["last.bin", "more.bin", "part.bin"]
    if changes:
        os.utime(shards / "part.bin", ns=(2, 2))
    read.clear()
    assert hashed(mixed).why == "no digest of part.bin: touched since it was adopted, and may be another"
    assert read == []  # what the others hold is known
    assert read_anew() == (["part.bin"] if changes else [])


def test_where_all_was_touched_nothing_is_written(mixed: Path, shards: Path) -> None:
    for file in shards.iterdir():
        os.utime(file, ns=(1, 1))
    hashed(mixed)  # of the other versions
    before = inside_kit(mixed)
    found = hashed(mixed)
    assert (found.status, found.evidence) == ("already", "stat")
    assert str(found.why).startswith("no digest of last.bin and 2 more")
    assert (inside_kit(mixed), len(drift(mixed))) == (before, 3)
