"""What only a file system can do to a store."""

import errno
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from nemotron.kit.errors import (
    DiskFullError,
    KitError,
    OutsideRootError,
    PathNotFoundError,
    RefusedError,
    UnavailableError,
)
from nemotron.kit.store.local import LocalStore, translate

NO_LINKS = [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EACCES]


@pytest.fixture
def root(tmp_path):
    return tmp_path / "root"


@pytest.fixture
def store(root):
    return LocalStore(root)


def failing(call, number, *, after=False, only=lambda path: True):
    """A system call that fails with `number`, before or after it did its work."""

    def fail(*args, **kwargs):
        if not only(args):
            return call(*args, **kwargs)
        if after:
            call(*args, **kwargs)
        raise OSError(number, os.strerror(number), str(args[0]))

    return fail


def files_below(root):
    return sorted(p.relative_to(root).as_posix() for p in Path(root).rglob("*") if not p.is_dir())


# -- links: the primitive ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", NO_LINKS, ids=errno.errorcode.get)
def test_without_hard_links_o_excl_decides(store, root, monkeypatch, number):
    monkeypatch.setattr(os, "link", failing(os.link, number))
    assert store.create("a/b", b"first") is True
    assert store.create("a/b", b"second") is False
    assert store.read("a/b") == b"first"
    assert files_below(root) == ["a/b"]


def test_nfs_did_it_and_lost_the_reply(store, root, monkeypatch):
    monkeypatch.setattr(os, "link", failing(os.link, errno.EIO, after=True))
    assert store.create("a/b", b"mine") is True
    assert store.read("a/b") == b"mine"
    assert files_below(root) == ["a/b"]


def test_nfs_did_it_asked_again_and_says_exists(store, monkeypatch):
    monkeypatch.setattr(os, "link", failing(os.link, errno.EEXIST, after=True))
    assert store.create("a/b", b"mine") is True
    with store.stage() as staging:
        staging.write(b"x")
        assert staging.commit("a/c") is True
    monkeypatch.undo()
    assert store.create("a/b", b"other") is False


def test_a_link_that_failed_for_another_reason_is_an_error(store, root, monkeypatch):
    monkeypatch.setattr(os, "link", failing(os.link, errno.EIO))
    with pytest.raises(UnavailableError, match="Cannot write"):
        store.create("a/b", b"mine")
    monkeypatch.undo()
    assert store.read("a/b") is None
    assert files_below(root) == []


def test_a_torn_object_of_o_excl_keeps_its_name(store, monkeypatch):
    # Another writer may have been told that the name is taken: it must never be free again.
    monkeypatch.setattr(os, "link", failing(os.link, errno.EPERM))
    real, writes = os.write, []

    def write(descriptor, data):
        writes.append(descriptor)
        if len(writes) == 2:  # the first is the temporary file
            real(descriptor, bytes(data)[:3])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(DiskFullError):
        store.create("a/b", b"whole object")
    monkeypatch.undo()
    assert store.exists("a/b")
    assert store.create("a/b", b"other") is False


# -- links: the trap -----------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "secret").write_text("secret")
    return folder


EVERYTHING = {
    "read": lambda store, key: store.read(key),
    "open": lambda store, key: store.open(key),
    "chunks": lambda store, key: list(store.chunks(key)),
    "create": lambda store, key: store.create(key, b"x"),
    "replace": lambda store, key: store.replace(key, b"x"),
    "remove": lambda store, key: store.remove(key),
    "stage": lambda store, key: stage(store, key),
    "list": lambda store, key: store.list(key.rpartition("/")[0]),
}


def stage(store, key):
    with store.stage() as staging:
        staging.write(b"x")
        return staging.commit(key)


