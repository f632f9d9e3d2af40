"""`verify`: the verdict, the exit code, and how sure it is."""

import os
from pathlib import Path

import obstore
import pytest

from bucket_server import new_bucket
from bucket_server.fixtures import proxy, server
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.bucket_connect import connect_bucket

__all__ = ["proxy", "server"]


def test_what_is_the_same_is_0(kit, store: Registry) -> None:
    said = kit("verify", "art://base:v1")
    assert (said.code, said.out) == (0, "same art://base:v1 (by every byte, 8 B read)\n")
    by_stat = kit("verify", "nano3/data")
    blind = "not seen: changes that kept size and time"
    assert by_stat.code == 0
    assert by_stat.out == f"same art://nano3-data:v2 (by size and time, nothing read; {blind})\n"
    assert kit("verify", "base", "-q").out == ""


def test_what_is_not_the_same_is_named_and_1(kit, registry: Registry, data: Path) -> None:
    kit("register", "data", "--name", "m", "--evidence", "full")
    os.utime(data / "train/a.txt", ns=(1, 1))
    before = (data / "b.txt").stat()
    (data / "b.txt").write_text("y\n")
    os.utime(data / "b.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
    (data / "c.txt").touch()
    said = kit("verify", "m", "--json")
    assert said.code == 1
    document = said.json
    assert document.pop("seconds") >= 0
    assert document == {
        "uri": "art://m:v1",
        "ok": False,
        "evidence": "full",
        "bytes_read": 8,
        "files": [
            {"path": "b.txt", "verdict": "changed"},
            {"path": "c.txt", "verdict": "extra"},
            {"path": "train/a.txt", "verdict": "touched"},
        ],
    }
    assert kit("verify", "m", "-q").out == "changed b.txt\nextra c.txt\ntouched train/a.txt\n"
    by_stat = kit("verify", "m", "--evidence", "stat", "--json").json
    assert (by_stat["evidence"], by_stat["bytes_read"]) == ("stat", 0)
    assert by_stat["unseen"] == "changes that kept size and time"
    assert {"path": "b.txt", "verdict": "changed"} not in by_stat["files"]
    drawn = kit("verify", "m").out
    assert drawn.splitlines()[0] == "changed  b.txt"
    assert drawn.splitlines()[-1] == "not the same art://m:v1 (by every byte, 8 B read)"


def test_what_no_single_file_shows_is_said(kit, registry: Registry, data: Path) -> None:
    """That bytes can't be compared which were asked for, and that the folder is gone, or a file by now."""
    kit("register", "data", "--name", "m")
    assert "notes" not in kit("verify", "m", "--json").json
    said = kit("verify", "m", "--evidence", "full", "--json")
    assert (said.code, said.json["evidence"]) == (0, "stat")
    [note] = said.json["notes"]
    assert "Publish with --evidence full" in note
    assert note in kit("verify", "m", "--evidence", "full").out
    data.rename(data.parent / "elsewhere")
    said = kit("verify", "m", "--json")
    assert (said.code, {file["verdict"] for file in said.json["files"]}) == (1, {"missing"})
    assert said.json["notes"] == [
        f"{data} is gone: put it back, or where it was moved, say so with `nemotron kit remap`"
    ]
    data.write_text("a file in its place")
    assert kit("verify", "m", "--json").json["notes"] == [f"{data} is no folder any more"]


def test_a_damaged_snapshot_is_repaired_from_its_source(kit, registry: Registry, data: Path) -> None:
    kit("register", "data", "--name", "m", "--snapshot")
    for blob in Path(registry.root, ".kit/blobs").rglob("*"):
        if blob.is_file():
            blob.unlink()
    lost = kit("verify", "m", "--json")
    assert (lost.code, lost.json["files"][0]) == (
        1,
        {"path": "b.txt", "verdict": "missing", "place": "store"},
    )
    lost_words = kit("verify", "m").out.splitlines()[-1]
    assert (
        kit("verify", "m", "-q").out == "missing b.txt (in the store)\nmissing train/a.txt (in the store)\n"
    )
    Path("other").mkdir()
    in_vain = kit("verify", "m", "--repair-from", "other")
    assert (in_vain.code, in_vain.out.splitlines()[-1]) == (1, lost_words)
    assert in_vain.err == "other does not hold what was published as b.txt and 1 more\n"
    said = kit("verify", "m", "--repair-from", "data")
    assert (said.code, said.out.splitlines()[:2]) == (0, ["repaired b.txt", "repaired train/a.txt"])
    again = kit("verify", "m", "--repair-from", "data", "--json").json
    assert (again["ok"], again["files"], again["repaired"]) == (True, [], [])


def test_a_reference_is_not_repaired(kit, registry: Registry, data: Path) -> None:
    kit("register", "data", "--name", "m")
    (data / "b.txt").unlink()
    said = kit("verify", "m", "--repair-from", "data")
    assert said.code != 0
    assert "is a reference" in said.err


def test_touched_alone_is_0(kit, registry: Registry, data: Path) -> None:
    kit("register", "data", "--name", "m", "--evidence", "full")
    os.utime(data / "b.txt", ns=(1, 1))
    said = kit("verify", "m", "--json")
    assert (said.code, said.json["ok"]) == (0, True)
    assert said.json["files"] == [{"path": "b.txt", "verdict": "touched"}]


SINCE = "1 file was written since (another time, the same size)"
NOT_SEEN = "and any in what was touched and not read whole"


@pytest.mark.parametrize(
    ("published", "asked", "size", "note"),
    [
        ("stat", "stat", 2, f"{SINCE}: b.txt. No digests are known, so whether the bytes are the same can't"),
        (
            "full",
            "stat",
            2,
            f"{SINCE} and the bytes were not compared: b.txt. `nemotron kit verify m:v1 --ev",
        ),
        ("sampled", "stat", 2, f"{SINCE} and the bytes were not compared: b.txt. `nemotron kit verify m:v1"),
        ("sampled", "full", 200_000, f"{SINCE} and the samples are the same: b.txt. That proves the samples"),
        ("sampled", "sampled", 2, None),
        ("full", "full", 2, None),
    ],
)
def test_touched_says_whether_the_bytes_are_the_same(
    kit, registry: Registry, data: Path, published: str, asked: str, size: int, note: str | None
) -> None:
    (data / "b.txt").write_bytes(bytes(size))
    kit("register", "data", "--name", "m", "--evidence", published)
    os.utime(data / "b.txt", ns=(1, 1))
    drawn, said = (kit("verify", "m", "--evidence", asked, *more) for more in ((), ("--json",)))
    assert (drawn.code, said.code, said.json["ok"]) == (0, 0, True)
    lines = drawn.out.splitlines()
    if note is None:
        assert lines[0] == "touched  b.txt (the same bytes)"
        assert lines[-1].startswith("same art://m:v1 (")
        assert NOT_SEEN not in lines[-1]
        assert "notes" not in said.json
    else:
        assert lines[0] == "touched  b.txt"
        assert lines[-1].startswith("touched art://m:v1 (")
        assert lines[-1].endswith(f"{NOT_SEEN})")
        assert said.json["notes"][0].startswith(note)
        assert said.json["notes"][0] in lines


def test_what_one_look_proved_is_the_same_to_the_next(kit, registry: Registry, data: Path) -> None:
    kit("register", "data", "--name", "m", "--evidence", "full")
    os.utime(data / "b.txt", ns=(1, 1))
    kit("verify", "m")
    lines = kit("verify", "m", "--evidence", "stat").out.splitlines()
    assert (lines[0], lines[-1][:15]) == ("touched  b.txt (the same bytes)", "same art://m:v1")


def test_of_many_touched_files_some_are_named(kit, registry: Registry, data: Path) -> None:
    for number in range(5):
        (data / f"{number}").write_text("x")
    kit("register", "data", "--name", "m")
    for number in range(5):
        os.utime(data / f"{number}", ns=(1, 1))
    [note] = kit("verify", "m", "--json").json["notes"]
    assert note.startswith("5 files were written since (another time, the same size): 0, 1, 2 and 2 more. ")


@pytest.mark.parametrize("evidence", ["", "hopeful", "FULL"])
def test_unknown_evidence_is_2(kit, store: Registry, evidence: str) -> None:
    said = kit("verify", "base", "--evidence", evidence)
    assert (said.code, said.out) == (2, "")
    assert "stat" in said.err


def test_many_files_are_cut(kit, registry: Registry, data: Path) -> None:
    kit("register", "data", "--name", "m")
    for number in range(150):
        (data / f"new{number}").touch()
    said = kit("verify", "m")
    assert said.code == 1
    assert "and 50 more\n" in said.out
    assert len(kit("verify", "m", "--json").json["files"]) == 150


def test_data_in_a_bucket_is_asked_for_and_perhaps_changed(kit, registry: Registry, server, proxy) -> None:
    name = new_bucket(server)
    bucket = connect_bucket("s3", name, {})
    obstore.put(bucket, "data/x.bin", b"one")
    assert kit("register", f"s3://{name}/data", "--name", "far").code == 0
    said = kit("verify", "far")
    assert said.code == 0
    assert " ".join(said.out.split()) == (
        "same art://far:v1 (by what its server says, 1 request, nothing read; not seen: changes that kept "
        "size and etag)"
    )
    obstore.put(bucket, "data/x.bin", b"two")
    said = kit("verify", "far", "--json")
    assert said.code == 1
    document = said.json
    assert document.pop("seconds") >= 0
    assert document == {
        "uri": "art://far:v1",
        "ok": False,
        "evidence": "stat",
        "bytes_read": 0,
        "files": [{"path": "x.bin", "verdict": "changed", "sure": False}],
        "requests": 1,
        "unseen": "changes that kept size and etag",
    }
    assert kit("verify", "far", "-q").out == "changed? x.bin\n"
    assert "was written again with the same size" in " ".join(kit("verify", "far").out.split())
    assert kit("register", f"s3://{name}/data", "--name", "far").code == 0
    assert kit("diff", "far:v1", "far:v2", "--json").json["files"] == [
        {"path": "x.bin", "verdict": "changed", "sure": False}
    ]


def test_an_evidence_that_there_is_not_is_refused_in_plain_words(kit, registry: Registry) -> None:
    said = kit("verify", "m", "--evidence", "ful", env={"COLUMNS": "200"})
    assert said.code == 2
    assert "'ful' is not one of" in said.err
    assert "Value error" not in said.err
