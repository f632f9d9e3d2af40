"""`ls`, `versions`, `show`."""

import shutil
from pathlib import Path

import pytest

from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

VERSION_FIELDS = {"uri", "name", "version", "type", "path", "created_at", "metadata", "inputs"}


def test_ls(kit, store: Registry) -> None:
    assert kit("ls").out == (
        "NAME        LATEST  VERSIONS  TYPE                  ALIASES\n"
        "base        v1      1         ModelArtifact         good→v1\n"
        "nano3/data  v2      2         PretrainDataArtifact\n"
        "tuned       v1      1         ModelArtifact\n"
    )
    assert kit("ls", "-q").out == "base\nnano3-data\ntuned\n"
    assert kit("ls", "--json").json[0] == {
        "name": "base",
        "semantic_name": "base",
        "latest": 1,
        "versions": 1,
        "type": "ModelArtifact",
        "aliases": {"good": 1},
    }


def test_ls_of_an_empty_root_says_how_to_begin_but_not_to_a_program(kit, registry: Registry) -> None:
    Path(registry.root).mkdir()
    said = kit("ls")
    assert (said.code, said.out) == (0, "")
    assert "nemotron kit register" in said.err
    as_json = kit("ls", "--json")
    assert (as_json.json, as_json.err) == ([], "")
    assert (kit("ls", "-q").out, kit("ls", "-q").err) == ("", "")
    assert list(Path(registry.root).iterdir()) == []


@pytest.mark.parametrize("form", [(), ("--json",), ("-q",)])
def test_ls_of_a_root_that_is_not_there(kit, store: Registry, form: tuple[str, ...]) -> None:
    mistyped = store.root.replace("/store", "/stroe")
    said = kit("ls", "--root", mistyped, *form)
    assert (said.code, said.out) == (1, "")
    assert f"No store at {mistyped}" in said.err
    assert f"Did you mean {store.root}?" in said.err
    assert not Path(mistyped).exists()
    assert "It will be made by the first publish" in kit("ls", "--root", f"{store.root}/a/b/c").err


def test_versions_are_oldest_first_with_withdrawn_ones_marked(kit, store: Registry) -> None:
    kit("rm", "nano3-data:v1", "-m", "bad\x1b[31m tokens")
    said = kit("versions", "nano3/data")
    lines = said.out.splitlines()
    assert [line.split()[0] for line in lines] == ["VERSION", "v1", "v2"]
    assert "withdrawn: bad\\x1b[31m tokens" in lines[1]
    assert "just now" in lines[2]
    assert "8 B" in lines[2]
    assert "latest" in lines[2]
    assert "25B tokens" in lines[2]
    first, second = kit("versions", "nano3/data", "--json").json
    assert first.keys() >= VERSION_FIELDS | {"aliases", "withdrawn"}
    assert first["withdrawn"]["reason"] == "bad\x1b[31m tokens"
    assert (second["version"], second["withdrawn"], second["aliases"]) == (2, None, ["latest"])
    assert (second["files"], second["size"]) == (2, 8)
    assert kit("versions", "nano3/data", "-q").out == "art://nano3-data:v2\n"


def test_versions_when_all_are_withdrawn(kit, store: Registry) -> None:
    kit("rm", "tuned:v1", "-m", "no good")
    assert "withdrawn: no good" in kit("versions", "tuned").out
    assert kit("ls", "--json").json[-1]["latest"] is None
    assert "withdrawn" in kit("ls").out


def test_show_has_everything(kit, store: Registry, data: Path) -> None:
    out = kit("show", "nano3/data").out
    for text in (
        "art://nano3-data:v2",
        "PretrainDataArtifact",
        "latest",
        "nano3/data",
        str(data),
        "just now",
        "2 files, 8 B; reference, evidence stat",
        "hf://datasets/org/name",
        "total_tokens",
        "25,000,000,000",
        "train/a.txt",
        "6 B",
    ):
        assert text in out
    document = kit("show", "nano3/data:v1", "--json").json
    assert document.keys() >= VERSION_FIELDS
    assert document["uri"] == "art://nano3-data:v1"
    assert document["version"] == 1
    assert document["inputs"] == ["hf://datasets/org/name"]
    assert document["metadata"]["round"] == 1
    assert (document["data"], document["mode"], document["files"]) == ("present", "reference", 2)
    assert document["aliases"] == []
    assert kit("show", "base", "-q").out == "art://base:v1\n"


def test_show_says_when_the_data_is_gone(kit, store: Registry, data: Path) -> None:
    shutil.rmtree(data)
    assert "gone: the data was moved or deleted" in kit("show", "nano3/data").out
    assert kit("show", "nano3/data", "--json").json["data"] == "gone"
    assert kit("show", "base", "--json").json["data"] == "stored"  # a snapshot needs no original


def test_show_of_a_snapshot_and_of_data_at_a_url(kit, store: Registry) -> None:
    assert "laid out when it is resolved" in kit("show", "base:good").out
    assert kit("show", "base").out.splitlines()[0] == "art://base:v1  ModelArtifact  latest, good"
    kit("resolve", "base")
    assert kit("show", "base", "--json").json["data"] == "present"
    store.publish(Draft(name="far", source="s3://bucket/x"))
    assert kit("show", "far", "--json").json["data"] == "remote"
    assert "not looked at when it was published" in kit("show", "far").out


