"""What may lie at a root, and who may look at it."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from nemotron.kit.errors import (
    KitError,
    RefusedError,
)
from nemotron.kit.store.local import LocalStore
from nemotron.kit.testing.store_races import stage

# -- roots -------------------------------------------------------------------------------------------------


def test_a_root_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RefusedError, match="is a file; a root must be a folder"):
        LocalStore(tmp_path / "file")
    with pytest.raises(RefusedError, match="must be a folder"):
        LocalStore(tmp_path / "file/root").create("a", b"x")
    assert LocalStore(tmp_path / "file/root").read("a") is None
    assert (tmp_path / "file").read_text() == "mine"


def test_a_root_that_is_a_dangling_link_is_refused(tmp_path):
    (tmp_path / "root").symlink_to(tmp_path / "nowhere")
    with pytest.raises(KitError):
        LocalStore(tmp_path / "root").create("a", b"x")
    assert not (tmp_path / "nowhere").exists()


def test_roots_are_absolute_and_know_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert LocalStore("~/root").root == str(tmp_path / "root")
    assert LocalStore("root").url == os.path.join(os.getcwd(), "root")
    assert LocalStore("/").local_path("a") == Path("/a")


def test_a_root_with_odd_characters(tmp_path):
    store = LocalStore(tmp_path / "a b\n%2e%2e ä \udcff")
    assert store.create("a/b", b"x")
    assert LocalStore(store.root).read("a/b") == b"x"


def test_a_root_that_was_cleared_under_a_running_process_is_made_anew(store, root):
    import shutil

    assert store.create("a/v1/x", b"1")
    shutil.rmtree(root)
    assert store.create("a/v1/x", b"2") is True
    shutil.rmtree(root / "a")
    assert store.create("a/v2/x", b"3") is True
    assert stage(store, ".kit/blobs/aa/x")
    shutil.rmtree(root)
    assert stage(store, ".kit/blobs/aa/x")
    store.replace("a/latest", b"v1")


def test_a_file_where_a_folder_should_be(store, root):
    root.mkdir()
    (root / "name").write_text("mine")
    with pytest.raises(RefusedError, match="nothing of yours"):
        store.create("name/v1/manifest.json", b"x")
    assert store.read("name/v1/manifest.json") is None
    assert store.exists("name/v1/manifest.json") is False
    assert (root / "name").read_text() == "mine"


def test_leftovers_of_a_killed_writer_do_not_matter(store, root):
    (root / "a/v1").mkdir(parents=True)
    (root / "a/v1/.tmp-0123456789abcdef").write_bytes(b"half")
    assert store.list("a/v1") == []
    assert store.create("a/v1/manifest.json", b"x") is True


# -- permissions, as another user --------------------------------------------------------------------------

AS_NOBODY = """
import json, os, sys, tempfile
from nemotron.kit.errors import KitError
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
with tempfile.TemporaryDirectory() as folder:  # import all that there is before the rights are gone
    for name in ("a", "b"):
        Registry.open(folder + "/root").publish(Draft(name=name, source=sys.argv[2]))
    Registry.open(folder + "/root").list()
    try:
        Registry.open(folder + "/root").resolve("c")
    except KitError:
        pass
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
said = {}
for name, root in json.loads(sys.argv[1]).items():
    registry = Registry.open(root)
    for what, call in {
        "resolve": lambda: registry.resolve("m:v1").uri,
        "latest": lambda: registry.resolve("m").uri,
        "other": lambda: registry.resolve("other").uri,
        "list": lambda: [entry.name for entry in registry.list()],
        "publish": lambda: registry.publish(Draft(name="m", source=sys.argv[2], metadata={"by": "nobody"})),
    }.items():
        try:
            said[f"{name} {what}"] = call()
        except KitError as error:
            said[f"{name} {what}"] = error.kind
print(json.dumps(said))
"""


@pytest.fixture
def public():
    """A folder that every user can reach; `tmp_path` is the owner's alone."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def test_no_permission_is_not_absence(public):
    # As root every permission is there: the script gives up its rights.
    from nemotron.kit.registry.records import Draft
    from nemotron.kit.registry.registry import Registry

    data = public / "data"
    data.mkdir()
    (data / "f").write_text("x")
    roots = {name: public / name for name in ("readable", "closed", "closed name", "closed version")}
    for root in roots.values():
        for name in ("m", "other"):
            Registry.open(root).publish(Draft(name=name, source=data))
    closed = [roots["closed"], roots["closed name"] / "m", roots["closed version"] / "m/v1"]
    for folder in closed:
        folder.chmod(0o000)
    try:
        paths = json.dumps({name: str(root) for name, root in roots.items()})
        command = [sys.executable, "-c", AS_NOBODY, paths, data]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/")
    finally:
        for folder in closed:
            folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    everything = {
        ("readable", "resolve"): "art://m:v1",
        ("readable", "latest"): "art://m:v1",
        ("readable", "other"): "art://other:v1",
        ("readable", "list"): ["m", "other"],
        ("closed name", "other"): "art://other:v1",
        ("closed name", "list"): ["other"],
        ("closed version", "other"): "art://other:v1",
        ("closed version", "list"): ["other"],
    }
    for name in roots:
        for what in ("resolve", "latest", "other", "list", "publish"):
            assert said[f"{name} {what}"] == everything.get((name, what), "refused"), (name, what)
    assert Registry.open(roots["readable"]).get("m").versions == (1,)
