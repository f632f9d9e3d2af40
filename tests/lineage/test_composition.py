"""Shares by tokens: the worked examples of docs/design/007-composition.md, and properties."""

import math
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.errors import NotFoundError
from nemotron.kit.lineage.composition import Composition, composition
from nemotron.kit.lineage.graph import Node

Nodes = dict[str, Node]


def data(name: str, *inputs: str | InputEdge, sources: object = None, **metadata: Any) -> Node:
    said = metadata if sources is None else {"source_datasets": sources, **metadata}
    return version(name, "PretrainData", inputs, said)


def model(name: str, *inputs: str | InputEdge, **metadata: Any) -> Node:
    return version(name, "ModelArtifact", inputs, metadata)


def version(name: str, kind: str, inputs: Iterable[str | InputEdge], metadata: dict[str, Any]) -> Node:
    uses = [one if isinstance(one, InputEdge) else InputEdge(uri=one) for one in inputs]
    return Node(
        uri=f"art://{name}:v1",
        kind="artifact",
        type=kind,
        name=name,
        metadata=metadata,
        inputs=tuple(dict.fromkeys(use.uri for use in uses)),
        edges=tuple(use for use in uses if not use.is_plain),
    )


def of(*nodes: Node, uri: str | None = None) -> Composition:
    """The composition of the last of the nodes."""
    return composition({node.uri: node for node in nodes}, uri or nodes[-1].uri)


def shares(found: Composition) -> dict[str, tuple[float | None, str]]:
    return {
        one.uri: (None if one.share is None else round(one.share, 9), one.confidence) for one in found.sources
    }


def weighted(uri: str, weight: float) -> dict[str, object]:
    return {"uri": uri, "weight": weight}


E1 = data("e1", sources=[weighted("hf://a", 3), weighted("hf://b", 1)], total_tokens=80)
WEB = data("web", sources=["hf://web"], total_tokens=900)
CHAT = data("chat", sources=["hf://chat"], total_tokens=50)
BASE = model("base", "art://web:v1", trained_tokens=900)


def test_e1_a_blend() -> None:
    found = of(E1)
    assert shares(found) == {"hf://a": (0.75, "claimed"), "hf://b": (0.25, "claimed")}
    assert [one.tokens for one in found.sources] == [60, 20]
    assert (found.tokens, found.unknown_share) == (80, 0)


def test_e2_a_blend_of_a_blend() -> None:
    outer = data("outer", sources=[weighted("art://e1:v1", 1), weighted("hf://c", 1)], total_tokens=100)
    flat = data("flat", sources=[weighted("hf://a", 3), weighted("hf://b", 1), weighted("hf://c", 4)])
    expected = {"hf://c": (0.5, "claimed"), "hf://a": (0.375, "claimed"), "hf://b": (0.125, "claimed")}
    assert shares(of(E1, outer)) == shares(of(flat)) == expected


def test_e3_inputs_without_weights_count_by_their_tokens() -> None:
    found = of(
        data("x", total_tokens=30), data("y", total_tokens=10), data("both", "art://x:v1", "art://y:v1")
    )
    assert shares(found) == {"art://x:v1": (0.75, "estimated"), "art://y:v1": (0.25, "estimated")}
    assert found.tokens == 40


def test_e4_what_is_not_known_is_not_spread() -> None:
    found = of(data("d", sources=[{"uri": "hf://a", "num_tokens": 60}, {"uri": "hf://b"}], total_tokens=100))
    assert shares(found) == {"hf://a": (0.6, "claimed"), "hf://b": (None, "unknown")}
    assert found.unknown_share == pytest.approx(0.4)


def test_e5_sources_without_anything_are_unknown_and_one_alone_is_all() -> None:
    found = of(data("d", sources=["hf://a", "hf://b"], total_tokens=100))
    assert shares(found) == {"hf://a": (None, "unknown"), "hf://b": (None, "unknown")}
    assert found.unknown_share == 1
    assert of(data("d", sources=["hf://a"])).sources[0].share == 1


def test_e6_continued_training_adds_up() -> None:
    tuned = model("tuned", "art://base:v1", "art://chat:v1", trained_tokens=100)
    found = of(WEB, CHAT, BASE, tuned)
    assert shares(found) == {"hf://web": (0.9, "claimed"), "hf://chat": (0.1, "claimed")}
    assert found.tokens == 1000
    by_epochs = model("tuned", "art://base:v1", "art://chat:v1", epochs=2)
    assert shares(of(WEB, CHAT, BASE, by_epochs)) == {
        "hf://web": (0.9, "claimed"),
        "hf://chat": (0.1, "estimated"),
    }


