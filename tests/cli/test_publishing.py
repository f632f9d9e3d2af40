"""`register`, `rm`."""

import shutil
import sys
import types
from pathlib import Path

import pytest

from formats.counting import GOLDEN
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry


def test_register_says_what_it_made(kit, registry: Registry, data: Path) -> None:
    said = kit("register", "data", "--name", "nano3/x", "--alias", "a", "--alias", "b")
    assert (said.code, said.out) == (0, "published art://nano3-x:v1: 2 files, 8 B, stat evidence  (a, b)\n")
    again = kit("register", str(data), "--name", "nano3/x")
    assert again.out == "art://nano3-x:v1 is the same already\n"
    assert registry.aliases("nano3/x") == {"a": 1, "b": 1}
    assert registry.resolve("nano3/x").type == "artifact"
    assert kit("register", "data", "--name", "nano3/x", "-q").out == "art://nano3-x:v1\n"


def test_register_says_that_there_is_nothing_yet(kit, registry: Registry, data: Path) -> None:
    (data.parent / "later/deep").mkdir(parents=True)
    said = kit("register", "later", "--name", "m")
    assert (said.code, said.out) == (0, "published art://m:v1: 0 files, 0 B, stat evidence\n")
    assert "art://m:v1 is empty: there was no file in later" in said.err
    assert kit("register", "later", "--name", "m").err == ""  # it was said
    assert kit("register", "data", "--name", "m").err == ""
    (data.parent / "empty.bin").touch()
    assert kit("register", "empty.bin", "--name", "one").err == ""


@pytest.mark.parametrize("evidence", ["stat", "sampled", "full", None])
def test_register_says_that_a_snapshot_is_read_whatever_evidence_is_asked_for(
    kit, registry: Registry, data: Path, evidence: str | None
) -> None:
    asked = ("--evidence", evidence) if evidence else ()
    said = kit("register", "data", "--name", "s", "--snapshot", *asked)
    assert said.out == "published art://s:v1: 2 files, 8 B, full evidence\n"
    if evidence in ("full", None):
        assert said.err == ""
    else:
        assert f"--evidence {evidence} is passed over" in said.err
        assert "leave out --snapshot" in said.err


def test_register_says_how_much_it_is_and_how_closely_it_looked(kit, registry: Registry, data: Path) -> None:
    one = kit("register", "data/b.txt", "--name", "one", "--evidence", "full")
    assert one.out == "published art://one:v1: 1 file, 2 B, full evidence\n"
    snapshot = kit("register", "data", "--name", "s", "--snapshot")
    assert snapshot.out == "published art://s:v1: 2 files, 8 B, full evidence\n"
    far = kit("register", "http://127.0.0.1:1/x", "--name", "far")  # nobody is there
    assert far.out == "published art://far:v1: no evidence\n"


def test_register_as_json(kit, store: Registry, data: Path) -> None:
    call = (
        "register",
        "data/b.txt",
        "--name",
        "art://m",
        "--type",
        "ModelArtifact",
        "--metadata",
        "step=3",
        "--json",
    )
    document = kit(*call).json
    assert (document["uri"], document["created"], document["type"]) == ("art://m:v1", True, "ModelArtifact")
    assert document["path"] == str(data / "b.txt")
    assert kit(*call).json["created"] is False


def test_metadata_keeps_its_types(kit, registry: Registry, data: Path) -> None:
    pairs = [
        "n=25",
        "x=1.5",
        "flag=true",
        "none=null",
        "ids=[1, 2]",
        "text=hello world",
        "eq=a=b",
        'q="7"',
        "e=",
    ]
    options = [option for pair in pairs for option in ("--metadata", pair)]
    kit("register", "data", "--name", "m", *options)
    assert registry.resolve("m").metadata == {
        "n": 25,
        "x": 1.5,
        "flag": True,
        "none": None,
        "ids": [1, 2],
        "text": "hello world",
        "eq": "a=b",
        "q": "7",
        "e": "",
    }


