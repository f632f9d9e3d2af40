"""The ways to lay a snapshot out: shared blocks, copies, or other names of the store's own files."""

import errno
import os
import stat
import tempfile
from pathlib import Path

import pytest

from nemotron import kit
from nemotron.kit.artifact import Artifact
from nemotron.kit.errors import CorruptError, MisuseError
from nemotron.kit.registry import checkout_cache, laying_out, reading
from nemotron.kit.registry.checkout_options import CheckoutOptions
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store import file_copy
from nemotron.kit.store.memory import MemoryStore
from nemotron.kit.testing.faults import failing

LARGE = bytes(range(256)) * 5000  # above what is read whole


@pytest.fixture
def data(data):
    (data / "large.bin").write_bytes(LARGE)
    (data / "empty").touch()
    return data


@pytest.fixture
def by(root):
    """Opens the registry as another process would, with a way to lay out."""
    return lambda way: Registry.open(root, checkouts=CheckoutOptions(way))


@pytest.fixture
def linked(publish, by):
    """A snapshot that is laid out by hard links."""
    return by("hardlink").folder(publish(snapshot=True).record)


def blob_of(registry, path, ref="m"):
    [digest] = [entry.digest for entry in registry.tree(registry.resolve(ref)).entries if entry.path == path]
    text = digest.removeprefix("blake3:")
    return Path(registry.root, ".kit/blobs", text[:2], text)


def whole(folder, data):
    names = ("part.txt", "sub/more.bin", "large.bin", "empty")
    return [(folder / name).read_bytes() for name in names] == [(data / name).read_bytes() for name in names]


def write_in_place(path, text):
    """What root can do, or the owner after a chmod."""
    path.chmod(0o644)
    with open(path, "r+b") as file:
        file.write(text)
    path.chmod(0o444)
    later_ns = path.stat().st_mtime_ns + 10**9  # whatever the clock's granularity
    os.utime(path, ns=(later_ns, later_ns))


# -- hard links ----------------------------------------------------------------------------------------------


def test_hard_links_are_read_only_names_of_the_blobs(linked, by, data):
    assert whole(linked, data)
    for name in ("part.txt", "sub/more.bin", "large.bin"):
        assert os.path.samefile(linked / name, blob_of(by(None), name))
        assert stat.S_IMODE((linked / name).stat().st_mode) == 0o444


def test_blobs_are_read_only_whoever_lays_them_out(publish, root):
    publish(snapshot=True)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (root / ".kit/blobs").rglob("*") if path.is_file()}
    assert modes == {0o444}


def test_blobs_of_an_earlier_kit_become_read_only(publish, by, data):
    record = publish(snapshot=True).record
    blob = blob_of(by(None), "part.txt")
    blob.chmod(0o664)
    folder = by("hardlink").folder(record)
    assert os.path.samefile(folder / "part.txt", blob)
    assert stat.S_IMODE(blob.stat().st_mode) == 0o444


def test_what_is_executable_is_copied(publish, by, data):
    (data / "run.sh").write_text("hello")  # the bytes of part.txt, which is not
    (data / "run.sh").chmod(0o755)
    folder = by("hardlink").folder(publish(snapshot=True).record)
    assert stat.S_IMODE((folder / "run.sh").stat().st_mode) == 0o555
    assert stat.S_IMODE((folder / "part.txt").stat().st_mode) == 0o444


def test_links_that_are_as_they_were_are_the_same_and_not_read(linked, by, monkeypatch):
    assert by("hardlink").verify("m", "stat").files == ()
    assert by("hardlink").verify("m", "full").files == ()
    for name in ("at_once", "steadily"):
        monkeypatch.setattr(reading, name, lambda *_: pytest.fail("read"))
    for way in ("hardlink", "reflink", None):  # what is laid out is taken, however it came to be there
        assert by(way).folder(by(way).resolve("m"), look=True) == linked


