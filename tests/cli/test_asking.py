"""`impact`, `why`, `path`, `diff`, `log`."""

from pathlib import Path

import pytest

from nemotron.kit.console.differences import FIRST_SHOWN_MAX, NEAREST_SHOWN_MAX
from nemotron.kit.console.questions import NODES_SHOWN_MAX
from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry


def test_impact(kit, store: Registry) -> None:
    assert kit("impact", "nano3/data:v2", "-q").out.split() == ["art://tuned:v1", "art://base:v1"]
    first, second = kit("impact", "hf://datasets/org/name", "--json").json[:2]
    assert first["aliases"] == ["latest"]
    assert second["path"][0] == "hf://datasets/org/name"
    assert (first["share"], first["confidence"]) == (1.0, "estimated")
    assert kit("impact", "tuned").out == "Nothing was made of it\n"
    assert kit("impact", "hf://datasets/org/other").code == 1


def test_path(kit, store: Registry) -> None:
    said = kit("path", "tuned", "hf://datasets/org/name")
    assert said.out == "hf://datasets/org/name → art://nano3-data:v2 → art://tuned:v1\n"
    assert kit("path", "base", "nano3/data:v1").code == 1


def test_common(kit, store: Registry, data: Path) -> None:
    store.publish(Draft(name="other", source=data, used_artifacts=("nano3-data:v2",)))
    assert kit("common", "tuned", "other").out == (
        "   COMMON                  TYPE                  STEPS FROM A  FROM B\n"
        "*  art://nano3-data:v2     PretrainDataArtifact  1             1\n"
        "   hf://datasets/org/name  external              2             2\n"
    )
    assert kit("common", "tuned", "base", "--json").json["common"][0] == {
        "uri": "art://base:v1",
        "kind": "artifact",
        "type": "ModelArtifact",
        "steps": {"a": 1, "b": 0},
        "nearest": True,
    }
    assert kit("common", "base", "nano3/data:v2", "--down", "-q").out == "art://base:v1\nart://tuned:v1\n"
    assert kit("common", "tuned", "nano3/data:v1", "-q").out == "hf://datasets/org/name\n"
    store.publish(Draft(name="alone", source=data))
    assert kit("common", "alone", "base").out == "They have nothing in common\n"
    assert kit("common", "alone", "nothing").code == 1


def test_diff(kit, store: Registry) -> None:
    assert kit("diff", "nano3/data:v1", "nano3/data:v2").out == (
        "art://nano3-data:v1 → art://nano3-data:v2\n  metadata  ~ round: 1 → 2\n"
    )
    document = kit("diff", "nano3/data:v1", "nano3/data:v2", "--json").json
    assert document["a"] == "art://nano3-data:v1"
    assert document["metadata"] == {"round": {"a": 1, "b": 2}}
    assert (document["files"], document["inputs"], document["upstream"]) == ([], [], [])
    assert "nothing that was recorded is different" in kit("diff", "base", "base").out


def test_diff_refuses_a_path_inside(kit, store: Registry) -> None:
    """It compares all of both, which is not what was asked for."""
    for ref in ("base:v1/b.txt", "nano3/data:v2/train"):
        said = kit("diff", "base", ref)
        assert said.code == 2
        assert f"{ref} names a path inside art://" in said.err
        assert "name the artifact alone" in said.err
    for ref in ("nano3-data", "art://nano3/data", "nano3/data:latest"):
        assert kit("diff", "nano3/data:v1", ref).code == 0


@pytest.mark.parametrize("path", ["data/b.txt", "blend/blend.json"])
def test_diff_of_a_reference_and_a_snapshot_of_one_place_tells_no_other(
    kit, registry: Registry, data: Path, path: str
) -> None:
    """Also of an artifact that is a file, or whose path names a file in its folder."""
    (data.parent / "blend").mkdir()
    (data.parent / "blend/blend.json").write_text("{}")
    named = ("--type", "PretrainBlendsArtifact", "--metadata", "total_tokens=1")
    for snapshot in ((), ("--snapshot",)):
        assert kit("register", path, "--name", "m", *snapshot, *(named if "blend" in path else ())).code == 0
    document = kit("diff", "m:v1", "m:v2", "--json").json
    assert document["content"]["mode"] == {"a": "reference", "b": "snapshot"}
    assert document["place"] is None


