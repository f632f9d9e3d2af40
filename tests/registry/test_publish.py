"""Publishing: what is written, what is refused, and what bad input leaves behind."""

import json
import os
import shutil
import socket
from datetime import datetime
from pathlib import Path

import pytest

from nemotron.kit.errors import (
    ConflictError,
    DiskFullError,
    InvalidMetadataError,
    InvalidNameError,
    KitError,
    MisuseError,
    NameConflictError,
    NotFoundError,
    PathNotFoundError,
    RefusedError,
)
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.local import LocalStore
from nemotron.kit.testing.faults import FaultyStore


def everything_below(root):
    return sorted(path.relative_to(root).as_posix() for path in Path(root).rglob("*"))


@pytest.mark.parametrize("flag", ["snapshot", "follow_links", "must_be_there"])
def test_a_text_is_no_flag(data, flag):
    with pytest.raises(MisuseError, match=rf"Not a flag: {flag}='no'; expected True or False"):
        Draft(name="m", source=data, **{flag: "no"})


def test_a_blob_that_goes_before_it_is_on_disk_fails_what_needs_it_alone(root, data, tmp_path):
    def remove(method, key):
        if method == "sync" and blobs:
            blobs.pop().unlink()

    blobs = []
    registry = Registry(FaultyStore(LocalStore(root), on_call=remove))
    (tmp_path / "other").mkdir()
    (tmp_path / "other/x.txt").write_text("other")
    registry.publish(Draft(name="first", source=tmp_path / "other", snapshot=True))
    held = set(Path(root).glob(".kit/blobs/*/*"))

    def copied(done, total):
        blobs[:] = sorted(set(Path(root).glob(".kit/blobs/*/*")) - held)

    with pytest.raises(
        ConflictError, match=r"removed from the store before it was on disk. Nothing was comm"
    ):
        registry.publish(Draft(name="m", source=data, snapshot=True), progress=copied)
    assert [entry.name for entry in registry.list()] == ["first"]
    blobs.clear()
    (tmp_path / "other/y.txt").write_text("another")
    assert registry.publish(Draft(name="first", source=tmp_path / "other", snapshot=True)).record.version == 2
    assert registry.publish(Draft(name="m", source=data, snapshot=True)).record.version == 1
    assert registry.verify("m", "full").ok
    assert registry.verify("first", "full").ok


def test_numbers_begin_at_one_and_have_no_gaps(publish):
    found = [publish(metadata={"step": step}) for step in range(12)]
    assert [item.record.version for item in found] == list(range(1, 13))
    assert all(item.created for item in found)
    assert [publish(name, metadata={}).record.uri for name in ("x", "y")] == ["art://x:v1", "art://y:v1"]


def test_what_a_record_says(publish, data, registry):
    record = publish(
        "nano3/data",
        type="PretrainDataArtifact",
        metadata={"tokens": 3, "where": data / "part.txt"},
        inputs=("hf://x", "hf://y", "hf://x"),
        used_artifacts=("base:v2", "tokenizer:v1", "base:v2"),
        producer="job-7",
        run="0190-run",
    ).record
    assert record.uri == "art://nano3-data:v1"
    assert (record.name, record.version, record.type) == ("nano3-data", 1, "PretrainDataArtifact")
    assert record.path == record.folder == str(data)
    assert record.metadata == {"tokens": 3, "where": str(data / "part.txt")}
    assert record.inputs == ["art://base:v2", "art://tokenizer:v1", "hf://x", "hf://y"]
    assert (record.manifest.producer, record.manifest.run) == ("job-7", "0190-run")
    assert record.manifest.semantic_name == "nano3/data"
    assert datetime.fromisoformat(record.created_at).tzinfo is not None
    assert registry.resolve("nano3/data:v1") == record


def test_what_is_on_disk_after_the_first_publish(publish, root):
    record = publish().record
    day = record.created_at[:10]
    files = [path for path in everything_below(root) if (root / path).is_file()]
    journal = f".kit/journal/{day}/{record.manifest.write_id}.m"
    assert files == [".kit/format.json", journal, "m/latest", "m/v1/manifest.json", "m/v1/metadata.json"]
    founded = json.loads((root / ".kit/format.json").read_text())
    assert founded["format_version"] == 1
    assert founded["older_generations"] is False


