"""Let OmegaConf parse each interpolation of ours once.

Why: OmegaConf (2.3 and 2.4 alike) parses the text of an interpolation each time that its value is asked for,
which takes about 0.3 ms; a config with 1,000 `${art:…}` takes 0.3 s on every rank. What a text parses to
depends on nothing else, and is only read afterwards, so it is kept, for texts that hold a resolver of ours.

When it can go: when `test_a_thousand_interpolations` passes without it.
"""

import functools
from collections.abc import Callable
from typing import Any

KEPT_MAX = 4096
OURS = ("${art:", "${manifest:", "${auto_mount:")


def parse_once() -> None:
    """Put the patch in place; harmless the second time, and where OmegaConf is built otherwise."""
    from omegaconf import base

    parse = getattr(base, "parse", None)
    if callable(parse) and not hasattr(parse, "_nemotron_kit"):
        base.parse = remembering(parse)  # type: ignore[attr-defined]


def remembering(parse: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which keeps what texts of ours parse to."""
    kept = functools.lru_cache(KEPT_MAX)(parse)

    @functools.wraps(parse)
    def parse_kept(value: Any, *arguments: Any, **named: Any) -> Any:
        if type(value) is str and any(mark in value for mark in OURS):
            return kept(value, *arguments, **named)
        return parse(value, *arguments, **named)

    parse_kept._nemotron_kit = True  # type: ignore[attr-defined]
    return parse_kept
