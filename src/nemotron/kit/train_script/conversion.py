"""Make values of the types that a dataclass declares.

The walk through dataclasses, containers and unions is done here, because it must know the path of every
value, find unknown keys, keep a default's other fields, and check a config before its interpolations are
resolved.
"""

import collections.abc as abc
import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from types import NoneType
from typing import TYPE_CHECKING, Any

from nemotron.kit.errors import KitError, MisuseError
from nemotron.kit.train_script.nearest import nearest, suggestion
from nemotron.kit.train_script.references import dotted
from nemotron.kit.train_script.single_values import MISSING, MismatchError, mismatch, single_value
from nemotron.kit.train_script.typing_help import (
    UnknownTypeError,
    artifact_kind,
    bare,
    dataclass_of,
    is_path,
    is_union,
    parameters,
    spell,
    type_of,
)

if TYPE_CHECKING:
    from nemotron.kit.artifacts.base import Artifact
    from nemotron.kit.integrations.config_values import Meaning

_LISTS = (list, abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable)
_SETS = (set, frozenset, abc.Set, abc.MutableSet)
_MAPS = (dict, abc.Mapping, abc.MutableMapping)
_NOTHING = object()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Converter:
    """How to convert.

    Attributes:
        build: False only checks: nothing is constructed, and text with an interpolation fits everywhere.
        strict: False leaves unknown keys out.
        names: names for annotations that are written as text (see `type_of`).
        referenced: the paths that interpolations point to; they may be unknown.
        artifacts: what each `art://…` in the config means.
    """

    build: bool
    strict: bool
    names: Mapping[str, Any]
    referenced: frozenset[str] = frozenset()
    artifacts: "Mapping[str, Meaning]" = dataclasses.field(default_factory=dict)

    def dataclass(self, cls: type, data: Any, where: str, default: Any = None) -> Any:
        """Make an instance of a dataclass from a map.

        Args:
            cls: the dataclass.
            data: its fields by name.
            where: the dotted path so far, "" at the top.
            default: the instance to take fields from that `data` does not set.

        Raises:
            MismatchError: everything in it that does not fit.
        """
        if isinstance(data, cls):
            return data
        if not isinstance(data, Mapping):
            raise mismatch(where, f"{cls.__name__} (a section)", data)
        given = default if isinstance(default, cls) else None
        if given is not None:
            cls = type(given)  # `optimizer: Optimizer = field(default_factory=Adam)` takes Adam's fields
        own = {field.name: field for field in dataclasses.fields(cls)}
        accepted = parameters(cls)
        free = any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values())
        arguments: dict[str, Any] = {}
        if given is not None:
            arguments = {name: getattr(given, name) for name, field in own.items() if field.init}

        problems: list[str] = []
        for key, value in data.items():
            name, path = str(key), _join(where, key)
            parameter = accepted.get(name)
            try:
                if parameter is not None and parameter.kind is not parameter.VAR_KEYWORD:
                    inner = _default_of(own.get(name), given) if isinstance(value, Mapping) else None
                    arguments[name] = self._parameter(cls, parameter, value, path, inner)
                elif free:
                    arguments[name] = value
                elif self.strict and dotted(path) not in self.referenced:
                    raise MismatchError([_unknown(cls, name, path, accepted, own)])
            except MismatchError as error:
                problems.extend(error.lines)
        for name, parameter in accepted.items():
            required = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
            if required and name not in arguments and name not in map(str, data):
                problems.append(f"{_join(where, name)}: must be set, expected {self._spelt(cls, parameter)}")
        if problems:
            raise MismatchError(problems)
        return self._construct(cls, arguments, where) if self.build else _NOTHING

    def value(self, hint: Any, value: Any, where: str, default: Any = None) -> Any:
        """Make a value of a type.

        Raises:
            MismatchError: it cannot be one.
        """
        hint = bare(hint)
        if not self.build and isinstance(value, str) and "${" in value:
            return value
        if isinstance(value, str) and value == MISSING:
            line = f"{where}: must be set (it is {MISSING}), expected {spell(hint)}; add {where}=VALUE"
            raise MismatchError([line])
        origin, arguments = typing.get_origin(hint) or hint, typing.get_args(hint)
        if origin is typing.Annotated:
            return self._annotated(hint, value, where, default)
        if is_union(hint):
            return self._union(hint, value, where, default)
        if (cls := dataclass_of(hint)) is not None:
            return self.dataclass(cls, value, where, default)
        if origin in _LISTS:
            return self._elements(hint, arguments or (Any,), value, where)
        if origin in _SETS:
            make = frozenset if origin is frozenset else set
            elements = self._elements(hint, arguments or (Any,), value, where)
            return make(elements) if self.build else _NOTHING
        if origin is tuple:
            return self._tuple(hint, arguments, value, where)
        if origin in _MAPS:
            return self._map(hint, arguments or (Any, Any), value, where)
        return self._single(hint, value, where)

    def _single(self, hint: Any, value: Any, where: str) -> Any:
        """Make a value that is not walked through: an artifact is itself, its place or its version."""
        if isinstance(value, str) and (kind := artifact_kind(hint)) is not None:
            return self._artifact(kind, value, where)
        if self.artifacts:
            from nemotron.kit.integrations.config_values import replaced

            value = replaced(value, self.artifacts, by="path" if is_path(hint) else "uri")
        return single_value(hint, value, where)

    def _artifact(self, kind: "type[Artifact]", value: str, where: str) -> Any:
        """Load what a reference means; that it leads nowhere is no matter of the type."""
        from nemotron.kit.integrations.config_values import check_reference, pinned

        try:
            check_reference(value)
        except KitError as error:
            raise mismatch(where, f"{spell(kind)} (art://NAME:VERSION)", value, f" ({error})") from error
        if not self.build:
            return _NOTHING
        try:
            return kind.from_uri(pinned(value, self.artifacts))
        except KitError as error:
            error.add_note(f"{where} is {value}")
            raise

    def _artifact_of(self, members: list[Any], value: str, where: str) -> Any:
        """The artifact that a reference means, as the one of several types that it is."""
        from nemotron.kit.artifacts.base import Artifact

        found = self._artifact(Artifact, value, where)
        if not self.build:
            return found
        for member in members:
            if isinstance(found, artifact_kind(member) or ()):
                return self.value(member, found, where)
        kinds = " or ".join(spell(member) for member in members)
        raise MisuseError(f"{where} is {value}, and that is a {type(found).__name__}, not a {kinds}")

    def _parameter(
        self, cls: type, parameter: inspect.Parameter, value: Any, where: str, default: Any
    ) -> Any:
        try:
            hint = type_of(cls, parameter, self.names)
        except UnknownTypeError as error:
            raise MismatchError([f"{where}: its type is not known: {error}"]) from error
        return self.value(hint, value, where, default)

    def _spelt(self, cls: type, parameter: inspect.Parameter) -> str:
        try:
            return spell(type_of(cls, parameter, self.names))
        except UnknownTypeError:
            return str(parameter.annotation)

    def _construct(self, cls: type, arguments: dict[str, Any], where: str) -> Any:
        try:
            return cls(**arguments)
        except (TypeError, ValueError) as error:  # the class's own checks, in its own words
            error.add_note(f"while making {cls.__name__} of {where or 'the config'}")
            raise

    def _annotated(self, hint: Any, value: Any, where: str, default: Any) -> Any:
        inner, *rules = typing.get_args(hint)
        inner = bare(inner)
        if not _is_structure(inner) and artifact_kind(inner) is None:
            return self._single(hint, value, where)
        converted = self.value(inner, value, where, default)
        if not self.build:
            return converted
        return single_value(typing.Annotated[(Any, *rules)], converted, where)

    def _union(self, hint: Any, value: Any, where: str, default: Any) -> Any:
        members = [bare(member) for member in typing.get_args(hint)]
        if value is None and NoneType in members:
            return None
        others = [member for member in members if member is not NoneType]
        if len(others) == 1 and value is not None:
            return self.value(others[0], value, where, default)
        if isinstance(value, str) and value.startswith("art://"):
            kinds = [member for member in others if artifact_kind(member) is not None]
            if len(kinds) == 1:
                return self.value(kinds[0], value, where, default)
            if kinds:
                return self._artifact_of(kinds, value, where)
        # The type that the value already has comes before those it can be made into: "3" stays text in
        # `int | str`, 3 becomes 3.0 rather than "3" in `str | float`; a default's own class before others.
        others.sort(key=lambda member: _distance(member, value, default))
        failures: list[tuple[Any, MismatchError]] = []
        for member in others:
            try:
                return self.value(member, value, where, default)
            except MismatchError as error:
                failures.append((member, error))
        likely = [error for member, error in failures if _same_shape(member, value)]
        if len(likely) == 1:
            raise likely[0]
        raise mismatch(where, spell(hint), value)

    def _elements(self, hint: Any, arguments: tuple[Any, ...], value: Any, where: str) -> list[Any]:
        if not isinstance(value, list | tuple | set | frozenset):
            raise mismatch(where, spell(hint), value)
        return _gathered(
            functools.partial(self.value, arguments[0], element, f"{where}[{index}]")
            for index, element in enumerate(value)
        )

    def _tuple(self, hint: Any, arguments: tuple[Any, ...], value: Any, where: str) -> Any:
        if not arguments or arguments[-1] is Ellipsis:
            return tuple(self._elements(hint, arguments or (Any,), value, where))
        if not isinstance(value, list | tuple):
            raise mismatch(where, spell(hint), value)
        if len(value) != len(arguments):
            raise mismatch(where, f"{spell(hint)}, {len(arguments)} elements", value)
        pairs = zip(arguments, value, strict=True)
        return tuple(
            _gathered(
                functools.partial(self.value, inner, element, f"{where}[{index}]")
                for index, (inner, element) in enumerate(pairs)
            )
        )

    def _map(self, hint: Any, arguments: tuple[Any, ...], value: Any, where: str) -> dict[Any, Any]:
        if not isinstance(value, Mapping):
            raise mismatch(where, spell(hint), value)
        key_type, value_type = arguments
        keys = _gathered(
            functools.partial(self.value, key_type, key, f"{_join(where, key)} (key)") for key in value
        )
        values = _gathered(
            functools.partial(self.value, value_type, element, _join(where, key))
            for key, element in value.items()
        )
        return dict(zip(keys, values, strict=True))