def test_a_file_is_an_artifact_too(publish, data, registry):
    record = publish(source=data / "part.txt").record
    assert record.path == str(data / "part.txt")
    assert record.folder == str(data)
    assert (record.scope, record.manifest.content.entry) == ("file", "part.txt")
    assert [entry.path for entry in registry.tree(record).entries] == ["part.txt"]
    assert registry.location(record) == data / "part.txt"


def test_a_file_in_a_folder_is_the_artifact_with_its_folder(publish, data, registry):
    record = publish(entry="part.txt").record
    assert record.path == str(data / "part.txt")
    assert (record.scope, record.folder) == ("folder", str(data))
    assert [entry.path for entry in registry.tree(record).entries] == ["part.txt", "sub/more.bin"]


def test_an_entry_in_a_folder_of_the_artifact(publish, data, registry):
    record = publish(entry="sub/more.bin").record
    assert (record.path, record.folder) == (str(data / "sub/more.bin"), str(data))
    assert registry.location(record) == data / "sub/more.bin"


def test_a_url_is_recorded_and_not_looked_at(publish, registry):
    record = publish(source="s3://bucket/key").record
    assert record.path == "s3://bucket/key"
    assert registry.tree(record) is None
    assert registry.check(record) == []
    with pytest.raises(MisuseError, match="no local folder"):
        registry.folder(record)
    with pytest.raises(MisuseError, match=r"snapshot of s3://.* Leave out the snapshot"):
        publish("n", source="s3://bucket/key", snapshot=True)


def test_an_empty_folder_is_an_artifact(publish, tmp_path, registry):
    (tmp_path / "empty").mkdir()
    for snapshot in (False, True):
        record = publish(f"m{snapshot}", source=tmp_path / "empty", snapshot=snapshot).record
        assert registry.tree(record).files == 0
        assert list(registry.folder(record).glob("[!m]*")) == []


def test_odd_file_names_are_content(publish, tmp_path, registry, opened):
    folder = tmp_path / "odd"
    folder.mkdir()
    names = [
        "new\nline",
        "sp ace",
        "ä",
        "-rf",
        "%2e%2e",
        "...",
        "quote'\"",
        "back\\slash",
        os.fsdecode(b"\xff.bin"),
    ]
    for name in names:
        (folder / name).write_text(ascii(name))
    for snapshot in (False, True):
        record = publish(f"odd{snapshot}", source=folder, snapshot=snapshot).record
        read = opened().resolve(record.uri)
        assert {entry.path for entry in opened().tree(read).entries} == set(names)
        laid_out = opened().folder(read)
        assert {name: (laid_out / name).read_text() for name in names} == {
            name: ascii(name) for name in names
        }


def test_paths_under_the_root_move_with_it(publish, root, tmp_path):
    inside = root / "uploads/run1"
    inside.mkdir(parents=True)
    (inside / "f").write_text("x")
    publish("m", source=inside)
    publish("s", snapshot=True)
    root.rename(tmp_path / "moved")
    moved = Registry.open(tmp_path / "moved")
    assert moved.resolve("m").path == str(tmp_path / "moved/uploads/run1")
    assert moved.check(moved.resolve("m")) == []
    assert (moved.folder(moved.resolve("s")) / "part.txt").read_text() == "hello"
    assert str(moved.folder(moved.resolve("s"))).startswith(str(tmp_path / "moved"))


def test_a_store_inside_the_data_is_not_part_of_it(data):
    registry = Registry.open(data / "store")
    for step in range(3):
        record = registry.publish(Draft(name="m", source=data, metadata={"step": step})).record
        assert [entry.path for entry in registry.tree(record).entries] == ["part.txt", "sub/more.bin"]
    assert registry.check(record) == []


def test_a_store_inside_the_data_is_not_part_of_it_by_way_of_a_link(data, tmp_path):
    (tmp_path / "link").symlink_to(data)
    registry = Registry.open(data / "store")
    for step in range(2):
        draft = Draft(name="m", source=tmp_path / "link", metadata={"step": step})
        record = registry.publish(draft).record
        assert [entry.path for entry in registry.tree(record).entries] == ["part.txt", "sub/more.bin"]


