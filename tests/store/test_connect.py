"""What a root may look like, as people write it."""

import os

import pytest

from nemotron.kit.errors import KitError, MisuseError, RefusedError
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.connect import open_store
from nemotron.kit.store.local import LocalStore


def test_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    spellings = {
        str(tmp_path / "a"): "a",
        tmp_path / "a": "a",
        "a": "a",
        "./b/../a/": "a",
        "~/x": "home/x",
        f"file://{tmp_path}/a": "a",
        f"file://localhost{tmp_path}/a": "a",
        f"file://{tmp_path}/with%20space": "with space",
        f"file://{tmp_path}/odd?name#here": "odd?name#here",
        f"FILE://{tmp_path}/a": "a",
        "s3:": "s3:",
        "a:b": "a:b",
    }
    for spelling, path in spellings.items():
        store = open_store(spelling)
        assert isinstance(store, LocalStore)
        assert store.url == str(tmp_path / path), spelling
    assert os.listdir(tmp_path) == []  # nothing is made by looking


@pytest.mark.parametrize(
    "root", ["", "a\x00b", "file://", "file://host/x", "file://~/x", "file://relative/x"]
)
def test_what_is_no_root(root, tmp_path):
    with pytest.raises(MisuseError):
        open_store(root)


@pytest.mark.parametrize("root", ["s4://bucket/x", "art://m", "no-such::http://x"])
def test_a_scheme_that_holds_no_store_is_no_folder(root, tmp_path):
    with pytest.raises(MisuseError, match=f"Cannot open the root {root}"):
        open_store(root)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("root", ["s3://", "s3:///x", "gs://", "az://"])
def test_a_bucket_without_a_name(root, tmp_path):
    with pytest.raises(KitError):
        open_store(root)
    assert os.listdir(tmp_path) == []


def test_memory_is_one_store_per_name(tmp_path):
    assert open_store("memory://connect-a") is open_store("memory://connect-a")
    assert open_store("memory://connect-a") is not open_store("memory://connect-b")
    (tmp_path / "data").mkdir()
    Registry.open("memory://connect-a").publish(Draft(name="m", source=tmp_path / "data"))
    assert Registry.open("memory://connect-a").resolve("m").uri == "art://m:v1"
    assert Registry.open("memory://connect-b").list() == []


def test_options_that_nobody_reads_are_refused_by_name(tmp_path):
    with pytest.raises(MisuseError, match=r"storage_options are not used by .*: endpoint, key"):
        open_store(tmp_path / "a", {"key": 1, "endpoint": 2})
    open_store(tmp_path / "a", {})


def test_a_root_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", f"file://{tmp_path}/file"):
        with pytest.raises(RefusedError, match="is a file"):
            open_store(root)