@pytest.mark.parametrize("form", [(), ("--json",), ("-q",)])
@pytest.mark.parametrize(
    "ask", [("why",), ("log",), ("common", "tuned"), ("path", "hf://datasets/org/name")], ids=" ".join
)
def test_what_is_known_of_the_whole_alone_is_not_given_as_that_of_a_file(
    kit, store: Registry, ask: tuple[str, ...], form: tuple[str, ...]
) -> None:
    said = kit(*ask, "nano3/data:v2/train/a.txt", *form)
    assert said.code == 0
    assert said.out == kit(*ask, "nano3/data:v2", *form).out
    part = "art://nano3-data:v2/train/a.txt"
    whole = f"note: This is the answer for the whole artifact: nothing is recorded of {part} alone\n"
    assert said.err == whole
    missing = kit(*ask, "nano3/data:v2/train/b.txt", *form)
    assert (missing.code, missing.out) == (1, "")


def test_a_way_from_a_file_begins_with_it(kit, store: Registry, data: Path) -> None:
    part = "art://nano3-data:v2/train/a.txt"
    said = kit("path", "base", part)
    assert (said.code, said.out, said.err) == (0, f"{part} → art://base:v1\n", "")
    other = InputEdge(uri="art://nano3-data:v2", shards=("b.txt",))
    store.publish(Draft(name="other", source=data, used_artifacts=("nano3-data:v2",), edges=(other,)))
    refused = kit("path", "other", part)
    assert (refused.code, refused.out) == (1, "")
    assert "art://other:v1 was made of art://nano3-data:v2, but took other files" in refused.err
    down = kit("common", part, "nano3/data:v2", "--down", "-q")
    assert down.out.split() == ["art://nano3-data:v2", "art://base:v1", "art://tuned:v1"]
    assert "took other files of art://nano3-data:v2 than train/a.txt is left out" in down.err


def test_diff_counts_files_and_bytes(kit, registry: Registry, data: Path) -> None:
    for snapshot in ((), ("--snapshot",)):
        name = f"m{len(snapshot)}"
        kit("register", "data", "--name", name, *snapshot)
        (data / f"{name}.txt").write_text("more")
        kit("register", "data", "--name", name, *snapshot)
        document = kit("diff", f"{name}:v1", f"{name}:v2", "--json").json
        assert document["files"] == [{"path": f"{name}.txt", "verdict": "added"}]
        files, size = (document["totals"][key] for key in ("files", "bytes"))
        assert (files["b"] - files["a"], size["b"] - size["a"]) == (1, 4)
        drawn = kit("diff", f"{name}:v1", f"{name}:v2").out
        assert f"  total     ~ bytes: {size['a']} → {size['b']}\n" in drawn


def test_diff_without_a_listing_does_not_call_files_the_same(kit, store: Registry, data: Path) -> None:
    url = "s3://bucket/data"
    for name, source in (("m", url), ("m", data), ("other", url)):  # nobody looks at what is at the URL
        store.publish(Draft(name=name, source=source))
    assert kit("diff", "m:v1", "m:v2").out == (
        "art://m:v1 → art://m:v2\n"
        "  files     can't be compared: no listing of art://m:v1 can be read\n"
        f"  place     {url} → {data}\n"
    )
    document = kit("diff", "m:v1", "m:v2", "--json").json
    assert (document["same"], document["files"], document["unlisted"]) == (False, None, ["art://m:v1"])
    assert kit("diff", "m:v1", "other").out.splitlines()[1:] == [
        "  nothing that was recorded is different",
        "  files     can't be compared: no listing of art://m:v1 and art://other:v1 can be read",
    ]


