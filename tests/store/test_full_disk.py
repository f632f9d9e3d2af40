"""What the operating system refuses, and what that means to the caller."""

import errno
import json
import os
import re
import resource
import shlex
import subprocess
import sys
import time

import pytest

from nemotron.kit.errors import (
    DiskFullError,
    KitError,
    OutsideRootError,
    PathNotFoundError,
    RefusedError,
    UnavailableError,
)
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.local import LocalStore
from nemotron.kit.store.system_errors import translate
from nemotron.kit.testing.faults import FaultyStore, failing
from nemotron.kit.testing.store_suite import WAYS

# -- a full disk -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG], ids=errno.errorcode.get)
@pytest.mark.parametrize("call", ["write", "fsync", "mkdir"])
def test_a_full_disk_leaves_nothing_and_says_so(store, root, monkeypatch, call, number, files_below):
    store.create("old/x", b"old")
    monkeypatch.setattr(os, call, failing(getattr(os, call), number))
    with pytest.raises(DiskFullError, match=r"Cannot write .*root/new/x: .*Free some space"):
        store.create("new/x", b"new")
    monkeypatch.undo()
    assert files_below(root) == ["old/x"]
    assert store.read("old/x") == b"old"
    assert store.create("new/x", b"new") is True


def test_a_disk_that_fills_up_in_the_middle_of_a_write(store, root, monkeypatch, files_below):
    real = os.write

    def write(descriptor, data):
        if len(data) < 700:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, bytes(data)[:300])  # a short write, as a disk that is nearly full makes

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(DiskFullError):
        store.create("a/b", b"x" * 1000)
    with pytest.raises(DiskFullError), store.stage() as staging:
        staging.write(b"x" * 1000)
    with pytest.raises(DiskFullError):
        store.replace("a/hint", b"x" * 1000)
    monkeypatch.undo()
    assert files_below(root) == []


def test_short_writes_are_completed(store, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data)[:7]))
    assert store.create("a/b", bytes(range(256)))
    assert store.read("a/b") == bytes(range(256))


LIMITED = """
import json, resource, sys
from nemotron.kit.errors import DiskFullError
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.local import LocalStore
store = LocalStore(sys.argv[1])
assert store.create("a/small", b"x" * 1000)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    store.create("a/large", b"x" * 10_000)
except DiskFullError as error:
    print(json.dumps([error.kind, str(error)]))
assert store.create("a/small2", b"x" * 1000)
"""


