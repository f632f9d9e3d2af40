"""Stores on the Hugging Face Hub: its real client against a double of its API."""

import errno
import functools
import logging
import multiprocessing
import os
import re

import pytest

from hub_server import TOKEN, Hub
from nemotron.kit.errors import (
    DiskFullError,
    KitError,
    MissingExtraError,
    MisuseError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from nemotron.kit.registry import garbage, layout
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store import hub as module
from nemotron.kit.store.connect import open_store
from nemotron.kit.store.hub import HubStore
from nemotron.kit.testing.store_suite import StoreSuite

constants = pytest.importorskip("huggingface_hub.constants")

ROOT = "hf://team/artifacts/store"


@pytest.fixture
def hub(monkeypatch):
    # Its own log calls are no errors; what the kit makes of them is tested here.
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
    hub = Hub()
    hub.add("team/artifacts")
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(module, "PAUSE_S", 0.001)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)  # its own pauses
    yield hub
    hub.close()


# How the client itself uploads large files.
@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
class TestHub(StoreSuite):
    reads_min = 20
    writes_min = 5
    race_keys = 4

    @pytest.fixture
    def opener(self, hub):
        return functools.partial(open_store, ROOT)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / name).write_text(name)
    return folder


def commits_of(hub):
    return [title for _, title, _ in hub.repos["models/team/artifacts"].commits]


# -- roots ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "root",
    ["hf://", "hf://team", "hf:///x", "hf://team/", "hf://datasets/team", "hf://team/repo//x", "hf://a b/c"],
)
def test_a_root_that_names_no_repository(root):
    said = f"HF Hub root must be 'hf://org/repo' or 'hf://org/repo/subdir', got: {root}"
    with pytest.raises(ValueError, match=re.escape(said)):
        open_store(root)


def test_roots(hub):
    hub.add("team/corpus", "datasets")
    for root, place in {
        "hf://team/artifacts": "models/team/artifacts",
        "hf://team/artifacts@main/sub/folder/": "models/team/artifacts",
        "hf://datasets/team/corpus/x": "datasets/team/corpus",
    }.items():
        store = open_store(root)
        assert store.create("m/v1/manifest.json", b"1") is True
        assert store.read("m/v1/manifest.json") == b"1"
        start = "/".join(root.rstrip("/").split("/")[5 if "datasets" in root else 4 :])
        path = "/".join(filter(None, (start, "m/v1/manifest.json")))
        assert path in hub.repos[place].commits[-1][2]
        assert store.list() == ["m"]
    assert open_store("hf://team/corpus/x", {"repo_type": "dataset"}).list() == ["m"]


def test_a_root_that_leaves(hub):
    with pytest.raises(KitError):
        open_store("hf://team/artifacts/../x")


def test_options(hub, monkeypatch):
    with pytest.raises(MisuseError, match=r"Unknown storage_options for hf://.*: anon, key; known are"):
        open_store(ROOT, {"anon": True, "key": "x"})
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    monkeypatch.delenv("HF_ENDPOINT")
    store = open_store(ROOT, {"token": TOKEN, "endpoint": hub.url})
    assert store.create("a", b"1")
    assert TOKEN not in repr(store) + store.url


def test_missing_client_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"nemotron-kit\[hf\]"):
        HubStore(ROOT)


# -- publishing ----------------------------------------------------------------------------------------------


def test_a_snapshot_and_a_reference_come_back(hub, data):
    registry = Registry.open(ROOT)
    registry.publish(Draft(name="x", source=data, snapshot=True))
    registry.publish(Draft(name="y", source=data, aliases=("good",)))
    (data / "a").write_text("changed")
    again = Registry.open(ROOT)
    assert (again.folder(again.resolve("art://x")) / "a").read_text() == "a"
    assert again.resolve("art://y:good").path == str(data)
    assert [entry.name for entry in again.list()] == ["x", "y"]


def test_garbage_goes_by_way_of_the_trash_there_too(hub, data, monkeypatch):
    registry = Registry.open(ROOT)
    registry.publish(Draft(name="x", source=data, snapshot=True))
    (data / "a").write_text("other")
    registry.publish(Draft(name="x", source=data, snapshot=True))
    registry.withdraw("x:v1", "bad")
    monkeypatch.setattr(garbage, "is_over", lambda modified, now, age: now >= modified)  # time flies

    def gc(**options):
        items = Registry.open(ROOT).gc(**options).items
        return [(item.action, item.count) for item in items if item.what == "blobs"]

    assert gc() == [("set aside", 1)]
    assert gc(apply=True) == [("set aside", 1)]
    assert gc(apply=True) == [("deleted", 1)]
    again = Registry.open(ROOT)
    assert again.verify("x", "full").ok
    blobs = sorted(again.store.read(found.key) for found in again.store.walk(layout.BLOBS))
    assert blobs == [b"b", b"c", b"other"]
    assert again.get("x").versions == (2,)