def test_a_long_way_up_is_shown_from_both_ends(kit, registry: Registry, data: Path) -> None:
    length = FIRST_SHOWN_MAX + NEAREST_SHOWN_MAX + 4
    for round_ in (1, 2):
        for at in range(length):
            used = (f"n{at - 1}:v{round_}",) if at else ()
            registry.publish(Draft(name=f"n{at}", source=data, metadata={"r": round_}, used_artifacts=used))
    last = length - 1
    nearest = range(last - NEAREST_SHOWN_MAX, length)
    heads = [f"art://n{at}:v1 → art://n{at}:v2" for at in (*range(FIRST_SHOWN_MAX), *nearest)]
    heads.insert(FIRST_SHOWN_MAX, "… 3 more versions that changed between: --json shows all")
    for command in (("diff", f"n{last}:v1", f"n{last}:v2"), ("why", f"n{last}:v2")):
        lines = kit(*command).out.splitlines()
        assert [
            line for line in lines if line.startswith(("art://n", "… ")) and "artifact" not in line
        ] == heads
        document = kit(*command, "--json").json
        assert len((document.get("previous") or document)["upstream"]) == last


def test_very_many_inputs_are_counted(kit, registry: Registry, data: Path) -> None:
    hundreds = tuple(f"hf://datasets/org/d{at:03}" for at in range(300))
    registry.publish(Draft(name="m", source=data, metadata={"r": 1}))
    registry.publish(Draft(name="m", source=data, inputs=hundreds))
    lines = kit("why", "m").out.splitlines()
    assert f"from      … {300 - NODES_SHOWN_MAX} more inputs: --json shows all" in lines
    assert "  input     … 280 more changes: --json shows all" in lines
    assert len(lines) < 80
    assert len(kit("why", "m", "--json").json["made_from"]) == 300


def test_diff_shows_hostile_text_as_text(kit, store: Registry, data: Path) -> None:
    store.publish(Draft(name="odd", source=data, metadata={"a\x1b[31m": "\x1b]0;x\x07"}))
    out = kit("diff", "odd", "base").out
    assert "\x1b" not in out
    assert "\\x1b[31m" in out


def test_why(kit, store: Registry) -> None:
    out = kit("why", "tuned").out
    assert out.startswith("art://tuned:v1  ModelArtifact\nmade      ")
    assert "from      art://base:v1  ModelArtifact, step 1,000, final loss 2.31\n" in out
    assert "began at  hf://datasets/org/name  external\n" in out
    assert out.endswith("The first version of its name.\n")
    assert "round: 1 → 2" in kit("why", "nano3/data").out


def test_log(kit, store: Registry) -> None:
    kit("alias", "nano3/data:v1", "good", "-m", "checked")
    kit("rm", "nano3-data:v1", "-m", "half is missing")
    out = kit("log", "nano3/data").out
    assert [line.split("  ")[-1].strip() for line in out.splitlines()][-2:] == ["checked", "half is missing"]
    assert kit("log", "nano3/data:v1", "-q").out.splitlines() == [
        "published art://nano3-data:v1",
        "alias art://nano3-data:v1",
        "withdrawn art://nano3-data:v1",
    ]


def test_roles_and_parts_are_shown_where_types_do_not_tell_them(kit, store: Registry, data: Path) -> None:
    edges = (
        InputEdge(uri="art://base:v1", role="reward_model"),
        InputEdge(uri="art://nano3-data:v2", role="data", split="train", shards=("a", "b"), weight=0.25),
        InputEdge(uri="art://nano3-data:v2", role="eval", token_range=(0, 1000)),
    )
    used = ("base:v1", "tuned:v1", "nano3-data:v2")
    store.publish(Draft(name="rl", source=data, type="ModelArtifact", used_artifacts=used, edges=edges))
    of_data = "as data: split train, 2 shards, weight 0.25; as eval: tokens 0 to 1,000"
    for command in (("why", "rl"), ("lineage", "rl", "--depth", "1")):
        lines = kit(*command).out.splitlines()
        assert any("art://base:v1" in line and line.endswith("  as reward_model") for line in lines)
        assert any("art://nano3-data:v2" in line and line.endswith(f"  {of_data}") for line in lines)
        assert not any("art://tuned:v1" in line and " as " in line for line in lines)
    assert any(
        line.endswith("  as reward_model") for line in kit("lineage", "base", "--down").out.splitlines()
    )
    made_from = {one["uri"]: one["uses"] for one in kit("why", "rl", "--json").json["made_from"]}
    assert made_from["art://base:v1"] == [{"role": "reward_model"}]
    assert made_from["art://tuned:v1"] == [{"role": "base_model"}]
    assert [one["role"] for one in made_from["art://nano3-data:v2"]] == ["data", "eval"]
