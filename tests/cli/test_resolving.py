"""`resolve`."""

from pathlib import Path

from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry


def test_a_reference_is_where_its_data_is(kit, store: Registry, data: Path) -> None:
    for ref in ("nano3/data", "art://nano3/data", "nano3-data:v1", "art://nano3-data:1", "nano3-data:latest"):
        assert kit("resolve", ref).out == f"{data}\n"
    assert kit("resolve", "tuned").out == f"{data}/b.txt\n"


def test_a_snapshot_is_laid_out(kit, store: Registry, data: Path) -> None:
    folder = Path(kit("resolve", "base:good").out.rstrip("\n"))
    assert folder.is_relative_to(store.root)
    assert (folder / "train" / "a.txt").read_text() == "hello\n"


def test_a_snapshot_is_laid_out_as_is_asked(kit, store: Registry, data: Path) -> None:
    folder = Path(kit("resolve", "base:good", "--checkout", "hardlink").out.rstrip("\n"))
    assert (folder / "train" / "a.txt").stat().st_nlink > 1
    assert kit("resolve", "base:good", "--checkout", "copy").out == f"{folder}\n"  # it is there
    refused = kit("resolve", "base:good", "--checkout", "symlink")
    assert (refused.code, refused.out) == (2, "")
    assert "hardlink" in refused.err


def test_a_path_inside(kit, store: Registry, data: Path) -> None:
    assert kit("resolve", "nano3/data:v1/train/a.txt").out == f"{data}/train/a.txt\n"
    assert kit("resolve", "nano3/data/train/a.txt").out == f"{data}/train/a.txt\n"
    found = kit("resolve", "art://base:v1/b.txt", "--json").json
    assert Path(found["path"]).read_text() == "x\n"
    assert (found["uri"], found["version"], found["inside"]) == ("art://base:v1", 1, "b.txt")


def test_a_path_inside_that_is_not_there_or_leads_out(kit, store: Registry, data: Path) -> None:
    missing = kit("resolve", "nano3/data:v1/none.txt")
    assert (missing.code, missing.out) == (1, "")
    (data / "out").symlink_to("/etc")
    outside = kit("resolve", "nano3/data:v1/out/passwd")
    assert (outside.code, outside.out) == (1, "")
    assert "leaves the artifact" in outside.err


def test_json(kit, store: Registry, data: Path) -> None:
    document = kit("resolve", "nano3/data", "--json").json
    assert document["path"] == str(data)
    assert "inside" not in document


def test_data_at_a_url_is_its_url(kit, store: Registry) -> None:
    store.publish(Draft(name="far", source="s3://bucket/x"))
    assert kit("resolve", "far").out == "s3://bucket/x\n"
    assert kit("resolve", "far:v1/part.txt").out == "s3://bucket/x/part.txt\n"


def test_a_withdrawn_version_says_why(kit, store: Registry) -> None:
    kit("rm", "base:v1", "-m", "trained on the test set")
    said = kit("resolve", "base:v1")
    assert (said.code, said.out) == (1, "")
    assert "trained on the test set" in said.err
    assert kit("resolve", "base:good").code == 1
    assert kit("resolve", "base").code == 1


def test_a_snapshot_in_a_bucket_is_laid_out_on_this_machine(kit, data: Path, monkeypatch) -> None:
    monkeypatch.setenv("NEMO_ARTIFACT_ROOT", f"memory://{data}/store")
    assert kit("register", str(data), "--name", "base", "--snapshot").code == 0
    folder = Path(kit("resolve", "base").out.rstrip("\n"))
    assert (folder / "train" / "a.txt").read_text() == "hello\n"
    assert Path(kit("resolve", "base:v1/b.txt").out.rstrip("\n")).read_text() == "x\n"
    assert kit("inspect", "art://base", "--json").json["path"] == str(folder)
    assert kit("show", "base", "--json").json["data"] == "stored"
