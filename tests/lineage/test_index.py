"""The lineage index: the answers of a naive model, whatever happens to it, its store or its process."""

import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from nemotron.kit.errors import KitError
from nemotron.kit.lineage import catch_up as catching
from nemotron.kit.lineage.catch_up import catch_up
from nemotron.kit.lineage.collect import collect
from nemotron.kit.lineage.descent import Descent
from nemotron.kit.lineage.graph import Graph, Node
from nemotron.kit.lineage.index import Index
from nemotron.kit.lineage.query import reach
from nemotron.kit.lineage.reading import Reader, Reading
from nemotron.kit.registry import layout
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.local import LocalStore
from nemotron.kit.testing.faults import Crashed, Fault, FaultyStore

Model = dict[str, set[str]]


def make(registry: Registry, name: str, *used: str, inputs: tuple[str, ...] = (), **metadata: object) -> str:
    draft = Draft(name=name, source="s3://bucket/x", used_artifacts=used, inputs=inputs, metadata=metadata)
    return registry.publish(draft).record.uri


def down(registry: Registry, ref: str) -> set[str]:
    return {node.uri for node in collect(registry, ref, direction="down")} - {ref}


def up(registry: Registry, ref: str) -> set[str]:
    return {node.uri for node in collect(registry, ref)} - {ref}


def below(index: Index, uri: str) -> list[str]:
    return Descent(index, uri).nearest()


def naive(root: Path) -> Model:
    """What was made from what, by reading every manifest with nothing of the kit."""
    model: Model = {}
    for file in root.glob("*/v*/manifest.json"):
        said = json.loads(file.read_text())
        used = {f"art://{one}" for one in said["used_artifacts"]}
        model[f"art://{said['name']}:v{said['version']}"] = used | set(said["inputs"])
    return model


def naive_down(model: Model, uri: str) -> set[str]:
    return set(reach(uri, lambda one: [made for made, ins in model.items() if one in ins]))


def naive_up(model: Model, uri: str) -> set[str]:
    return set(reach(uri, lambda one: model.get(one, ())))


def cache_files() -> list[Path]:
    return list(Path(os.environ["XDG_CACHE_HOME"]).rglob("*.sqlite"))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry.open(tmp_path / "store")


@pytest.fixture
def chain(registry: Registry) -> Registry:
    """a:v1 → b:v1 → c:v1."""
    make(registry, "a", inputs=("hf://x",))
    make(registry, "b", "a:v1")
    make(registry, "c", "b:v1")
    return registry


