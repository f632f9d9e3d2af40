"""What was made of an artifact: the nearest of very many, and of a part of one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.errors import MisuseError, NotFoundError, PathNotFoundError
from nemotron.kit.lineage import questions
from nemotron.kit.lineage.collect import collect, made_of
from nemotron.kit.lineage.graph import Graph, Node
from nemotron.kit.lineage.query import descendants, nearest
from nemotron.kit.lineage.search import Search
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.memory import MemoryStore


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry.open(tmp_path / "store")


def make(registry: Registry, name: str, *used: str, edges: tuple[InputEdge, ...] = ()) -> None:
    registry.publish(Draft(name=name, source="s3://b/x", type="T", used_artifacts=used, edges=edges))


def uris(graph: Graph) -> list[str]:
    return [node.uri for node in graph]


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The nodes that were looked at in the store."""
    seen: list[str] = []
    node = Search.node

    def counted(self: Search, uri: str) -> Node | None:
        seen.append(uri)
        return node(self, uri)

    monkeypatch.setattr(Search, "node", counted)
    return seen


def test_of_a_fan_only_the_nearest_are_looked_at(registry: Registry, looked_at: list[str]) -> None:
    make(registry, "base")
    for at in range(30):
        make(registry, f"out{at:02}", "base:v1")
    make(registry, "deep", "out07:v1")
    graph, more = made_of(registry, "base", most=3)
    assert uris(graph) == ["art://base:v1", "art://out00:v1", "art://out01:v1", "art://out02:v1"]
    assert (looked_at, more) == (uris(graph), 28)
    assert made_of(registry, "base", most=3, depth=1)[1] == 27
    looked_at.clear()
    assert made_of(registry, "base", most=3, levels=5)[1] == 28
    assert looked_at == uris(graph)
    assert made_of(registry, "base", most=31, levels=1)[1] == 0
    for wrong in ({"most": -1}, {"depth": -1}):
        with pytest.raises(MisuseError, match="expected 0 or more"):
            made_of(registry, "base", **wrong)


def test_of_what_is_deeper_than_is_shown_one_stands_for_the_others(
    registry: Registry, looked_at: list[str]
) -> None:
    """So whoever draws two levels sees of each node on the second whether it goes on."""
    make(registry, "base")
    for one in "ab":
        make(registry, one, "base:v1")
        make(registry, f"{one}2", f"{one}:v1")
    for at in range(9):
        make(registry, f"both{at}", "a2:v1", "b2:v1")
        make(registry, f"only{at}", "b2:v1")
    graph, more = made_of(registry, "base", most=4, levels=2)
    assert more == 0
    assert len(looked_at) == len(graph) <= 1 + 4 + 2
    assert graph.outputs("art://a2:v1")
    assert graph.outputs("art://b2:v1")


@given(st.lists(st.sets(st.integers(0, 5), max_size=3), min_size=6, max_size=6), st.integers(0, 6), st.data())
def test_the_nearest_are_those_of_the_whole_graph(
    made_from: list[set[int]], most: int, data: st.DataObject
) -> None:
    registry = Registry(MemoryStore())
    for at, inputs in enumerate(made_from):
        make(registry, f"n{at}", *(f"n{one}:v1" for one in sorted(inputs) if one < at))
    depth = data.draw(st.none() | st.integers(0, 4))
    whole = collect(registry, "n0", direction="down", depth=depth)
    graph, more = made_of(registry, "n0", most=most, depth=depth)
    assert (len(graph), more) == (min(most, len(whole) - 1) + 1, nearest(whole, most)[1])
    for steps in range(5):
        within = descendants(whole, whole.uri, depth=steps)
        if len(within) <= most:
            assert set(within) <= set(uris(graph))
    assert set(graph.edges) == {one for one in whole.edges if one.source in graph and one.target in graph}
    levels = data.draw(st.integers(0, 4))
    drawn = made_of(registry, "n0", most=most, depth=depth, levels=levels)[0]
    within = descendants(whole, whole.uri, depth=levels)
    if len(within) <= most:
        assert set(within) <= set(uris(drawn))
        goes_on = [uri for uri in (whole.uri, *within) if whole.outputs(uri)]
        assert [uri for uri in (whole.uri, *within) if drawn.outputs(uri)] == goes_on