def test_the_store_itself_is_no_artifact(publish, root):
    publish()
    with pytest.raises(MisuseError, match="it is the store itself"):
        publish("n", source=root)


def test_aliases_are_moved_with_the_publish(publish, registry):
    publish(aliases=("production", "best"))
    publish(metadata={"x": 2}, aliases=("best",))
    assert registry.aliases("m") == {"best": 2, "production": 1}


# -- refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../x", "/abs", "a/../../x", "a\x00b", "a\n", "%2e%2e", "v1", ".kit", "x" * 10_000, ""]
)
def test_hostile_names_write_nothing(publish, root, tmp_path, name):
    before = everything_below(tmp_path)
    with pytest.raises(InvalidNameError):
        publish(name)
    assert everything_below(tmp_path) == before


@pytest.mark.parametrize(
    ("alias", "error"), [("v1", InvalidNameError), ("../x", InvalidNameError), ("latest", MisuseError)]
)
def test_hostile_aliases_write_nothing(publish, tmp_path, alias, error):
    before = everything_below(tmp_path)
    with pytest.raises(error):
        publish(aliases=("fine", alias))
    assert everything_below(tmp_path) == before


@pytest.mark.parametrize("snapshot", [False, True])
@pytest.mark.parametrize("source", ["missing", "part.txt/below", "a\x00b", ""])
def test_a_missing_source_is_named(publish, data, registry, source, snapshot):
    with pytest.raises((PathNotFoundError, MisuseError), match=r"no such file or folder|Not a path"):
        publish(source=str(data / source) if source else source, snapshot=snapshot)
    assert registry.list() == []


def test_a_missing_entry_is_named(publish, registry):
    for entry in ("blend.json", "../data/part.txt", "/etc/passwd", "sub"):
        with pytest.raises(PathNotFoundError, match="no "):
            publish(entry=entry)
    assert registry.list() == []


