"""When saving again is the same version, and when it is a new one (DESIGN, "Identity")."""

import os
import shutil

import pytest

from nemotron.kit.registry.records import Draft

BASE = {"metadata": {"tokens": 3}, "inputs": ("hf://x",), "used_artifacts": ("base:v1",)}


def touch(path, seconds=5):
    """Another time of change, as a rewrite makes it."""
    info = os.stat(path)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns + seconds * 1_000_000_000))


SAME = {
    "the same": {},
    "other times": {"metadata": {"tokens": 3, "elapsed_sec": 9.5}},
    "another time of making": {"created_at": "2001-01-01T00:00:00+00:00"},
    "another run": {"producer": "job-2", "run": "0190-other"},
    "inputs in another order": {"used_artifacts": ("base:v1",), "inputs": ("hf://x", "hf://x")},
    "a time within the metadata": {"metadata": {"tokens": 3, "created_at": "now"}},
}

OTHER = {
    "metadata": {"metadata": {"tokens": 4}},
    "more metadata": {"metadata": {"tokens": 3, "x": None}},
    "less metadata": {"metadata": {}},
    "true for one": {"metadata": {"tokens": True}},
    "text for a number": {"metadata": {"tokens": "3"}},
    "other inputs": {"inputs": ("hf://y",)},
    "more inputs": {"inputs": ("hf://x", "hf://y")},
    "no inputs": {"inputs": ()},
    "another version of an input": {"used_artifacts": ("base:v2",)},
    "no artifacts used": {"used_artifacts": ()},
    "another type": {"type": "ModelArtifact"},
    "another mode": {"snapshot": True},
    "another shape": {"entry": "part.txt"},
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
@pytest.mark.parametrize("snapshot", [False, True])
def test_what_is_the_same_version(publish, opened, root, change, snapshot):
    first = publish(**{**BASE, "snapshot": snapshot})
    before = sorted(path for path in root.rglob("*"))
    again = publish(via=opened(), **{**BASE, "snapshot": snapshot, **change})
    assert (first.created, again.created) == (True, False)
    assert again.record == first.record
    assert sorted(path for path in root.rglob("*")) == before  # nothing at all is written


@pytest.mark.parametrize("change", OTHER.values(), ids=OTHER)
def test_what_is_a_new_version(publish, opened, change):
    publish(**BASE)
    again = publish(via=opened(), **{**BASE, **change})
    assert (again.created, again.record.version) == (True, 2)
    # And the other way round.
    back = publish(via=opened(), **BASE)
    assert (back.created, back.record.version) == (True, 3)


def test_nan_is_the_same_as_nan(publish):
    publish(metadata={"loss": float("nan")})
    assert publish(metadata={"loss": float("nan")}).created is False


@pytest.mark.parametrize("snapshot", [False, True])
def test_other_content_is_a_new_version(publish, data, snapshot):
    publish(snapshot=snapshot)
    (data / "part.txt").write_text("HELLO")
    touch(data / "part.txt")
    assert publish(snapshot=snapshot).record.version == 2
    (data / "another").write_text("")
    assert publish(snapshot=snapshot).record.version == 3
    (data / "another").unlink()
    assert publish(snapshot=snapshot).record.version == 4  # a return to older content
    (data / "part.txt").chmod(0o755)
    assert publish(snapshot=snapshot).record.version == 5
    (data / "empty").mkdir()
    assert publish(snapshot=snapshot).record.version == 6


def test_rewritten_with_the_same_bytes(publish, data):
    # By digest where both have one, else by size and time.
    publish("snap", snapshot=True)
    publish("full", evidence="full")
    publish("stat")
    touch(data / "part.txt")
    assert publish("snap", snapshot=True).created is False
    assert publish("full", evidence="full").created is False
    assert publish("stat").created is True


def test_the_same_bytes_at_another_place(publish, data, tmp_path):
    shutil.copytree(data, tmp_path / "copy", copy_function=shutil.copy2)
    publish("snap", snapshot=True)
    publish("ref", evidence="full")
    assert publish("snap", snapshot=True, source=tmp_path / "copy").created is False
    assert publish("ref", evidence="full", source=tmp_path / "copy").created is True


def test_paths_inside_count_relative_to_the_artifact(publish, data, tmp_path):
    shutil.copytree(data, tmp_path / "run2")

    def metadata(folder):
        return {
            "blend": folder / "part.txt",
            "uri": f"file://{folder}/sub",
            "all": [{"deep": (str(folder), str(folder / "sub/more.bin"))}],
            "other": "/data-of-somebody/else",
        }

    first = publish("snap", snapshot=True, metadata=metadata(data))
    again = publish("snap", snapshot=True, source=tmp_path / "run2", metadata=metadata(tmp_path / "run2"))
    assert again.created is False
    assert again.record == first.record
    # A path that only begins alike is not inside.
    elsewhere = metadata(tmp_path / "run2") | {"blend": f"{tmp_path}/run22/part.txt"}
    assert publish("snap", snapshot=True, source=tmp_path / "run2", metadata=elsewhere).created is True


def test_a_file_from_another_folder_is_the_same_snapshot(publish, data, tmp_path):
    (tmp_path / "run2").mkdir()
    shutil.copy2(data / "part.txt", tmp_path / "run2/part.txt")
    (tmp_path / "run2/beside.txt").write_text("not of the artifact")
    for folder, created in ((data, True), (tmp_path / "run2", False)):
        path = folder / "part.txt"
        done = publish("file", snapshot=True, source=path, metadata={"path": str(path)})
        assert done.created is created
    (tmp_path / "run2/other.txt").write_text("hello")
    assert publish("file", snapshot=True, source=tmp_path / "run2/other.txt").created is True


def test_the_metadata_file_of_the_kit_is_not_content(publish, data):
    publish(snapshot=True)
    (data / "metadata.json").write_text(
        '{"path": "x", "type": "y", "created_at": "z", "producer": null, "tracking": {}, "more": 1}'
    )
    (data / ".metadata.json.0a1b2c.tmp").write_text("half")
    assert publish(snapshot=True).created is False
    (data / "metadata.json").write_text('{"path": "a file of the user\'s own"}')
    assert publish(snapshot=True).created is True


def test_an_input_that_is_the_very_version_does_not_count(publish):
    # A script that loads m:v1 and saves m again has made nothing of it.
    publish(**BASE)
    again = publish(**{**BASE, "used_artifacts": ("base:v1", "m:v1")})
    assert again.created is False
    assert publish(**{**BASE, "used_artifacts": ("base:v1", "m:v2")}).created is True


def test_a_return_to_older_content_is_a_new_version(publish, registry):
    for step in (1, 2, 1):
        publish(metadata={"step": step})
    assert [record.metadata["step"] for record in registry.versions("m")] == [1, 2, 1]


def test_only_the_latest_version_counts(publish, registry):
    publish(metadata={"step": 1})
    publish(metadata={"step": 2})
    registry.withdraw("m:v2", "wrong")
    # v1 is the latest living one: the same again is v1, and v2 is never matched.
    assert publish(metadata={"step": 1}).record.version == 1
    assert publish(metadata={"step": 2}).record.version == 3


def test_a_withdrawn_version_never_matches(publish, registry):
    publish()
    registry.withdraw("m:v1", "wrong")
    assert publish().record.version == 2


def test_two_names_are_two_versions(publish):
    assert publish("one").created
    assert publish("two").created


def test_what_another_process_published_meanwhile_counts(publish, opened, data):
    mine, other = opened(), opened()
    draft = {"name": "m", "source": data}
    mine.publish(Draft(metadata={"step": 1}, **draft))
    other.publish(Draft(metadata={"step": 2}, **draft))
    assert mine.publish(Draft(metadata={"step": 2}, **draft)).created is False
    assert mine.publish(Draft(metadata={"step": 1}, **draft)).record.version == 3


def test_who_loses_a_race_to_the_same_content_gets_the_winners_version(opened, data):
    # The other publishes between this one's look and its claim.
    mine, other = opened(), opened()
    draft = Draft(name="m", source=data, metadata={"step": 1})
    mine.publish(Draft(name="m", source=data))
    store, real = mine.store, mine.store.create

    def create(key, content, **rest):
        if key.endswith("v2/manifest.json"):
            other.publish(draft)
        return real(key, content, **rest)

    store.create = create
    lost = mine.publish(draft)
    assert (lost.created, lost.record.version) == (False, 2)
    assert opened().get("m").versions == (1, 2)


def test_who_loses_a_race_to_other_content_takes_the_next_number(opened, data):
    mine, other = opened(), opened()
    real = mine.store.create

    def create(key, content, **rest):
        if key.endswith("v1/manifest.json"):
            other.publish(Draft(name="m", source=data, metadata={"by": "other"}))
        return real(key, content, **rest)

    mine.store.create = create
    mine.publish(Draft(name="m", source=data, metadata={"by": "me"}))
    assert [record.metadata["by"] for record in opened().versions("m")] == ["other", "me"]


def test_who_loses_a_race_to_another_spelling_is_refused(opened, data):
    from nemotron.kit.errors import NameConflictError

    mine, other = opened(), opened()
    real = mine.store.create

    def create(key, content, **rest):
        if key.endswith("v1/manifest.json"):
            other.publish(Draft(name="a-b", source=data))
        return real(key, content, **rest)

    mine.store.create = create
    with pytest.raises(NameConflictError):
        mine.publish(Draft(name="a/b", source=data))
    assert opened().get("a-b").versions == (1,)


def test_one_place_has_many_spellings(publish, data, monkeypatch):
    publish()
    monkeypatch.chdir(data.parent)
    for spelling in (f"{data}/", f"{data}/../data", "data", "./data/"):
        assert publish(source=spelling).created is False


@pytest.mark.parametrize("how", [{"snapshot": True}, {"evidence": "full"}], ids=str)
def test_a_change_that_hides_is_found_by_its_bytes(publish, data, opened, how):
    # Same size, the time put back, and as soon after the last look as it can be.
    path = data / "part.txt"
    publish(**how)
    for step, text in enumerate(["HELLO", "world", "hello", "12345", "hello"], 2):
        info = path.stat()
        path.write_text(text)
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
        record = publish(via=opened(), **how).record
        assert record.version == step
        if record.is_snapshot:
            assert (opened().folder(record) / "part.txt").read_text() == text
