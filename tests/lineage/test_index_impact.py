"""`impact` and `recall` of what very much was made of: the first answers, at the cost of these."""

import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.errors import MisuseError
from nemotron.kit.lineage import collect, query
from nemotron.kit.lineage.descent import WAY_MAX, Descent
from nemotron.kit.lineage.graph import Edge, Graph, Node
from nemotron.kit.lineage.impact import WEIGHED_FOR_EACH, Found, impact, recall
from nemotron.kit.lineage.index import Index
from nemotron.kit.lineage.reading import Reading
from nemotron.kit.registry import layout, stamps
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

DATASET = "hf://datasets/org/web"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A store with the version `first:v1`, made of the dataset."""
    registry = Registry.open(tmp_path / "store")
    registry.publish(Draft(name="first", source="s3://b/x", inputs=(DATASET,)))
    return registry


def put(registry: Registry, name: str, version: int, used: Sequence[str], at: int, kind: str = "Data") -> str:
    """A version as publishing leaves it, made `at` seconds after the others."""
    manifest = Manifest(
        name=name,
        version=version,
        type=kind,
        path=f"/data/{name}",
        created_at=f"2025-01-01T{at // 3600:02}:{at // 60 % 60:02}:{at % 60:02}+00:00",
        metadata={},
        used_artifacts=tuple(used),
        inputs=(),
        write_id=stamps.uuid7(),
    )
    registry.store.create(layout.manifest(name, version), manifest.to_bytes())
    return f"{name}:v{version}"


def fan(registry: Registry, many: int, names: int = 20, kind: str = "Data") -> None:
    for at in range(many):
        put(registry, f"fan-{at % names:02}", at // names + 1, ["first:v1"], at, kind)


def uris(found: Sequence[object]) -> list[str]:
    return [getattr(one, "hit", one).node.uri for one in found]


def test_the_first_are_those_that_come_first_among_all(registry: Registry) -> None:
    rng = random.Random(5)
    made = ["first:v1"]
    order = rng.sample(range(3600), 200)  # numbers of versions and times don't go together
    for at in range(200):
        used = [made[0], *rng.sample(made[-9:], min(2, len(made)))]
        made.append(put(registry, f"n{at % 13}", at // 13 + 1, dict.fromkeys(used), order[at]))
    registry.alias("n3", "good", 1)
    registry.alias("n3", "old", 2)
    registry.alias("n3", "old", 4)
    registry.withdraw("n4:v16", "bad")
    whole = impact(registry, DATASET)
    assert len(whole) == 201
    assert whole.is_whole
    assert uris(whole)[:2] == ["art://n3:v4", "art://n3:v1"]
    for limit in (0, 1, 2, 7, 60, 201, 500):
        few = impact(registry, DATASET, limit=limit)
        assert few == whole[:limit]
        assert (few.rest, few.deeper) == (201 - len(few), 0)
        assert recall(registry, DATASET, limit=limit) == recall(registry, DATASET)[:limit]


def test_no_more_is_looked_at_than_is_given(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    fan(registry, 2000)
    registry.alias("fan-07", "production", 1)
    impact(registry, "first", limit=0)  # the index reads it all once
    looked_at: list[str] = []
    real = collect.Search.node

    def node(search: collect.Search, uri: str) -> Node | None:
        looked_at.append(uri)
        return real(search, uri)

    monkeypatch.setattr(collect.Search, "node", node)
    found = impact(registry, "first", limit=5)
    assert uris(found)[:2] == ["art://fan-07:v1", "art://fan-19:v100"]
    assert found[0].aliases == ("production",)
    assert found.rest == 1995
    assert len(looked_at) <= 5 + 2
    looked_at.clear()
    assert len(recall(registry, "first", limit=5)) == 5
    assert len(looked_at) <= 5 * WEIGHED_FOR_EACH + 2


def test_recall_passes_over_what_holds_nothing_but_not_without_end(registry: Registry) -> None:
    fan(registry, 300, kind="EvalArtifact")  # newer than the one that holds it
    registry.publish(
        Draft(name="tuned", source="s3://b/y", type="ModelArtifact", used_artifacts=("first:v1",))
    )
    put(registry, "older", 1, ["first:v1"], 0, "PretrainData")
    fully = recall(registry, "first")
    one = recall(registry, "first", limit=1)
    assert one == fully[:1]
    assert one.rest == 301
    for number in range(1, 4):
        found = recall(registry, "first", limit=number)
        assert found.rest >= 302 - number * WEIGHED_FOR_EACH
        assert found == fully[: len(found)]


def test_a_depth_counts_what_is_beyond_it(registry: Registry) -> None:
    above = "first:v1"
    for at in range(5):
        above = put(registry, "chain", at + 1, [above], at)
    found = impact(registry, DATASET, depth=3)
    assert uris(found) == ["art://first:v1", "art://chain:v2", "art://chain:v1"]
    assert (found.rest, found.deeper, found.is_whole) == (0, 3, False)
    found = impact(registry, DATASET, depth=3, limit=1)
    assert (len(found), found.rest, found.deeper) == (1, 2, 3)
    nothing = impact(registry, DATASET, depth=0)
    assert (nothing, nothing.deeper) == ([], 6)
    for wrong in ({"limit": -1}, {"depth": -1}):
        with pytest.raises(MisuseError, match="expected 0 or more"):
            impact(registry, DATASET, **wrong)


def test_a_very_long_way_is_told_by_its_ends(registry: Registry) -> None:
    above = "first:v1"
    for at in range(2 * WAY_MAX):
        above = put(registry, "chain", at + 1, [above], at)
    hits = {hit.node.uri: hit for hit in impact(registry, "first")}
    far, near = hits[f"art://chain:v{2 * WAY_MAX}"], hits["art://chain:v3"]
    assert near.path == ("art://first:v1", *(f"art://chain:v{at}" for at in (1, 2, 3)))
    assert (near.path_skipped, len(far.path), far.path_skipped) == (0, WAY_MAX, WAY_MAX + 1)
    assert (far.path[0], far.path[-1]) == ("art://first:v1", far.node.uri)
    assert far.path[1] == f"art://chain:v{WAY_MAX + 2}"


PLACES = "abcdef"
any_edges = st.sets(st.tuples(st.sampled_from(PLACES), st.sampled_from(PLACES)))


@given(any_edges, st.randoms(use_true_random=False))
def test_a_way_is_a_shortest_path_whatever_the_ids_are(
    edges: set[tuple[str, str]], rng: random.Random
) -> None:
    nodes = tuple(
        Node(
            uri=place,
            kind="artifact",
            type="T",
            name=place,
            version=1,
            inputs=tuple(source for source, target in sorted(edges) if target == place),
        )
        for place in PLACES
    )
    graph = Graph("a", nodes, tuple(Edge(*edge) for edge in sorted(edges)))
    below = [uri for uri in query.descendants(graph, "a") if uri != "a"]
    with Index(":memory:") as index, Index(":memory:") as other:
        index.add(map(Reading, nodes))
        for node in rng.sample(nodes, len(nodes)):
            other.add([Reading(node)])
        descent, again = Descent(index, "a"), Descent(other, "a")
        assert descent.count() == len(below)
        assert descent.names() == set(below)
        for uri in below:
            way, skipped = descent.way(uri)
            assert skipped == 0
            assert descent.steps(uri) == len(way) - 1
            assert way in query.shortest_paths(graph, "a", uri, most=100_000)
            assert again.way(uri) == (way, 0)


def test_circles_end(registry: Registry) -> None:
    put(registry, "a", 1, ["first:v1", "b:v1"], 1)
    put(registry, "b", 1, ["a:v1"], 2)
    assert uris(impact(registry, "a")) == ["art://b:v1"]
    assert uris(impact(registry, "first")) == ["art://b:v1", "art://a:v1"]


def test_what_was_taken_away_by_hand_is_no_answer(registry: Registry, tmp_path: Path) -> None:
    fan(registry, 40)
    assert len(impact(registry, "first")) == 40
    shutil.rmtree(tmp_path / "store" / "fan-19" / "v2")
    found = impact(registry, "first", limit=3)
    assert uris(found) == [f"art://fan-{at}:v{n}" for at, n in ((18, 2), (17, 2), (16, 2))]
    assert found.rest == 36


def test_answers_are_a_list() -> None:
    assert Found(["a"]) == ["a"]
    assert Found().is_whole