def test_a_publish_takes_few_commits(hub, data):
    registry = Registry.open(ROOT)
    registry.publish(Draft(name="x", source=data))
    before = len(commits_of(hub))
    registry.publish(Draft(name="x", source=data, snapshot=True))
    made = commits_of(hub)[before:]
    assert len(made) == 4, made  # its contents, the journal, the claim, the companions


def _publish(root, data, who, count):
    module.PAUSE_S = 0.01
    registry = Registry.open(root)
    for number in range(count):
        registry.publish(Draft(name="m", source=data, metadata={"who": who, "number": number}))


@pytest.mark.slow
def test_writers_in_many_processes_get_each_number_once(hub, data):
    commits = iter(range(10**9))
    hub.fault = lambda method, path: "drop" if "/commit/" in path and next(commits) % 10 == 7 else None
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_publish, args=(ROOT, str(data), who, 5)) for who in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    records = Registry.open(ROOT).versions("m")
    assert [record.version for record in records] == list(range(1, 21))
    said = {(record.metadata["who"], record.metadata["number"]) for record in records}
    assert said == {(who, number) for who in range(4) for number in range(5)}


# -- faults --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["drop", "cut", "409", "412", "429", "500", "503"])
@pytest.mark.parametrize("call", ["commit", "preupload", "paths-info", "revision"])
def test_one_fault_is_got_over_and_the_truth_is_told(hub, fault, call):
    store = open_store(ROOT)
    if call != "commit" and fault in ("409", "412"):
        pytest.skip("only a commit has a condition")
    for existing in (False, True):
        left = [fault]
        hub.fault = lambda method, path, left=left: left.pop() if f"/{call}/" in path and left else None
        assert store.create("a", b"%d" % existing) is not existing
        assert left == [] or (existing and call in ("commit", "preupload"))
    assert store.read("a") == b"0"
    assert store.list() == ["a"]


@pytest.mark.parametrize("fault", ["drop", "cut", "412", "500"])
def test_a_move_whose_reply_is_lost_is_told_to_have_been_made(hub, fault):
    store = open_store(ROOT)
    store.create("a", b"content")
    left = [fault]
    hub.fault = lambda method, path: left.pop() if "/commit/" in path and left else None
    assert store.move("a", "b") is True
    assert (store.read("a"), store.read("b"), left) == (None, b"content", [])
    assert store.move("a", "b") is False


def test_a_full_disk_is_not_the_network_s_fault(hub, monkeypatch):
    store = open_store(ROOT)
    store.create("a", b"content")

    def full(path, copy):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store, "_download", full)
    with pytest.raises(DiskFullError, match="No space left"):
        store.read("a")


@pytest.mark.parametrize("fault", ["drop", "cut", "429", "500", "503"])
def test_reading_is_tried_again(hub, fault):
    store = open_store(ROOT)
    store.create("a", b"content")
    for way in (lambda: store.read("a"), lambda: store.list()):
        left = [fault]
        hub.fault = lambda method, path, left=left: left.pop() if left else None
        assert way() in (b"content", ["a"])
        assert left == []


def test_the_same_content_by_another_writer_in_between_is_his(hub):
    # The client commits nothing where the content is there already, and calls it done.
    one, two = open_store(ROOT), open_store(ROOT)
    won = []

    def fault(method, path):
        if "/preupload/" in path and not won:
            won.append(None)
            won[0] = two.create("a", b"same")

    hub.fault = fault
    assert one.create("a", b"same") is False
    assert won == [True]
    assert one.create("b", b"same") is True


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        ("401", RefusedError, "token"),
        ("403", RefusedError, "HF_TOKEN"),
        ("429", UnavailableError, "limits how often"),
        ("500", UnavailableError, "try again"),
    ],
)
def test_what_is_said(hub, status, kind, said):
    store = open_store(ROOT)
    hub.fault = lambda method, path: status
    for call in (store.read, store.exists, store.list, store.remove, lambda key: store.create(key, b"1")):
        with pytest.raises(KitError, match="hf://team/artifacts/store") as caught:
            call("a")
        if status != "401":  # which the Hub also says of a repository that nobody may see
            assert type(caught.value) is kind
            assert said in str(caught.value)
        assert TOKEN not in str(caught.value)


def test_no_such_repository(hub):
    store = open_store("hf://team/nothing")
    with pytest.raises(NotFoundError, match="There is no repository team/nothing"):
        store.read("a")
    with pytest.raises(NotFoundError, match="hf repo create team/nothing"):
        store.create("a", b"1")
    with pytest.raises(NotFoundError, match="no such branch"):
        open_store("hf://team/artifacts@other").create("a", b"1")


def test_nobody_there(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="Check HF_ENDPOINT"):
        open_store(ROOT).read("a")


def test_importing_the_kit_does_not_load_the_client():
    import subprocess
    import sys

    code = "import sys, nemotron.kit.store.connect as c; c.open_store('x'); "
    code += "print('huggingface_hub' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