@pytest.mark.parametrize(
    ("text", "seen"), [(b"jello", "touched"), (b"jello, and more", "changed")], ids=["same size", "longer"]
)
def test_a_write_through_a_link_damages_the_store_and_is_found(linked, by, data, text, seen):
    write_in_place(linked / "part.txt", text)
    by_stat = by(None).verify("m", "stat")
    assert ("part.txt", seen, "checkout") in [(file.path, file.verdict, file.place) for file in by_stat.files]
    found = by(None).verify("m", "full")
    assert [(file.path, file.verdict, file.place) for file in found.files] == [
        ("part.txt", "changed", "store"),
        ("part.txt", "changed", "checkout"),
    ]
    with pytest.raises(CorruptError, match=r"part\.txt is damaged in the store.*--repair-from"):
        by("hardlink").folder(by(None).resolve("m"), look=True)
    assert linked.with_name("v1.changed-1").is_dir()
    taken = by("hardlink").repair("m", str(data), found)
    assert taken == ["part.txt"]
    folder = by("hardlink").folder(by(None).resolve("m"))
    assert whole(folder, data)
    assert by(None).verify("m", "full").ok
    assert (linked.with_name("v1.changed-1") / "part.txt").read_bytes() == text  # its own by now


def test_a_damaged_blob_is_not_linked(publish, by):
    record = publish(snapshot=True).record
    write_in_place(blob_of(by(None), "part.txt"), b"jello")
    with pytest.raises(CorruptError, match=r"part\.txt is damaged"):
        by("hardlink").folder(record)


@pytest.mark.parametrize(
    "number", [errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP], ids=errno.errorcode.get
)
def test_where_there_can_be_no_more_links_files_are_copied(publish, by, data, monkeypatch, number):
    record = publish(snapshot=True).record
    into = []

    def only(arguments):
        if "/checkouts/" in str(arguments[1]):
            into.append(arguments)
        return 1 < len(into) < 4  # the first file is linked: the limit is met in the middle

    monkeypatch.setattr(os, "link", failing(os.link, number, only=only))
    folder = by("hardlink").folder(record)
    assert whole(folder, data)
    names = [(folder / name).stat().st_nlink for name in ("part.txt", "sub/more.bin", "large.bin", "empty")]
    assert sorted(names) == [1, 1, 2, 2]
    assert by(None).verify("m", "full").files == ()


def test_another_file_system_gets_copies(publish, registry, data, tmp_path):
    record = publish(snapshot=True).record
    if os.stat("/dev/shm").st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is but one file system here")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        target = Path(elsewhere, "v1")
        laying_out.lay_out(registry.store, registry.tree(record), str(target), {}, "hardlink")
        assert whole(target, data)
        assert {path.stat().st_nlink for path in target.rglob("*") if path.is_file()} == {1}


def test_a_store_without_files_has_nothing_to_link(data):
    registry = Registry(MemoryStore(), CheckoutOptions("hardlink"))
    record = registry.publish(Draft(name="m", source=data, snapshot=True)).record
    assert whole(registry.folder(record), data)


def test_gc_of_the_version_leaves_what_other_checkouts_have(publish, by, data):
    from datetime import timedelta

    by("hardlink").folder(publish(snapshot=True).record)
    (data / "part.txt").write_text("second")
    by("hardlink").folder(publish(snapshot=True).record)
    registry = by("hardlink")
    registry.withdraw("m:v1", "no good")
    for path in Path(registry.root).rglob("*"):
        if path.is_file():
            os.utime(path, (1, 1))
    registry.gc(apply=True, grace=timedelta(hours=1))
    assert whole(registry.folder(registry.resolve("m:v2")), data)
    assert registry.verify("m:v2", "full").ok


# -- copies --------------------------------------------------------------------------------------------------


def test_copies_share_no_blocks(publish, by, data, monkeypatch):
    record = publish(snapshot=True).record
    monkeypatch.setattr(file_copy, "_clone", lambda *_: pytest.fail("shared"))
    monkeypatch.setattr(file_copy, "copies_by_itself", lambda descriptor: True)
    monkeypatch.setattr(os, "copy_file_range", lambda *_: pytest.fail("shared"))
    folder = by("copy").folder(record)
    assert whole(folder, data)
    assert (folder / "large.bin").stat().st_nlink == 1


