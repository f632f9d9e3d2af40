"""Which keys of a config other keys point to."""

import re
from collections.abc import Iterator
from typing import Any

_INTERPOLATION = re.compile(r"\$\{\s*(\.*)([^\s${}:.][^\s${}:]*)\s*\}")


def referenced_paths(config: Any) -> frozenset[str]:
    """Return the dotted paths that interpolations point to, and all sections on the way to them.

    A key that others point to (`root: /data`, `path: ${root}/train`) is no misspelt field.

    Args:
        config: dicts and lists, interpolations unresolved.

    >>> sorted(referenced_paths({"a": {"b": 1, "c": "${.b}"}, "d": ["${a.b}/${e[0]}", "${f:${g}}"]}))
    ['a', 'a.b', 'e', 'e.0', 'g']
    """
    found: set[str] = set()
    for path, text in _texts(config, ()):
        for dots, target in _INTERPOLATION.findall(text):
            # One dot is the section that the text is in, each further one the section around it.
            base = path[: len(path) - len(dots)] if dots else ()
            parts = (*base, *dotted(target).split("."))
            found.update(".".join(parts[:length]) for length in range(1, len(parts) + 1))
    return frozenset(found)


def dotted(path: str) -> str:
    """Spell a path with dots alone.

    >>> dotted("a[0].b")
    'a.0.b'
    """
    return path.replace("[", ".").replace("]", "").lstrip(".")


def _texts(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from _texts(inner, (*path, str(key)))
