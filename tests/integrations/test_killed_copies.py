"""`kill -9` in the middle of a copy: the next one removes what it left, and nothing of who still copies."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nemotron.kit.integrations.arriving import PART, Arrivals
from nemotron.kit.integrations.copying import copy_out
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
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path / "store", out], capture_output=True, timeout=120, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
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
