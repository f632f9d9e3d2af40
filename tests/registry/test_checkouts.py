"""Snapshots: a copy in the store, laid out as a real folder with real files."""

import errno
import os
import stat

import pytest

from nemotron.kit.errors import CorruptError, DiskFullError, RefusedError
from nemotron.kit.registry import checkouts, digest_cache
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.memory import MemoryStore


def contents(folder):
    """Every file below a folder and its bytes, but for what the kit writes beside them."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "metadata.json"
    }


WHOLE = {"part.txt": b"hello", "sub/more.bin": bytes(range(256))}


@pytest.fixture
def lay_out(opened):
    """Lays out a version in a registry that remembers nothing."""

    def lay_out(ref="m"):
        registry = opened()
        return registry.folder(registry.resolve(ref))

    return lay_out


def test_later_changes_of_the_source_do_not_reach_it(publish, lay_out, data):
    publish(snapshot=True)
    (data / "part.txt").write_text("changed")
    (data / "sub/more.bin").unlink()
    assert contents(lay_out()) == WHOLE


def test_it_lies_in_the_store_and_is_read_only(publish, lay_out, root, data):
    (data / "run.sh").write_text("#!/bin/sh")
    (data / "run.sh").chmod(0o755)
    times = {name: (data / name).stat().st_mtime_ns for name in ("part.txt", "run.sh")}
    record = publish(snapshot=True).record
    folder = lay_out()
    assert str(folder) == record.path == str(root / ".kit/checkouts/m/v1")
    assert {name: (folder / name).stat().st_mtime_ns for name in times} == times
    assert stat.S_IMODE((folder / "part.txt").stat().st_mode) == 0o444
    assert stat.S_IMODE((folder / "run.sh").stat().st_mode) == 0o555
    assert not (folder / "part.txt").is_symlink()
    # Root writes through hard links: a checkout has none.
    assert (folder / "part.txt").stat().st_nlink == 1


def test_it_is_laid_out_once(publish, lay_out, monkeypatch):
    publish(snapshot=True)
    first = lay_out()
    inode = (first / "part.txt").stat().st_ino
    assert lay_out() == first
    assert (first / "part.txt").stat().st_ino == inode


def test_empty_folders_and_links_inside_are_there(publish, lay_out, data):
    (data / "empty/deep").mkdir(parents=True)
    (data / "sub/up").symlink_to("../part.txt")
    (data / "folder").symlink_to("sub")
    publish(snapshot=True)
    folder = lay_out()
    assert (folder / "empty/deep").is_dir()
    assert os.readlink(folder / "sub/up") == "../part.txt"
    assert (folder / "sub/up").read_text() == "hello"
    assert (folder / "folder/more.bin").exists()
    assert lay_out() == folder


def test_links_that_stay_inside_by_way_of_outside_lead_to_the_copy(
    publish, lay_out, data, tmp_path, opened, caplog
):
    (tmp_path / "way").symlink_to(data)
    (data / "latest").symlink_to(data / "sub")
    (data / "sub/absolute").symlink_to(tmp_path / "way/part.txt")
    (data / "sub/around").symlink_to(f"../../{data.name}/sub/more.bin")
    (data / "sub/..odd").symlink_to("../part.txt")
    (data / "gone").symlink_to(data / "nowhere")
    (data / "top").symlink_to(data)
    record = publish(snapshot=True).record
    folder = lay_out()
    names = ("latest", "sub/absolute", "sub/around", "sub/..odd", "gone", "top")
    assert [os.readlink(folder / name) for name in names] == [
        "sub",
        "../part.txt",
        "more.bin",
        "../part.txt",
        "nowhere",
        ".",
    ]
    assert opened().verify(record.uri).files == []
    assert not publish(snapshot=True).created
    assert not caplog.records


def test_links_that_leave_are_left_out(publish, lay_out, data, tmp_path, opened, caplog):
    (tmp_path / "secret").write_text("secret")
    (data / "absolute").symlink_to(tmp_path / "secret")
    (data / "relative").symlink_to("../secret")
    (data / "sub/folder").symlink_to(tmp_path)
    (data / "chain").symlink_to("absolute")
    (data / "inside").symlink_to("part.txt")
    (data / "dangling").symlink_to("nowhere")
    publish(snapshot=True)
    assert "outside the artifact" in caplog.text
    folder = lay_out()
    for path in folder.rglob("*"):
        assert path.resolve().is_relative_to(folder)
    assert not os.path.lexists(folder / "absolute")
    assert not os.path.lexists(folder / "relative")
    assert not os.path.lexists(folder / "sub/folder")
    assert (folder / "inside").read_text() == "hello"
    assert {entry.path for entry in opened().tree(opened().resolve("m")).entries} >= {"absolute", "relative"}
    assert lay_out() == folder


def test_the_targets_of_links_are_content_when_asked(publish, lay_out, data, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/blob").write_text("weights")
    (data / "model.bin").symlink_to(tmp_path / "cache/blob")
    (data / "all").symlink_to(tmp_path / "cache")
    publish(snapshot=True, follow_links=True)
    (tmp_path / "cache/blob").write_text("changed")
    folder = lay_out()
    assert (folder / "model.bin").read_text() == "weights"
    assert not (folder / "model.bin").is_symlink()
    assert (folder / "all/blob").read_text() == "weights"


def test_a_loop_of_links_is_refused_when_followed(publish, data, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/back").symlink_to(tmp_path / "outside")
    (data / "loop").symlink_to(tmp_path / "outside")
    with pytest.raises(RefusedError, match="lead back to a folder above"):
        publish(snapshot=True, follow_links=True)


def test_metadata_speaks_of_where_it_lies_now(publish, opened, data, root):
    publish(snapshot=True, entry="part.txt", metadata={"blend": data / "part.txt", "other": "/elsewhere"})
    record = opened().resolve("m")
    assert record.path == str(root / ".kit/checkouts/m/v1/part.txt")
    assert record.metadata == {"blend": str(root / ".kit/checkouts/m/v1/part.txt"), "other": "/elsewhere"}
    assert opened().location(record).read_text() == "hello"


def test_versions_share_their_bytes(publish, root, data):
    publish(snapshot=True)
    (data / "more.txt").write_text("new")
    (data / "copy.txt").write_text("hello")
    publish(snapshot=True)
    blobs = [path for path in (root / ".kit/blobs").rglob("*") if path.is_file()]
    assert sorted(path.read_bytes() for path in blobs) == sorted([b"hello", bytes(range(256)), b"new"])


@pytest.mark.parametrize("digests_known", [False, True])
@pytest.mark.parametrize("before", [{}, {"evidence": "full"}, {"snapshot": True}], ids=str)
def test_a_snapshot_has_its_bytes_whatever_came_before(
    publish, lay_out, data, monkeypatch, before, digests_known
):
    if digests_known:  # as if the files had been written long ago
        monkeypatch.setattr(digest_cache, "SETTLED_NS", -(10**12))
    publish(**before)
    publish(snapshot=True, metadata={"x": 1})
    (data / "part.txt").unlink()
    assert contents(lay_out("m:v2")) == WHOLE


# -- changed, damaged, raced ---------------------------------------------------------------------------------

CHANGES = {
    "rewritten longer": lambda folder: rewrite(folder / "part.txt", "longer than before"),
    "rewritten with the same size": lambda folder: rewrite(folder / "part.txt", "HELLO"),
    "deleted": lambda folder: (folder / "sub/more.bin").unlink(),
    "a folder in its place": lambda folder: [(folder / "part.txt").unlink(), (folder / "part.txt").mkdir()],
    "a link in its place": lambda folder: [
        (folder / "part.txt").unlink(),
        (folder / "part.txt").symlink_to("/etc/passwd"),
    ],
}


def rewrite(path, text):
    path.unlink()
    path.write_text(text)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_checkout_is_set_aside_and_laid_out_anew(publish, lay_out, change):
    publish(snapshot=True)
    folder = lay_out()
    for number in (1, 2):
        change(folder)
        assert lay_out() == folder
        assert contents(folder) == WHOLE
        aside = folder.with_name(f"v1.changed-{number}")
        assert aside.is_dir()  # it may be the only copy of what somebody did
        assert contents(aside) != WHOLE


def test_a_touched_checkout_is_left_alone(publish, lay_out):
    # Not every file system keeps times: the bytes decide.
    publish(snapshot=True)
    folder = lay_out()
    os.utime(folder / "part.txt", (1, 1))
    assert lay_out() == folder
    assert (folder / "part.txt").stat().st_mtime == 1
    assert not folder.with_name("v1.changed-1").exists()


def test_a_checkout_that_is_a_link_is_set_aside(publish, lay_out, root, tmp_path):
    publish(snapshot=True)
    folder = lay_out()
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    assert lay_out() == folder
    assert not folder.is_symlink()
    assert contents(folder) == WHOLE


def test_a_deleted_checkout_is_laid_out_again_in_the_same_process(publish, registry):
    import shutil

    record = publish(snapshot=True).record
    folder = registry.folder(record)
    shutil.rmtree(folder)
    assert contents(registry.folder(record)) == WHOLE


def test_a_half_laid_out_folder_of_a_killed_process_is_not_taken(publish, lay_out, root):
    publish(snapshot=True)
    half = root / ".kit/checkouts/m/.tmp-0011223344556677"
    half.mkdir(parents=True)
    (half / "part.txt").write_text("hel")
    assert contents(lay_out()) == WHOLE


def test_who_is_second_takes_what_the_first_laid_out(publish, opened, monkeypatch):
    # Two ranks resolve one snapshot: the other lays it out while this one looks.
    publish(snapshot=True)
    mine, other = opened(), opened()
    real, raced = checkouts._not_laid_out, []

    def look(store, record, tree, target):
        found = real(store, record, tree, target)
        if not raced:
            raced.append(True)
            raced.append(other.folder(other.resolve("m")))
        return found

    monkeypatch.setattr(checkouts, "_not_laid_out", look)
    folder = mine.folder(mine.resolve("m"))
    assert folder == raced[1]
    assert contents(folder) == WHOLE
    assert sorted(os.listdir(folder.parent)) == ["v1"]  # nothing was set aside


def test_a_rename_that_comes_second_is_no_failure(publish, opened, monkeypatch):
    from nemotron.kit.registry import laying_out

    publish(snapshot=True)
    mine, other = opened(), opened()

    def into_place(building, target, real=laying_out._into_place):
        monkeypatch.setattr(laying_out, "_into_place", real)
        other.folder(other.resolve("m"))
        real(building, target)

    monkeypatch.setattr(laying_out, "_into_place", into_place)
    folder = mine.folder(mine.resolve("m"))
    assert contents(folder) == WHOLE
    assert sorted(os.listdir(folder.parent)) == ["v1"]


def test_what_was_laid_out_anew_meanwhile_is_not_set_aside(publish, opened, monkeypatch):
    # Eight ranks find one changed checkout: who is slow must not move away what the others work in by now.
    publish(snapshot=True)
    mine, other = opened(), opened()
    folder = mine.folder(mine.resolve("m"))
    rewrite(folder / "part.txt", "changed")
    real, inodes = checkouts._not_laid_out, []

    def look(store, record, tree, target):
        problem = real(store, record, tree, target)
        if not inodes:
            inodes.append(None)  # the other one finds the same
            inodes.append(other.folder(other.resolve("m")).stat().st_ino)
        return problem

    monkeypatch.setattr(checkouts, "_not_laid_out", look)
    assert opened().folder(mine.resolve("m")).stat().st_ino == inodes[1]
    assert contents(folder) == WHOLE
    assert sorted(os.listdir(folder.parent)) == ["v1", "v1.changed-1"]


def test_a_file_system_that_keeps_no_modes(publish, lay_out, opened, data, monkeypatch):
    # SMB and exFAT take any mode, and show one for all files.
    (data / "run.sh").write_text("#!/bin/sh")
    (data / "run.sh").chmod(0o755)
    publish(snapshot=True)
    monkeypatch.setattr(os, "fchmod", lambda descriptor, mode: None)
    folder = lay_out()
    (folder / "part.txt").chmod(0o755)
    assert {path.name: os.access(path, os.X_OK) for path in (folder / "part.txt", folder / "run.sh")} == {
        "part.txt": True,
        "run.sh": False,
    }
    assert opened().verify("m").files == []
    (folder / "added").touch()
    assert lay_out() == folder
    assert os.listdir(folder.parent) == ["v1"]
    rewrite(folder / "run.sh", "#!/bin/no")
    assert lay_out() == folder
    assert contents(folder) == WHOLE | {"run.sh": b"#!/bin/sh"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT], ids=errno.errorcode.get)
def test_a_full_disk_leaves_no_half_checkout(publish, opened, root, monkeypatch, number):
    publish(snapshot=True)
    registry = opened()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fchmod", lambda *_: (_ for _ in ()).throw(OSError(number, os.strerror(number))))
        with pytest.raises(DiskFullError, match="Cannot lay out"):
            registry.folder(registry.resolve("m"))
    assert os.listdir(root / ".kit/checkouts/m") == []
    assert contents(registry.folder(registry.resolve("m"))) == WHOLE


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES], ids=errno.errorcode.get)
def test_a_root_that_may_only_be_read_is_laid_out_in_the_users_cache(
    publish, opened, root, monkeypatch, tmp_path, number
):
    publish(snapshot=True)
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    real = os.mkdir

    def mkdir(path, *rest, **named):
        if str(path).startswith(str(root)):
            raise OSError(number, os.strerror(number), str(path))
        return real(path, *rest, **named)

    monkeypatch.setattr(os, "mkdir", mkdir)
    registry = opened()
    folder = registry.folder(registry.resolve("m"))
    assert str(folder).startswith(f"{cache}/nemotron-kit/checkouts/")
    assert contents(folder) == WHOLE
    assert not (root / ".kit/checkouts").exists()


@pytest.mark.parametrize(
    ("number", "kind", "advice"),
    [
        (errno.EACCES, RefusedError, "art://m:v1 can't be laid out in this user's cache, .*XDG_CACHE_HOME"),
        (errno.EROFS, RefusedError, "XDG_CACHE_HOME"),
        (errno.ENOENT, RefusedError, "XDG_CACHE_HOME"),
        (errno.ENOSPC, DiskFullError, "Free some space"),
    ],
)
def test_a_cache_that_can_not_be_written_is_named(data, monkeypatch, number, kind, advice):
    registry = Registry(MemoryStore())
    record = registry.publish(Draft(name="m", source=data, snapshot=True)).record

    def mkdir(path, *rest, **named):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(kind, match=advice):
        registry.folder(record)


def test_a_store_without_folders_is_laid_out_in_the_users_cache(data, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    registry = Registry(MemoryStore())
    record = registry.publish(Draft(name="m", source=data, snapshot=True)).record
    assert contents(registry.folder(record)) == WHOLE
    other = Registry(MemoryStore("memory://other"))
    (data / "part.txt").write_text("other")
    record = other.publish(Draft(name="m", source=data, snapshot=True)).record
    assert (other.folder(record) / "part.txt").read_text() == "other"
    assert (registry.inside("m/part.txt")).read_text() == "hello"


def test_a_snapshot_without_a_listing_is_damaged(publish, opened, root):
    publish(snapshot=True)
    manifest = root / "m/v1/manifest.json"
    manifest.write_text(manifest.read_text().replace('"listing"', '"not a listing"'))
    with pytest.raises(CorruptError, match="without a listing"):
        opened().folder(opened().resolve("m"))


def test_a_listing_without_digests_is_damaged(publish, opened, root):
    import re

    publish(snapshot=True)
    manifest = root / "m/v1/manifest.json"
    manifest.write_text(re.sub(r'"blake3:[0-9a-f]{64}"', "null", manifest.read_text()))
    with pytest.raises(CorruptError, match=r"no digest for part\.txt"):
        opened().folder(opened().resolve("m"))


def test_a_folder_of_the_users_has_the_name_of_the_metadata_file(publish, lay_out, data):
    (data / "metadata.json").mkdir()
    (data / "metadata.json/x.json").write_text("{}")
    publish(snapshot=True)
    assert (lay_out() / "metadata.json/x.json").read_text() == "{}"


def test_the_users_own_metadata_file_is_kept(publish, lay_out, data):
    (data / "metadata.json").write_text('{"mine": 1}')
    publish(snapshot=True)
    assert (lay_out() / "metadata.json").read_text() == '{"mine": 1}'


def test_another_store_at_the_same_place_is_not_served_from_the_cache(tmp_path):
    seen = []
    for text in ("one", "two"):
        (tmp_path / text).mkdir()
        (tmp_path / text / "f").write_text(text)
        registry = Registry(MemoryStore("memory://here"))  # its checkouts lie in the user's cache
        record = registry.publish(Draft(name="m", source=tmp_path / text, snapshot=True)).record
        seen.append((record.uri, (registry.folder(record) / "f").read_text()))
    assert seen == [("art://m:v1", "one"), ("art://m:v1", "two")]
