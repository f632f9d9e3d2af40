"""Find, make and list the places in a config that dotted paths mean."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

from nemotron.kit.errors import MisuseError
from nemotron.kit.train_script.loading import place


class Anything:
    """Stands for a value whose type is not known yet: missing, or an interpolation."""

    def __repr__(self) -> str:
        return "a value to be resolved"


def split_path(path: str) -> tuple[str, ...]:
    """Split a dotted path; brackets hold an index, or a key with dots.

    >>> split_path("a.b[0][x.y]")
    ('a', 'b', '0', 'x.y')
    """
    return tuple(bracket or plain for bracket, plain in re.findall(r"\[([^\[\]]+)\]|([^.\[\]]+)", path))


def find(config: Any, segments: Sequence[str]) -> tuple[Any, Any] | None:
    """Find what holds the last segment, and its key there.

    Returns:
        The section or list, and the key or index; None when some part of the path is not there.

    Raises:
        MisuseError: the path leads through an interpolation.
    """
    from omegaconf import OmegaConf

    node = config
    for depth, segment in enumerate(segments):
        key = _key_in(node, segment)
        if key is None:
            return None
        if depth == len(segments) - 1:
            return node, key
        _refuse_interpolation(config, node, key, segments[: depth + 1])
        node = None if OmegaConf.is_missing(node, key) else node[key]
    return None


def _key_in(node: Any, segment: str) -> Any:
    """Return the key or index that a segment means in a section or list; None when it is not there."""
    from omegaconf import DictConfig, OmegaConf

    if isinstance(node, DictConfig):
        # YAML keys may be numbers; a segment is text.
        return next((key for key in node if key == segment or str(key) == segment), None)
    if OmegaConf.is_config(node) and re.fullmatch(r"-?\d+", segment):
        index = int(segment)
        return index if -len(node) <= index < len(node) else None
    return None


def _refuse_interpolation(config: Any, node: Any, key: Any, here: Sequence[str]) -> None:
    """Refuse a path through an interpolation: the change would reach what it points to as well."""
    from omegaconf import OmegaConf

    if OmegaConf.is_interpolation(node, key):
        raw = cast(Any, OmegaConf.to_container(node, resolve=False))[key]
        path = ".".join(here)
        raise MisuseError(
            f"{path!r} is an interpolation in {place(config)} ({raw}), so nothing in it can be overridden; "
            f"override what it points to, or {path} as a whole"
        )


def current_value(parent: Any, key: Any) -> Any:
    """Return what is there, unresolved: `Anything` for a missing value or an interpolation."""
    from omegaconf import OmegaConf

    if OmegaConf.is_missing(parent, key) or OmegaConf.is_interpolation(parent, key):
        return Anything()
    return parent[key]


def put(parent: Any, key: Any, value: Any) -> None:
    """Set what a section or list holds at a key; a typed config converts it."""
    from omegaconf import DictConfig, OmegaConf

    if isinstance(parent, DictConfig) and isinstance(key, str) and not re.search(r"[.\[\]]", key):
        # Assignment that converts (text for an enum's name) is deprecated in OmegaConf 2.4; update is not.
        OmegaConf.update(parent, key, value, merge=False)
    else:
        parent[key] = value


def create(config: Any, segments: Sequence[str], value: Any) -> None:
    """Set a value, and make the sections on the way to it; one past the end of a list appends."""
    from omegaconf import DictConfig, OmegaConf, flag_override

    node = config
    for depth, segment in enumerate(segments):
        last = depth == len(segments) - 1
        key = _key_in(node, segment)
        if key is None and not isinstance(node, DictConfig):
            if not (OmegaConf.is_config(node) and segment == str(len(node))):
                here = ".".join(segments[:depth])
                to_append = f" but {here}[{len(node)}]" if OmegaConf.is_config(node) else ""
                raise MisuseError(
                    f"{here!r} holds {shown(node)} in {place(config)}; nothing can be added to it{to_append}"
                )
            node.append(value if last else {})
            key = len(node) - 1
        elif last or key is None or current_value(node, key) is None or OmegaConf.is_missing(node, key):
            with flag_override(node, "struct", False):
                put(node, segment if key is None else key, value if last else {})
        if not last:
            key = segment if key is None else key
            _refuse_interpolation(config, node, key, segments[: depth + 1])
            node = node[key]


def dotted_paths(config: Any) -> Iterator[str]:
    """Yield every dotted path of a config, sections too."""
    from omegaconf import OmegaConf

    def walk(value: Any, prefix: str) -> Iterator[str]:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            path = f"{prefix}{key}"
            yield path
            if isinstance(inner, dict | list | tuple):
                yield from walk(inner, f"{path}.")

    yield from walk(OmegaConf.to_container(config, resolve=False), "")


def type_name(value: Any) -> str:
    """Return the type of a value in the words of a config: map, list, str, int, …"""
    from omegaconf import DictConfig, OmegaConf

    if isinstance(value, DictConfig | dict):
        return "map"
    return "list" if OmegaConf.is_list(value) or isinstance(value, tuple) else type(value).__name__


def shown(value: Any) -> str:
    """Show a value with its type, cut to one line.

    >>> shown("abc")
    "'abc' (str)"
    """
    text = repr(value)
    if len(text) > 80:
        text = f"{text[:79]}…"
    return text if value is None or isinstance(value, Anything) else f"{text} ({type_name(value)})"
