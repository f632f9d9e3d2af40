"""Between Python values and the bytes of a stored document.

Documents are JSON that a person can read. NaN and infinity are kept as the literals that Python's own
`json` reads and writes, because a loss of NaN is a fact worth recording.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin

from nemotron.kit.errors import CorruptError, FormatTooNewError, InvalidMetadataError

DEPTH_MAX = 64
T = TypeVar("T")

Json = None | bool | int | float | str | list[Any] | dict[str, Any]


def plain(value: Any, where: str = "value") -> Json:
    """The JSON form of a value: numpy scalars, paths, dates, enums, sets and models become plain ones.

    Args:
        value: anything a recipe puts into metadata.
        where: how to name the value in an error, such as `metadata['loss']`.

    Raises:
        InvalidMetadataError: the value has no JSON form.

    >>> from pathlib import PurePosixPath
    >>> plain({"shards": (1, 2), "path": PurePosixPath("/data")})
    {'shards': [1, 2], 'path': '/data'}
    """
    return _plain(value, where, 0)


def _plain(value: Any, where: str, depth: int) -> Json:
    # The exact types come first: they are nearly all there is, and a str-Enum must not pass as a str.
    kind = type(value)
    if value is None or kind in (bool, int, str, float):
        return value  # type: ignore[no-any-return]
    if depth > DEPTH_MAX:
        raise InvalidMetadataError(f"{where} is nested deeper than {DEPTH_MAX} levels, or holds itself")
    if isinstance(value, Mapping):
        return {_key(key, where): _plain(item, f"{where}[{key!r}]", depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, set | frozenset):
        return [_plain(item, where, depth + 1) for item in sorted(value, key=repr)]
    return _plain(_unwrap(value, where), where, depth + 1)


def _key(key: Any, where: str) -> str:
    if isinstance(key, str):
        return str(key)
    if isinstance(key, bool | int | float):
        return json.dumps(key)
    raise InvalidMetadataError(f"{where} has a key of type {type(key).__name__}; keys are text")


def _unwrap(value: Any, where: str) -> Any:
    """One step from a rich value towards a plain one, by what it can do rather than by its class.

    Asking for methods keeps numpy, pydantic, universal-pathlib and OmegaConf out of the imports.
    """
    import dataclasses
    import datetime
    import enum

    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, int | float | str):  # a subclass, numpy's float64 among them
        base = next(base for base in (int, float, str) if isinstance(value, base))
        return base(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if callable(dump := getattr(value, "model_dump", None)) and not isinstance(value, type):
        return dump()
    if hasattr(type(value), "__fspath__"):  # a path
        return str(value)
    if callable(getattr(value, "tolist", None)):  # numpy scalars and small arrays
        return value.tolist()
    if callable(getattr(value, "item", None)):  # zero-dimensional tensors
        return value.item()
    raise InvalidMetadataError(
        f"{where} is a {type(value).__module__}.{type(value).__qualname__}, which no document can hold; "
        "pass a number, a text, a list or a dict"
    )


# No part of an encoded document ends so but all of it: inner braces are indented, and texts have no newlines.
END = b"\n}\n"


def encode(document: Mapping[str, Any]) -> bytes:
    """The bytes of a document: UTF-8 JSON, two spaces of indent, a newline at the end.

    Raises:
        InvalidMetadataError: a value in it has no JSON form.
    """
    value = plain(document, "document")
    try:
        return json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8") + b"\n"
    except UnicodeEncodeError:  # a file name that is no UTF-8; JSON's own escapes can hold it
        return json.dumps(value, indent=2).encode("ascii") + b"\n"
    except ValueError as error:  # a whole number of more digits than Python writes
        raise InvalidMetadataError(f"The document holds a number that can't be written: {error}") from error


def decode(data: bytes, where: str) -> dict[str, Any]:
    """Read a document back.

    Args:
        data: the stored bytes.
        where: which document it is, for the error.

    Raises:
        CorruptError: it is not a JSON object.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CorruptError(f"{where} is damaged: not JSON ({error}); {len(data)} bytes") from error
    if not isinstance(document, dict):
        raise CorruptError(f"{where} is damaged: expected a JSON object, found {type(document).__name__}")
    return document


def format_of(
    document: Mapping[str, Any], where: str, what: str, newest: int, unsaid: int | None = None
) -> int:
    """The format of a document, if this kit can read it.

    Args:
        document: as it was decoded.
        where: which document it is, for the error.
        what: the kind of document, for the error.
        newest: the highest format that is known.
        unsaid: the format of a document that says none; None where each says one.

    Raises:
        CorruptError: it does not say its format.
        FormatTooNewError: a newer kit wrote it.

    >>> format_of({"format_version": 1}, "x.json", "alias", 2), format_of({}, "x.json", "alias", 2, unsaid=0)
    (1, 0)
    """
    version = document.get("format_version", unsaid)
    if type(version) is not int:
        raise CorruptError(f"{where} is damaged: format_version is {version!r}")
    if version > newest:
        raise FormatTooNewError(
            f"{where} has {what} format {version}; this kit reads up to {newest}: upgrade it"
        )
    return version


def read(cls: type[T], document: Mapping[str, Any], where: str) -> T:
    """A frozen value out of its document: every field that the class has, and of the type that it says.

    Args:
        cls: a dataclass of texts, numbers, tuples of texts, mappings and such dataclasses.
        document: as it was decoded; what the class does not know is left out, since a later kit may add some.
        where: which document it is, for the error.

    Raises:
        CorruptError: a field is of another type, or one without a default is missing.
    """
    values: dict[str, Any] = {}
    for one in fields(cls):  # type: ignore[arg-type]
        value, kind = document.get(one.name, MISSING), one.type
        if value is MISSING and (one.default is not MISSING or one.default_factory is not MISSING):
            continue
        if get_origin(kind) is tuple and isinstance(value, list) and all(isinstance(x, str) for x in value):
            values[one.name] = tuple(value)
        elif isinstance(kind, type) and is_dataclass(kind) and isinstance(value, dict):
            values[one.name] = read(kind, value, where)
        elif _is_a(value, kind):
            values[one.name] = value
        else:
            said = "missing" if value is MISSING else repr(value)
            name = getattr(kind, "__name__", str(kind))
            raise CorruptError(f"{where} is damaged: {one.name!r} is {said}, expected {name}")
    return cls(**values)


def _is_a(value: Any, kind: Any) -> bool:
    if get_origin(kind) in (tuple, Mapping):
        return get_origin(kind) is Mapping and isinstance(value, dict)
    if isinstance(value, bool):
        return kind is bool or bool in get_args(kind)
    return isinstance(value, kind) or (kind is float and isinstance(value, int))


def strict(value: Any) -> Any:
    """The same value with NaN and infinity spelt as text, for output that strict JSON readers take.

    >>> strict({"loss": float("nan"), "step": 3})
    {'loss': 'NaN', 'step': 3}
    """
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: strict(item) for key, item in value.items()}
    return [strict(item) for item in value] if isinstance(value, list | tuple) else value