def test_e7_a_merge() -> None:
    one = model("one", "hf://web", trained_tokens=100)
    two = model("two", "hf://chat", trained_tokens=300)
    merged = model("merged", "art://one:v1", "art://two:v1")
    assert shares(of(one, two, merged)) == {"hf://chat": (0.75, "estimated"), "hf://web": (0.25, "estimated")}
    even = model("merged", "art://one:v1", "art://two:v1", merge_weights=[1, 1])
    assert shares(of(one, two, even)) == {"hf://chat": (0.5, "claimed"), "hf://web": (0.5, "claimed")}


def test_e8_a_stage_of_unknown_size_makes_all_unknown() -> None:
    chat = data("chat", sources=["hf://chat"])
    found = of(WEB, chat, BASE, model("tuned", "art://base:v1", "art://chat:v1"))
    assert shares(found) == {"hf://chat": (None, "unknown"), "hf://web": (None, "unknown")}
    assert (found.unknown_share, found.tokens) == (1, None)


def test_a_count_that_was_read_is_measured_and_its_shares_with_it() -> None:
    web = data("web", sources=["hf://web"], total_tokens=900, count_evidence={"total_tokens": "measured"})
    assert of(web).sources[0].confidence == "measured"


def test_e9_training_on_nothing_that_was_recorded_is_unknown() -> None:
    found = of(WEB, BASE, model("tuned", "art://base:v1", trained_tokens=100))
    assert shares(found) == {"hf://web": (0.9, "claimed"), "art://tuned:v1": (None, "unknown")}
    assert (found.unknown_share, found.tokens) == (pytest.approx(0.1), 1000)
    # Nothing says that it was trained: the same model in another form.
    assert shares(of(WEB, BASE, model("hf", "art://base:v1"))) == {"hf://web": (1, "estimated")}


def test_e14_a_report_on_a_model_holds_no_data_and_gives_none() -> None:
    report = version("report", "Artifact", ["art://base:v1"], {"accuracy": 0.5})
    found = of(WEB, BASE, report)
    assert (found.sources, found.unknown_share) == ((), 1)
    summary = version("summary", "Artifact", ["art://report:v1"], {})
    assert of(WEB, BASE, report, summary).sources == ()
    # Whoever is made of data and of the report is made of that data.
    tuned = model("tuned", "art://base:v1", "art://chat:v1", "art://summary:v1", trained_tokens=100)
    expected = {"hf://web": (0.9, "claimed"), "hf://chat": (0.1, "claimed")}
    assert shares(of(WEB, CHAT, BASE, report, summary, tuned)) == expected
    # Text that a model wrote is data, and begins there; so is a report that somebody trained on, and said so.
    written = data("written", "art://base:v1", total_tokens=50)
    assert shares(of(WEB, BASE, written)) == {"art://written:v1": (1, "claimed")}
    trained = model("m", InputEdge(uri="art://report:v1", role="data"), trained_tokens=9)
    assert shares(of(WEB, BASE, report, trained)) == {"art://report:v1": (1, "claimed")}


def measured(tokens: int) -> dict[str, Any]:
    return {"total_tokens": tokens, "count_evidence": {"total_tokens": "measured"}}


@pytest.mark.parametrize(
    ("node", "confidence"),
    [
        (data("d", "hf://a", **measured(900)), "measured"),
        (data("d", sources=["hf://a"], **measured(900)), "measured"),
        (data("d", "hf://a", total_tokens=900), "claimed"),
        (data("d", sources=["hf://a"], total_tokens=900), "claimed"),
        (data("d", sources=["hf://a"]), "claimed"),
        (data("d", sources=[{"uri": "hf://a", "weight": 2}]), "claimed"),
        (data("d", "hf://a"), "estimated"),
        (model("m", "hf://a"), "estimated"),
        (model("m", "hf://a", trained_tokens=3), "claimed"),
        (data("d", **measured(900)), "measured"),
        (data("d", total_tokens=900), "claimed"),
        (data("d"), "claimed"),
    ],
)
def test_e10_one_source_alone_is_as_sure_as_the_count(node: Node, confidence: str) -> None:
    assert list(shares(of(node)).values()) == [(1, confidence)]