@pytest.mark.parametrize("pairs", [("novalue",), ("=x",), ("a=1", "a=2")])
def test_bad_metadata_is_2(kit, registry: Registry, data: Path, pairs: tuple[str, ...]) -> None:
    said = kit(
        "register", "data", "--name", "m", *(option for pair in pairs for option in ("--metadata", pair))
    )
    assert (said.code, said.out) == (2, "")
    assert not Path(registry.root).exists()


def test_inputs(kit, store: Registry, data: Path, tmp_path: Path) -> None:
    refs = ["nano3/data", "art://base:good", "hf://datasets/a/b", "./data", "/abs/x"]
    said = kit("register", "data", "--name", "m", "--json", *(o for ref in refs for o in ("--input", ref)))
    assert said.json["inputs"] == [
        "art://nano3-data:v2",
        "art://base:v1",
        "hf://datasets/a/b",
        f"file://{tmp_path}/data",
        "file:///abs/x",
    ]
    missing = kit("register", "data", "--name", "m", "--input", "bse")
    assert (missing.code, missing.out) == (1, "")
    inside = kit("register", "data", "--name", "m", "--input", "base:v1/b.txt")
    assert inside.code == 2
    assert len(store.versions("m")) == 1


def test_snapshot_and_evidence(kit, registry: Registry, data: Path) -> None:
    kit("register", "data", "--name", "s", "--snapshot")
    (data / "b.txt").write_text("changed")
    assert Path(kit("resolve", "s:v1/b.txt").out.strip()).read_text() == "x\n"
    kit("register", "data", "--name", "f", "--evidence", "full")
    assert kit("show", "f", "--json").json["digest"].startswith("blake3:")
    assert kit("register", "data", "--name", "f", "--evidence", "some").code == 2


@pytest.mark.parametrize(
    ("call", "code", "text"),
    [
        (("nowhere", "--name", "m"), 1, "no such file or folder"),
        (("data", "--name", "../m"), 2, "Invalid artifact name"),
        (("data", "--name", "m:v1"), 2, "Invalid artifact name"),
        (("data", "--name", ".kit"), 2, "Invalid artifact name"),
        (("data", "--name", "m", "--alias", "v3"), 2, "looks like a version"),
        (("data", "--name", "m", "--alias", "latest"), 2, "latest"),
        (("", "--name", "m"), 2, "PATH is empty"),
        (("art://m", "--name", "n"), 2, "art://m names an artifact"),
        (("file://data", "--name", "m"), 2, "expected file:///absolute/path"),
        (("file:///no/where", "--name", "m"), 1, "no such file or folder: /no/where"),
        (("data",), 2, "Missing option '--name'"),
    ],
)
def test_what_register_refuses(
    kit, registry: Registry, data: Path, call: tuple[str, ...], code: int, text: str
) -> None:
    said = kit("register", *call)
    assert (said.code, said.out) == (code, "")
    assert text in said.err


def test_a_url_of_this_machine_is_the_path(kit, registry: Registry, data: Path) -> None:
    said = kit("register", f"file://{data}", "--name", "local", "--json").json
    assert said["path"] == str(data)
    # As it was recorded once.
    registry.publish(Draft(name="older", source=f"file://{data}", at_url={}))
    assert kit("cat", "older/b.txt").out == "x\n"
    assert kit("cp", "older", "out").code == 0


def test_another_spelling_of_a_key_is_refused(kit, store: Registry) -> None:
    said = kit("register", "data", "--name", "nano3-data")
    assert (said.code, said.out) == (1, "")
    assert "belongs to nano3/data" in said.err


def test_rm_withdraws(kit, store: Registry, data: Path) -> None:
    said = kit("rm", "nano3/data:v2", "-m", "wrong tokenizer")
    assert (said.code, said.out) == (0, "withdrawn art://nano3-data:v2\n")
    assert kit("resolve", "nano3/data:v2").code == 1
    assert kit("show", "nano3/data", "--json").json["version"] == 1
    assert (data / "b.txt").exists()
    again = kit("rm", "nano3/data:v2", "-m", "once more")
    assert again.code == 1
    assert "wrong tokenizer" in again.err


def test_rm_as_json(kit, store: Registry) -> None:
    document = kit("rm", "base:v1", "-m", "x", "--json").json
    assert (document["uri"], document["withdrawn"]) == ("art://base:v1", {"reason": "x"})


