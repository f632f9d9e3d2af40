"""Make one value, such as a number, a path or a member of an enum, of the type that a field declares.

What it may become is pydantic's decision, with three exceptions: true is not 1, a number may be the text of a
`str` field (`name: 2024`), and an enum is known by value or by name.
"""

import enum
import functools
import typing
from collections.abc import Iterable
from typing import Any

from nemotron.kit.train_script.nearest import nearest, suggestion
from nemotron.kit.train_script.typing_help import spell

MISSING = "???"  # how OmegaConf spells a value that must be set


class MismatchError(Exception):
    """Values that do not fit; each line says where, what was expected and what was found.

    Args:
        lines: one per value.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = list(lines)
        super().__init__("\n".join(self.lines))


def mismatch(where: str, expected: str, value: Any, reason: str = "") -> MismatchError:
    """Make the error of one value, with its path, what was expected and what was found."""
    text = repr(value)
    text = f"{text[:79]}…" if len(text) > 80 else text
    found = text if value is None else f"{text} ({type(value).__name__})"
    return MismatchError([f"{where or 'the config'}: expected {expected}, found {found}{reason}"])


def single_value(hint: Any, value: Any, where: str) -> Any:
    """Make a single value.

    Raises:
        MismatchError: it cannot be one of the type.
    """
    from pydantic import PydanticUserError, ValidationError

    plain = typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint
    if isinstance(value, bool) and not _takes_bool(plain):
        raise mismatch(where, spell(hint), value)
    is_enum = isinstance(plain, type) and issubclass(plain, enum.Enum)
    try:
        return _adapter(hint).validate_python(value)
    except PydanticUserError:
        if isinstance(plain, type) and not typing.is_typeddict(plain) and not isinstance(value, plain):
            raise mismatch(where, spell(hint), value) from None
        return value  # a type that pydantic has no rules for: the value as it is
    except ValidationError as error:
        if is_enum:
            return _enum_by_name(plain, value, where)
        raise MismatchError(
            line
            for detail in error.errors(include_url=False)
            for line in mismatch(
                "".join((where, *(f".{part}" for part in detail["loc"]))),
                spell(hint),
                detail["input"],
                _reason(detail["type"], detail["msg"]),
            ).lines
        ) from error


def _takes_bool(hint: Any) -> bool:
    """Tell whether true and false are values of a type, and not merely 1 and 0."""
    if typing.get_origin(hint) is typing.Literal:
        return any(isinstance(choice, bool) for choice in typing.get_args(hint))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return any(isinstance(member.value, bool) for member in hint)
    return hint not in (int, float, complex)


def _enum_by_name(cls: type[enum.Enum], value: Any, where: str) -> enum.Enum:
    name = str(value).removeprefix(f"{cls.__name__}.")
    if name in cls.__members__:
        return cls[name]
    choices = [member for member in cls.__members__ if member != name]
    found = nearest(name, choices)
    hint = f". {suggestion(found, choices)}" if found else ""
    raise mismatch(where, f"{cls.__name__} ({', '.join(choices)})", value, hint)


def _reason(kind: str, message: str) -> str:
    """Return pydantic's words where they say more than the type does: a bound, a pattern, a fraction."""
    said_by_type = kind.endswith(("_type", "_parsing", "literal_error", "is_instance_of"))
    return "" if said_by_type else f": {message[0].lower()}{message[1:]}"


def _adapter(hint: Any) -> Any:
    try:
        return _cached_adapter(hint)
    except TypeError:  # an annotation with something unhashable in it
        return _new_adapter(hint)


def _new_adapter(hint: Any) -> Any:
    from pydantic import BaseModel, ConfigDict, TypeAdapter

    if typing.is_typeddict(hint) or (isinstance(hint, type) and issubclass(hint, BaseModel)):
        return TypeAdapter(hint)  # brings its own settings
    return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True, coerce_numbers_to_str=True))


_cached_adapter = functools.lru_cache(maxsize=256)(_new_adapter)