@pytest.fixture
def many_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the store had so many names that they are not all asked every time."""
    monkeypatch.setattr(catching, "SWEEP_NAMES_MAX", 0)


# -- the tables ---------------------------------------------------------------------------------------------


def node(uri: str, *inputs: str) -> Reading:
    name, _, version = uri.removeprefix("art://").partition(":v")
    return Reading(
        Node(uri=uri, kind="artifact", type="T", name=name, version=int(version), inputs=inputs), f"id-{uri}"
    )


def test_what_goes_in_comes_out() -> None:
    said = Node(
        uri="art://a:v1",
        kind="artifact",
        type="T",
        name="a",
        version=1,
        path="/x",
        created_at="2025-01-01",
        producer="p",
        run="r",
        metadata={"loss": float("inf"), "text": "\ud800", "nested": {"a": [1, None]}},
        inputs=("hf://\ud800", "art://b:v1"),
    )
    with Index(":memory:") as index:
        index.add([Reading(said, "w")])
        assert index.reading("art://a:v1") == Reading(said, "w")
        assert index.reading("art://b:v1") is None
        assert set(index.ancestors("art://a:v1")) == {"hf://\ud800", "art://b:v1"}
        assert below(index, "hf://\ud800") == ["art://a:v1"]


def of(name: str, *inputs: str) -> Reading:
    return Reading(
        Node(uri=f"art://{name}:v1", kind="artifact", type="T", name=name, version=1, inputs=inputs)
    )


def test_what_was_rolled_back_leaves_no_wrong_edges(tmp_path: Path) -> None:
    with Index(str(tmp_path / "i.sqlite")) as index, Index(str(tmp_path / "i.sqlite")) as other:
        with pytest.raises(ZeroDivisionError), index.writing():  # noqa: PT012 - what is undone comes first
            index.add([of("a", "hf://x"), of("b", "art://a:v1")])
            raise ZeroDivisionError
        other.add([of("c", "hf://y"), of("d", "art://c:v1")])
        index.add([of("b", "art://a:v1", "art://c:v1"), of("a", "hf://x")])
        other.add([of("e", "art://b:v1"), of("b", "art://a:v1"), of("b", "art://d:v1")])
        for each in (index, other):
            assert set(each.ancestors("art://e:v1")) == {f"art://{one}:v1" for one in "bdc"} | {"hf://y"}
            assert set(below(each, "hf://x")) == {"art://a:v1"}
            assert each.inputs("art://d:v1") == ("art://c:v1",)


def test_remembered_ids_are_bounded_and_change_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nemotron.kit.lineage.index.IDS_REMEMBERED_MAX", 2)
    monkeypatch.setattr("nemotron.kit.lineage.index.ASKED_AT_ONCE", 2)
    with Index(":memory:") as index:
        for at in range(20):
            index.add([of(f"n{at}", *(f"art://n{below}:v1" for below in range(at)))])
        assert len(index.ancestors("art://n19:v1")) == 19
        assert len(index.inputs("art://n7:v1")) == 7


def test_cycles_end_and_a_node_is_no_ancestor_of_itself() -> None:
    with Index(":memory:") as index:
        index.add([node("art://a:v1", "art://b:v1"), node("art://b:v1", "art://a:v1", "art://b:v1")])
        assert index.ancestors("art://a:v1") == ("art://b:v1",)
        assert below(index, "art://a:v1") == ["art://b:v1"]


def test_forgetting_takes_the_edges_and_asks_for_reading_again() -> None:
    with Index(":memory:") as index:
        index.add([node("art://a:v1", "hf://x")])
        index.forget(["art://a:v1"])
        assert (index.ancestors("art://a:v1"), index.unread()) == ((), [("a", 1)])
        assert not index.knows("art://a:v1")


# -- the file -----------------------------------------------------------------------------------------------


def test_the_index_is_in_the_users_cache_and_for_the_user_alone(chain: Registry) -> None:
    assert down(chain, "art://a:v1") == {"art://b:v1", "art://c:v1"}
    (file,) = cache_files()
    assert file.parent.relative_to(os.environ["XDG_CACHE_HOME"]) == Path("nemotron-kit/lineage")
    assert file.stat().st_mode & 0o077 == 0


def test_it_is_asked_and_not_the_manifests(chain: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    down(chain, "art://a:v1")

    def refuse(reader: Reader, manifest: object) -> Reading:
        raise AssertionError("a manifest was read again")

    monkeypatch.setattr(Reader, "reading", refuse)
    assert up(Registry.open(chain.root), "art://c:v1") == {"art://b:v1", "art://a:v1", "hf://x"}
    assert down(Registry.open(chain.root), "art://a:v1") == {"art://b:v1", "art://c:v1"}


def test_upwards_only_what_is_asked_about_is_read(chain: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    make(chain, "other")
    read: list[str] = []
    real = Reader.read

    def watched(reader: Reader, uri: str) -> Reading:
        read.append(uri)
        return real(reader, uri)

    monkeypatch.setattr(Reader, "read", watched)
    up(chain, "art://b:v1")
    assert set(read) <= {"art://b:v1", "art://a:v1", "hf://x"}


@pytest.mark.parametrize("damage", [b"", b"no database", None])
def test_a_damaged_or_deleted_index_is_made_anew(chain: Registry, damage: bytes | None) -> None:
    expected = down(chain, "art://a:v1")
    (file,) = cache_files()
    if damage is None:
        shutil.rmtree(file.parent)
    else:
        file.write_bytes(damage)
    assert down(chain, "art://a:v1") == expected
    assert cache_files() == [file]
    assert down(chain, "art://a:v1") == expected


def test_a_page_that_rotted_is_noticed(chain: Registry) -> None:
    for number in range(200):
        make(chain, "more", "c:v1", number=number)
    expected = down(chain, "art://a:v1")
    (file,) = cache_files()
    data = bytearray(file.read_bytes())
    data[4096 : len(data)] = b"\xff" * (len(data) - 4096)
    file.write_bytes(data)
    assert down(chain, "art://a:v1") == expected


def test_without_a_place_for_it_the_answers_are_the_same(
    chain: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert down(chain, "art://a:v1") == {"art://b:v1", "art://c:v1"}
    assert up(chain, "art://c:v1") == {"art://b:v1", "art://a:v1", "hf://x"}


def test_a_locked_index_is_not_waited_for_for_ever(chain: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    down(chain, "art://a:v1")
    monkeypatch.setattr("nemotron.kit.lineage.index.PATIENCE_S", 0.01)
    (file,) = cache_files()
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("begin exclusive")
    make(chain, "d", "c:v1")
    assert "art://d:v1" in down(chain, "art://a:v1")
    other.rollback()
    other.close()


def test_two_roots_have_two_indexes_and_so_has_a_copy(chain: Registry, tmp_path: Path) -> None:
    down(chain, "art://a:v1")
    copy = Registry.open(shutil.copytree(chain.root, tmp_path / "copy"))
    make(copy, "d", "c:v1")
    assert "art://d:v1" in down(copy, "art://a:v1")
    assert "art://d:v1" not in down(chain, "art://a:v1")
    assert len(cache_files()) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_store_is_indexed(chain: Registry) -> None:
    for folder in [Path(chain.root), *Path(chain.root).rglob("*")]:
        folder.chmod(0o555 if folder.is_dir() else 0o444)
    try:
        assert down(Registry.open(chain.root), "art://a:v1") == {"art://b:v1", "art://c:v1"}
    finally:
        for folder in [Path(chain.root), *Path(chain.root).rglob("*")]:
            folder.chmod(0o755)


def test_nothing_is_written_into_the_store(chain: Registry) -> None:
    before = sorted(Path(chain.root).rglob("*"))
    down(chain, "art://a:v1")
    up(chain, "art://c:v1")
    assert sorted(Path(chain.root).rglob("*")) == before


# -- catching up ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("many_names")
def test_a_publish_is_seen_through_the_journal_alone(
    chain: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    down(chain, "art://a:v1")
    make(chain, "d", "c:v1")
    make(chain, "a", "c:v1")
    listed: list[str] = []
    real = LocalStore.list

    def watched(store: LocalStore, prefix: str = "") -> list[str]:
        listed.append(prefix)
        return real(store, prefix)

    with Index(str(cache_files()[0])) as index:
        reader = Reader(Registry.open(chain.root))
        assert not reader.versions.older.present
        monkeypatch.setattr(LocalStore, "list", watched)
        catch_up(index, reader)
        assert {"art://d:v1", "art://a:v2"} <= set(below(index, "art://a:v1"))
    assert "d" not in listed
    assert [prefix for prefix in listed if not prefix.startswith(".kit")] == [""]


@pytest.mark.usefixtures("many_names")
def test_an_entry_without_its_version_waits(chain: Registry) -> None:
    down(chain, "art://a:v1")
    asked: list[set[str]] = []

    def ask_before_the_claim(method: str, key: str) -> None:
        if (method, key) == ("create", "late/v1/manifest.json"):
            asked.append(down(chain, "art://a:v1"))

    make(Registry(FaultyStore(LocalStore(chain.root), on_call=ask_before_the_claim)), "late", "a:v1")
    Path(chain.root, ".kit/journal").rename(Path(chain.root, ".kit/was"))
    assert asked == [{"art://b:v1", "art://c:v1"}]
    assert "art://late:v1" in down(chain, "art://a:v1")


@pytest.mark.usefixtures("many_names")
@pytest.mark.parametrize("day", ["1970-01-01", "2001-01-01", "2099-12-31"])
def test_clocks_may_disagree_by_any_amount(
    chain: Registry, day: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in ("1970-01-01", "2001-01-01", "2026-01-01", "2026-01-02", "2026-01-03", "2099-12-31"):
        chain.store.create(layout.journal(other, "0190-old", "nobody"), b"")
    for folder in Path(chain.root, ".kit/journal").iterdir():
        os.utime(folder, (1e9, 1e9))
    down(chain, "art://a:v1")
    monkeypatch.setattr("nemotron.kit.registry.stamps.today", lambda: day)
    make(chain, "skewed", "a:v1")
    assert "art://skewed:v1" in down(chain, "art://a:v1")
    make(chain, "skewed", "c:v1")
    assert "art://skewed:v2" in down(chain, "art://a:v1")


def test_versions_without_a_journal_entry_are_found(chain: Registry, tmp_path: Path) -> None:
    """Lost with the power, or copied from another root by hand."""
    down(chain, "art://a:v1")
    other = Registry.open(tmp_path / "other")
    make(other, "copied", "a:v1")
    shutil.copytree(Path(other.root, "copied"), Path(chain.root, "copied"))
    assert "art://copied:v1" in down(chain, "art://a:v1")


@pytest.mark.usefixtures("many_names")
def test_in_a_large_store_they_are_found_by_the_next_sweep(
    chain: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    down(chain, "art://a:v1")
    other = Registry.open(tmp_path / "other")
    make(other, "copied", "a:v1")
    shutil.copytree(Path(other.root, "copied"), Path(chain.root, "copied"))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + catching.SWEEP_EVERY_S + 1)
    assert "art://copied:v1" in down(chain, "art://a:v1")


def test_a_name_removed_by_hand_is_gone_and_so_is_a_version(chain: Registry) -> None:
    make(chain, "b", "a:v1", number=2)
    down(chain, "art://a:v1")
    shutil.rmtree(Path(chain.root, "c"))
    shutil.rmtree(Path(chain.root, "b/v2"))
    again = Registry.open(chain.root)
    assert down(again, "art://a:v1") == {"art://b:v1"}
    make(again, "b", "a:v1", number=3)
    assert down(again, "art://a:v1") == {"art://b:v1", "art://b:v2"}


def test_a_root_put_back_to_an_earlier_day_is_noticed(chain: Registry, tmp_path: Path) -> None:
    shutil.copytree(chain.root, tmp_path / "backup")
    make(chain, "c", "a:v1", number=2)
    assert "art://c:v2" in down(chain, "art://a:v1")
    shutil.rmtree(chain.root)
    shutil.move(tmp_path / "backup", chain.root)
    again = Registry.open(chain.root)
    make(again, "c", "c:v1", number=4)
    assert down(again, "art://a:v1") == {"art://b:v1", "art://c:v1", "art://c:v2"}
    assert collect(again, "c:v2").root.inputs == ("art://c:v1",)


def test_a_torn_manifest_is_read_when_it_is_whole(chain: Registry) -> None:
    manifest = Path(chain.root, "c/v1/manifest.json")
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[:20])
    assert down(chain, "art://a:v1") == {"art://b:v1"}
    manifest.write_bytes(whole)
    assert down(Registry.open(chain.root), "art://a:v1") == {"art://b:v1", "art://c:v1"}


def test_withdrawals_are_seen_at_once(chain: Registry) -> None:
    down(chain, "art://a:v1")
    chain.withdraw("b:v1", "bad shard")
    assert collect(chain, "a:v1", direction="down").node("art://b:v1").withdrawn == "bad shard"


def test_what_was_an_artifact_of_weights_and_biases_comes_home(registry: Registry) -> None:
    make(registry, "model", "team/project/data:v1")
    assert up(registry, "art://model:v1") == {"art://team/project/data:v1"}
    assert down(registry, "art://model:v1") == set()
    make(registry, "team/project/data")
    assert down(registry, "art://team-project-data:v1") == {"art://model:v1"}
    assert up(registry, "art://model:v1") == {"art://team-project-data:v1"}


def test_it_comes_home_upwards_too(registry: Registry) -> None:
    make(registry, "model", "team/project/data:v1")
    assert up(registry, "art://model:v1") == {"art://team/project/data:v1"}
    make(registry, "team/project/data", inputs=("hf://x",))
    assert up(registry, "art://model:v1") == {"art://team-project-data:v1", "hf://x"}


def test_an_input_may_be_published_after_what_was_made_of_it(registry: Registry) -> None:
    make(registry, "model", "data:v1")
    assert collect(registry, "model").node("art://data:v1").kind == "missing"
    make(registry, "data", inputs=("hf://x",))
    assert up(registry, "art://model:v1") == {"art://data:v1", "hf://x"}


def test_older_roots_are_indexed_and_what_is_written_there_still(tmp_path: Path) -> None:
    def write(name: str, number: int, *used: str) -> None:
        folder = tmp_path / "old" / name / f"v{number}"
        folder.mkdir(parents=True, exist_ok=True)
        said = {"name": name, "version": number, "path": "/x", "used_artifacts": list(used), "inputs": []}
        (folder / "manifest.json").write_text(json.dumps(said))

    write("a", 1)
    write("b", 3, "a:v1")
    root = str(tmp_path / "old")
    assert down(Registry.open(root), "art://a:v1") == {"art://b:v3"}
    write("b", 7, "a:v1")
    assert down(Registry.open(root), "art://a:v1") == {"art://b:v3", "art://b:v7"}
    make(Registry.open(root), "b", "b:v7")
    assert down(Registry.open(root), "art://a:v1") == {"art://b:v3", "art://b:v7", "art://b:v8"}
    write("b", 3, "c:v1")
    assert down(Registry.open(root), "art://a:v1") == {"art://b:v7", "art://b:v8"}


# -- crashes, many processes ---------------------------------------------------------------------------


@pytest.mark.usefixtures("many_names")
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_writer_that_dies_at_any_call_misleads_nobody(tmp_path: Path, when: str) -> None:
    counting = FaultyStore(LocalStore(tmp_path / "count"))
    writer = Registry(counting)
    make(writer, "a")
    first = len(counting.calls)
    make(writer, "b", "a:v1")
    for call in range(first + 1, len(counting.calls) + 1):
        root = tmp_path / f"{when}-{call}"
        faulty = FaultyStore(LocalStore(root), Fault(when, call=call))  # type: ignore[arg-type]
        dying = Registry(faulty)
        make(dying, "a")
        assert down(Registry.open(root), "art://a:v1") == set()
        try:
            make(dying, "b", "a:v1")
        except (KitError, Crashed):
            pass
        assert down(Registry.open(root), "art://a:v1") == naive_down(naive(root), "art://a:v1")
        make(Registry.open(root), "b", "a:v1", again=True)
        assert down(Registry.open(root), "art://a:v1") == naive_down(naive(root), "art://a:v1") != set()


def _ask(root: str, cache: str, at: Any, answers: Any) -> None:
    os.environ["XDG_CACHE_HOME"] = cache
    at.wait()
    answers.put(sorted(down(Registry.open(root), "art://a:v1")))


def test_ten_at_once_say_the_same(chain: Registry) -> None:
    for number in range(150):
        make(chain, f"n{number % 7}", "a:v1", number=number)
    processes = multiprocessing.get_context("spawn")
    at, answers = processes.Barrier(10), processes.Queue()
    cache = os.environ["XDG_CACHE_HOME"]
    askers = [processes.Process(target=_ask, args=(chain.root, cache, at, answers)) for _ in range(10)]
    for asker in askers:
        asker.start()
    said = [answers.get(timeout=120) for _ in askers]
    for asker in askers:
        asker.join()
    assert all(one == said[0] for one in said)
    assert len(said[0]) == 152


KILLED = """
import sys
from nemotron.kit.lineage.collect import collect
from nemotron.kit.registry.registry import Registry
from nemotron.kit.lineage import catch_up
catch_up.BATCH = 7
while True:
    collect(Registry.open(sys.argv[1]), "art://a:v1", direction="down")
    print("once", flush=True)