def test_e11_sources_that_were_counted_and_add_up_are_measured() -> None:
    parts = data("x", **measured(30)), data("y", **measured(10))
    whole = data("both", "art://x:v1", "art://y:v1", **measured(40))
    assert shares(of(*parts, whole)) == {"art://x:v1": (0.75, "measured"), "art://y:v1": (0.25, "measured")}
    filtered = data("both", "art://x:v1", "art://y:v1", **measured(39))
    assert {sure for _, sure in shares(of(*parts, filtered)).values()} == {"estimated"}
    claimed = data("both", "art://x:v1", "art://y:v1", total_tokens=40)
    assert {sure for _, sure in shares(of(*parts, claimed)).values()} == {"estimated"}


def test_e12_sources_that_are_named_without_weights_count_by_their_own_tokens() -> None:
    parts = data("x", total_tokens=30), data("y", total_tokens=10)
    said = data("both", sources=["art://x:v1", "art://y:v1"])
    assert shares(of(*parts, said)) == {"art://x:v1": (0.75, "estimated"), "art://y:v1": (0.25, "estimated")}


def use(uri: str, **said: Any) -> InputEdge:
    return InputEdge(uri=uri, **said)


X, Y = data("x", total_tokens=30), data("y", total_tokens=10)


def test_e13_weights_and_parts_that_were_said_of_inputs() -> None:
    weighed = data("d", use("art://x:v1", weight=1), use("art://y:v1", weight=3))
    assert shares(of(X, Y, weighed)) == {"art://x:v1": (0.25, "claimed"), "art://y:v1": (0.75, "claimed")}

    ranged = data("d", use("art://x:v1", token_range=(5, 10)), use("art://y:v1", tokens=15))
    found = of(X, Y, ranged)
    assert shares(found) == {"art://x:v1": (0.25, "claimed"), "art://y:v1": (0.75, "claimed")}
    assert found.tokens == 20

    split = data("d", use("art://x:v1", split="train"), "art://y:v1", total_tokens=25)
    found = of(X, Y, split)
    assert shares(found) == {"art://x:v1": (None, "unknown"), "art://y:v1": (0.4, "estimated")}
    assert found.unknown_share == pytest.approx(0.6)

    twice = data("d", use("art://x:v1", shards=("a",), tokens=2), use("art://x:v1", shards=("b",), tokens=4))
    assert shares(of(X, twice)) == {"art://x:v1": (1, "claimed")}
    assert of(X, twice).tokens == 6


def test_a_part_of_a_blend_is_mixed_like_the_blend_by_a_rule() -> None:
    part = data("part", use("art://e1:v1", split="train"), total_tokens=40)
    assert shares(of(E1, part)) == {"hf://a": (0.75, "estimated"), "hf://b": (0.25, "estimated")}
    assert shares(of(E1, data("all", "art://e1:v1", total_tokens=80)))["hf://a"] == (0.75, "claimed")


def test_what_is_named_without_a_weight_has_that_of_its_edge() -> None:
    said = data("d", use("hf://a", weight=3), use("hf://b", weight=1), sources=["hf://a", {"uri": "hf://b"}])
    assert shares(of(said)) == {"hf://a": (0.75, "claimed"), "hf://b": (0.25, "claimed")}


def test_roles_tell_data_and_bases_from_the_rest() -> None:
    judge = model("judge", "art://web:v1")
    tuned = model(
        "tuned",
        use("art://judge:v1", role="reward_model"),
        use("art://base:v1", role="base_model"),
        use("art://chat:v1", role="data"),
        trained_tokens=100,
    )
    assert shares(of(WEB, CHAT, BASE, judge, tuned)) == {
        "hf://web": (0.9, "claimed"),
        "hf://chat": (0.1, "claimed"),
    }
    odd = data("odd", use("art://base:v1", role="data"), use("art://chat:v1", role="eval"))
    assert shares(of(WEB, CHAT, BASE, odd)) == {"hf://web": (1, "estimated")}
    merged = model("m", use("art://base:v1", weight=1), use("art://tuned:v1", weight=3))
    assert shares(of(WEB, CHAT, BASE, judge, tuned, merged)) == {
        "hf://web": (0.925, "claimed"),
        "hf://chat": (0.075, "claimed"),
    }


def test_what_a_version_says_of_its_sources_is_all_of_them() -> None:
    said = data("d", "hf://a", "art://base:v1", "hf://tok", sources=["hf://a"], tokenizer_uri="hf://tok")
    assert shares(of(WEB, BASE, said)) == {"hf://a": (1, "claimed")}
    unsaid = data("d", "hf://a", "art://base:v1", "hf://tok", tokenizer_uri="hf://tok")
    assert shares(of(WEB, BASE, unsaid)) == {"hf://a": (1, "estimated")}