def test_a_file_size_limit_is_a_full_disk(root, files_below):
    done = subprocess.run([sys.executable, "-c", LIMITED, root], capture_output=True, text=True, check=True)
    kind, message = json.loads(done.stdout)
    assert kind == "disk_full"
    assert "a/large" in message
    assert files_below(root) == ["a/small", "a/small2"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 4096


@pytest.fixture
def tiny_disk(tmp_path):
    """A real file system of 256 KiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k,nr_inodes=200", "tmpfs", folder],
        capture_output=True,
        text=True,
    )
    if mounted.returncode != 0:
        pytest.skip(f"a file system can't be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(store, size):
    """Create objects until the disk is full; how many there were."""
    for number in range(1000):
        try:
            assert store.create(f"a/{number}", bytes([number % 256]) * size)
        except DiskFullError:
            return number
    raise AssertionError("the disk never got full")


def test_a_real_disk_of_256_kib(tiny_disk):
    store = LocalStore(tiny_disk / "root")
    written = fill(store, 30_000)
    assert 4 <= written <= 9
    assert sorted(store.list("a")) == [str(n) for n in range(written)]
    for number in range(written):
        assert store.read(f"a/{number}") == bytes([number]) * 30_000
    with pytest.raises(DiskFullError), store.stage() as staging:
        staging.write(b"x" * 300_000)
    store.remove("a/0")
    assert store.create("a/again", b"x" * 30_000)


def test_publishing_until_a_real_disk_is_full(tiny_disk, tmp_path):
    root, data, told = tiny_disk / "root", tmp_path / "data", []
    data.mkdir()
    for step in range(100):
        (data / "part.bin").write_bytes(bytes([step]) * 20_000)
        draft = Draft(name="m", source=data, snapshot=step % 2 == 0, metadata={"step": step})
        try:
            told.append((Registry.open(root).publish(draft).record.version, step))
        except DiskFullError as error:
            assert "nothing was lost" in str(error)  # noqa: PT017
            break
    else:
        raise AssertionError("the disk never got full")
    registry = Registry.open(root)
    assert [(record.version, record.metadata["step"]) for record in registry.versions("m")] == told
    assert not list(root.rglob(".tmp-*"))
    snapshots = [record for record in registry.versions("m") if record.is_snapshot]
    with pytest.raises(DiskFullError):  # there is no place for a checkout either
        [registry.folder(record) for record in snapshots]
    assert not list(root.rglob(".tmp-*"))
    subprocess.run(["mount", "-o", "remount,size=2m", tiny_disk], check=True, capture_output=True)
    assert Registry.open(root).publish(draft).record.version == len(told) + 1
    for record in snapshots:
        step = record.metadata["step"]
        assert (registry.folder(record) / "part.bin").read_bytes() == bytes([step]) * 20_000


def test_a_snapshot_that_a_full_disk_broke_off_goes_on_with_what_is_there(tiny_disk, tmp_path):
    root, data = tiny_disk / "root", tmp_path / "data"
    data.mkdir()
    for number in range(20):
        (data / f"{number}.bin").write_bytes(bytes([number]) * 20_000)
    draft = Draft(name="m", source=data, snapshot=True)
    for _ in range(2):  # what is stored takes no space when it is asked for again
        with pytest.raises(DiskFullError):
            Registry.open(root).publish(draft)
        assert Registry.open(root).list() == []
        assert not list(root.rglob(".tmp-*"))
    stored = {path: path.stat() for path in (root / ".kit/blobs").rglob("*") if path.is_file()}
    assert 5 <= len(stored) <= 12
    subprocess.run(["mount", "-o", "remount,size=2m", tiny_disk], check=True, capture_output=True)
    store = FaultyStore(LocalStore(root))
    registry = Registry(store)
    record = registry.publish(draft).record
    assert (record.version, registry.verify("m", "full").ok) == (1, True)
    written = {key for call, key in store.calls if call in ("put", "commit")}
    assert not written & {path.relative_to(root).as_posix() for path in stored}
    for path, before in stored.items():
        now = path.stat()
        assert (now.st_ino, now.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("size", [20_000, 4096])
def test_the_space_of_a_snapshot_that_broke_off_can_be_had_as_the_error_says(tiny_disk, tmp_path, size):
    """Of pages there is none left in the end: then gc must do without as well."""
    root, data = tiny_disk / "a store", tmp_path / "data"
    data.mkdir()
    for number in range(100):
        (data / f"{number}.bin").write_bytes(bytes([number]) * size)
    free = os.statvfs(tiny_disk).f_bavail
    with pytest.raises(DiskFullError, match="the next try goes on with them") as caught:
        Registry.open(root).publish(Draft(name="m", source=data, snapshot=True))
    stored = [path for path in (root / ".kit/blobs").rglob("*") if path.is_file()]
    doctor = command("nemotron kit doctor --json", "--root", str(root))
    [finding] = doctor["findings"]
    assert (doctor["ok"], finding["kind"], finding["level"]) == (True, "unused", "note")
    assert (finding["count"], finding["bytes"]) == (len(stored), size * len(stored))
    gc = re.search("`(nemotron kit gc .*?)`", str(caught.value)).group(1)
    assert command(gc, "--json")["items"] == []  # it is too early
    made_older(stored)
    assert [item["action"] for item in command(gc, "--json")["items"]] == ["set_aside"]
    made_older((root / ".kit/trash").rglob("begun.json"))
    swept = command(gc, "--json")
    assert (swept["bytes_deleted"], swept["unfinished"]) == (size * len(stored), None)
    assert os.statvfs(tiny_disk).f_bavail >= free - 2
    assert command("nemotron kit doctor --json", "--root", str(root))["findings"] == []


@pytest.fixture
def filled(tiny_disk, tmp_path):
    """A store of one large file on a disk that has no space for another, and the file under another name."""
    subprocess.run(["mount", "-o", "remount,size=4m", tiny_disk], check=True, capture_output=True)
    content = os.urandom(1 << 20) * 2
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.bin").write_bytes(content)
    registry = Registry.open(tiny_disk / "root")
    registry.publish(Draft(name="m", source=tmp_path / "one", snapshot=True))
    spare = os.statvfs(tiny_disk).f_bavail * os.statvfs(tiny_disk).f_bsize - (256 << 10)
    (tiny_disk / "of others").write_bytes(bytes(spare))
    return registry


def test_a_full_disk_takes_a_large_file_that_it_has_under_another_name(filled, tmp_path, monkeypatch):
    relied_on, rely_on = [], LocalStore.rely_on
    monkeypatch.setattr(LocalStore, "rely_on", lambda self, key: (relied_on.append(key), rely_on(self, key)))
    record = filled.publish(Draft(name="m", source=tmp_path / "other", snapshot=True)).record
    assert (record.version, Registry(filled.store).verify("m", "full").ok) == (2, True)
    assert not list(tmp_path.rglob("root/**/.tmp-*"))
    [blob] = (found.key for found in filled.store.walk(".kit/blobs"))
    assert relied_on == [blob]


@pytest.mark.parametrize("why", ["new", "of another size", "doubtful"])
def test_a_full_disk_relies_on_nothing_else(filled, tmp_path, why, monkeypatch):
    [blob] = (path for path in (tmp_path / "tiny/root/.kit/blobs").rglob("*") if path.is_file())
    if why == "new":
        (tmp_path / "other/other.bin").write_bytes(os.urandom(2 << 20))
    elif why == "of another size":
        os.truncate(blob, 1 << 20)
        (tmp_path / "tiny/of others 2").write_bytes(bytes(1 << 20))
    else:
        monkeypatch.setattr(LocalStore, "doubtful_until", lambda self: time.time_ns())
    with pytest.raises(DiskFullError):
        Registry(filled.store).publish(Draft(name="n", source=tmp_path / "other", snapshot=True))
    assert Registry(filled.store).list()[0].name == "m"
    assert not list(tmp_path.rglob("root/**/.tmp-*"))


def command(line, *more):
    """Run a command as somebody would who was told of it; what it says."""
    assert line.startswith("nemotron kit ")
    run = [sys.executable, "-m", "nemotron.kit.cli", *shlex.split(line)[1:], *more]
    return json.loads(subprocess.run(run, capture_output=True, text=True, check=True).stdout)


def made_older(paths):
    """As if it were two hours later."""
    for path in paths:
        os.utime(path, (time.time() - 7200,) * 2)


def test_a_real_disk_without_inodes(tiny_disk):
    store = LocalStore(tiny_disk / "root")
    written = fill(store, 0)
    assert written > 100
    assert len(store.list("a")) == written


@pytest.mark.parametrize("way", ["create", "replace", "remove", "stage"])
def test_a_real_read_only_disk(tiny_disk, way):
    store = LocalStore(tiny_disk / "root")
    store.create("name/x", b"x")
    subprocess.run(["mount", "-o", "remount,ro", tiny_disk], check=True, capture_output=True)
    with pytest.raises(RefusedError, match="Read-only"):
        WAYS[way](store, "name/x" if way in ("remove", "replace") else "name/y")
    assert store.read("name/x") == b"x"
    assert store.list("name") == ["x"]


# -- what the operating system says ------------------------------------------------------------------------

SAID = {
    errno.ENOSPC: DiskFullError,
    errno.EDQUOT: DiskFullError,
    errno.EFBIG: DiskFullError,
    errno.EACCES: RefusedError,
    errno.EPERM: RefusedError,
    errno.EROFS: RefusedError,
    errno.ENOENT: PathNotFoundError,
    errno.ELOOP: OutsideRootError,
    errno.ENOTDIR: RefusedError,
    errno.EISDIR: RefusedError,
    errno.EEXIST: RefusedError,  # a file where a folder should be
    errno.ENAMETOOLONG: RefusedError,
    errno.EIO: UnavailableError,
    errno.ESTALE: UnavailableError,
    errno.ETIMEDOUT: UnavailableError,
    errno.EMFILE: UnavailableError,
    errno.EINTR: UnavailableError,
}


@pytest.mark.parametrize("number", errno.errorcode, ids=errno.errorcode.get)
def test_every_error_number_is_an_error_of_the_kit(number):
    error = translate(OSError(number, os.strerror(number)), "write", "/root/x")
    assert type(error) is SAID.get(number, UnavailableError)
    assert str(error).startswith(f"Cannot write /root/x: {os.strerror(number)}")


@pytest.mark.parametrize(
    ("number", "doing", "advice"),
    [
        (errno.EACCES, "write", "Check the owner and mode of the folder, or choose another root"),
        (errno.EACCES, "read", "Check its owner and mode, and those of the folders above it"),
        (errno.EPERM, "look into", "Check its owner and mode, and those of the folders above it"),
        (errno.EROFS, "write", "Mount it such that it can be written, or choose another root"),
        (errno.ENAMETOOLONG, "lay out", "Choose a root that is shorter, or shorter names"),
        (errno.ENAMETOOLONG, "look at", "Shorten its name, or the names of the folders above it"),
        (errno.EMFILE, "read", "Close what this process has open, or allow it more (ulimit -n)"),
    ],
)
def test_the_advice_is_about_what_was_tried(number, doing, advice):
    assert str(translate(OSError(number, "no"), doing, "/data/x")) == f"Cannot {doing} /data/x: no. {advice}"


def test_the_kits_own_errors_are_not_said_twice():
    error = RefusedError("said")
    assert translate(error, "write", "/x") is error


@pytest.mark.parametrize(
    "number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.ELOOP], ids=errno.errorcode.get
)
def test_what_can_not_be_looked_at_is_not_absent(store, monkeypatch, number):
    store.create("a/b", b"x")
    monkeypatch.setattr(os, "stat", failing(os.stat, number, only=lambda args: "root" in str(args[0])))
    with pytest.raises(SAID[number]):
        store.exists("a/b")


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES], ids=errno.errorcode.get)
def test_what_can_not_be_opened_or_listed_is_not_absent(store, monkeypatch, number):
    store.create("a/b", b"x")
    monkeypatch.setattr(os, "open", failing(os.open, number))
    monkeypatch.setattr(os, "listdir", failing(os.listdir, number))
    with pytest.raises(SAID[number]):
        store.read("a/b")
    with pytest.raises(SAID[number]):
        store.list("a")


def test_no_file_stays_open_after_an_error(store, root):
    (root / "a/folder").mkdir(parents=True)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with pytest.raises(KitError):
            store.read("a/folder")
        with store.stage() as staging:
            staging.write(b"x")
    assert len(os.listdir("/proc/self/fd")) == before