"""


def _killed_after(root: str, delay: float) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, root], stdout=subprocess.DEVNULL)
    try:
        process.wait(timeout=delay)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("delay", [0.15, 0.2, 0.25, 0.3, 0.4, 0.6])
def test_a_killed_indexer_leaves_the_same_answers(chain: Registry, delay: float) -> None:
    for number in range(120):
        make(chain, f"n{number % 5}", "a:v1", number=number)
    _killed_after(chain.root, delay)
    assert down(chain, "art://a:v1") == naive_down(naive(Path(chain.root)), "art://a:v1")
    for file in cache_files():  # deleted alone, beside what the killed one left
        file.unlink()
    assert down(chain, "art://a:v1") == naive_down(naive(Path(chain.root)), "art://a:v1")


# -- the naive model ------------------------------------------------------------------------------------

NAMES = ("a", "b", "team/project/c", "d")
URIS = tuple(f"art://{name.replace('/', '-')}:v{number}" for name in NAMES for number in (1, 2, 3))


class Indexed(RuleBasedStateMachine):
    """Publishing, withdrawing, losing and deleting things in any order; a dict of sets is the model."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        os.environ["XDG_CACHE_HOME"] = str(self.folder / "cache")
        self.root = self.folder / "store"
        self.many = catching.SWEEP_NAMES_MAX
        self.serial = 0

    @rule(name=st.sampled_from(NAMES), used=st.lists(st.sampled_from(URIS), max_size=3, unique=True))
    def publish(self, name: str, used: list[str]) -> None:
        self.serial += 1
        made = tuple(uri.removeprefix("art://") for uri in used)
        make(Registry.open(self.root), name, *made, inputs=("hf://x",) * (self.serial % 2), n=self.serial)

    @rule(
        name=st.sampled_from(NAMES),
        used=st.sampled_from(URIS),
        call=st.integers(1, 25),
        when=st.sampled_from(("before", "after")),
    )
    def crash(self, name: str, used: str, call: int, when: str) -> None:
        self.serial += 1
        fault = Fault(when, call=call, error=Crashed)  # type: ignore[arg-type]
        store = FaultyStore(LocalStore(self.root), fault)
        try:
            make(Registry(store), name, used.removeprefix("art://"), n=self.serial)
        except (KitError, Crashed):
            self.serial += 1

    @rule(large=st.booleans())
    def grow(self, large: bool) -> None:
        catching.SWEEP_NAMES_MAX = 0 if large else self.many

    @rule(how=st.sampled_from(("all", "file", "garbage")))
    def lose_the_index(self, how: str) -> None:
        for file in cache_files():
            if how == "garbage":
                file.write_bytes(b"x" * 5000)
            else:
                file.unlink() if how == "file" else shutil.rmtree(file.parent)

    @precondition(lambda self: self.root.exists())
    @rule(uri=st.sampled_from((*URIS, "hf://x")), direction=st.sampled_from(("up", "down")))
    def ask(self, uri: str, direction: str) -> None:
        model = naive(self.root)
        if uri in model or (
            uri == "hf://x" and direction == "down" and any(uri in i for i in model.values())
        ):
            expected = (naive_up if direction == "up" else naive_down)(model, uri) - {uri}
            found = (up if direction == "up" else down)(Registry.open(self.root), uri)
            assert found == expected

    def teardown(self) -> None:
        if hasattr(self, "many"):
            catching.SWEEP_NAMES_MAX = self.many
            shutil.rmtree(self.folder)


TestIndexed = Indexed.TestCase


def test_the_graph_is_the_same_from_memory_and_from_the_file(
    chain: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def graphs() -> Iterator[Graph]:
        for direction in ("up", "down"):
            for ref in ("a", "b", "c"):
                for depth in (None, 0, 1, 2):
                    yield collect(chain, ref, direction=direction, depth=depth)

    cold = list(graphs())
    assert list(graphs()) == cold
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert list(graphs()) == cold
