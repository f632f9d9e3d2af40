"""Stores that fsspec reaches: they open, list, resolve and load, and take nothing."""

import http.server
import os
import threading
import zipfile

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from nemotron.kit.errors import KitError, MissingExtraError, OutsideRootError, PathNotFoundError, RefusedError
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store import readable
from nemotron.kit.store.connect import open_store
from nemotron.kit.testing.store_suite import HOSTILE_KEYS


class OwnFileSystem(LocalFileSystem):
    """As a user registers one."""

    protocol = "own"

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("own://"))


@pytest.fixture
def published(tmp_path):
    """A store in a folder, with a snapshot, a reference and an alias."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "part.txt").write_text("hello")
    registry = Registry.open(tmp_path / "store")
    registry.publish(Draft(name="m", source=data, snapshot=True, aliases=("good",)))
    registry.publish(Draft(name="m", source=data, metadata={"step": 2}))
    return tmp_path / "store"


@pytest.fixture
def served(published):
    """The same by HTTP."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(published.parent))

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/store"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=["own", "zip", "zip of own", "http"])
def root(request, published):
    if request.param == "http":
        pytest.importorskip("aiohttp")
        return request.getfixturevalue("served")
    fsspec.register_implementation("own", OwnFileSystem, clobber=True)
    if request.param == "own":
        return f"own://{published}"
    path = published.parent / "store.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for folder, _, names in os.walk(published):
            for name in names:
                file = os.path.join(folder, name)
                archive.write(file, os.path.relpath(file, published.parent))
    return f"zip://store::{path}" if request.param == "zip" else f"zip://store::own://{path}"


def test_it_can_be_read(root, published):
    registry = Registry.open(root)
    assert registry.resolve("art://m").version == 2
    assert registry.resolve("art://m:v1").version == 1
    assert registry.resolve("art://m:good").version == 1
    assert [(entry.name, entry.versions) for entry in registry.list()] == [("m", (1, 2))]
    folder = registry.folder(registry.resolve("art://m:v1"))
    assert (folder / "part.txt").read_text() == "hello"
    with pytest.raises(KitError):
        registry.resolve("art://other")


def test_keys_are_as_in_any_store(root):
    store = open_store(root)
    assert sorted(store.list("m")) == ["aliases", "latest", "v1", "v2"]
    assert store.list("nothing") == []
    assert store.exists("m/v1/manifest.json")
    assert not store.exists("m/v7/manifest.json")
    assert store.read("m/v7/manifest.json") is None
    assert store.read("m/latest") == b"v2"
    with store.open("m/latest") as file:
        assert file.read() == b"v2"
    with pytest.raises(PathNotFoundError):
        store.open("m/v7/manifest.json")
    for key in HOSTILE_KEYS[1:]:
        for way in (store.read, store.exists, store.open, store.list, store.remove):
            with pytest.raises(OutsideRootError):
                way(key)


def test_nothing_is_published(root, published, tmp_path):
    before = sorted(path for path in published.rglob("*"))
    registry = Registry.open(root)
    for snapshot in (False, True):
        with pytest.raises(RefusedError, match="no create-if-absent that is known to hold"):
            registry.publish(Draft(name="new", source=tmp_path / "data", snapshot=snapshot))
    with pytest.raises(RefusedError, match="It can be read"):
        registry.alias("m", "best", 1)
    with pytest.raises(RefusedError):
        registry.withdraw("m:v1", "why not")
    assert sorted(path for path in published.rglob("*")) == before


def test_an_empty_place_is_refused_before_anything_is_made(tmp_path):
    fsspec.register_implementation("own", OwnFileSystem, clobber=True)
    (tmp_path / "data").mkdir()
    with pytest.raises(RefusedError, match="Cannot publish to own://"):
        Registry.open(f"own://{tmp_path}/nothing").publish(Draft(name="m", source=tmp_path / "data"))
    assert not (tmp_path / "nothing").exists()


def test_a_package_that_is_missing_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "paramiko", None)
    monkeypatch.delitem(sys.modules, "fsspec.implementations.sftp", raising=False)
    with pytest.raises(MissingExtraError, match=r"Cannot open the root sftp://host/x: .*paramiko"):
        open_store("sftp://me:secret@host/x")


def test_nobody_there():
    with pytest.raises(KitError, match="try again") as caught:
        open_store("ftp://me:secret@127.0.0.1:9/x").read("a")
    assert "secret" not in str(caught.value)


def test_passwords_are_not_shown():
    store = open_store("ftp://me:secret@host/x")
    assert "secret" not in repr(store) + store.url
    with pytest.raises(RefusedError) as caught:
        store.create("a", b"1")
    assert "secret" not in str(caught.value)


class _Http(Exception):
    def __init__(self, status):
        super().__init__(f"{status}, url='https://me:secret@h/x?sig=secret'")
        self.status = status


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (FileNotFoundError("x"), "path_not_found"),
        (IsADirectoryError("x"), "path_not_found"),
        (NotADirectoryError("x"), "path_not_found"),
        (KeyError("x"), "path_not_found"),
        (_Http(404), "path_not_found"),
        (PermissionError("x"), "refused"),
        (_Http(403), "refused"),
        (_Http(401), "refused"),
        (ConnectionResetError("x"), "unavailable"),
        (TimeoutError("x"), "unavailable"),
        (BlockingIOError("x"), "unavailable"),
        (EOFError(), "unavailable"),
        (_Http(500), "unavailable"),
        (_Http(429), "unavailable"),
        (zipfile.BadZipFile("x"), "unavailable"),
        (RuntimeError("x"), "unavailable"),
        (ValueError("x"), "misuse"),
        (TypeError("x"), "misuse"),
        (NotImplementedError("x"), "misuse"),
        (ImportError("x"), "missing_extra"),
    ],
    ids=lambda value: (
        getattr(value, "__class__", type(value)).__name__ if isinstance(value, Exception) else ""
    ),
)
def test_errors(error, kind):
    said = readable.translate(error, "read", "own://x")
    assert said.kind == kind
    assert "secret" not in str(said)
    assert str(said).startswith("Cannot read own://x: ")
    if not isinstance(error, _Http | ImportError):
        assert isinstance(error, readable.foreign())
