"""What a disk has lost is written anew by the next try, though it is there and can be read for now."""

import errno
import os
from pathlib import Path

import pytest

from nemotron.kit.errors import DiskFullError, KitError, UnavailableError
from nemotron.kit.registry import layout, objects, worker_processes
from nemotron.kit.registry.doctor import examine
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store import files
from nemotron.kit.store.local import LocalStore
from nemotron.kit.store.protocol import Mark
from nemotron.kit.store.unsynced import SINGLY_MAX

FEW, MANY = 2, SINGLY_MAX + 2


class Disk:
    """Which blobs can't be synced, and whether the file system can."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        self.is_broken = lambda path: "/.kit/blobs/" in path and os.path.isfile(path)
        self._fsync, self._sync_all = os.fsync, files.sync_file_system
        monkeypatch.setattr(os, "fsync", self.fsync)
        monkeypatch.setattr(files, "sync_file_system", self.sync_all)

    def fsync(self, descriptor: int) -> None:
        if self.number and self.is_broken(os.readlink(f"/proc/self/fd/{descriptor}")):
            raise OSError(self.number, os.strerror(self.number))
        self._fsync(descriptor)

    def sync_all(self, folder: str | int) -> bool:
        if self.number:
            raise files.LostError(self.number, os.strerror(self.number))
        return self._sync_all(folder)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def fill(folder: Path, count: int) -> None:
    folder.mkdir(exist_ok=True)
    for number in range(count - 1):
        (folder / f"{number}").write_text(f"{number}")
    (folder / "large.bin").write_bytes(os.urandom(1 << 20) * 2)


def blobs(folder: Path) -> dict[str, int]:
    """The inode of each blob below a folder."""
    return {path.name: path.stat().st_ino for path in folder.rglob("*") if path.is_file()}


def refused(registry: Registry, data: Path, disk: Disk, number: int = errno.EIO, name: str = "m") -> None:
    disk.number = number
    told = {"match": "the next try copies it again"} if number == errno.EDQUOT else {}
    with pytest.raises(DiskFullError if number == errno.EDQUOT else UnavailableError, **told):
        registry.publish(Draft(name=name, source=data, snapshot=True))
    disk.number = 0


@pytest.mark.parametrize("number", [errno.EIO, errno.EDQUOT], ids=errno.errorcode.get)
@pytest.mark.parametrize("is_same_process", [True, False], ids=["same", "other"])
@pytest.mark.parametrize("count", [FEW, MANY, 3 * MANY])
def test_the_next_try_relies_on_nothing_of_it(
    tmp_path, root, disk, monkeypatch, count, is_same_process, number
):
    monkeypatch.setattr(worker_processes, "FILES_MIN", 3 * MANY)  # for the last of the counts
    fill(data := tmp_path / "source", count)
    registry = Registry.open(root)
    refused(registry, data, disk, number)
    lost = {*blobs(root / layout.BLOBS).values(), *blobs(root / layout.TRASH).values()}
    assert len(lost) == count
    registry = registry if is_same_process else Registry.open(root)
    registry.publish(Draft(name="m", source=data, snapshot=True))
    taken = blobs(root / layout.BLOBS)
    assert len(taken) == count
    assert not lost & {*taken.values()}
    assert registry.verify("art://m", "full").files == ()
    # And what it has written is in no doubt.
    registry.publish(Draft(name="n", source=data, snapshot=True))
    assert blobs(root / layout.BLOBS) == taken


def test_what_another_process_lost_just_before_the_root_is_opened_is_not_relied_on(
    tmp_path, root, disk, monkeypatch
):
    """Of that the system tells nobody any more; only the other one's mark does."""
    fill(data := tmp_path / "source", MANY)
    lost, real = set(), LocalStore.mark

    def mark(store: LocalStore) -> Mark:
        monkeypatch.setattr(LocalStore, "mark", real)
        refused(Registry.open(root), data, disk, name="other")
        lost.update(blobs(root / layout.BLOBS).values())
        return real(store)

    monkeypatch.setattr(LocalStore, "mark", mark)
    registry = Registry.open(root)
    registry.publish(Draft(name="m", source=data, snapshot=True))
    assert len(lost) == MANY
    assert not lost & {*blobs(root / layout.BLOBS).values()}


def test_what_was_put_into_the_trash_is_synced_by_nobody_any_more(tmp_path, root, disk):
    fill(data := tmp_path / "source", FEW)
    disk.is_broken = lambda path: "/.kit/blobs/" in path  # their folders too
    registry = Registry.open(root)
    refused(registry, data, disk)
    registry.store.sync()


