"""Copying out of an artifact: whole files, nothing overwritten unasked, and a broken copy goes on."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from nemotron.kit import context, start
from nemotron.kit.artifacts.base import Artifact
from nemotron.kit.errors import (
    ConflictError,
    CorruptError,
    DriftError,
    MisuseError,
    NotFoundError,
    OutsideRootError,
    RefusedError,
)
from nemotron.kit.integrations import copying, present, walking
from nemotron.kit.integrations.artifact_places import find
from nemotron.kit.integrations.copying import chunks, copy_out
from nemotron.kit.integrations.place import Place
from nemotron.kit.integrations.snapshot_place import InSnapshot
from nemotron.kit.integrations.walking import Item
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

FILES = {"part.txt": b"hello\n", "train/000.bin": bytes(range(256)) * 40, "train/deep/x.txt": b"x"}


def content(folder: Path) -> dict[str, bytes]:
    """All files; without the record that a snapshot brings along, by which the copy can be loaded."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "metadata.json"
    }


@pytest.fixture(params=["reference", "snapshot", "full"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    for name, data in FILES.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    registry = Registry.open(tmp_path / "store")
    evidence = "full" if request.param == "full" else "stat"
    registry.publish(
        Draft(name="data", source=tmp_path / "data", snapshot=request.param == "snapshot", evidence=evidence)
    )
    return registry


def test_all_of_it(store: Registry, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    copied = copy_out(store, "data", "out", progress=lambda done, total: told.append((done, total)))
    assert content(tmp_path / "out") == FILES
    size = sum(len(data) for data in FILES.values())
    assert (copied.uri, copied.to) == ("art://data:v1", str(tmp_path / "out"))
    assert (copied.files, copied.size, copied.skipped) == (len(FILES), size, 0), "the record is no content"
    assert told[-1] == (size, size)
    if (tmp_path / "out/metadata.json").exists():  # of a snapshot: the copy is an artifact too
        assert Artifact.load("out").path == tmp_path / "out"
    assert os.stat("out/part.txt").st_mtime == pytest.approx(os.stat("data/part.txt").st_mtime)


def test_a_folder_and_a_file_of_it(store: Registry, tmp_path: Path) -> None:
    copy_out(store, "data:v1/train", "deep/er/train")
    assert content(tmp_path / "deep/er/train") == {"000.bin": FILES["train/000.bin"], "deep/x.txt": b"x"}
    assert copy_out(store, "data:v1/part.txt", "new.txt").to == str(tmp_path / "new.txt")
    (tmp_path / "into").mkdir()
    assert copy_out(store, "data:v1/train/deep/x.txt", "into").to == str(tmp_path / "into/x.txt")
    assert copy_out(store, "data:v1/part.txt", "made/").to == str(tmp_path / "made/part.txt")


def test_a_copy_that_broke_off_goes_on(
    store: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = copying._copy, list[tuple[object, ...]]()

    def breaks(*args: object) -> None:
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(copying, "_copy", breaks)
    with pytest.raises(KeyboardInterrupt):
        copy_out(store, "data", "out")
    calls.clear()
    monkeypatch.setattr(copying, "_copy", lambda *args: (calls.append(args), real(*args)))
    copied = copy_out(store, "data", "out")
    assert (copied.files, copied.skipped) == (len(calls), 2)
    assert content(tmp_path / "out") == FILES
    assert copy_out(store, "data", "out").files == 0


def test_a_half_written_file_has_no_name(
    store: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(copying.os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        copy_out(store, "data", "out")
    assert content(tmp_path / "out") == {}


def test_nothing_is_overwritten_unasked(store: Registry, tmp_path: Path) -> None:
    (tmp_path / "out/train").mkdir(parents=True)
    (tmp_path / "out/part.txt").write_bytes(b"mine!\n")
    with pytest.raises(ConflictError, match=r"Not overwritten: .*/out/part\.txt differs from art://data:v1"):
        copy_out(store, "data", "out")
    assert content(tmp_path / "out") == {"part.txt": b"mine!\n"}
    copy_out(store, "data", "out", force=True)
    assert content(tmp_path / "out") == FILES


@pytest.mark.parametrize("changed", ["jello\n", "jello, world\n"])
@pytest.mark.parametrize("force", [False, True])
def test_a_reference_that_has_changed_leaves_what_is_there_as_it_was(
    tmp_path: Path, changed: str, force: bool
) -> None:
    """Whether that can be seen before copying, or only when files before it are copied already."""
    (tmp_path / "data/deep/er").mkdir(parents=True)
    for name in ("a.txt", "deep/er/b.txt", "x.txt", "z.txt"):
        (tmp_path / "data" / name).write_text("hello\n")
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="data", source=tmp_path / "data", evidence="full"))
    (tmp_path / "data/x.txt").write_text(changed)
    before = {}
    if force:
        (tmp_path / "out").mkdir()
        before = {"a.txt": b"mine", "other": b"mine too"}
        for name, data in before.items():
            (tmp_path / "out" / name).write_bytes(data)
    with pytest.raises(
        DriftError, match=r"x\.txt .*Nothing was copied.*register .*`nemotron kit verify data:v1`"
    ):
        copy_out(store, "data", "out", force=force)
    there = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*")}
    assert there == before.keys(), "no folder, no temporary file"
    assert content(tmp_path / "out") == before
    assert (tmp_path / "out").exists() == force
    (tmp_path / "data/x.txt").write_text("hello\n")
    assert copy_out(store, "data", "out", force=force).files == 4


def test_a_file_that_is_in_the_way_of_a_folder_is_found_before_anything_is_copied(tmp_path: Path) -> None:
    (tmp_path / "data/train").mkdir(parents=True)
    (tmp_path / "data/a.txt").write_text("a")
    (tmp_path / "data/train/b.txt").write_text("b")
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="data", source=tmp_path / "data", snapshot=True))
    (tmp_path / "out").mkdir()
    (tmp_path / "out/train").write_text("mine")
    with pytest.raises(MisuseError, match="it is a file"):
        copy_out(store, "data", "out", force=True)
    assert content(tmp_path / "out") == {"train": b"mine"}


def test_a_long_name_has_a_temporary_one(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / ("€" * 85)).write_text("a")
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="data", source=tmp_path / "data"))
    assert copy_out(store, "data", "out").files == 1