@pytest.fixture
def parts(registry: Registry, tmp_path: Path) -> Registry:
    """`data` of two shards; `one` took the first, `other` and `late` the second, `all` and `twice` both."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("part-0.bin", "part-1.bin", "empty.bin", "tokenizer.json"):
        (folder / name).write_text("" if name == "empty.bin" else "x")
    registry.publish(Draft(name="data", source=folder))

    def use(*shards: str) -> InputEdge:
        return InputEdge(uri="art://data:v1", shards=shards)

    make(registry, "one", "data:v1", edges=(use("part-0.bin", "empty.bin"),))
    make(registry, "other", "data:v1", edges=(use("part-1"),))
    make(registry, "all", "data:v1")
    make(registry, "twice", "data:v1", edges=(use("part-0.bin"), use("part-1.bin")))
    make(registry, "late", "data:v1", "one:v1", edges=(use("part-1.bin"),))
    return registry


def test_of_a_part_there_is_what_took_it(parts: Registry) -> None:
    graph = collect(parts, "data:v1/part-0.bin", direction="down")
    assert set(uris(graph)) == {f"art://{name}:v1" for name in ("data", "one", "all", "twice", "late")}
    made = {(edge.source, edge.target) for edge in graph.edges}
    assert ("art://data:v1", "art://late:v1") not in made
    assert ("art://one:v1", "art://late:v1") in made
    assert [edge.said and edge.said.shards for edge in graph.edges_to("art://twice:v1")] == [("part-0.bin",)]
    assert graph.notes == ("What said that it took other files of art://data:v1 than part-0.bin is left out",)
    assert made_of(parts, "data:v1/part-0.bin", most=1)[1] == 3
    # Nothing has a size, and yet it was taken; of what lies beside the data nobody says whether he took it.
    assert "art://one:v1" in collect(parts, "data:v1/empty.bin", direction="down")
    assert len(collect(parts, "data:v1/tokenizer.json", direction="down")) == 6
    assert len(collect(parts, "data:v1", direction="down")) == 6


def test_of_a_part_of_a_withdrawn_version_as_well(parts: Registry) -> None:
    parts.withdraw("data:v1", "bad")
    assert "art://other:v1" not in collect(parts, "data:v1/part-0.bin", direction="down")
    with pytest.raises(PathNotFoundError, match=r"No part-7\.bin in art://data:v1"):
        collect(parts, "data:v1/part-7.bin", direction="down")
    part = "art://data:v1/part-0.bin"  # the history of a name that has no living version is for all of it too
    assert questions.log(parts, "data/part-0.bin").notes == questions.log(parts, part).notes != ()
    assert questions.log(parts, "data").notes == ()


def test_ways_from_a_part_are_those_of_what_took_it(parts: Registry) -> None:
    part = "art://data:v1/part-0.bin"
    assert questions.paths(parts, "one", part) == ((part, "art://one:v1"),)
    assert questions.paths(parts, part, "late") == ((part, "art://one:v1", "art://late:v1"),)
    with pytest.raises(NotFoundError, match=r"but took other files of it than part-0\.bin"):
        questions.paths(parts, part, "other")
    assert questions.paths(parts, part, "one").notes == ()


def test_what_is_known_of_the_whole_alone_says_so(parts: Registry) -> None:
    part = "art://data:v1/part-0.bin"
    said = (f"This is the answer for the whole artifact: nothing is recorded of {part} alone",)
    assert collect(parts, part).notes == said
    assert questions.why(parts, part).notes == said
    assert questions.log(parts, part).notes == said
    assert questions.log(parts, "data/part-0.bin").notes == said
    assert [graph.notes for graph in questions.common(parts, part, "all")[:2]] == [said, ()]
    with pytest.raises(MisuseError, match=r"ask `recall` what holds the part"):
        questions.composition(parts, part)
    whole = (collect(parts, "data"), questions.why(parts, "data"), questions.log(parts, "data"))
    assert [one.notes for one in whole] == [(), (), ()]
