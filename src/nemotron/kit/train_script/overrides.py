"""Apply overrides such as `train.lr=3e-4` to a config, in the grammar of OmegaConf and Hydra.

Hydra itself is not needed. A key that is not there is refused with the nearest one, because a misspelt
override that is quietly added is a training run with the wrong settings.
"""

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal

from nemotron.kit.errors import MisuseError
from nemotron.kit.train_script.loading import as_config, place, remember_source, source_of
from nemotron.kit.train_script.nearest import nearest_path, suggestion
from nemotron.kit.train_script.places import (
    Anything,
    create,
    current_value,
    dotted_paths,
    find,
    put,
    shown,
    split_path,
    type_name,
)
from nemotron.kit.train_script.values import parse_value

if TYPE_CHECKING:
    from omegaconf import DictConfig

Kind = Literal["set", "add", "force", "delete", "flag"]

_PREFIXES: tuple[tuple[str, Kind], ...] = (("++", "force"), ("+", "add"), ("~", "delete"), ("--", "flag"))
_SEGMENT = r"[^.\[\]\s]+"
_PATH = re.compile(rf"{_SEGMENT}(?:\.{_SEGMENT}|\[[^\[\]]+\])*")
_FORMS = "write KEY=VALUE, +KEY=VALUE to add, ++KEY=VALUE to force, ~KEY to delete, --FLAG or --no-FLAG"


@dataclass(frozen=True, slots=True)
class Override:
    """One override, parsed.

    Attributes:
        kind: what to do; a `--flag` without a value is a "flag", with a value it is a "set".
        path: the dotted key.
        text: what stands right of `=`, None without one.
        source: the override as it was written.
    """

    kind: Kind
    path: str
    text: str | None
    source: str

    @property
    def segments(self) -> tuple[str, ...]:
        """The parts of the path: `a.b[0]` is `("a", "b", "0")`."""
        return split_path(self.path)


def parse_override(source: str) -> Override:
    """Read one override.

    Raises:
        MisuseError: it has none of the forms.

    >>> parse_override("+train.lr=3e-4")
    Override(kind='add', path='train.lr', text='3e-4', source='+train.lr=3e-4')
    """
    kind, body = next(
        ((kind, source[len(prefix) :]) for prefix, kind in _PREFIXES if source.startswith(prefix)),
        ("set", source),
    )
    path, equals, value = body.partition("=")
    path, text = path.strip(), value if equals else None
    if kind == "flag" and text is not None:
        kind = "set"
    if text is None and kind not in ("flag", "delete"):
        raise MisuseError(f"{source!r} is not an override: {_FORMS}")
    if not _PATH.fullmatch(path) or path.startswith("-"):
        raise MisuseError(f"{source!r} is not an override, for {path!r} is not a key: {_FORMS}")
    return Override(kind, path, text, source)


def apply_hydra_overrides(
    config: "DictConfig | Mapping[str, Any]", overrides: Sequence[str], *, strict: bool = True
) -> "DictConfig":
    """Return a copy of a config with overrides applied; the config itself stays as it is.

    The forms, applied in their order:

    - `a.b=c`, `--a.b=c`, `a.b[0]=c`: set what is there. A number stays a number, a switch a switch, a list a
      list; null, an interpolation and `???` fit everywhere. A map is merged into its section.
    - `--flag`, `--no-flag`: true and false; dashes may stand for underscores.
    - `+a.b=c`: add a key. `++a.b=c`: add or replace it, whatever its type.
    - `~a.b`: delete a key. `~a.b=c`: only if it holds that.

    Values are read by OmegaConf's grammar: `null`/`none`/`~`, `true`/`yes`/`on`, `false`/`no`/`off`, numbers,
    `[1, 2]`, `{a: 1}`, quoted text, and all else as text.

    Args:
        config: an OmegaConf config, or a plain dict.
        overrides: as they stand on the command line.
        strict: False takes any key and any type, as earlier tools did.

    Raises:
        MisuseError: every override that does not fit, each with its key, the nearest key or the type
            expected, and the file.

    >>> from omegaconf import OmegaConf
    >>> config = OmegaConf.create({"train": {"lr": 0.1}, "debug": False})
    >>> apply_hydra_overrides(config, ["train.lr=3e-4", "--debug"])
    {'train': {'lr': 0.0003}, 'debug': True}
    >>> apply_hydra_overrides(config, ["trian.lr=1"])
    Traceback (most recent call last):
    nemotron.kit.errors.MisuseError: No key 'trian.lr' in the config. Did you mean 'train.lr'? ...
    """
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(overrides, str):
        raise MisuseError(f"overrides must be a list of texts, found the one text {overrides!r}")
    original = as_config(config)
    changed = copy.deepcopy(original)
    remember_source(changed, source_of(original))

    problems: list[str] = []
    for text in overrides:
        try:
            _Change(changed, parse_override(text), strict).apply()
        except MisuseError as error:
            problems.append(error.message)
        except OmegaConfBaseException as error:
            # Typed (structured) and read-only configs check for themselves.
            reason = str(error).partition("\n")[0]
            problems.append(f"{text}: {place(changed)} does not take it: {reason}")
    if problems:
        raise MisuseError("\n".join(problems))
    return changed


