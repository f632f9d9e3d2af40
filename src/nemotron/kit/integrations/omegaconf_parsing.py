"""Spare OmegaConf the parsing of interpolations of ours.

Why: OmegaConf (2.3 and 2.4 alike) parses the text of an interpolation each time that its value is asked for,
which takes about 0.3 ms; a config with 1,000 `${art:…}` takes 0.3 s on every rank. What a text parses to
depends on nothing else, and is only read afterwards. So the commonest form, whose arguments are plain names,
is read by a pattern, and what any other text with a resolver of ours parses to is kept.

The pattern reads what OmegaConf's grammar reads, no more: a property test holds one against the other.

When it can go: when `test_a_thousand_interpolations` passes without it.
"""

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

KEPT_MAX = 4096
OURS = ("${art:", "${manifest:", "${auto_mount:")

# What the grammar takes for text that means itself: no number, no quotes, nothing nested.
_ARGUMENT = r"[A-Za-z_/][A-Za-z0-9_/.:@+-]*"
_CALL = rf"\$\{{(art|manifest|auto_mount):\s*({_ARGUMENT}(?:\s*,\s*{_ARGUMENT})*)\s*\}}"
_PIECE = re.compile(rf"(?P<text>[^$\\]+)|{_CALL}", re.ASCII)
_WORDS = frozenset({"null", "true", "false", "inf", "nan"})
_PLAIN = (str, int, float, bool, type(None))


class Call(NamedTuple):
    """A resolver with its arguments."""

    name: str
    arguments: tuple[str, ...]


def parse_once() -> None:
    """Put the patch in place; harmless the second time, and where OmegaConf is built otherwise."""
    from omegaconf import base

    parse = getattr(base, "parse", None)
    if callable(parse) and not hasattr(parse, "_nemotron_kit"):
        base.parse = remembering(parse)  # type: ignore[attr-defined]


def remembering(parse: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which keeps what texts of ours parse to, and parses few of them."""

    @functools.lru_cache(KEPT_MAX)
    def kept(value: str, *arguments: Any, **named: Any) -> Any:
        pieces = None if arguments or named else read(value)
        if pieces is None:
            return parse(value, *arguments, **named)
        return _tree_class()(pieces, functools.partial(parse, value))

    @functools.wraps(parse)
    def parse_kept(value: Any, *arguments: Any, **named: Any) -> Any:
        if type(value) is str and any(mark in value for mark in OURS):
            return kept(value, *arguments, **named)
        return parse(value, *arguments, **named)

    parse_kept._nemotron_kit = True  # type: ignore[attr-defined]
    return parse_kept


def read(value: str) -> list[str | Call] | None:
    """The resolvers of ours in a text and what stands between them; None if only the grammar can tell.

    >>> read("${art:data,path}/train")
    [Call(name='art', arguments=('data', 'path')), '/train']
    >>> read("${art:${name},path}"), read("${art:data,1}"), read("${oc.env:HOME}")
    (None, None, None)
    """
    pieces: list[str | Call] = []
    position = 0
    while position < len(value):
        found = _PIECE.match(value, position)
        if found is None:
            return None
        if found["text"] is not None:
            pieces.append(found["text"])
        else:
            arguments = tuple(argument.strip() for argument in found[3].split(","))
            if not _WORDS.isdisjoint(argument.lower() for argument in arguments):
                return None
            pieces.append(Call(found[2], arguments))
        position = found.end()
    return pieces or None


@functools.cache
def _tree_class() -> Any:
    """A parse tree of OmegaConf's that is only made when somebody looks into it."""
    from omegaconf import grammar_visitor

    grammar: Any = vars(grammar_visitor)["OmegaConfGrammarParser"]

    class Tree(grammar.ConfigValueContext):  # type: ignore[misc]
        """What a text parses to, with the calls of resolvers in it read already."""

        def __init__(self, pieces: Sequence[str | Call], parse: Callable[[], Any]) -> None:
            self._pieces = pieces
            self._whole = functools.cache(parse)

        @property
        def children(self) -> Any:
            return self._whole().children

        def accept(self, visitor: Any) -> Any:
            """What OmegaConf's own visitor makes of the tree: each call in its order, and texts joined."""
            call = getattr(visitor, "resolver_interpolation_callback", None)
            if call is None:
                return self._whole().accept(visitor)
            values = [
                call(name=piece.name, args=piece.arguments, args_str=piece.arguments)
                if isinstance(piece, Call)
                else piece
                for piece in self._pieces
            ]
            if len(values) == 1:
                return values[0]
            if all(type(value) in _PLAIN for value in values):
                return "".join(map(str, values))
            return self._whole().accept(visitor)

    return Tree
