"""`kill -9` in the middle of a copy: the next one removes what it left, and nothing of who still copies."""

import signal
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from nemotron.kit.integrations.arriving import Arrivals
from nemotron.kit.integrations.copying import copy_out
from nemotron.kit.registry.parts import PART
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

FILES = ("a.txt", "b.txt", "sub/c.txt")
# The second file is half there when it happens.
KILLED = """
import os, signal, sys
from nemotron.kit.integrations import artifact_places
from nemotron.kit.integrations.copying import copy_out
from nemotron.kit.registry.registry import Registry

real = artifact_places._OnDisk.copy
def copy(self, name, fs, target, seen):
    if name.endswith("b.txt"):
        target.write(b"h")
        target.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    real(self, name, fs, target, seen)
artifact_places._OnDisk.copy = copy
copy_out(Registry.open(sys.argv[1]), "data", sys.argv[2], force=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Registry:
    for name in FILES:
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"new {name}")
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="data", source=tmp_path / "data"))
    return store


def kill(store: Registry, out: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, store.root, out], capture_output=True, timeout=120, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def parts(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.name.endswith(PART))


@pytest.mark.parametrize("is_there", [True, False])
def test_the_next_copy_removes_what_a_killed_one_left(
    store: Registry, tmp_path: Path, is_there: bool
) -> None:
    out = tmp_path / "out"
    for name in FILES if is_there else ():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("old")
    kill(store, out)
    assert len(parts(out)) == (2 if is_there else 1), "one may wait for its name, and one is half there"
    assert (out / "a.txt").read_text() == ("old" if is_there else "new a.txt")
    copied = copy_out(store, "data", str(out), force=is_there)
    assert (copied.files, copied.skipped) == ((3, 0) if is_there else (2, 1))
    assert [(out / name).read_text() for name in FILES] == [f"new {name}" for name in FILES]
    assert parts(out) == []


def test_what_others_still_write_is_left(store: Registry, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    other = Arrivals()
    with other.file(str(out / "mine.txt"), replaces=False) as file:
        elsewhere = out / ".x.0123456789abcdef-1-1-01234567.kit-part"
        for path in (elsewhere, out / ".x.kit-part", out / "user.kit-part"):
            path.touch()
        before = parts(out)
        copy_out(store, "data", str(out))
        assert parts(out) == before
        assert len(before) == 4
        file.write(b"whole")
    assert (out / "mine.txt").read_text() == "whole"


@pytest.mark.parametrize("how", ["stat", "full", "snapshot", "url"])
def test_what_a_killed_copy_left_is_published_by_nobody(
    store: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    out = tmp_path / "out"
    for name in FILES:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("old")
    kill(store, out)
    top, half = parts(out)
    half.rename(out / "sub" / half.name)  # where it would be, had c.txt come second
    source, more = out, {}
    if how == "url":
        source, more = f"memory://{tmp_path.name}", {"at_url": {}}
        fsspec.filesystem("memory").put(f"{out}/", f"/{tmp_path.name}/", recursive=True)
    record = store.publish(
        Draft(
            name="got",
            source=source,
            snapshot=how == "snapshot",
            evidence="full" if how == "full" else "stat",
            **more,
        )
    ).record
    tree = store.tree(record)
    assert [entry.path for entry in tree.entries] == list(FILES)
    if how != "url":
        assert (
            f"got: left out what a `nemotron kit cp` into {out} has not finished: {top.name}" in caplog.text
        )
        assert f"sub/{half.name}" in caplog.text
    assert store.verify(record.uri).ok
    copied = copy_out(store, "got", str(tmp_path / "again"))
    assert (copied.files, parts(tmp_path / "again")) == (3, [])
    for path in parts(out):
        path.unlink()
    found = store.verify(record.uri)
    assert (found.ok, list(found.files)) == (True, [])
