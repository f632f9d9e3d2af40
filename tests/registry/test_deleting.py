"""Data outside the store: deleted only by its name, only what was published, only if nobody needs it."""

import os
import shutil
from pathlib import Path

import pytest

from nemotron.kit.errors import CorruptError, MisuseError, RefusedError, WithdrawnError
from nemotron.kit.registry import deleting, verify
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.memory import MemoryStore


@pytest.fixture
def plan(opened, data):
    """Plans to delete the data of a version; nothing must have happened by then."""

    def plan(ref="m:v1", path=data):
        before = sorted(path.rglob("*")) if path.exists() else []
        try:
            return deleting.plan(opened(), ref, str(path))
        finally:
            assert (sorted(path.rglob("*")) if path.exists() else []) == before

    return plan


def test_it_deletes_what_was_published_and_the_folders_around_it(publish, plan, data, tmp_path):
    publish()
    (tmp_path / "neighbour").touch()
    found = plan()
    assert (len(found.files), found.size, found.kept, found.is_withdrawn) == (2, 261, (), False)
    found.carry_out()
    assert not data.exists()
    assert (tmp_path / "neighbour").exists()


def test_what_came_later_stays(publish, plan, data):
    publish()
    (data / "sub/later.txt").write_text("mine")
    (data / "notes.txt").write_text("mine")
    found = plan()
    assert found.kept == ("notes.txt", "sub/later.txt")
    found.carry_out()
    left = {path.relative_to(data).as_posix() for path in data.rglob("*") if path.is_file()}
    assert left == set(found.kept)


def test_what_is_gone_already_is_no_obstacle(publish, plan, data):
    publish()
    found = plan()
    (data / "part.txt").unlink()
    assert len(plan().files) == 1
    found.carry_out()
    assert not data.exists()


def test_the_path_must_be_the_one_that_was_published(publish, plan, data, tmp_path):
    publish()
    for path in (tmp_path, data / "sub", tmp_path / "elsewhere"):
        with pytest.raises(MisuseError, match=f"lies at {data}; --delete-data names"):
            plan(path=path)


def test_a_version_must_be_named(publish, plan):
    publish()
    for ref in ("m", "m:v1/sub"):
        with pytest.raises(MisuseError, match="Say which version"):
            plan(ref)


def test_what_another_version_refers_to_stays(publish, plan, registry, data):
    publish()
    publish(metadata={"step": 2})
    with pytest.raises(RefusedError, match="art://m:v2 refers to"):
        plan()
    registry.withdraw("m:v2", "bad")
    assert len(plan().files) == 2
    publish("inside", source=data / "sub")
    with pytest.raises(RefusedError, match=r"art://inside:v1 refers to .*/sub"):
        plan()
    registry.withdraw("inside:v1", "bad")
    publish("around", source=data.parent)
    with pytest.raises(RefusedError, match="art://around:v1 refers to"):
        plan()


def test_another_spelling_of_the_place_is_the_same_place(publish, plan, data, tmp_path):
    publish()
    (tmp_path / "link").symlink_to(data)
    publish("other", source=tmp_path / "link")
    with pytest.raises(RefusedError, match="art://other:v1 refers to"):
        plan()


def test_a_snapshot_needs_nothing_outside(publish, plan, data):
    publish()
    publish("copy", snapshot=True)
    assert len(plan().files) == 2
    with pytest.raises(MisuseError, match="gc frees them"):
        plan("copy:v1")


@pytest.mark.parametrize("evidence", ["stat", "full"])
def test_another_time_means_another_file_unless_a_digest_says_no(publish, plan, data, evidence):
    publish(evidence=evidence)
    text = (data / "part.txt").read_text()
    (data / "part.txt").write_text(text if evidence == "full" else text[::-1])
    os.utime(data / "part.txt", ns=(1, 1))
    if evidence == "full":
        assert len(plan().files) == 2
        return
    with pytest.raises(RefusedError, match=r"part\.txt in .* changed since"):
        plan()


def test_what_is_too_large_to_be_read_on_the_way_has_to_be_verified_first(
    publish, plan, opened, data, monkeypatch
):
    publish(evidence="full")
    monkeypatch.setattr(verify, "LOAD_BYTES_MAX", 1)
    (data / "part.txt").write_text("jello")  # as long as what was there
    with pytest.raises(RefusedError, match=r"part\.txt.*`nemotron kit verify m:v1`"):
        plan()
    (data / "part.txt").write_text("hello")
    os.utime(data / "part.txt", ns=(7, 7))
    with pytest.raises(RefusedError, match=r"part\.txt"):
        plan()
    assert opened().verify("m:v1").ok
    plan().carry_out()
    assert not data.exists()


def test_files_that_changed_are_somebody_elses(publish, plan, data):
    publish()
    (data / "part.txt").write_text("other content")
    with pytest.raises(RefusedError, match=r"part\.txt in .* changed since"):
        plan()


def test_what_is_written_while_somebody_is_asked_stays(publish, plan, data):
    publish()
    deletion = plan()
    victim = Path(deletion.files[-1])
    victim.write_text("somebody's work")
    with pytest.raises(RefusedError, match="changed since it was looked at"):
        deletion.carry_out()
    assert victim.read_text() == "somebody's work"


def test_a_version_that_can_not_be_read_may_need_it(publish, plan, root):
    publish()
    publish("other")
    (root / "other/v1/manifest.json").write_text('{"half": ')
    with pytest.raises(CorruptError, match=r"other/v1.*It may need some of it"):
        plan()


