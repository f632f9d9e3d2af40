"""`art://…` written out as a value of a config: what it means, once for all ranks of the job.

>>> import tempfile
>>> from nemotron.kit import context
>>> from nemotron.kit.registry.records import Draft
>>> from nemotron.kit.registry.registry import Registry
>>> root = tempfile.mkdtemp()
>>> context.set_registry(Registry.open(f"{root}/store"))
>>> _ = context.require_registry().publish(Draft(name="my-data", source=root))
>>> resolve_references({"train": {"data": "art://my-data:latest", "steps": 3}})["train"] == {
...     "data": root, "steps": 3
... }
True
>>> context.reset()
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nemotron.kit import context
from nemotron.kit.artifacts.paths import is_url
from nemotron.kit.errors import InvalidReferenceError, MisuseError
from nemotron.kit.integrations.config_references import written_out
from nemotron.kit.integrations.pins import Mode, pin
from nemotron.kit.names import SCHEME, ArtifactRef, Version
from nemotron.kit.tracking.surroundings import world_size


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a reference was resolved to.

    Attributes:
        path: where it lies: a local path, or a URL.
        uri: the same reference with the version that it is, `art://my-data:v3`.
    """

    path: str
    uri: str


def meanings(config: Any, *, mode: Mode | None = None, where: str = "") -> dict[str, Meaning]:
    """Resolve every `art://…` in a config; every rank of this attempt of the job gets the same versions.

    What is found becomes an input of the current run. Text that only holds `art://` somewhere is no
    reference, nor is `art:///absolute/path`.

    Args:
        config: dicts and lists, interpolations resolved.
        mode: as for `register_resolvers`; by default `local` where there is a store, else `pre_init`.
        where: the dotted path of this part in the whole config.

    Returns:
        For each text what it means; {} where there is none, and then nothing is looked at.

    Raises:
        NotFoundError: there is no such artifact; a note says where in the config it stands.
        InvalidReferenceError: a text that begins with `art://` is no reference.
        DriftError, RefusedError, UnavailableError: files of a reference differ or can't be compared, and
            `on_drift` is "error".
    """
    places: dict[str, str] = {}
    for place, text in _texts(config, where):
        if written_out(text):
            places.setdefault(text, place)
    if not places:
        return {}
    if mode is None:
        mode = "pre_init" if context.current_registry() is None else "local"
    # Under the name of its place, so that an error says which key it was.
    found = pin({place: text for text, place in places.items()}, mode)
    result = {}
    for text, place in places.items():
        info = found[place]
        uri = info.get("uri") or f"{SCHEME}{info['qualified_name']}"
        context.record_use(uri)
        inside = str(info.get("inside") or "")
        result[text] = Meaning(str(info["path"]), f"{uri}/{inside}" if inside else uri)
    return result


def resolve_references(config: Any, where: str = "") -> Any:
    """The same config with the place of each artifact where the config says `art://…`.

    Args:
        config: dicts and lists, interpolations resolved; it is not changed.
        where: as for `meanings`.

    Raises:
        NotFoundError, InvalidReferenceError, DriftError, RefusedError, UnavailableError: as for `meanings`.
    """
    known = meanings(config, where=where)
    return replaced(config, known, by="path") if known else config


def replaced(value: Any, known: Mapping[str, Meaning], *, by: Literal["path", "uri"]) -> Any:
    """A value with one side of its meaning for every text that is known; dicts and lists are made anew.

    >>> replaced({"a": ["art://x", 1]}, {"art://x": Meaning("/data", "art://x:v3")}, by="uri")
    {'a': ['art://x:v3', 1]}
    """
    if isinstance(value, str):
        return getattr(known[value], by) if value in known else value
    if isinstance(value, dict):
        return {key: replaced(inner, known, by=by) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(replaced(inner, known, by=by) for inner in value)
    return value


def check_reference(text: str) -> None:
    """Refuse what can name no artifact, without asking anybody.

    Raises:
        KitError: it is no reference, or leads out of the artifact.

    >>> check_reference("art://my-data:latest")
    """
    if not text.startswith(SCHEME):
        raise InvalidReferenceError(f"it does not begin with {SCHEME}")
    if _is_name(text):
        ArtifactRef.parse(text)


def pinned(text: str, known: Mapping[str, Meaning]) -> str:
    """A reference with the version that all ranks have agreed on; as it is where none is to be agreed on.

    Raises:
        MisuseError: each of several ranks would find a version of its own.
    """
    if text in known:
        return known[text].uri
    asks_wandb = context.current_registry() is None and context.current_tracker() is not None
    if asks_wandb and _is_name(text) and not isinstance(ArtifactRef.parse(text).selector, Version):
        ranks = world_size(os.environ) or 1
        if ranks > 1:
            raise MisuseError(
                f"{text} may be another version on each of {ranks} ranks, as there is neither a store nor a "
                "W&B run on this one. Name a version, as in art://NAME:v3, or keep a store: kit.init(root=…)"
            )
    return text


def _is_name(text: str) -> bool:
    """Whether a reference names an artifact, and no path or URL of one."""
    return written_out(text) and not is_url(text.removeprefix(SCHEME))


def _texts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{place}[{index}]")
