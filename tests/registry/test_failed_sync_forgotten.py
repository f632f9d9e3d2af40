"""The mark of a failed sync is void once gc finds nothing left of what it casts doubt on, and not before."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nemotron.kit.documents.digest import digest_of
from nemotron.kit.errors import KitError
from nemotron.kit.registry import layout
from nemotron.kit.registry.doctor import examine
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store import files
from nemotron.kit.store.local import LocalStore
from nemotron.kit.store.protocol import DOUBT_VOID
from nemotron.kit.testing.faults import FaultyStore

LONG_AGO = 10**9
FILES = 20  # so many that the file system is synced, and not each of them


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number}").write_text(f"{number}")
    return folder


def fail_a_sync(root: Path, data: Path, monkeypatch: pytest.MonkeyPatch, name: str = "lost") -> None:
    def refused(folder: str | int) -> bool:
        raise files.LostError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(files, "sync_file_system", refused)
        with pytest.raises(KitError):
            Registry.open(root).publish(Draft(name=name, source=data, snapshot=True))


def age(root: Path, when: int = LONG_AGO, below: str = ".kit") -> None:
    """Everything there was written long ago; what comes now is young."""
    for path in (root / below).rglob("*"):
        if path.is_file():
            os.utime(path, (when, when))


@pytest.fixture
def root(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A version, and what a sync lost that failed long ago."""
    root = tmp_path / "store"
    (sound := tmp_path / "sound").write_text("sound")
    Registry.open(root).publish(Draft(name="m", source=sound, snapshot=True))
    fail_a_sync(root, data, monkeypatch)
    age(root)
    return root


def collect(root: Path, *, apply: bool = True) -> set[tuple[str, str]]:
    items = Registry.open(root).gc(apply=apply).items
    return {(item.what, item.action) for item in items if item.what in ("blobs", "doubt")}


def in_doubt(root: Path) -> bool:
    told = [found.kind for found in examine(Registry.open(root)) if found.kind == "failed_sync"]
    assert bool(told) == bool(LocalStore(root).doubtful_until())
    return bool(told)


def test_it_goes_with_the_run_that_deletes_the_last_of_it(root: Path, data: Path) -> None:
    assert in_doubt(root)
    assert collect(root) == {("blobs", "set aside")}
    assert collect(root) == {("blobs", "waiting")}
    assert in_doubt(root)
    age(root, below=layout.TRASH)
    would = collect(root, apply=False)
    assert would == {("blobs", "deleted"), ("doubt", "deleted")}
    assert in_doubt(root)
    assert collect(root) == would
    assert not in_doubt(root)
    assert collect(root) == set()
    registry = Registry.open(root)
    registry.publish(Draft(name="again", source=data, snapshot=True))
    assert registry.verify("art://again", "full").ok
    assert registry.store.list(layout.TRASH) == []  # the version's content was relied on


def sweep(root: Path) -> None:
    collect(root)
    age(root, below=layout.TRASH)
    collect(root)


def young_mark(root: Path) -> None:
    os.utime(root / ".kit/doubtful")


def half_written(root: Path) -> None:
    (root / ".kit/staging").mkdir(exist_ok=True)
    (root / ".kit/staging/else").write_text("of a writer that gc does not know")
    age(root, below=".kit/staging")


def only_adopted(root: Path) -> None:
    (root / ".kit/adopted/older").mkdir(parents=True)
    (root / ".kit/adopted/older/v1.json").write_text(f'{{"digest": "{digest_of(b"7")}"}}')


def in_the_trash(root: Path) -> None:
    aside = root / layout.set_aside("00-lost-1", layout.blob(digest_of(b"waits")))
    aside.parent.mkdir(parents=True)
    aside.write_text("waits")
    os.utime(aside, (LONG_AGO, LONG_AGO))


@pytest.mark.parametrize("left", [young_mark, half_written, only_adopted])
def test_as_long_as_something_may_be_left_it_stays(root: Path, left: Callable[[Path], None]) -> None:
    left(root)
    sweep(root)
    assert in_doubt(root)
    assert not (root / DOUBT_VOID).exists()


def test_what_waits_in_the_trash_is_left(root: Path) -> None:
    sweep(root)
    (root / DOUBT_VOID).unlink()
    in_the_trash(root)
    collect(root)
    assert in_doubt(root)
    age(root, below=layout.TRASH)
    collect(root)
    assert not in_doubt(root)


def test_what_was_withdrawn_is_left_until_it_is_swept(root: Path) -> None:
    Registry.open(root).withdraw("m:v1", "bad")
    collect(root)
    assert in_doubt(root)


def test_a_mark_that_is_renewed_at_any_moment_stays(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process's sync fails at every call of the run that would say that the mark is void."""
    collect(root)
    age(root, below=layout.TRASH)
    calls = 0
    while True:
        copy, calls = tmp_path / f"copy-{calls}", calls + 1
        shutil.copytree(root, copy)
        (other := tmp_path / f"other-{calls}").mkdir()
        for number in range(FILES):
            (other / f"{number}").write_text(f"{calls} {number}")
        store = FaultyStore(LocalStore(copy))

        def renew(method: str, key: str, store=store, copy=copy, other=other, at=calls) -> None:
            if len(store.calls) == at:
                fail_a_sync(copy, other, monkeypatch, "other")

        store._on_call = renew
        Registry(store).gc(apply=True)
        if len(store.calls) < calls:
            assert not in_doubt(copy)
            break
        until = LocalStore(copy).doubtful_until()
        assert until > LONG_AGO * 10**9
        assert all(
            (copy / layout.blob(digest_of(path.read_bytes()))).stat().st_mtime_ns <= until
            for path in other.iterdir()
        )
    assert calls > 10


def test_older_content_of_a_renewed_mark_is_in_doubt_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep(root)
    (more := tmp_path / "more").mkdir()
    for number in range(FILES):
        (more / f"{number}").write_text(f"more {number}")
    fail_a_sync(root, more, monkeypatch)
    assert in_doubt(root)


def test_a_full_disk_leaves_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collect(root)
    age(root, below=layout.TRASH)

    replace = os.replace

    def full(source: str, target: str) -> None:
        if target.endswith(DOUBT_VOID):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        assert collect(root) == {("blobs", "deleted")}
    assert in_doubt(root)
    assert collect(root) == {("doubt", "deleted")}
    assert not in_doubt(root)


def test_what_a_repair_brings_and_can_not_sync_is_missing_as_before(
    root: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a version would name it, and nobody would be in doubt of it."""
    registry = Registry.open(root)
    registry.publish(Draft(name="n", source=data, snapshot=True))
    for number in range(FILES):
        registry.store.remove(layout.blob(digest_of(f"{number}".encode())))
    for entry in list(registry.store.walk(layout.TRASH)):
        registry.store.remove(entry.key)

    def refused(folder: str | int) -> bool:
        raise files.LostError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(files, "sync_file_system", refused)
        (told,) = (one for one in examine(registry, repair=True) if one.kind == "missing_content")
        assert told.repaired is None
        with pytest.raises(KitError):
            registry.repair("art://n", str(data), registry.verify("art://n"))
    assert {f.key for f in registry.store.walk(layout.BLOBS)} == {layout.blob(digest_of(b"sound"))}
    assert any(one.repaired for one in examine(registry, repair=True) if one.kind == "missing_content")
    assert registry.verify("art://n", "full").ok
