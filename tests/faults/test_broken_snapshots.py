"""`kill -9` at chosen points of a snapshot: no version, no damage, and the next try goes on from there."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from blake3 import blake3

from nemotron.kit.registry import digest_cache, parallel, reading
from nemotron.kit.registry.content import DigestCache
from nemotron.kit.registry.doctor import examine
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.scan import scan_folder
from nemotron.kit.store.local import LocalStore
from nemotron.kit.testing.faults import FaultyStore

SCRIPT = Path(__file__).parent / "scripts/broken_snapshot.py"
SMALL, LARGE, LARGE_SIZE = 12, 3, (1 << 20) + 1
POINTS = [
    *("remember:1", "remember:9", "link:1", "linked:1", "link:8", "linked:14", "half:1", "half:3"),
    *("sync", "journal", "manifest"),
]


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(SMALL):
        (folder / f"{number}.txt").write_text(f"small {number}")
    for number in range(LARGE):
        (folder / f"{number}.bin").write_bytes(bytes([number]) * LARGE_SIZE)
    return folder


def blobs(root):
    """What is stored by now, by key."""
    found = [path for path in (root / ".kit/blobs").rglob("*") if path.is_file()]
    return {path.relative_to(root).as_posix(): path for path in found}


@pytest.mark.parametrize("point", POINTS)
def test_killed_in_the_middle_of_a_snapshot(tmp_path, data, monkeypatch, point):
    root = tmp_path / "store"
    done = subprocess.run([sys.executable, SCRIPT, root, data, point], capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    store = FaultyStore(LocalStore(root))
    registry = Registry(store)
    assert registry.list() == []
    assert not [item for item in examine(registry) if item.level == "problem"]
    before = blobs(root)
    for key, path in before.items():
        assert blake3(path.read_bytes()).hexdigest() == key.rpartition("/")[2]
    stats = {key: (path.stat().st_ino, path.stat().st_mtime_ns) for key, path in before.items()}
    monkeypatch.setattr(digest_cache, "SETTLED_NS", -(10**12))
    known = DigestCache(str(data)).fill(scan_folder(str(data)))
    remembered = {entry.digest.removeprefix("blake3:") for entry in known.entries if entry.digest}
    small = {key for key, path in before.items() if path.stat().st_size < LARGE_SIZE}
    if point == "remember:9":
        assert len(remembered) >= 9

    calls = len(store.calls)
    record = registry.publish(Draft(name="m", source=data, snapshot=True)).record
    written = [key for call, key in store.calls[calls:] if call in ("put", "commit")]
    again = set(written) & set(before)
    assert not again & small
    assert not {key.rpartition("/")[2] for key in again} & remembered
    assert (record.version, registry.verify("m", "full").ok) == (1, True)
    assert {key: (path.stat().st_ino, path.stat().st_mtime_ns) for key, path in before.items()} == stats
    assert len(blobs(root)) == SMALL + LARGE


def test_what_broke_off_with_an_error_is_not_read_again(tmp_path, data, monkeypatch):
    # As with Ctrl-C or a full disk: the process lives to remember what it has done.
    monkeypatch.setattr(digest_cache, "SETTLED_NS", -(10**12))
    monkeypatch.setattr(parallel, "CHUNK_FILES", 1)
    monkeypatch.setattr(parallel, "WORKERS", 1)  # one after the other
    registry = Registry.open(tmp_path / "store")

    def interrupt(done, total):
        if done > LARGE_SIZE * LARGE:  # the large ones come first
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        registry.publish(Draft(name="m", source=data, snapshot=True), progress=interrupt)
    read, steadily = [], reading.steadily
    monkeypatch.setattr(
        reading,
        "steadily",
        lambda folder, entry, work: [read.append(entry.path), steadily(folder, entry, work)][1],
    )
    registry.publish(Draft(name="m", source=data, snapshot=True))
    assert not [name for name in read if name.endswith(".bin")]
    assert not list((tmp_path / "store").rglob(".tmp-*"))
    assert registry.verify("m", "full").ok
    assert os.listdir(tmp_path / "store/.kit/staging") == []