@pytest.mark.parametrize("way", EVERYTHING)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_folder_that_is_a_link_is_not_followed(store, root, elsewhere, way, depth):
    parts = ["name", "v1", "deep", "secret"]
    (elsewhere / "/".join(parts[depth:-1])).mkdir(parents=True, exist_ok=True)
    root.joinpath(*parts[: depth - 1]).mkdir(parents=True)
    root.joinpath(*parts[:depth]).symlink_to(elsewhere)
    before = files_below(elsewhere)
    with pytest.raises(OutsideRootError, match="link"):
        EVERYTHING[way](store, "/".join(parts))
    assert files_below(elsewhere) == before
    assert (elsewhere / "secret").read_text() == "secret"


@pytest.mark.parametrize("way", ["read", "open", "chunks"])
def test_an_object_that_is_a_link_is_not_followed(store, root, elsewhere, way):
    (root / "name").mkdir(parents=True)
    (root / "name/hint").symlink_to(elsewhere / "secret")
    with pytest.raises(OutsideRootError, match="link"):
        EVERYTHING[way](store, "name/hint")


def test_writing_to_an_object_that_is_a_link_does_not_reach_its_target(store, root, elsewhere):
    (root / "name").mkdir(parents=True)
    for name in ("hint", "claim", "gone"):
        (root / "name" / name).symlink_to(elsewhere / "secret")
    (root / "name/dangling").symlink_to(elsewhere / "new")
    store.replace("name/hint", b"x")
    assert store.create("name/claim", b"x") is False
    assert store.create("name/dangling", b"x") is False
    store.remove("name/gone")
    assert (elsewhere / "secret").read_text() == "secret"
    assert files_below(elsewhere) == ["secret"]
    assert store.read("name/hint") == b"x"


def test_without_hard_links_a_dangling_link_is_not_written_through(store, root, elsewhere, monkeypatch):
    monkeypatch.setattr(os, "link", failing(os.link, errno.EPERM))
    (root / "name").mkdir(parents=True)
    (root / "name/dangling").symlink_to(elsewhere / "new")
    assert store.create("name/dangling", b"x") is False
    assert files_below(elsewhere) == ["secret"]


def test_the_root_itself_may_be_a_link(tmp_path, elsewhere):
    (tmp_path / "link").symlink_to(elsewhere)
    store = LocalStore(tmp_path / "link")
    assert store.create("a/b", b"x")
    assert (elsewhere / "a/b").read_bytes() == b"x"


# -- a full disk ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG], ids=errno.errorcode.get)
@pytest.mark.parametrize("call", ["write", "fsync", "mkdir"])
def test_a_full_disk_leaves_nothing_and_says_so(store, root, monkeypatch, call, number):
    store.create("old/x", b"old")
    monkeypatch.setattr(os, call, failing(getattr(os, call), number))
    with pytest.raises(DiskFullError, match=r"Cannot write .*root/new/x: .*Free some space"):
        store.create("new/x", b"new")
    monkeypatch.undo()
    assert files_below(root) == ["old/x"]
    assert store.read("old/x") == b"old"
    assert store.create("new/x", b"new") is True


def test_a_disk_that_fills_up_in_the_middle_of_a_write(store, root, monkeypatch):
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


def test_a_file_size_limit_is_a_full_disk(root):
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
        EVERYTHING[way](store, "name/x" if way in ("remove", "replace") else "name/y")
    assert store.read("name/x") == b"x"
    assert store.list("name") == ["x"]


# -- what the operating system says --------------------------------------------------------------------------

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


# -- roots ---------------------------------------------------------------------------------------------------


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


# -- permissions, as another user ----------------------------------------------------------------------------

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


# -- durability ----------------------------------------------------------------------------------------------


