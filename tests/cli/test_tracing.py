"""`lineage`."""

import json
from pathlib import Path

from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry


def test_up(kit, store: Registry) -> None:
    assert kit("lineage", "tuned").out == (
        "art://tuned:v1  ModelArtifact  loss nan\n"
        "├── art://base:v1  ModelArtifact  step 1,000, final loss 2.31\n"
        "│   └── art://nano3-data:v2  PretrainDataArtifact  25B tokens\n"
        "│       └── hf://datasets/org/name  external\n"
        "└── art://nano3-data:v2  PretrainDataArtifact  (see above)\n"
    )


def test_down(kit, store: Registry) -> None:
    lines = kit("lineage", "nano3/data:v2", "--down").out.splitlines()
    assert lines[0].startswith("art://nano3-data:v2")
    assert any("art://base:v1" in line for line in lines)
    assert any("art://tuned:v1" in line for line in lines)
    assert "art://tuned:v1" in kit("lineage", "hf://datasets/org/name", "--down", "-q").out.splitlines()
    assert kit("lineage", "hf://datasets/org/name").code == 2
    assert kit("lineage", "hf://datasets/other/name", "--down").code == 1


def test_json_goes_from_the_input_to_what_was_made_of_it(kit, store: Registry) -> None:
    document = kit("lineage", "tuned", "--json").json
    assert document["uri"] == "art://tuned:v1"
    assert {node["uri"] for node in document["nodes"]} == {
        "art://tuned:v1",
        "art://base:v1",
        "art://nano3-data:v2",
        "hf://datasets/org/name",
    }
    assert all({"uri", "type"} <= node.keys() for node in document["nodes"])
    edges = {(edge["from"], edge["to"]) for edge in document["edges"]}
    assert ("art://base:v1", "art://tuned:v1") in edges
    assert all("role" in edge for edge in document["edges"])


def test_depth(kit, store: Registry) -> None:
    assert kit("lineage", "tuned", "--depth", "0", "-q").out == "art://tuned:v1\n"
    assert len(kit("lineage", "tuned", "--depth", "1", "-q").out.splitlines()) == 3
    assert kit("lineage", "tuned", "--depth", "-1").code == 2
    assert kit("lineage", "tuned", "--depth", "x").code == 2


def test_withdrawn_and_missing_inputs_stay_in_sight(kit, store: Registry, data: Path) -> None:
    kit("rm", "base:v1", "-m", "bad tokens")
    assert "withdrawn: bad tokens" in kit("lineage", "tuned").out
    store.publish(Draft(name="orphan", source=data, used_artifacts=("gone:v7",)))
    assert "art://gone:v7  missing" in kit("lineage", "orphan").out


def test_a_long_history_is_cut_for_a_person_only(kit, registry: Registry, data: Path) -> None:
    for number in range(1, 401):
        used = (f"chain:v{number - 1}",) if number > 1 else ()
        registry.publish(Draft(name="chain", source=data, metadata={"n": number}, used_artifacts=used))
    assert len(kit("lineage", "chain", "-q").out.splitlines()) == 400
    out = kit("lineage", "chain").out
    assert out.splitlines()[-1].endswith("… further: nemotron kit lineage art://chain:v384")
    assert len(out.splitlines()) == 18
    assert "--down art://chain:v17" in kit("lineage", "chain:v1", "--down").out
    assert len(kit("lineage", "chain:v384").out.splitlines()) == 18