def test_links_are_deleted_and_not_what_they_point_at(registry, plan, data, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("precious")
    (data / "link").symlink_to(outside)
    (data / "file-link").symlink_to(outside / "precious.txt")
    registry.publish(Draft(name="m", source=data))
    plan().carry_out()
    assert (outside / "precious.txt").read_text() == "precious"
    assert not data.exists()


def test_what_lies_behind_a_followed_link_stays(registry, plan, data, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("precious")
    (data / "link").symlink_to(outside)
    registry.publish(Draft(name="m", source=data, follow_links=True))
    found = plan()
    assert "link/precious.txt" in found.kept
    found.carry_out()
    assert (outside / "precious.txt").read_text() == "precious"


def test_a_single_file(registry, plan, data):
    registry.publish(Draft(name="m", source=data / "part.txt"))
    found = plan(path=data / "part.txt")
    assert (found.files, found.kept) == ((str(data / "part.txt"),), ())
    found.carry_out()
    assert sorted(os.listdir(data)) == ["sub"]


def test_the_kits_own_metadata_goes_too(data, tmp_path):
    from nemotron.kit import Artifact, using

    with using(root=tmp_path / "store"):
        Artifact(path=data).save(name="m")
    assert (data / "metadata.json").exists()
    deleting.plan(Registry.open(tmp_path / "store"), "m:v1", str(data)).carry_out()
    assert not data.exists()


def test_nothing_in_or_around_the_store_goes(registry, plan, root, data):
    inside = root / "mine"
    inside.mkdir(parents=True)
    (inside / "a").touch()
    registry.publish(Draft(name="m", source=inside))
    with pytest.raises(RefusedError, match="lies in the store"):
        plan(path=inside)
    registry.publish(Draft(name="around", source=root.parent))
    with pytest.raises(RefusedError, match="or around it"):
        deleting.plan(registry, "around:v1", str(root.parent))


def test_data_at_a_url_is_left_alone(registry, plan):
    registry.publish(Draft(name="m", source="s3://bucket/x"))
    with pytest.raises(MisuseError, match="only local data"):
        deleting.plan(registry, "m:v1", "s3://bucket/x")


def test_a_version_that_is_withdrawn_already(publish, plan, registry, data):
    publish()
    registry.withdraw("m:v1", "bad")
    found = plan()
    assert (found.is_withdrawn, len(found.files)) == (True, 2)
    registry.store.create("m/aliases/best/00000001.json", b'{"sequence": 1, "version": 1}')
    with pytest.raises(WithdrawnError):
        plan("m:best")
    found.carry_out()
    assert not data.exists()


@pytest.fixture
def moved(publish, opened, data, tmp_path):
    """The data of `m:v1` was copied elsewhere and is looked for there; the old copy is still there."""
    publish()
    there = tmp_path / "elsewhere/data"
    shutil.copytree(data, there, copy_function=shutil.copy2)
    opened().remap(str(data), str(there))
    return there


@pytest.mark.parametrize("is_withdrawn", [False, True])
def test_after_a_remap_the_path_is_where_it_lies_now(moved, plan, registry, data, is_withdrawn):
    if is_withdrawn:
        registry.withdraw("m:v1", "bad")
    with pytest.raises(MisuseError, match=f"lies at {moved}; --delete-data names {data}"):
        plan(path=data)
    found = plan(path=moved)
    assert found.is_withdrawn == is_withdrawn
    assert all(file.startswith(f"{moved}/") for file in found.files)
    found.carry_out()
    assert not moved.exists()
    assert (data / "part.txt").exists()


def test_what_another_version_needs_by_a_remap_stays(moved, plan, registry, data):
    registry.publish(Draft(name="inside", source=data / "sub"))  # is looked for in the new place, too
    with pytest.raises(RefusedError, match=f"art://inside:v1 refers to {moved}/sub"):
        plan(path=moved)
    registry.withdraw("inside:v1", "bad")
    assert len(plan(path=moved).files) == 2


def test_what_another_version_recorded_stays_although_it_is_remapped(moved, publish, plan, opened, tmp_path):
    publish("direct", source=moved)
    opened().remap(str(moved / "sub"), str(tmp_path / "third"))  # may be taken back, or be a mistake
    with pytest.raises(RefusedError, match=f"art://direct:v1 refers to {moved}"):
        plan(path=moved)


def test_a_store_in_memory(data):
    registry = Registry(MemoryStore())
    registry.publish(Draft(name="m", source=data))
    assert len(deleting.plan(registry, "m:v1", str(data)).files) == 2


def test_empty_folders_that_were_not_published_stay(publish, plan, data):
    (data / "published/deep").mkdir(parents=True)
    publish()
    (data / "new/deep").mkdir(parents=True)  # somebody is about to write here
    deletion = plan("m:v1", data)
    deletion.carry_out()
    assert not (data / "published").exists()
    assert not (data / "sub").exists()
    assert sorted(path.relative_to(data).as_posix() for path in data.rglob("*")) == ["new", "new/deep"]


def test_a_folder_that_is_a_link_by_now_is_left(publish, plan, data, tmp_path):
    (data / "empty").mkdir()
    publish()
    deletion = plan("m:v1", data)
    (data / "empty").rmdir()
    (data / "empty").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    deletion.carry_out()
    assert (tmp_path / "elsewhere").is_dir()
    assert (data / "empty").is_symlink()