@pytest.fixture
def steps(monkeypatch):
    """The order in which things are synced and named: [("sync" | "link" | "rename", path)]."""
    found = []

    def fsync(descriptor, real=os.fsync):
        found.append(("sync", os.readlink(f"/proc/self/fd/{descriptor}")))
        real(descriptor)

    def link(source, target, real=os.link, **kwargs):
        found.append(("link", str(target)))
        real(source, target, **kwargs)

    def replace(source, target, real=os.replace):
        found.append(("rename", str(target)))
        real(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(os, "replace", replace)
    return found


def test_a_commit_is_synced_before_and_after_it_gets_its_name(store, root, steps):
    store.create("a/v1/manifest.json", b"x")
    steps.clear()
    store.create("a/v2/manifest.json", b"x")
    folder, file = steps[0], steps[1]
    assert folder == ("sync", f"{root}/a")  # that v2 is there
    assert file[0] == "sync"
    assert file[1].startswith(f"{root}/a/v2/.tmp-")  # what the manifest says
    assert steps[2:] == [("link", f"{root}/a/v2/manifest.json"), ("sync", f"{root}/a/v2")]


def test_folders_on_the_way_are_synced_once_by_each_process(store, root, steps):
    store.create("a/v1/manifest.json", b"x")
    synced = [path for step, path in steps if step == "sync"]
    for folder in (root.parent, root, root / "a"):  # the entries of root, a and v1
        assert synced.count(str(folder)) == 1
    steps.clear()
    LocalStore(root).create("a/v2/manifest.json", b"x")
    synced = [path for step, path in steps if step == "sync"]
    assert {str(root.parent), str(root), str(root / "a")} <= set(synced)


def test_hints_are_not_synced(store, steps):
    store.create("a/v1/manifest.json", b"x")
    steps.clear()
    store.replace("a/latest", b"v1")
    store.create(".kit/journal/x", b"", durable=False)
    assert [step for step, _ in steps if step == "sync"] == []


def test_staged_content_is_synced_when_asked(store, root, steps):
    for number in range(3):
        stage(store, f".kit/blobs/aa/{number}")
    assert [step for step, _ in steps if step == "sync"] == []
    store.sync()
    synced = {path for step, path in steps if step == "sync"}
    for path in (
        ".kit/blobs/aa/0",
        ".kit/blobs/aa/1",
        ".kit/blobs/aa/2",
        ".kit/blobs/aa",
        ".kit/blobs",
        ".kit",
        "",
    ):
        assert str(root / path) in synced
    steps.clear()
    store.sync()
    assert steps == []


def test_many_staged_files_take_one_sync_of_the_file_system(store, steps, monkeypatch):
    from nemotron.kit.store import files

    called = []
    monkeypatch.setattr(files, "sync_file_system", lambda folder: called.append(folder) or True)
    for number in range(40):
        stage(store, f".kit/blobs/aa/{number}")
    store.sync()
    assert called == [store.root]
    assert [step for step, _ in steps if step == "sync"] == []


def test_the_real_sync_of_a_file_system(tmp_path):
    from nemotron.kit.store import files

    assert files.sync_file_system(str(tmp_path)) is True
    with pytest.raises(OSError, match="No such file"):
        files.sync_file_system(str(tmp_path / "nowhere"))


def test_what_another_thread_stages_during_a_sync_is_not_forgotten(store, monkeypatch):
    synced, syncing, staged = [], threading.Event(), threading.Event()

    def sync(paths, real=store._sync):
        syncing.set()
        assert staged.wait(60)
        synced.extend(paths)
        real(paths)

    monkeypatch.setattr(store, "_sync", sync)
    stage(store, "a/first")
    thread = threading.Thread(target=store.sync)
    thread.start()
    assert syncing.wait(60)
    stage(store, "a/second")
    staged.set()
    thread.join(60)
    store.sync()
    assert sorted(os.path.basename(path) for path in synced) == ["first", "second"]


def test_a_file_system_that_cannot_sync_folders_is_no_failure(store, monkeypatch):
    def fsync(descriptor, real=os.fsync):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    assert store.create("a/b", b"x") is True


def test_a_sync_that_fails_is_a_failure(store, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(os.fsync, errno.EIO))
    with pytest.raises(UnavailableError):
        store.create("a/b", b"x")
