"""`register`, `rm`."""

from pathlib import Path

import pytest

from nemotron.kit.registry.registry import Registry


def test_register_says_what_it_made(kit, registry: Registry, data: Path) -> None:
    said = kit("register", "data", "--name", "nano3/x", "--alias", "a", "--alias", "b")
    assert (said.code, said.out) == (0, "published art://nano3-x:v1  (a, b)\n")
    again = kit("register", str(data), "--name", "nano3/x")
    assert again.out == "art://nano3-x:v1 is the same already\n"
    assert registry.aliases("nano3/x") == {"a": 1, "b": 1}
    assert registry.resolve("nano3/x").type == "artifact"
    assert kit("register", "data", "--name", "nano3/x", "-q").out == "art://nano3-x:v1\n"


def test_register_as_json(kit, store: Registry, data: Path) -> None:
    call = ("register", "data/b.txt", "--name", "art://m", "--type", "ModelArtifact", "--json")
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
        (("", "--name", "m"), 2, "Not a path"),
        (("data",), 2, "Missing option '--name'"),
    ],
)
def test_what_register_refuses(
    kit, registry: Registry, data: Path, call: tuple[str, ...], code: int, text: str
) -> None:
    said = kit("register", *call)
    assert (said.code, said.out) == (code, "")
    assert text in said.err


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