def test_nothing_is_in_doubt_where_nothing_failed(tmp_path, root, disk):
    fill(data := tmp_path / "source", MANY)
    registry = Registry.open(root)
    registry.publish(Draft(name="m", source=data, snapshot=True))
    assert registry.store.doubtful_until() == 0
    assert registry.store.list(layout.TRASH) == []
    assert [found.kind for found in examine(registry)] == []


@pytest.mark.parametrize("count", [FEW, MANY])
def test_a_version_that_names_it_has_it_in_the_meantime(tmp_path, root, disk, count):
    fill(data := tmp_path / "source", count)
    registry = Registry.open(root)
    registry.publish(Draft(name="m", source=data, snapshot=True))
    refused(registry, data, disk, name="n")
    fill(data, count)  # another large file: nobody writes the one of before anew
    registry.publish(Draft(name="n", source=data, snapshot=True))
    assert registry.verify("art://m", "full").files == ()
    assert registry.verify("art://n", "full").files == ()
    trash = [found.key for found in registry.store.walk(layout.TRASH)]
    assert trash
    for key in trash:
        assert objects.read(registry.store, layout.put_back(key)) == registry.store.read(key)
    assert "waiting" in {item.action for item in registry.gc(apply=True).items}


def test_the_latest_version_is_taken_for_granted_as_ever(tmp_path, root, disk):
    fill(data := tmp_path / "source", MANY)
    registry = Registry.open(root)
    registry.publish(Draft(name="m", source=data, snapshot=True))
    before = blobs(root / layout.BLOBS)
    (data / "more").write_text("more")
    fill(more := tmp_path / "more", MANY + 1)
    refused(registry, more, disk, name="n")
    registry.publish(Draft(name="m", source=data, snapshot=True))
    assert before.items() <= blobs(root / layout.BLOBS).items()


@pytest.mark.parametrize("call", ["rename", "makedirs"])
def test_what_can_not_be_set_aside_is_in_doubt(tmp_path, root, disk, monkeypatch, call):
    fill(data := tmp_path / "source", FEW)
    registry = Registry.open(root)

    real = getattr(os, call)

    def fail(path, *more, **options):
        if any("/.kit/trash/" in str(one) for one in (path, *more)):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(path, *more, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        refused(registry, data, disk)
    lost = {*blobs(root / layout.BLOBS).values()}
    Registry.open(root).publish(Draft(name="m", source=data, snapshot=True))
    assert not lost & {*blobs(root / layout.BLOBS).values()}


def test_where_nothing_can_be_written_this_process_knows(tmp_path, root, disk, monkeypatch, caplog):
    fill(data := tmp_path / "source", MANY)
    registry = Registry.open(root)

    def fail(path, data, durable):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(files, "create_exclusive", fail)
        refused(registry, data, disk)
    assert "could not be written" in caplog.text
    lost = {*blobs(root / layout.BLOBS).values()}
    registry.publish(Draft(name="m", source=data, snapshot=True))
    assert not lost & {*blobs(root / layout.BLOBS).values()}


def test_a_folder_whose_sync_failed_may_lack_any_of_its_files(tmp_path, root, disk):
    fill(data := tmp_path / "source", FEW)
    registry = Registry.open(root)
    disk.is_broken = lambda path: path.endswith("/.kit/blobs")
    refused(registry, data, disk)
    assert registry.store.doubtful_until() > 0
    (told,) = (found for found in examine(registry) if found.kind == "failed_sync")
    assert (told.where, told.level) == (f"{root}/.kit/doubtful", "note")


def test_files_with_the_same_content_are_lost_together(tmp_path, root, disk):
    fill(data := tmp_path / "source", FEW)
    (data / "again").write_bytes((data / "0").read_bytes())
    registry = Registry.open(root)
    refused(registry, data, disk)  # and not told that something was removed, which the kit did itself
    registry.publish(Draft(name="m", source=data, snapshot=True))
    assert registry.verify("art://m", "full").files == ()


def test_who_relies_on_it_meanwhile_is_told_that_it_is_gone(tmp_path, root, disk):
    fill(data := tmp_path / "source", FEW)
    registry, other = Registry.open(root), Registry.open(root).store
    with other.mark() as mark:
        real, disk.is_broken = disk.is_broken, lambda path: real(path) and rely_on(path)

        def rely_on(path: str) -> bool:
            other.rely_on(os.path.relpath(path, root))
            return True

        refused(registry, data, disk)
        with pytest.raises(KitError, match="do the same again"):
            other.sync_since(mark)
