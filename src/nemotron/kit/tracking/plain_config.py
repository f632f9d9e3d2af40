"""A run's config as a document: plain, without secrets, and never a reason to fail."""

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

from nemotron.kit.documents import codec
from nemotron.kit.documents.secrets import without_secrets
from nemotron.kit.errors import InvalidMetadataError

DEPTH_MAX = 32


def plain_config(config: Any) -> Any:
    """A config of OmegaConf, pydantic, a dataclass or a mapping as JSON values.

    Interpolations of OmegaConf stay as they are written: what they read from the environment may be secret,
    and what `${art:…}` meant is recorded apart. What has no JSON form is named by its type.

    >>> plain_config({"lr": 0.1, "api_key": "abc", "fn": print})
    {'lr': 0.1, 'api_key': '(redacted)', 'fn': '<builtin_function_or_method print>'}

    Args:
        config: whatever the script has.
    """
    return None if config is None else without_secrets(_plain(config))


def _plain(value: Any, above: tuple[int, ...] = ()) -> Any:
    """In parts, so that what can't be written costs itself alone; `above` are the ids of what holds it."""
    if id(value) in above or len(above) > DEPTH_MAX:
        return "…"
    above = (*above, id(value))
    if (omegaconf := sys.modules.get("omegaconf")) is not None and omegaconf.OmegaConf.is_config(value):
        value = omegaconf.OmegaConf.to_container(value, resolve=False)
    if (fields := _fields(value)) is not None:
        return {str(key): _plain(one, above) for key, one in fields.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, above) for one in value]
    try:
        return codec.plain(value, "config")
    except InvalidMetadataError:
        name = getattr(value, "__qualname__", None)
        kind = type(value).__qualname__
        return f"<{kind} {name}>" if isinstance(name, str) else f"<{kind}>"


def _fields(value: Any) -> Mapping[Any, Any] | None:
    """What a thing consists of by name; None if it is no such thing."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, type) or callable(value):
        return None
    if dataclasses.is_dataclass(value):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    fields = getattr(value, "__dict__", None)  # a namespace, a pydantic model
    return fields if fields and not hasattr(type(value), "__fspath__") else None