# -- who says which ------------------------------------------------------------------------------------------


def test_kit_init_says_it_before_the_environment(data, root, monkeypatch):
    monkeypatch.setenv("NEMO_CHECKOUT", "copy")
    seen = []
    for name, way in (("a", "hardlink"), ("b", None)):
        with kit.using(root=root, checkout=way):
            Artifact(path=data).save(name, snapshot=True)
            seen.append((Path(Artifact.from_uri(f"art://{name}").path) / "part.txt").stat().st_nlink)
    assert seen == [2, 1]


def test_the_environment_says_it_for_commands(publish, opened, monkeypatch):
    record = publish(snapshot=True).record
    monkeypatch.setenv("NEMO_CHECKOUT", "hardlink")
    assert (opened().folder(record) / "part.txt").stat().st_nlink == 2


def test_a_way_that_is_none_is_refused_before_anything_is_done(publish, opened, root, monkeypatch):
    with pytest.raises(
        MisuseError, match=r"Unknown checkout: 'symlink'\. Must be 'reflink', 'copy' or 'hardlink'"
    ):
        kit.init(root=root, checkout="symlink")
    with pytest.raises(MisuseError, match="Not a size: checkout_limit='much'"):
        kit.init(root=root, checkout_limit="much")
    with pytest.raises(MisuseError, match="Not a size: checkout_limit='-1'"):
        kit.init(root=root, checkout_limit=-1)
    assert not kit.is_initialized()
    record = publish(snapshot=True).record
    monkeypatch.setenv("NEMO_CHECKOUT", "symlink")
    with pytest.raises(MisuseError, match="Unknown NEMO_CHECKOUT"):
        opened().folder(record)
    assert not (root / ".kit/checkouts").exists()


def test_a_limit_that_is_none_is_refused_wherever_it_is_laid_out(publish, opened, root, monkeypatch):
    record = publish(snapshot=True).record
    monkeypatch.setenv("NEMO_CHECKOUT_LIMIT", "plenty")
    with pytest.raises(MisuseError, match="Not a size: NEMO_CHECKOUT_LIMIT='plenty'"):
        opened().folder(record)
    assert not (root / ".kit/checkouts").exists()


@pytest.mark.parametrize("limit", [0, "0", "1KiB"])
def test_the_limit_of_kit_init_counts_before_the_environments(data, tmp_path, monkeypatch, limit):
    monkeypatch.setenv("NEMO_CHECKOUT_LIMIT", "500GiB")
    registry = Registry(MemoryStore(), CheckoutOptions(limit=limit))
    one, two = (registry.publish(Draft(name=name, source=data, snapshot=True)).record for name in "ab")
    first = registry.folder(one)
    monkeypatch.setattr(checkout_cache, "_is_used", lambda target: target != str(first))
    registry.folder(two)
    assert not first.exists()


def test_what_is_being_made_is_not_removed(data, monkeypatch):
    registry = Registry(MemoryStore())
    record = registry.publish(Draft(name="m", source=data, snapshot=True)).record
    real, removed = laying_out._into_place, []

    def into_place(building, target):
        base = building[: building.index("/checkouts/") + len("/checkouts")]
        removed.extend(checkout_cache.make_room(base, 0))  # as another process would, just now
        real(building, target)

    monkeypatch.setattr(laying_out, "_into_place", into_place)
    assert whole(registry.folder(record), data)
    assert removed == []


def test_what_a_killed_process_was_making_goes_after_a_week(data):
    registry = Registry(MemoryStore())
    folder = registry.folder(registry.publish(Draft(name="m", source=data, snapshot=True)).record)
    old, young = (folder.with_name(f".tmp-{mark * 16}") for mark in "ab")
    for path in (old, young):
        (path / "sub").mkdir(parents=True)
    os.utime(old / "sub", (1, 1))
    os.utime(old, (1, 1))
    base = str(folder)[: str(folder).index("/checkouts/") + len("/checkouts")]
    checkout_cache.make_room(base, 1 << 30)
    assert (old.exists(), young.exists(), folder.exists()) == (False, True, True)
