"""What a manifest says of one input beyond that it is one: what it was for, and which part of it was taken.

An input of which nothing is said has no such entry; that it is an input stands in `used_artifacts` and
`inputs`, which readers of any age know. So an entry that can't be read costs what it says, never the edge.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

EDGES_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class InputEdge:
    """One use of one input; an input that was used in two ways has two.

    Attributes:
        uri: of the input: `art://name:v3`, or the URI of what is no artifact.
        role: what it was for, such as `data`, `base_model`, `tokenizer`, `reward_model`, `eval`; None where
            nobody said so.
        split: the split that was taken, such as `train`.
        shards: the files or shards that were taken; () for all.
        tokens: how many tokens were taken.
        token_range: the tokens that were taken: the first, and the first after them.
        weight: its share, relative to the other inputs' weights.
        revision: of what has revisions: a commit, branch or tag.
    """

    uri: str
    role: str | None = None
    split: str | None = None
    shards: tuple[str, ...] = ()
    tokens: int | None = None
    token_range: tuple[int, int] | None = None
    weight: float | None = None
    revision: str | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it says nothing but that there is an input."""
        return self == InputEdge(uri=self.uri)

    def to_document(self) -> dict[str, Any]:
        """What is said, as JSON values.

        >>> InputEdge(uri="art://data:v1", role="data", token_range=(0, 10)).to_document()
        {'uri': 'art://data:v1', 'role': 'data', 'token_range': [0, 10]}
        """
        said = {one.name: getattr(self, one.name) for one in fields(self)}
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in said.items()
            if value not in (None, ())
        }

    @classmethod
    def from_document(cls, document: Any) -> "InputEdge | None":
        """Read `to_document()` back; None without a URI. What is of an unexpected type is left out."""
        if not isinstance(document, Mapping) or not isinstance(uri := document.get("uri"), str):
            return None
        ends = _numbers(document.get("token_range"))
        return cls(
            uri=uri,
            role=_text(document.get("role")),
            split=_text(document.get("split")),
            shards=_texts(document.get("shards")),
            tokens=_whole(document.get("tokens")),
            token_range=ends if ends and ends[0] <= ends[1] else None,
            weight=_weight(document.get("weight")),
            revision=_text(document.get("revision")),
        )


def edges_document(edges: Sequence[InputEdge]) -> dict[str, Any]:
    """The part `edges` of a manifest."""
    return {"format_version": EDGES_FORMAT, "inputs": [edge.to_document() for edge in edges]}


def read_edges(document: Any) -> tuple[InputEdge, ...]:
    """Read `edges_document()` back; what can't be read, or is of a newer format, is left out.

    >>> read_edges(edges_document([InputEdge(uri="art://data:v1", weight=0.5)]))[0].weight
    0.5
    >>> read_edges({"format_version": 2, "inputs": []}), read_edges("damaged")
    ((), ())
    """
    if not isinstance(document, Mapping) or document.get("format_version") != EDGES_FORMAT:
        return ()
    said = document.get("inputs")
    found = (InputEdge.from_document(one) for one in (said if isinstance(said, list) else ()))
    return tuple(dict.fromkeys(edge for edge in found if edge is not None))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _whole(value: Any) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _weight(value: Any) -> float | None:
    if type(value) not in (int, float) or not 0 <= value < float("inf"):
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number of 400 digits
        return None


def _numbers(value: Any) -> tuple[int, int] | None:
    if not isinstance(value, list) or len(value) != 2 or None in (ends := tuple(map(_whole, value))):
        return None
    return ends  # type: ignore[return-value]