def test_missing_inputs_models_without_data_and_cycles_are_unknown() -> None:
    gone = Node(uri="art://gone:v1", kind="missing", type="artifact", name="gone")
    assert of(gone, data("d", "art://gone:v1")).unknown_share == 1
    assert of(model("m")).unknown_share == 1
    assert of(data("a", "art://b:v1"), data("b", "art://a:v1")).unknown_share == 1
    with pytest.raises(NotFoundError):
        composition({}, "art://a:v1")


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), -1, True, "3", None])
def test_a_weight_that_is_none_weighs_nothing(weight: object) -> None:
    found = of(data("d", sources=[weighted("hf://a", 1), {"uri": "hf://b", "weight": weight}]))
    assert found.unknown_share == 1


def test_a_deep_lineage_takes_no_stack() -> None:
    nodes = [data("n0", sources=["hf://a"], total_tokens=1)]
    nodes += [data(f"n{i}", f"art://n{i - 1}:v1") for i in range(1, 5000)]
    assert shares(of(*nodes)) == {"hf://a": (1, "estimated")}


SOURCES = st.sampled_from(["hf://a", "hf://b", "hf://c", *(f"art://n{i}:v1" for i in range(6))])
AMOUNT = st.none() | st.integers(0, 100) | st.floats(0, 1e6)
SAID = st.lists(
    st.fixed_dictionaries({"uri": SOURCES}, optional={"weight": AMOUNT, "num_tokens": AMOUNT}) | SOURCES,
    max_size=4,
)
EDGES = st.lists(
    st.builds(
        InputEdge,
        uri=SOURCES,
        role=st.sampled_from([None, "data", "base_model", "eval"]),
        split=st.none() | st.just("train"),
        tokens=st.none() | st.integers(0, 100),
        weight=st.none() | st.floats(0, 100),
    ),
    max_size=4,
)
NODE = st.tuples(
    EDGES,
    st.sampled_from(["PretrainData", "ModelArtifact", "EvalArtifact"]),
    st.lists(SOURCES, max_size=4, unique=True),
    st.none() | SAID,
    st.fixed_dictionaries({}, optional={"total_tokens": AMOUNT, "epochs": AMOUNT, "trained_tokens": AMOUNT}),
)


@given(st.lists(NODE, min_size=6, max_size=6))
def test_shares_sum_to_1_on_any_graph(drawn: list[Any]) -> None:
    nodes = {}
    for at, (edges, kind, inputs, said, metadata) in enumerate(drawn):
        metadata = metadata if said is None else {**metadata, "source_datasets": said}
        uri = f"art://n{at}:v1"
        nodes[uri] = Node(
            uri=uri,
            kind="artifact",
            type=kind,
            name=uri,
            inputs=tuple(dict.fromkeys((*inputs, *(edge.uri for edge in edges)))),
            edges=tuple(edges),
            metadata=metadata,
        )
    for uri in nodes:
        found = composition(nodes, uri)
        known = [one.share for one in found.sources if one.share is not None]
        assert math.isclose(math.fsum(known) + found.unknown_share, 1, rel_tol=1e-9)
        assert all(share >= 0 for share in known)
        assert found.unknown_share >= 0
        assert all((one.share is None) == (one.confidence == "unknown") for one in found.sources)


BLEND = st.lists(st.integers(1, 50), min_size=1, max_size=4)


@given(st.lists(st.tuples(BLEND, st.integers(1, 50)), min_size=1, max_size=4))
def test_a_blend_of_blends_is_the_flat_blend(blends: list[tuple[list[int], int]]) -> None:
    nodes, flat = [], []
    for at, (inner, weight) in enumerate(blends):
        said = [weighted(f"hf://{i}", one) for i, one in enumerate(inner)]
        nodes.append(data(f"inner{at}", sources=said))
        flat += [weighted(f"hf://{i}", weight * one / sum(inner)) for i, one in enumerate(inner)]
    outer = data("outer", sources=[weighted(f"art://inner{at}:v1", w) for at, (_, w) in enumerate(blends)])
    told = [use(f"art://inner{at}:v1", weight=w) for at, (_, w) in enumerate(blends)]
    assert shares(of(*nodes, data("outer", *told))) == shares(of(*nodes, outer))
    mine = {uri: share for uri, (share, _) in shares(of(*nodes, outer)).items()}
    theirs = {uri: share for uri, (share, _) in shares(of(data("flat", sources=flat))).items()}
    assert mine == pytest.approx(theirs)