def test_of_a_large_fan_a_person_sees_the_nearest(kit, registry: Registry, data: Path) -> None:
    registry.publish(Draft(name="base", source=data))
    for number in range(1, 205):
        registry.publish(Draft(name="out", source=data, metadata={"n": number}, used_artifacts=("base:v1",)))
    asked = ("lineage", "--down", "base")
    lines = kit(*asked).out.splitlines()
    assert len(lines) == 1 + 200 + 1
    assert lines[-1] == "The nearest 200 are shown; 4 more are left out: --limit 0 for all"
    assert len(kit(*asked, "--limit", "0").out.splitlines()) == 205
    few = kit(*asked, "-n", "2").out
    assert [line.split()[1] for line in few.splitlines()[1:3]] == ["art://out:v1", "art://out:v2"]
    # A program has all, unless it asks for less, and is then told so.
    assert len(kit(*asked, "-q").out.split()) == 205
    assert kit(*asked, "-n", "2", "-q").out.split() == ["art://base:v1", "art://out:v1", "art://out:v2"]
    whole = kit(*asked, "--json").json
    assert (len(whole["nodes"]), "rest" in whole, "notes" in whole) == (205, False, False)
    cut = kit(*asked, "-n", "2", "--json").json
    assert (len(cut["nodes"]), len(cut["edges"]), cut["rest"]) == (3, 2, 202)
    assert kit(*asked, "-n", "500", "--json").json["rest"] == 0
    assert kit(*asked, "--dot").out.count("->") == 204
    assert "202 more are left out" in kit(*asked, "--dot", "-n", "2").out
    assert kit(*asked, "-n", "-1").code == 2
    # Written for another tool it is the same.
    written = ("export", "base", "--down", "--to")
    assert kit(*written, "dot", "-n", "2").out == kit(*asked, "--dot", "-n", "2").out
    assert len(json.loads(kit(*written, "json", "-n", "2").out)["nodes"]) == 3
    assert len(json.loads(kit(*written, "json", "-n", "0").out)["nodes"]) == 205


def test_other_formats(kit, store: Registry) -> None:
    assert kit("lineage", "tuned", "--mermaid").out.startswith("flowchart LR\n")
    assert kit("lineage", "tuned", "--dot").out == kit("export", "tuned", "--to", "dot").out
    assert kit("lineage", "tuned", "--html").out.startswith("<!doctype html>\n")
    assert kit("lineage", "tuned", "--html", "--dot").code == 2
    assert kit("lineage", "tuned", "--json", "--dot").code == 2
    assert kit("export", "tuned", "--to", "pdf").code == 2
    assert kit("export", "hf://datasets/org/name", "--down", "--to", "json", "-q").out.startswith("{\n")


def test_the_lineage_of_a_file_that_is_not_there(kit, store: Registry) -> None:
    said = kit("lineage", "nano3/data:v1/nope.txt")
    assert (said.code, said.out) == (1, "")
    assert "nope.txt" in said.err
    assert kit("lineage", "nano3/data:v1/b.txt").code == 0


def test_the_lineage_of_a_file_says_what_it_is_of(kit, store: Registry, data: Path) -> None:
    part = "art://nano3-data:v2/train/a.txt"
    other = InputEdge(uri="art://nano3-data:v2", shards=("b.txt",))
    store.publish(Draft(name="other", source=data, used_artifacts=("nano3-data:v2",), edges=(other,)))
    whole = f"This is the answer for the whole artifact: nothing is recorded of {part} alone"
    took = "What said that it took other files of art://nano3-data:v2 than train/a.txt is left out"
    for asked, note in (((part,), whole), (("--down", part), took)):
        assert kit("lineage", *asked).out.splitlines()[-1] == note
        assert kit("lineage", *asked, "--json").json["notes"] == [note]
        assert kit("lineage", *asked, "--type", "external", "--json").json["notes"] == [note]
        quiet = kit("lineage", *asked, "-q")
        assert quiet.err == f"note: {note}\n"
        assert "art://other:v1" not in quiet.out.split()
        assert note in kit("export", *asked, "--to", "dot").out
    assert "art://other:v1" in kit("lineage", "--down", "nano3/data:v2", "-q").out.split()


def test_filters(kit, store: Registry) -> None:
    assert kit("lineage", "tuned", "--type", "model", "-q").out.split() == ["art://tuned:v1", "art://base:v1"]
    found = kit("lineage", "tuned", "--type", "external", "--json").json
    assert [node["uri"] for node in found["nodes"]] == ["art://tuned:v1", "hf://datasets/org/name"]
    assert found["edges"] == [{"from": "hf://datasets/org/name", "to": "art://tuned:v1", "role": "via"}]
    assert kit("lineage", "tuned", "--roots", "-q").out.split() == [
        "art://tuned:v1",
        "hf://datasets/org/name",
    ]
    down = kit("lineage", "hf://datasets/org/name", "--leaves", "-q").out.split()
    assert down == ["hf://datasets/org/name", "art://nano3-data:v1", "art://tuned:v1"]
    assert kit("lineage", "tuned", "--roots", "--leaves").code == 2
    assert kit("lineage", "tuned", "--roots", "--down").code == 2
    assert kit("lineage", "tuned", "--type", "nothing", "-q").out == "art://tuned:v1\n"
    assert kit("lineage", "tuned", "--roots", "--dot").out.count("->") == 1