@dataclass(frozen=True, slots=True)
class _Change:
    """One override on its way into a config."""

    config: Any
    override: Override
    strict: bool

    def apply(self) -> None:
        match self.override.kind:
            case "flag":
                self._flag()
            case "delete":
                self._delete()
            case "set" if self.strict:
                path = self._spelling(self.override.path)
                self._fit_in(self._found(path, self.override.text), path, self._value())
            case "set":
                self._put_anyhow(self._spelling(self.override.path), self._value())
            case "add" | "force" as kind:
                found = find(self.config, self.override.segments)
                if kind == "add" and found is not None:
                    raise MisuseError(
                        f"{self.override.source}: {self.override.path!r} is already in {place(self.config)}; "
                        "change it without the +, or write ++ to replace it"
                    )
                create(self.config, self.override.segments, self._value())

    def _value(self) -> Any:
        try:
            return parse_value(self.override.text or "")
        except MisuseError as error:
            raise MisuseError(
                f"{self.override.path}: {error.message}. If text is meant, quote it for the config as well: "
                f""""{self.override.path}='{self.override.text}'\""""
            ) from error

    def _spelling(self, path: str) -> str:
        """Return the path as the config spells it: `--a-b=c` may mean `a_b`."""
        if not self.override.source.startswith("--") or find(self.config, split_path(path)) is not None:
            return path
        return path.replace("-", "_")

    def _found(self, path: str, value: Any) -> tuple[Any, Any]:
        found = find(self.config, split_path(path))
        if found is None:
            raise MisuseError(self._no_such(path, value))
        return found

    def _no_such(self, path: str, value: Any) -> str:
        known = list(dotted_paths(self.config))
        section = path.rpartition(".")[0]
        siblings = [other for other in known if other.rpartition(".")[0] == section] or list(
            map(str, self.config)
        )
        adding = "" if self.override.kind == "delete" else f" To add a key, write '+{path}={value}'."
        hint = suggestion(nearest_path(path, known), siblings)
        return f"No key {path!r} in {place(self.config)}. {hint}{adding}"

    def _flag(self) -> None:
        path, value = self._spelling(self.override.path), True
        if path.startswith(("no-", "no_")):
            positive = self._spelling(self.override.path[3:])
            if find(self.config, split_path(positive)) or not find(self.config, split_path(path)):
                path, value = positive, False
        if not self.strict:
            self._put_anyhow(path, value)
            return
        parent, key = self._found(path, str(value).lower())
        current = current_value(parent, key)
        if current is not None and not isinstance(current, bool | Anything):
            raise MisuseError(
                f"{self.override.source}: {path!r} is no switch, {place(self.config)} has {shown(current)}; "
                f"write --{path}=VALUE"
            )
        put(parent, key, value)

    def _delete(self) -> None:
        from omegaconf import flag_override

        path = self.override.path
        found = find(self.config, self.override.segments) if not self.strict else self._found(path, None)
        if found is None:
            return
        parent, key = found
        if self.override.text is not None:
            current, expected = current_value(parent, key), parse_value(self.override.text)
            if current != expected:
                raise MisuseError(
                    f"{self.override.source}: {place(self.config)} has {shown(current)} there, "
                    f"not {shown(expected)}; ~{path} deletes it whatever it holds"
                )
        with flag_override(parent, "struct", False):
            del parent[key]

    def _fit_in(self, found: tuple[Any, Any], path: str, value: Any) -> None:
        """Set a value that must be of the type that is there; a map is merged key by key."""
        from omegaconf import DictConfig

        parent, key = found
        current = current_value(parent, key)
        if not (isinstance(current, DictConfig) and isinstance(value, dict)):
            put(parent, key, self._fitted(path, current, value))
            return
        if not current:
            put(parent, key, value)  # an empty section has no keys to misspell
            return
        for name, inner in value.items():
            inner_path = f"{path}.{name}"
            inner_found = find(current, (str(name),))
            if inner_found is None:
                raise MisuseError(self._no_such(inner_path, inner))
            self._fit_in(inner_found, inner_path, inner)

    def _fitted(self, path: str, current: Any, value: Any) -> Any:
        """Return the value as the type that is there, or refuse it."""
        from omegaconf import DictConfig

        number = isinstance(value, int | float) and not isinstance(value, bool)
        open_text = isinstance(value, str) and ("${" in value or value == "???")
        if value is None or current is None or isinstance(current, Anything) or open_text:
            return value
        if isinstance(current, bool):
            if isinstance(value, bool) or (number and value in (0, 1)):
                return bool(value)
        elif isinstance(current, int):
            # `weight_decay: 0` in a file means any number, so 0.1 is no mistake; 8 GPUs stay a whole number.
            whole = number and float(value).is_integer()
            if whole or (number and current in (0, 1)):
                return int(value) if whole else value
        elif isinstance(current, float):
            if number:
                return float(value)
        elif isinstance(current, str):
            # `save_every: auto` may become 100, and a run may be named 2024.
            if isinstance(value, str) or number or isinstance(value, bool):
                return value
        elif isinstance(current, PurePath):
            if isinstance(value, str):
                return type(current)(value)
        elif isinstance(current, DictConfig):
            if isinstance(value, dict):
                return value
        elif isinstance(current, Sequence) and not isinstance(current, bytes):
            if isinstance(value, list):
                return value
        else:
            return value  # enums and objects of typed configs: OmegaConf checks these
        raise MisuseError(self._wrong_type(path, current, value))

    def _wrong_type(self, path: str, current: Any, value: Any) -> str:
        expected = type_name(current)
        hint = ""
        if expected == "list":
            hint = f" A list is written {path}=[…]."
        has = shown(current)
        if expected == "map":
            has = f"a section with the keys {', '.join(map(str, list(current)[:8]))}"
            hint = f" Set one of these, such as {path}.{next(iter(current), 'KEY')}."
        return (
            f"{path}: expected {expected}, found {shown(value)}; {place(self.config)} has {has}."
            f"{hint} To replace it whatever its type, write '++{path}={self.override.text}'."
        )

    def _put_anyhow(self, path: str, value: Any) -> None:
        """Set a value as earlier tools did: whatever is there, or not there."""
        from omegaconf import OmegaConf

        OmegaConf.update(self.config, path, value, merge=True)