@pytest.mark.parametrize(
    "call", [("base", "-m", "x"), ("base:v1",), ("base:v1", "-m", " "), ("base:v1/b.txt", "-m", "x")]
)
def test_rm_needs_a_version_and_a_reason(kit, store: Registry, call: tuple[str, ...]) -> None:
    said = kit("rm", *call)
    assert (said.code, said.out) == (2, "")
    assert kit("resolve", "base:v1").code == 0


def test_follow_links(kit, registry: Registry, data: Path, tmp_path: Path) -> None:
    (tmp_path / "blob").write_text("far away")
    (data / "link.txt").symlink_to(tmp_path / "blob")
    for flags, files in (((), 2), (("--follow-links",), 3)):
        kit("register", str(data), "--name", "linked", *flags)
        assert kit("show", "linked", "--json").json["files"] == files


@pytest.mark.parametrize(
    ("type_", "said"),
    [
        ("ModelArtefact", "did you mean ModelArtifact?"),
        ("modelartifact", "did you mean ModelArtifact?"),
        ("Nonsense", "No artifact class is called Nonsense (there is Artifact, "),
        ("no_such_module:Mine", "Cannot import no_such_module"),
        ("json:loads", "json has no artifact class 'loads'"),
        (":X", "Cannot import"),
    ],
)
def test_a_class_that_nobody_knows_is_refused(
    kit, registry: Registry, data: Path, type_: str, said: str
) -> None:
    answer = kit("register", "data", "--name", "m", "--type", type_)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert not Path(registry.root).exists()


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ((), "says step; pass it to ModelArtifact(…), or on the command line with --metadata step=…"),
        (("step=abc",), "A ModelArtifact can't hold this metadata: step: "),
        (("step=-1",), "A ModelArtifact can't hold this metadata: step: "),
    ],
)
def test_metadata_that_the_class_can_not_hold_is_refused(kit, registry, data: Path, pairs, said: str) -> None:
    options = [option for pair in pairs for option in ("--metadata", pair)]
    answer = kit("register", "data", "--name", "m", "--type", "ModelArtifact", *options)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


def test_counts_of_a_type_are_read_and_checked(kit, registry: Registry, tmp_path: Path) -> None:
    for suffix in (".bin", ".idx"):
        shutil.copy(GOLDEN / "megatron" / f"uint16{suffix}", tmp_path / f"a{suffix}")
    call = ("register", ".", "--name", "m", "--type", "PretrainDataArtifact")
    refused = kit(*call, "--metadata", "total_tokens=20")
    assert (refused.code, "said to be 20, and" in refused.err) == (1, True)
    assert kit(*call, "--json").json["metadata"]["total_tokens"] == 19


def test_a_class_of_ones_own(kit, registry: Registry, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("my_recipe")
    exec("from nemotron.kit import Artifact\nclass CorpusOfMine(Artifact):\n    pages: int\n", vars(module))
    monkeypatch.setitem(sys.modules, "my_recipe", module)
    said = kit("register", "data", "--name", "m", "--type", "my_recipe:CorpusOfMine", "--metadata", "pages=3")
    assert said.code == 0, said.err
    assert registry.resolve("m").type == "CorpusOfMine"
    assert kit("register", "data", "--name", "l", "--type", "dataset").code == 0
    assert registry.resolve("l").type == "dataset"


def test_rm_deletes_data_that_is_named(kit, store: Registry, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "a.txt").write_text("12345678")
    kit("register", "mine", "--name", "mine")
    call = ("rm", "mine:v1", "-m", "not needed", "--delete-data")
    said = kit(*call, str(tmp_path))
    assert said.code == 2
    assert f"lies at {mine}" in said.err
    said = kit(*call, "mine")
    assert said.code == 1
    assert f"This would delete 1 file (8 B) in {mine}, for good." in said.err
    assert "--yes" in said.err
    assert store.resolve("mine:v1").version == 1
    said = kit(*call, "mine", "--yes", "--json")
    assert said.json["deleted"] == {"path": str(mine), "files": 1, "bytes": 8, "kept": []}
    assert not mine.exists()
    assert kit("resolve", "mine:v1").code == 1