def test_show_of_many_files_and_no_metadata(kit, registry: Registry, tmp_path: Path) -> None:
    for index in range(30):
        Path(tmp_path, "many", f"{index:02}").mkdir(parents=True)
    Path(tmp_path, "many", "link").symlink_to("00")
    registry.publish(Draft(name="many", source=tmp_path / "many"))
    out = kit("show", "many").out
    assert "… and 21 more" in out
    assert "metadata" not in out
    assert "empty folder" in out


def test_show_marks_the_links_that_a_snapshot_does_not_lay_out(kit, registry: Registry, data: Path) -> None:
    for name, target in (("in", "b.txt"), ("lost", "nowhere"), ("out", "../secret")):
        (data / name).symlink_to(target)
    registry.publish(Draft(name="kept", source=data, snapshot=True))
    lines = [line.split(maxsplit=1) for line in kit("show", "kept").out.splitlines()]
    marked = {"in": "→ b.txt", "lost": "→ nowhere", "out": "→ ../secret  leads out: not laid out"}
    assert {name: dict(line for line in lines if len(line) == 2)[name] for name in marked} == marked
    folder = Path(kit("resolve", "kept", "-q").out.strip())
    assert [name for name in marked if (folder / name).is_symlink()] == ["in", "lost"]


def test_what_metadata_holds_is_shown_and_not_obeyed(kit, registry: Registry, data: Path) -> None:
    evil = {"note": "[red]x[/red] \x1b]0;owned\x07", "k\x1b[2J": {"deep": ["\x1b[31m"]}, "long": "y" * 500}
    registry.publish(
        Draft(name="evil", source=data, metadata=evil, type="T\x1b[0m", inputs=("hf://\x1b[1m",))
    )
    for call in (
        ("show", "evil"),
        ("versions", "evil"),
        ("ls",),
        ("lineage", "evil"),
        ("show", "evil", "-q"),
    ):
        out = kit(*call).out
        assert out
        assert "\x1b" not in out
        assert "\x07" not in out
    assert "[red]x[/red]" in kit("show", "evil").out
    assert kit("show", "evil", "--json").json["metadata"] == evil


def test_nan_is_text_in_json(kit, store: Registry) -> None:
    assert kit("show", "tuned", "--json").json["metadata"] == {"loss": "NaN"}
    assert "nan" in kit("show", "tuned").out


def test_a_path_inside_is_no_version(kit, store: Registry) -> None:
    said = kit("show", "base:v1/b.txt")
    assert (said.code, said.out) == (2, "")
    assert "nemotron kit resolve" in said.err


def test_versions_of_a_version_are_that_one(kit, store: Registry) -> None:
    assert [listed["version"] for listed in kit("versions", "nano3/data:v1", "--json").json] == [1]
    kit("rm", "nano3-data:v1", "-m", "bad tokens")
    assert "bad tokens" in kit("versions", "nano3/data:v1").out
    said = kit("versions", "nano3/data:v99")
    assert (said.code, said.out) == (1, "")
    assert "nano3/data:v99" in said.err


def test_show_of_a_withdrawn_version_says_why(kit, store: Registry) -> None:
    kit("rm", "base:v1", "-m", "trained on\x1b[31m the test set")
    said = kit("show", "base:v1")
    assert said.code == 0
    assert "withdrawn  trained on\\x1b[31m the test set  by " in said.out
    assert "final_loss" in said.out
    document = kit("show", "base:v1", "--json").json
    assert document["withdrawn"]["reason"] == "trained on\x1b[31m the test set"
    assert document["inputs"] == ["art://nano3-data:v2"]
    Path(store.root, "base/v1/tombstone.json").write_text("{")
    assert "the reason can't be read" in kit("show", "base:good").out
    assert kit("show", "nano3/data:v2", "--json").json["withdrawn"] is None
    assert kit("resolve", "base:v1").code == 1


def test_a_torn_number_is_no_version(kit, store: Registry, data: Path) -> None:
    manifest = Path(store.root, "nano3-data/v2/manifest.json")
    manifest.chmod(0o644)
    manifest.write_bytes(manifest.read_bytes()[:40])
    listed = {entry["name"]: entry for entry in kit("ls", "--json").json}
    assert (listed["nano3-data"]["versions"], listed["nano3-data"]["latest"]) == (1, 1)


def test_an_alias_that_was_nearly_right(kit, store: Registry) -> None:
    assert "did you mean good?" in kit("show", "base:godo").err


def test_a_torn_manifest_is_told_of_once(kit, registry: Registry, data: Path) -> None:
    for step in range(3):
        (data / "b.txt").write_text(str(step))
        kit("register", "data", "--name", "torn")
    Path(registry.root, "torn/v2/manifest.json").write_text('{"name": "torn"')
    said = kit("versions", "torn")
    assert (said.code, said.err.count("is damaged")) == (0, 1)