def test_an_interrupted_replacement_goes_on(
    store: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out/train").mkdir(parents=True)
    for name in ("part.txt", "train/000.bin"):
        (tmp_path / "out" / name).write_bytes(b"old")
    real = copying._copy

    def breaks(copying: object, item: Item) -> None:
        if item.inside == "train/deep/x.txt":
            raise KeyboardInterrupt
        real(copying, item)  # type: ignore[arg-type]

    monkeypatch.setattr(copying, "_copy", breaks)
    with pytest.raises(KeyboardInterrupt):
        copy_out(store, "data", "out", force=True)
    monkeypatch.setattr(copying, "_copy", real)
    assert (copy_out(store, "data", "out").files, content(tmp_path / "out")) == (1, FILES)


@pytest.mark.parametrize("snapshot", [True, False])
def test_the_record_of_a_copy_follows_it(tmp_path: Path, snapshot: bool) -> None:
    """A version with the same files and other metadata is there already; its record is taken over."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.txt").write_text("hello")
    with start.using(root=tmp_path / "store"):
        store = context.require_registry()
        for note in ("first", "second"):
            Artifact(path=tmp_path / "data", metadata={"note": note}).save(name="d", snapshot=snapshot)
            copied = copy_out(store, "d", "out")
            assert (copied.files, copied.skipped) == ((1, 0) if note == "first" else (0, 1))
            assert Artifact.load("out").metadata["note"] == note
        assert copy_out(store, "d", "out").files == 0
        # What was saved there itself, and a record of another artifact, are not ours to replace.
        Artifact(path=tmp_path / "out", metadata={"note": "mine"}).save(name="d")
        with pytest.raises(ConflictError, match=r"out/metadata\.json differs from art://d:v2; nothing was"):
            copy_out(store, "d:v2", "out")
        copied = copy_out(store, "d:v2", "out", force=True)
        assert (copied.files, copied.skipped) == (1, 1), "somebody's own was replaced: that is told"
        Artifact(path=tmp_path / "data", metadata={"note": "other"}).save(name="e", snapshot=snapshot)
        with pytest.raises(ConflictError, match=r"out/metadata\.json differs from art://e:v1; nothing was"):
            copy_out(store, "e", "out")
    assert Artifact.load("out").metadata["note"] == "second"


def test_a_metadata_json_of_the_users_own_is_content(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/metadata.json").write_text('{"mine": 1}')
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="d", source=tmp_path / "data", snapshot=True))
    assert copy_out(store, "d", "out").files == 1
    (tmp_path / "data/metadata.json").write_text('{"mine": 2}')
    store.publish(Draft(name="d", source=tmp_path / "data", snapshot=True))
    with pytest.raises(ConflictError, match=r"metadata\.json differs"):
        copy_out(store, "d", "out")


def test_what_is_there_may_not_be_readable(
    store: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_out(store, "data", "out")
    there = f"{tmp_path}/out/part.txt"

    def refused(path: str, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(present, "open", refused, raising=False)
    real = os.open  # what is compared with a digest is opened by
    monkeypatch.setattr(
        os, "open", lambda path, *how, **more: (refused if path == there else real)(path, *how, **more)
    )
    with pytest.raises(RefusedError, match=f"Cannot read {tmp_path}/out/part.txt: Permission denied"):
        copy_out(store, "data", "out")


def test_the_same_bytes_with_another_time_are_the_same(store: Registry, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/part.txt").write_bytes(FILES["part.txt"])
    os.utime("out/part.txt", (1, 1))
    assert copy_out(store, "data", "out").skipped == 1


def test_what_stands_in_the_way(store: Registry, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MisuseError, match="it is a file"):
        copy_out(store, "data", "file/x")
    (tmp_path / "out/part.txt").mkdir(parents=True)
    with pytest.raises(ConflictError, match=r"Not overwritten: .* is a folder, .* Move it") as error:
        copy_out(store, "data", "out")
    assert "--force" not in str(error.value), "which would be refused too"
    with pytest.raises(ConflictError, match="is a folder"):
        copy_out(store, "data", "out", force=True)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to-pipe").symlink_to("pipe")
    for special in ("pipe", "to-pipe", "/dev/null"):
        with pytest.raises(ConflictError, match="a device, a pipe or a socket"):
            copy_out(store, "data/part.txt", special, force=special != "/dev/null")
    for nowhere in (
        "",
        "a\x00b",
        "s3://b/x",
        "file:///x",
    ):  # an empty variable of a script's is not the folder that one is in
        with pytest.raises(MisuseError, match="Not a path"):
            copy_out(store, "data", nowhere)
    with pytest.raises(NotFoundError):
        copy_out(store, "data/gone", "out")


def test_what_is_not_what_was_published_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.txt").write_text("hello")
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="kept", source=tmp_path / "data", snapshot=True))
    store.publish(Draft(name="seen", source=tmp_path / "data", evidence="full"))
    (tmp_path / "data/a.txt").write_text("jello")
    with pytest.raises(DriftError, match=r"art://seen:v1/a\.txt is not what was published"):
        copy_out(store, "seen", "out")
    (tmp_path / "data/a.txt").write_text("cut")
    with pytest.raises(
        DriftError, match=r"art://seen:v1 is .*: a\.txt has 3 bytes, expected 5\. Nothing was"
    ):
        copy_out(store, "seen", "out")
    laid_out = store.folder(store.resolve("kept")) / "a.txt"
    laid_out.chmod(0o644)
    laid_out.write_text("jello")
    copy_out(store, "kept", "right")  # a checkout is not what was published: the store has that
    assert content(tmp_path / "right") == {"a.txt": b"hello"}
    [blob] = tmp_path.glob("store/.kit/blobs/*/*")
    blob.chmod(0o644)
    blob.write_text("jello")
    with pytest.raises(CorruptError, match=r"a\.txt is damaged in the store.*verify kept:v1 --repair-from"):
        copy_out(store, "kept", "out")
    assert content(tmp_path / "out") == {}


def test_links_are_copied_as_links(tmp_path: Path) -> None:
    (tmp_path / "data/run/step_2").mkdir(parents=True)
    (tmp_path / "data/shared.txt").write_text("shared")
    (tmp_path / "data/run/step_2/w.bin").write_text("weights")
    for name, target in {
        "run/latest": "step_2",
        "run/best": f"{tmp_path}/data/run/step_2",
        "run/gone": "step_1",
        "run/shared": "../shared.txt",
        "run/step_2/up": "..",
    }.items():
        (tmp_path / "data" / name).symlink_to(target)
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="seen", source=tmp_path / "data"))
    store.publish(Draft(name="kept", source=tmp_path / "data", snapshot=True))
    for name in ("seen", "kept"):
        first = copy_out(store, name, name)
        assert (first.files, first.links, first.skipped, first.skipped_links) == (2, 5, 0, 0)
        copied = tmp_path / name / "run"
        links = {path.name: os.readlink(path) for path in copied.rglob("*") if path.is_symlink()}
        expected = {"latest": "step_2", "best": "step_2", "gone": "step_1", "shared": "../shared.txt"}
        assert links == {**expected, "up": ".."}
        assert (copied / "latest/w.bin").read_text() == "weights"
        again = copy_out(store, name, name)
        assert (again.files, again.links, again.skipped, again.skipped_links) == (0, 0, 2, 5), "it is there"
        (copied / "latest").unlink()
        (copied / "latest").symlink_to("elsewhere")
        with pytest.raises(ConflictError, match="run/latest differs"):
            copy_out(store, name, name)
        forced = copy_out(store, name, name, force=True)
        assert (forced.files, forced.links, forced.skipped, forced.skipped_links) == (0, 1, 2, 4)
        assert os.readlink(copied / "latest") == "step_2"
        # Of a part: what a link leads to outside of it is copied instead.
        copy_out(store, f"{name}/run", f"{name}-run")
        assert not (tmp_path / f"{name}-run/shared").is_symlink()
        assert (tmp_path / f"{name}-run/shared").read_text() == "shared"


def test_where_there_can_be_no_links_their_targets_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.txt").write_text("hello")
    (tmp_path / "data/b.txt").symlink_to("a.txt")
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="data", source=tmp_path / "data"))
    (tmp_path / "data/gone").symlink_to("nowhere")
    store.publish(Draft(name="gone", source=tmp_path / "data"))

    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(copying.os, "symlink", refused)
    copy_out(store, "data:v1/a.txt", "out/")
    told = copy_out(store, "gone", "told")
    assert (told.files, told.links, told.left_out) == (2, 0, ("gone",))
    assert content(tmp_path / "told") == {"a.txt": b"hello", "b.txt": b"hello"}
    (tmp_path / "data/gone").unlink()
    assert copy_out(store, "data", "out").files == 1
    assert (tmp_path / "out/b.txt").read_text() == "hello"
    assert not (tmp_path / "out/b.txt").is_symlink()


def test_an_incomplete_copy_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    (tmp_path / "data/train").mkdir(parents=True)
    for path in ("data/a.txt", "data/b.txt", "data/train/c.txt"):
        (tmp_path / path).write_text("hello")
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="seen", source=tmp_path / "data"))
    (tmp_path / "data/a.txt").unlink()
    with pytest.raises(
        DriftError, match=r"art://seen:v1 is not complete: a\.txt is missing\. What is there"
    ) as caught:
        copy_out(store, "seen", "out")
    assert f"Bring back what was published, or register what is in {tmp_path}/data now" in str(caught.value)
    assert content(tmp_path / "out") == {"b.txt": b"hello", "train/c.txt": b"hello"}
    assert copy_out(store, "seen/train", "part").files == 1


@pytest.mark.parametrize("snapshot", [True, False])
def test_links_that_leave_are_left_out_and_told(tmp_path: Path, snapshot: bool) -> None:
    (tmp_path / "secret").write_text("s")
    (tmp_path / "data/sub/only").mkdir(parents=True)
    (tmp_path / "data/a.txt").write_text("hello")
    (tmp_path / "data/sub/b.txt").write_text("b")
    for name, target in {
        "b": "a.txt",
        "gone": "nowhere",
        "y": "/etc/hostname",
        "z": "../secret",
        "over": "sub/out",
        "sub/out": "../../secret",
        "sub/up": "../a.txt",
        "sub/lost": "../gone/by",
        "sub/only/etc": "/etc",
    }.items():
        (tmp_path / "data" / name).symlink_to(target)
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="data", source=tmp_path / "data", snapshot=snapshot))
    leaving = ("over", "sub/only/etc", "sub/out", "y", "z")
    for skipped in (False, True):
        copied = copy_out(store, "data", "out")
        assert copied.left_out == leaving, "told each time"
        assert (copied.skipped if skipped else copied.files, copied.links) == (2, 0 if skipped else 4)
    links = {str(path.relative_to("out")) for path in Path("out").rglob("*") if path.is_symlink()}
    assert links == {"b", "gone", "sub/up", "sub/lost"}
    assert (tmp_path / "out/sub/only").is_dir(), "a folder that holds nothing else"
    # Of a part: what is elsewhere in the artifact is copied; where nothing is, there is nothing to copy.
    part = copy_out(store, "data/sub", "part")
    assert (part.files, part.links, part.left_out) == (2, 0, ("sub/lost", "sub/only/etc", "sub/out"))
    assert content(tmp_path / "part") == {"b.txt": b"b", "up": b"hello"}
    with pytest.raises(OutsideRootError, match="y is a link that leaves"):
        copy_out(store, "data/y", "y")
    assert not (tmp_path / "y").exists()


@pytest.mark.parametrize("snapshot", [True, False])
def test_no_link_leads_out_of_the_copy_by_way_of_another(tmp_path: Path, snapshot: bool) -> None:
    (tmp_path / "data/sub/deep").mkdir(parents=True)
    for name in ("data/y", "data/sub/y", "data/sub/deep/w"):
        (tmp_path / name).write_text(name)
    for name, target in {
        "here": ".",
        "out": "here/../secret",
        "sub/here": ".",
        "sub/above": "here/../y",
        "sub/lost": "here/../gone",
        "sub/back": "deep/../y",
        "sub/turned": "deep/../deep",
    }.items():
        (tmp_path / "data" / name).symlink_to(target)
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="data", source=tmp_path / "data", snapshot=snapshot))
    (tmp_path / "secret").write_text("s")
    for what, left in (("data", ("out", "sub/lost")), ("data:v1/sub", ("sub/lost",))):
        to = tmp_path / "copies" / what.rpartition("/")[2]
        assert copy_out(store, what, str(to)).left_out == left
        found = {path: os.path.realpath(path) for path in to.rglob("*") if path.is_symlink()}
        assert all(real == str(to) or real.startswith(f"{to}/") for real in found.values()), found
        sub = to / "sub" if what == "data" else to
        assert (sub / "above").read_text() == "data/y"
        assert (sub / "back").read_text() == "data/sub/y"
        assert os.readlink(sub / "turned") == "deep"
    assert not (tmp_path / "copies/sub/above").is_symlink()


@pytest.mark.parametrize("snapshot", [True, False])
def test_a_link_by_way_of_one_that_is_left_out_is_what_it_leads_to(tmp_path: Path, snapshot: bool) -> None:
    (tmp_path / "data/part").mkdir(parents=True)
    (tmp_path / "data/other").mkdir()
    (tmp_path / "data/part/x").write_text("x")
    (tmp_path / "data/other/y").write_text("y")
    for name, target in {
        "part/away": "../other",
        "part/y": "away/y",
        "part/up": "..",
        "part/x-too": "up/part/x",
        "part/all": "up/other",
        "part/lost": "up/part/nowhere",
    }.items():
        (tmp_path / "data" / name).symlink_to(target)
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="data", source=tmp_path / "data", snapshot=snapshot))
    whole = copy_out(store, "data", "whole")
    assert (whole.files, whole.links, whole.left_out) == (2, 6, ())
    part = copy_out(store, "data/part", "part")
    assert (part.files, part.links, part.left_out) == (4, 1, ("part/lost", "part/up"))
    found = {"x": b"x", "x-too": b"x", "y": b"y", "away/y": b"y", "all/y": b"y"}
    assert content(tmp_path / "part") == found
    assert os.readlink("part/y") == "away/y", "which is a folder there"


@pytest.mark.parametrize("snapshot", [True, False])
def test_links_that_lead_through_themselves_are_copied_as_they_are(tmp_path: Path, snapshot: bool) -> None:
    (tmp_path / "data/part").mkdir(parents=True)
    (tmp_path / "data/part/x").write_text("x")
    links = {"part/self": "self/y", "part/one": "other/x", "part/other": "one/y", "part/up": "../part/up/q"}
    for name, target in links.items():
        (tmp_path / "data" / name).symlink_to(target)
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="data", source=tmp_path / "data", snapshot=snapshot))
    for what, to in (("data", "whole"), ("data/part", "whole-part")):
        copied = copy_out(store, what, to)
        assert (copied.files, copied.links) == (1, len(links)), copied.left_out
    for name, target in links.items():
        assert os.readlink(tmp_path / "whole" / name) == target


@pytest.mark.parametrize("snapshot", [True, False])
def test_a_link_in_a_folder_that_a_link_leads_to_is_what_it_leads_to(tmp_path: Path, snapshot: bool) -> None:
    (tmp_path / "data/part").mkdir(parents=True)
    (tmp_path / "data/other").mkdir()
    (tmp_path / "data/z").write_text("meant")
    (tmp_path / "data/part/z").write_text("another")
    (tmp_path / "data/part/away").symlink_to("../other")
    (tmp_path / "data/other/link").symlink_to("../z")
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="data", source=tmp_path / "data", snapshot=snapshot))
    copy_out(store, "data/part", "part")
    assert (tmp_path / "part/away/link").read_text() == "meant"


@pytest.mark.parametrize("force", [True, False])
def test_no_link_is_made_in_a_folder_that_is_a_link_by_now(tmp_path: Path, force: bool) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/sub").symlink_to(".")
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="data", source=tmp_path / "data", snapshot=True))
    (tmp_path / "data/sub").unlink()
    (tmp_path / "data/sub").mkdir()
    (tmp_path / "data/sub/x").symlink_to("../secret")
    store.publish(Draft(name="data", source=tmp_path / "data", snapshot=True))
    copy_out(store, "data:v1", "out")
    with pytest.raises(ConflictError, match="out/sub is a link, or is reached by one"):
        copy_out(store, "data:v2", "out", force=force)
    assert not os.path.lexists(tmp_path / "out/x")
    (tmp_path / "there").symlink_to("elsewhere")  # the folder that is named may be one
    (tmp_path / "elsewhere").mkdir()
    assert copy_out(store, "data:v2", "there").links == 1


def test_a_file_that_has_become_a_link_that_leaves_is_missed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("data/a.txt", "data/b.txt", "secret"):
        (tmp_path / name).write_text("hello")
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="data", source=tmp_path / "data"))
    (tmp_path / "data/b.txt").unlink()
    (tmp_path / "data/b.txt").symlink_to("../secret")
    with pytest.raises(DriftError, match=r"art://data:v1 is not complete: b\.txt is missing"):
        copy_out(store, "data", "out")
    assert content(tmp_path / "out") == {"a.txt": b"hello"}


def test_names_that_no_folder_holds_are_refused(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file(f"/{tmp_path.name}/data/a.txt", b"x")
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="far", source=f"memory://{tmp_path.name}/data"))
    assert copy_out(store, "far", "out").files == 1
    assert content(tmp_path / "out") == {"a.txt": b"x"}
    memory.pipe_file(f"/{tmp_path.name}/data/b\x00.txt", b"x")
    with pytest.raises(OutsideRootError, match="which no folder can"):
        copy_out(store, "far", "out2")


def test_an_artifact_that_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("hello")
    store = Registry.open(tmp_path / "store")
    store.publish(Draft(name="one", source=tmp_path / "one.txt"))
    assert copy_out(store, "one", "copy.txt").to == str(tmp_path / "copy.txt")
    assert b"".join(chunks(store, "one")) == b"hello"
    with pytest.raises(IsADirectoryError):
        b"".join(chunks(store, _folder(store, tmp_path)))


def _folder(store: Registry, tmp_path: Path) -> str:
    (tmp_path / "folder").mkdir()
    store.publish(Draft(name="folder", source=tmp_path / "folder"))
    return "folder"


@pytest.mark.parametrize("snapshot", [True, False])
def test_folders_that_hold_nothing_are_copied(tmp_path: Path, snapshot: bool) -> None:
    (tmp_path / "data/logs/of/nobody").mkdir(parents=True)
    (tmp_path / "data/x").write_text("x")
    registry = Registry.open(tmp_path / "store")
    registry.publish(Draft(name="d", source=tmp_path / "data", snapshot=snapshot))
    copy_out(registry, "d", "out")
    assert (tmp_path / "out/logs/of/nobody").is_dir()
    copied = copy_out(registry, "d:v1/logs/of", "again")
    assert (tmp_path / "again/nobody").is_dir()
    assert (copied.files, copied.size, copied.skipped) == (0, 0, 0)


@pytest.mark.parametrize("name", ["new\nline", "esc\x1b[31m", "a%2fb"])
def test_a_name_that_no_reference_can_hold_is_copied_or_refused_before_anything_is(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data/deep").mkdir(parents=True)
    (tmp_path / "data/a").write_text("a")
    (tmp_path / "data/deep" / name).write_text("x")
    registry = Registry.open(tmp_path / "store")
    for snapshot in (True, False):
        registry.publish(Draft(name="d", source=tmp_path / "data", snapshot=snapshot))
        copied = f"copy {snapshot}"
        assert copy_out(registry, "d", copied).files == 2
        assert content(tmp_path / copied) == {"a": b"a", f"deep/{name}": b"x"}
        assert copy_out(registry, f"d:v1/deep/{name}", f"{copied}/").files == 1

    def refused(registry: Registry, path: str) -> Place:  # as for a server that may mean a path by it
        if path.endswith(name):
            raise OutsideRootError("hides a path in an encoding")
        return find(registry, path)

    monkeypatch.setattr(walking, "find", refused)
    with pytest.raises(RefusedError, match=r"Nothing was copied: art://d:v2/deep .*`nemotron kit resolve`"):
        copy_out(registry, "d", "out")
    assert not (tmp_path / "out").exists()


def test_what_is_on_its_way_stops_where_one_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.bin", "b.bin"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_bytes(b"x")
    registry = Registry.open(tmp_path / "store")
    registry.publish(Draft(name="data", source=tmp_path / "data", snapshot=True))
    begun, until, came = threading.Event(), time.monotonic() + 60, []
    real = InSnapshot.chunks

    def chunks(self: InSnapshot, name: str, fs: object) -> Iterator[bytes]:
        if self.inside == "metadata.json":
            yield from real(self, name, fs)
            return
        if self.inside == "a.bin":
            begun.wait(60)
            raise CorruptError("a.bin is damaged")
        while time.monotonic() < until:  # a file of any size
            yield b"x"
            begun.set()
        came.append(name)

    monkeypatch.setattr(type(registry.store), "at_once", 2)
    monkeypatch.setattr(InSnapshot, "_is_far", lambda *_: True)
    monkeypatch.setattr(InSnapshot, "chunks", chunks)
    with pytest.raises(CorruptError, match=r"a\.bin is damaged"):
        copy_out(registry, "data", str(tmp_path / "out"))
    assert came == []
    assert not (tmp_path / "out").exists()
