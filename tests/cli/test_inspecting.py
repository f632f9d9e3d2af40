"""`inspect`: no store needed."""

import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from formats.counting import GOLDEN


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    folder = tmp_path / "shards"
    folder.mkdir()
    for suffix in (".bin", ".idx"):
        shutil.copy(GOLDEN / "megatron" / f"uint16{suffix}", folder / f"a{suffix}")
    return folder


def test_json(kit, shards: Path) -> None:
    said = kit("inspect", "shards", "--json")
    assert (said.code, said.err) == (0, "")
    assert said.json == {
        "path": str(shards),
        "type": "PretrainDataArtifact",
        "measured": {"total_tokens": 19, "total_sequences": 6, "total_documents": 3, "num_shards": 1},
        "unreadable": [],
    }


def test_what_is_unreadable_is_said_and_not_zero(kit, shards: Path) -> None:
    (shards / "blend.json").write_text("[]")
    said = kit("inspect", str(shards), "--json").json
    assert said["measured"] == {}
    assert {"field": "total_tokens", "why": f"{shards}/blend.json names no shards"} in said["unreadable"]
    assert "unreadable: " in kit("inspect", str(shards)).out


def test_a_person_reads_a_table(kit, shards: Path) -> None:
    lines = kit("inspect", "shards").out.splitlines()
    assert lines[0] == f"{shards}  PretrainDataArtifact  megatron"
    assert lines[1].split() == ["total_tokens", "19"]
    assert "total_tokens 19\n" in kit("inspect", "shards", "--quiet").out


def test_a_truncated_shard_fails_by_name(kit, shards: Path) -> None:
    (shards / "a.bin").write_bytes(b"")
    said = kit("inspect", "shards", "--json")
    assert (said.code, said.out) == (1, "")
    assert "a.bin is damaged" in said.err


def test_nothing_there(kit) -> None:
    said = kit("inspect", "gone")
    assert said.code == 1
    assert "Nothing is at gone" in said.err


def test_an_artifact_by_its_reference(kit, registry, shards: Path) -> None:
    from nemotron.kit.registry.records import Draft

    registry.publish(Draft(name="x", source=shards))
    assert kit("inspect", "art://x:v1", "--json").json["measured"]["total_tokens"] == 19


def test_names_that_steer_terminals(kit, tmp_path: Path) -> None:
    (tmp_path / "a\x1b[31m").mkdir()
    assert "\x1b" not in kit("inspect", "a\x1b[31m").out


def test_register_as_what_it_is(kit, registry, shards: Path) -> None:
    said = kit("register", "shards", "--name", "x", "--type", "auto", "--metadata", "note=hi", "--json").json
    assert said["type"] == "PretrainDataArtifact"
    assert (said["metadata"]["total_tokens"], said["metadata"]["note"]) == (19, "hi")
    assert said["metadata"]["count_evidence"]["total_tokens"] == "measured"
    again = kit("register", "shards", "--name", "x", "--type", "auto", "--metadata", "note=hi", "--json").json
    assert (again["created"], again["version"]) == (False, 1)


def test_register_refuses_a_wrong_count(kit, registry, shards: Path) -> None:
    said = kit("register", "shards", "--name", "x", "--type", "auto", "--metadata", "total_tokens=20")
    assert said.code == 1
    assert "total_tokens is said to be 20" in said.err
    assert registry.list() == []


def test_register_a_folder_that_a_manifest_describes(kit, registry, data: Path) -> None:
    (data / "t.jsonl").write_text("{}\n")
    (data / "manifest.json").write_text('{"train": "t.jsonl"}')
    said = kit("register", "data", "--name", "x", "--type", "auto", "--json").json
    assert (said["type"], said["path"]) == ("SplitJsonlDataArtifact", str(data / "manifest.json"))
    assert said["metadata"]["total_sequences"] == 1


def test_what_lies_at_a_url(kit, registry, shards: Path, tmp_path: Path) -> None:
    import fsspec

    place = f"memory://{tmp_path.name}/data"
    for path in shards.iterdir():
        fsspec.filesystem("memory").pipe_file(f"{place}/{path.name}", path.read_bytes())
    said = kit("inspect", place, "--json").json
    assert (said["path"], said["type"], said["measured"]["total_tokens"]) == (
        place,
        "PretrainDataArtifact",
        19,
    )
    assert kit("register", place, "--name", "far", "--type", "auto").code == 0
    assert kit("show", "far", "--json").json["metadata"]["total_tokens"] == 19
    assert kit("inspect", "art://far", "--json").json == said
    assert kit("inspect", "art://far/a.idx", "--json").json["measured"]["total_tokens"] == 19
    gone = kit("inspect", f"{place}/gone")
    assert (gone.code, "Nothing is at memory://" in gone.err) == (1, True)


def test_the_loss_share_is_unknown_until_it_is_asked_for(kit) -> None:
    said = kit("inspect", str(GOLDEN / "sft"), "--json").json
    assert "loss_share" not in said["measured"]
    assert any(item["field"] == "loss_share" and "--loss-share" in item["why"] for item in said["unreadable"])
    asked = kit("inspect", str(GOLDEN / "sft"), "--loss-share", "--json").json
    rows = [row for path in (GOLDEN / "sft").rglob("*.parquet") for row in pq.read_table(path).to_pylist()]
    mask = [value for row in rows for value in row["loss_mask"]]
    assert asked["measured"]["loss_share"] == sum(mask) / len(mask)
    assert not any(item["field"] == "loss_share" for item in asked["unreadable"])


def test_what_is_not_there_may_be_an_artifact(kit) -> None:
    said = kit("inspect", "team/data")
    assert said.code == 1
    assert "Nothing is at team/data. Check the path, or write art://team/data" in said.err
    assert "art://" not in kit("inspect", "../data").err


def test_a_server_that_is_down_is_not_taken_for_nothing(kit) -> None:
    said = kit("inspect", "http://127.0.0.1:9/x")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("error: Cannot look at http://127.0.0.1:9/x: Cannot connect")
    assert "then try again" in said.err


def test_what_is_no_file_and_no_folder_is_not_taken_for_nothing(kit, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for path, text in (
        ("pipe", "it is neither a file nor a folder"),
        ("loop", "A link there leads back to i"),
    ):
        said = kit("inspect", path)
        assert (said.code, said.out) == (1, "")
        assert said.err.startswith(f"error: Cannot read {path}: ")
        assert text in said.err
    said = kit("register", "pipe", "--name", "p", "--type", "auto", "--root", "store")
    assert "neither a file nor a folder" in said.err
