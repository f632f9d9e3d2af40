"""A damaged snapshot is made whole from wherever the right bytes still are."""

import os
import shutil

import pytest

from nemotron.kit.errors import MisuseError, NotFoundError
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

SIZE = 5


@pytest.fixture
def record(publish):
    return publish(snapshot=True).record


@pytest.fixture
def damage(root):
    """Damages the store's copy of `part.txt`, whose five bytes are `hello`."""

    def damage(how="flip"):
        [blob] = [p for p in (root / ".kit/blobs").rglob("*") if p.is_file() and p.stat().st_size == SIZE]
        before = blob.stat()
        blob.chmod(0o644)
        if how == "flip":
            blob.write_bytes(b"hellp")
        elif how == "cut":
            blob.write_bytes(b"he")
        else:
            blob.unlink()
            return
        os.utime(blob, ns=(before.st_atime_ns, before.st_mtime_ns))

    return damage


def repair(registry, record, source):
    found = registry.verify(record.uri, "full")
    assert not found.ok
    taken = registry.repair(record.uri, str(source), found)
    return taken, registry.verify(record.uri, "full").ok


@pytest.mark.parametrize("how", ["flip", "cut", "gone"])
def test_from_a_folder(registry, record, damage, data, how):
    damage(how)
    assert repair(registry, record, data) == (["part.txt"], True)
    assert (registry.folder(record) / "part.txt").read_text() == "hello"


def test_from_a_file_of_another_name_or_in_another_folder(registry, record, damage, tmp_path):
    damage()
    (tmp_path / "backup/deep").mkdir(parents=True)
    (tmp_path / "backup/wrong").write_text("jello")
    (tmp_path / "backup/deep/renamed").write_text("hello")
    assert repair(registry, record, tmp_path / "backup") == (["part.txt"], True)
    damage()
    assert repair(registry, record, tmp_path / "backup/deep/renamed") == (["part.txt"], True)


def test_from_another_store_and_another_version(registry, record, damage, data, publish, tmp_path):
    other = Registry.open(tmp_path / "other")
    other.publish(Draft(name="copy", source=data, snapshot=True))
    damage()
    assert repair(registry, record, tmp_path / "other") == (["part.txt"], True)
    shutil.copytree(data, tmp_path / "elsewhere")
    publish("again", source=tmp_path / "elsewhere")
    damage("gone")
    assert repair(registry, record, "art://again:v1") == (["part.txt"], True)
    damage("gone")
    assert repair(registry, record, "again") == (["part.txt"], True)


def test_bytes_of_another_digest_are_not_taken_and_nothing_gets_worse(registry, record, damage, data, root):
    damage()
    (data / "part.txt").write_text("jello")
    before = sorted((p, p.read_bytes()) for p in (root / ".kit/blobs").rglob("*") if p.is_file())
    assert repair(registry, record, data) == ([], False)
    assert sorted((p, p.read_bytes()) for p in (root / ".kit/blobs").rglob("*") if p.is_file()) == before


def test_the_source_is_only_read(registry, record, damage, data):
    damage()
    before = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in data.rglob("*")}
    repair(registry, record, data)
    assert {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in data.rglob("*")} == before


def test_a_reference_is_never_written_to(registry, publish, data):
    record = publish("r", evidence="full").record
    (data / "part.txt").write_text("jello")
    found = registry.verify("r")
    assert not found.ok
    with pytest.raises(MisuseError, match="is a reference"):
        registry.repair("r", str(data), found)
    assert (data / "part.txt").read_text() == "jello"
    assert record.uri == "art://r:v1"


def test_a_source_that_is_none(registry, record, damage, tmp_path):
    damage()
    for source in ("nothing", str(tmp_path / "nowhere"), "art://nothing:v1"):
        with pytest.raises(NotFoundError, match="Nothing to repair from"):
            repair(registry, record, source)


def test_a_changed_checkout_is_laid_out_anew(registry, record, data):
    folder = registry.folder(record)
    (folder / "part.txt").chmod(0o644)
    (folder / "part.txt").write_text("something else")
    assert repair(registry, record, data) == ([], True)
    assert (folder / "part.txt").read_text() == "hello"


def test_a_checkout_that_was_changed_and_looks_the_same_is_laid_out_anew(registry, record, caplog):
    """From the version itself: its store has the bytes. What was there is kept."""
    file = registry.folder(record) / "part.txt"
    before = file.stat()
    file.chmod(0o644)
    file.write_text("hellp")
    file.chmod(before.st_mode)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    [note] = registry.verify(record.uri).notes
    assert "`nemotron kit verify m:v1 --repair-from m:v1`" in note
    assert repair(registry, record, "m:v1") == ([], True)
    assert file.read_text() == "hello"
    assert (file.parent.parent / "v1.changed-1/part.txt").read_text() == "hellp"
    assert "part.txt changed" in caplog.text


def test_a_path_that_is_not_there_is_called_that(registry, record, damage):
    damage("part.txt")
    with pytest.raises(NotFoundError, match=r"^Nothing to repair from: no file or folder /nope$"):
        registry.repair("m", "/nope", registry.verify("m", "full"))