def test_a_source_that_is_neither_file_nor_folder(publish, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(RefusedError, match="neither a file nor a folder"):
        publish(source=tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket")
        with pytest.raises(RefusedError, match="neither a file nor a folder"):
            publish(source=tmp_path / "socket")


def test_special_files_in_a_folder_are_left_out_with_a_warning(publish, data, registry, caplog):
    os.mkfifo(data / "fifo")
    record = publish(snapshot=True).record
    assert [entry.path for entry in registry.tree(record).entries] == ["part.txt", "sub/more.bin"]
    assert "fifo is no file" in caplog.text


@pytest.mark.parametrize("value", [object(), b"x", {("a",): 1}, 1j], ids=lambda v: type(v).__name__)
def test_metadata_that_is_no_json_is_refused_and_named(publish, registry, value):
    with pytest.raises(InvalidMetadataError, match=r"metadata\['bad'\]"):
        publish(metadata={"good": 1, "bad": value})
    assert registry.list() == []


def test_nan_and_infinity_survive(publish, opened):
    publish(metadata={"loss": float("nan"), "best": float("-inf")})
    assert str(opened().resolve("m").metadata) == "{'loss': nan, 'best': -inf}"


def test_two_spellings_of_one_key_are_not_mixed(publish, registry):
    publish("a/b")
    for other in ("a-b", "a?b=c"):
        if other == "a-b":
            with pytest.raises(NameConflictError, match=r"Cannot publish a-b: its key a-b belongs to a/b"):
                publish(other, metadata={"other": True})
    assert registry.get("a-b").versions == (1,)
    assert registry.get("a-b").semantic_name == "a/b"


def test_two_spellings_are_not_mixed_even_if_the_first_is_withdrawn(publish, registry):
    publish("a/b")
    registry.withdraw("a/b:v1", "wrong")
    with pytest.raises(NameConflictError):
        publish("a-b")


def test_a_root_of_a_newer_kit_is_not_written_to(publish, root, data):
    publish()
    (root / ".kit/format.json").write_text('{"format_version": 2}')
    before = everything_below(root)
    with pytest.raises(KitError, match="upgrade"):
        Registry.open(root).publish(Draft(name="m", source=data, metadata={"x": 1}))
    assert everything_below(root) == before


def test_a_damaged_root_is_named(publish, root, data):
    publish()
    (root / ".kit/format.json").write_text("{")
    with pytest.raises(KitError, match=r"format.json is damaged"):
        Registry.open(root).publish(Draft(name="m", source=data, metadata={"x": 1}))


def test_unknown_evidence_is_refused(publish):
    with pytest.raises(MisuseError, match="evidence='sure'"):
        publish(evidence="sure")


def test_a_file_that_vanishes_while_it_is_read(publish, data, registry, monkeypatch):
    from nemotron.kit.registry import reading

    def vanish(*args, real=reading.steadily):
        (data / "sub/more.bin").unlink(missing_ok=True)
        return real(*args)

    monkeypatch.setattr(reading, "steadily", vanish)
    with pytest.raises(PathNotFoundError, match=r"more\.bin"):
        publish(snapshot=True)
    monkeypatch.undo()
    assert registry.list() == []
    assert publish(snapshot=True).record.version == 1


def test_a_file_that_keeps_changing_is_refused(publish, data, registry, monkeypatch):
    from nemotron.kit.registry.copying import _Copying

    def grow(*args, real=_Copying._small):
        done = real(*args)
        with (data / "part.txt").open("a") as file:
            file.write("x")
        return done

    monkeypatch.setattr(_Copying, "_small", grow)
    with pytest.raises(KitError, match="keeps changing"):
        publish(snapshot=True)
    assert registry.list() == []


def test_a_full_disk_while_copying_publishes_nothing(publish, opened, monkeypatch, root):
    import errno

    publish("old", snapshot=True, metadata={"x": 0})
    (Path(root).parent / "data/new.bin").write_bytes(b"new" * 1000)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
        with pytest.raises(DiskFullError, match="Free some space"):
            publish("m", snapshot=True)
        with pytest.raises(DiskFullError):
            publish("m")
    assert [entry.name for entry in opened().list()] == ["old"]
    assert not list(root.rglob("*.tmp-*"))
    assert publish("m", snapshot=True).record.uri == "art://m:v1"
    assert (opened().folder(opened().resolve("old")) / "part.txt").read_text() == "hello"


def test_a_root_that_was_cleared_begins_anew(publish, registry, root):
    for number in range(3):
        publish(metadata={"i": number})
    shutil.rmtree(root)
    record = publish(metadata={"i": 9}).record
    assert record.version == 1
    assert (root / ".kit/format.json").exists()
    with pytest.raises(NotFoundError):
        registry.resolve("art://m:v3")


def test_the_plainest_type_has_two_spellings(publish):
    publish(type="artifact")
    assert not publish(type="Artifact").created
    assert publish(type="ModelArtifact").created


def test_no_secret_of_a_url_is_written_down(root):
    registry = Registry.open(root)
    registry.publish(
        Draft(
            name="m",
            source="s3://me:Xs3cr3tX@bucket/data",
            inputs=("https://h/x?X-Amz-Signature=Xs3cr3tX", "https://Xs3cr3tX@h/y", "s3://b/z?versionId=7"),
            metadata={"source_datasets": [{"uri": "https://h/x?sig=Xs3cr3tX"}], "note": "a ? b"},
        )
    )
    record = Registry.open(root).resolve("m")
    assert (record.path, record.inputs) == (
        "s3://bucket/data",
        ["https://h/x", "https://h/y", "s3://b/z?versionId=7"],
    )
    assert record.metadata == {"source_datasets": [{"uri": "https://h/x"}], "note": "a ? b"}
    written = [path for path in root.rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if b"Xs3cr3tX" in path.read_bytes()]


@pytest.mark.parametrize("said", [{}, {"evidence": "sampled"}, {"evidence": "full"}, {"snapshot": True}])
def test_a_time_after_2262_keeps_no_file_out(publish, registry, data, said):
    """64 bits of nanoseconds end there; a broken clock and some file systems do not."""
    late = 2**34 - 1
    os.utime(data / "part.txt", ns=(late * 10**9, late * 10**9))
    record = publish(**said).record
    assert registry.verify(record.uri).ok
    assert not publish(**said).created