def _gathered(calls: Iterable[Callable[[], Any]]) -> list[Any]:
    """Make every call, then report all that failed together."""
    results: list[Any] = []
    problems: list[str] = []
    for call in calls:
        try:
            results.append(call())
        except MismatchError as error:
            problems.extend(error.lines)
    if problems:
        raise MismatchError(problems)
    return results


def _default_of(field: "dataclasses.Field[Any] | None", owner: Any) -> Any:
    """Return the value that a field has when the config does not set it; None when there is none."""
    if field is None:
        return None
    if owner is not None:
        return getattr(owner, field.name, None)
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _unknown(
    cls: type,
    name: str,
    path: str,
    accepted: Mapping[str, inspect.Parameter],
    own: Mapping[str, "dataclasses.Field[Any]"],
) -> str:
    if name in own:
        return f"{path}: is computed by {cls.__name__} and cannot be set"
    known = [other for other, parameter in accepted.items() if parameter.kind is not parameter.VAR_KEYWORD]
    return f"{path}: {cls.__name__} has no field {name!r}. {suggestion(nearest(name, known), known)}"


def _join(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)


# -- unions ------------------------------------------------------------------------------------------------


def _is_structure(hint: Any) -> bool:
    origin = typing.get_origin(hint) or hint
    return is_union(hint) or dataclass_of(hint) is not None or origin in (*_LISTS, *_SETS, *_MAPS, tuple)


def _distance(member: Any, value: Any, default: Any) -> int:
    """Rank the members of a union for a value: 0 is what it already is."""
    cls = dataclass_of(member)
    if cls is not None:
        return 0 if isinstance(value, cls) or (default is not None and isinstance(default, cls)) else 2
    origin = typing.get_origin(member)
    if origin is typing.Annotated:
        return _distance(bare(typing.get_args(member)[0]), value, default)
    if origin is typing.Literal:
        same = any(type(choice) is type(value) and choice == value for choice in typing.get_args(member))
        return 0 if same else 2
    if type(value) is member:
        return 0
    return 1 if member is float and type(value) is int else 2


def _same_shape(member: Any, value: Any) -> bool:
    origin = typing.get_origin(member) or member
    if isinstance(value, Mapping):
        return dataclass_of(member) is not None or origin in _MAPS
    return isinstance(value, list | tuple) and origin in (*_LISTS, *_SETS, tuple)
