"""Parts of an artifact: which share of what was made of it is one of its files."""

from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.lineage.composition import mixes, share_of
from nemotron.kit.lineage.graph import Node
from nemotron.kit.lineage.parts import cut, share_of_part

DATA = "art://data:v1"
SIZES = {"train/a.bin": 30, "train/b.bin": 10, "valid/c.bin": 60}


def node(name: str, *edges: InputEdge, tokens: int | None = None, type: str = "PretrainDataArtifact") -> Node:
    said = {} if tokens is None else {"total_tokens": tokens}
    inputs = tuple(dict.fromkeys(edge.uri for edge in edges))
    uri = f"art://{name}:v1"
    return Node(uri=uri, kind="artifact", type=type, name=name, metadata=said, inputs=inputs, edges=edges)


def share(part: str, *nodes: Node, sizes: dict[str, int] | None = None) -> object:
    """Of the last node, with `data:v1` as the source."""
    by_uri = {one.uri: one for one in (node("data", tokens=1000), *nodes)}
    divided = cut(DATA, part, SIZES if sizes is None else sizes)
    asked = nodes[-1].uri
    return share_of(mixes(by_uri, [asked], stop=(DATA,), cuts={DATA: divided})[asked], f"{DATA}/{part}")


def test_of_a_use_that_says_nothing_all_was_taken() -> None:
    assert share("train/a.bin", node("model", InputEdge(uri=DATA))) == (0.3, "estimated")
    assert share("train", node("model", InputEdge(uri=DATA))) == (0.4, "estimated")


def test_of_a_use_that_says_which_shards_only_these_count() -> None:
    of_a = InputEdge(uri=DATA, shards=("train/a.bin",))
    of_train = InputEdge(uri=DATA, shards=("train",))
    assert share("train/a.bin", node("model", of_a)) == (1.0, "estimated")
    assert share("train/b.bin", node("model", of_a)) == (0.0, "estimated")
    assert share("train/a.bin", node("model", of_train)) == (0.75, "estimated")
    assert share("valid", node("model", of_train)) == (0.0, "estimated")


def test_a_split_that_is_a_folder_is_what_was_taken() -> None:
    assert share("train/a.bin", node("model", InputEdge(uri=DATA, split="train"))) == (0.75, "estimated")
    assert share("valid/c.bin", node("model", InputEdge(uri=DATA, split="train"))) == (0.0, "estimated")
    assert share("valid/c.bin", node("model", InputEdge(uri=DATA, split="main"))) == (0.6, "estimated")


def test_weights_of_a_blend_multiply() -> None:
    other = node("other", tokens=10)
    blend = node(
        "blend",
        InputEdge(uri=DATA, weight=3.0, shards=("train",)),
        InputEdge(uri=other.uri, weight=1.0),
    )
    model = node("model", InputEdge(uri=blend.uri), type="ModelArtifact")
    assert share("train/a.bin", other, blend, model) == (0.75 * 0.75, "estimated")


def test_two_uses_of_one_artifact_each_count_as_what_they_took() -> None:
    twice = node(
        "model",
        InputEdge(uri=DATA, tokens=100, shards=("train/a.bin",)),
        InputEdge(uri=DATA, tokens=300, shards=("train/b.bin",)),
    )
    assert share("train/a.bin", twice) == (0.25, "claimed")


def test_what_nobody_can_tell_is_unknown() -> None:
    taken = InputEdge(uri=DATA, shards=("shard-1", "shard-2"))
    assert share("train/a.bin", node("model", taken)) == (None, "unknown")
    assert share("shard-1", node("model", taken), sizes={}) == (None, "unknown")
    assert share("train/a.bin", node("model", InputEdge(uri=DATA)), sizes={}) == (None, "unknown")
    alone = InputEdge(uri=DATA, shards=("shard-1",))
    assert share("shard-1", node("model", alone), sizes={}) == (1.0, "estimated")


def test_what_was_made_from_a_part_without_being_data_holds_nothing_of_it() -> None:
    as_eval = node("model", InputEdge(uri=DATA, role="eval"), type="ModelArtifact")
    assert share("train/a.bin", as_eval) == (0.0, "estimated")


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 1000), min_size=1),
    st.lists(st.sampled_from("abcdefgh"), max_size=4),
)
def test_the_shares_of_the_files_that_were_taken_sum_to_one(sizes: dict[str, int], taken: list[str]) -> None:
    found = [share_of_part(sizes, file, taken) for file in sizes]
    known = [one for one in found if one is not None]
    whole = sum(size for file, size in sizes.items() if not taken or file in taken)
    if whole:
        assert abs(sum(known) - 1.0) < 1e-9
        assert len(known) == len(found)
    assert all(0.0 <= one <= 1.0 for one in known)
