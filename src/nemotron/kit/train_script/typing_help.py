"""What the annotations of a dataclass say, also those written as text."""

import dataclasses
import inspect
import os
import sys
import typing
from collections.abc import Mapping
from types import NoneType, SimpleNamespace, UnionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nemotron.kit.artifacts.base import Artifact


class UnknownTypeError(Exception):
    """An annotation names something that cannot be looked up."""


def parameters(cls: type) -> dict[str, inspect.Parameter]:
    """Return what the constructor takes by name: fields, `InitVar`s, and what an own `__init__` adds."""
    return {
        name: parameter
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_POSITIONAL
    }


def takes(accepted: Mapping[str, inspect.Parameter], key: object) -> bool:
    """Tell whether a constructor with these `parameters` takes a key of a config by name."""
    free = any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values())
    return free or str(key) in accepted


def type_of(cls: type, parameter: inspect.Parameter, names: Mapping[str, Any]) -> Any:
    """Return the type of one constructor parameter; `Any` when it is not annotated.

    Each is looked up alone, so that a name that only type checkers import spoils no other field.

    Args:
        cls: the dataclass.
        parameter: one of its `parameters`.
        names: where to look besides the class's module when the class was defined in a function.

    Raises:
        UnknownTypeError: a name in the annotation is not defined.
    """
    for base in cls.__mro__:
        annotations = inspect.get_annotations(base)
        if parameter.name in annotations:
            return _evaluated(annotations[parameter.name], base, names)
    if parameter.annotation is inspect.Parameter.empty:
        return Any
    return _evaluated(parameter.annotation, cls, names)


def _evaluated(annotation: Any, owner: type, names: Mapping[str, Any]) -> Any:
    module = sys.modules.get(owner.__module__)
    # A class nested in the owner may be meant, a field's default (`int: float = 0.0`) never is.
    nested = {name: value for name, value in vars(owner).items() if isinstance(value, type)}
    known = {**nested, **(vars(module) if module is not None else {})}
    if "<locals>" in owner.__qualname__:
        known |= names
    holder = SimpleNamespace(__annotations__={"it": annotation})
    try:
        hints = typing.get_type_hints(holder, known, {owner.__name__: owner}, include_extras=True)
    except NameError as error:
        raise UnknownTypeError(f"{error}; define or import it at the top of {owner.__module__}") from error
    return bare(hints["it"])


def is_path(hint: Any) -> bool:
    """Tell whether a type is that of a path: `Path`, `UPath`, `os.PathLike`, also behind `Annotated`.

    >>> from pathlib import Path
    >>> is_path(Path), is_path(typing.Annotated[Path, "in"]), is_path(str)
    (True, True, False)
    """
    plain = typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint
    plain = typing.get_origin(plain) or plain
    return isinstance(plain, type) and issubclass(plain, os.PathLike)


def artifact_kind(hint: Any) -> "type[Artifact] | None":
    """The kind of artifact that a type is, also behind `Annotated`; None for any other.

    >>> from nemotron.kit import ModelArtifact
    >>> artifact_kind(ModelArtifact) is ModelArtifact, artifact_kind(str)
    (True, None)
    """
    plain = typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint
    base = sys.modules.get("nemotron.kit.artifacts.base")  # who has such a type has loaded it
    is_kind = base is not None and isinstance(plain, type) and issubclass(plain, base.Artifact)
    return typing.cast("type[Artifact]", plain) if is_kind else None


def bare(hint: Any) -> Any:
    """Take off what says nothing about the value: `InitVar`, `Final`, aliases and new names of a type."""
    while True:
        if isinstance(hint, dataclasses.InitVar):
            hint = hint.type
        elif typing.get_origin(hint) in (typing.Final, typing.Required, typing.NotRequired):
            (hint,) = typing.get_args(hint)
        elif isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        elif type(hint).__name__ == "TypeAliasType":  # `type X = …`, from Python 3.12
            hint = hint.__value__
        else:
            return hint


def dataclass_of(hint: Any) -> type | None:
    """Return the dataclass that a hint is (`Box[int]` is `Box`), else None."""
    cls = typing.get_origin(hint) or hint
    return cls if isinstance(cls, type) and dataclasses.is_dataclass(cls) else None


def is_union(hint: Any) -> bool:
    """Tell whether a hint is `A | B`, `Union` or `Optional`."""
    return typing.get_origin(hint) in (typing.Union, UnionType)


def spell(hint: Any) -> str:
    """Write a type as people do.

    >>> spell(int | None), spell(typing.Optional[list[str]]), spell(typing.Literal["a"])
    ('int | None', 'list[str] | None', "Literal['a']")
    """
    if hint in (None, NoneType):
        return "None"
    if hint is Ellipsis:
        return "..."
    if is_union(hint):
        return " | ".join(spell(member) for member in typing.get_args(hint))
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return spell(typing.get_args(hint)[0])
    if isinstance(origin, type) and typing.get_args(hint):
        inner = ", ".join(spell(argument) for argument in typing.get_args(hint))
        return f"{origin.__name__}[{inner}]"
    if isinstance(hint, type):
        return hint.__name__
    return str(hint).replace("typing.", "")
