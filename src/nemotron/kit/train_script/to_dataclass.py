"""From a config to the dataclass of a script."""

import contextlib
import dataclasses
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from nemotron.kit import context
from nemotron.kit.errors import MisuseError
from nemotron.kit.integrations.omegaconf_errors import resolution_error
from nemotron.kit.train_script.conversion import Converter
from nemotron.kit.train_script.loading import as_config, section_of, source_of
from nemotron.kit.train_script.references import referenced_paths
from nemotron.kit.train_script.single_values import MismatchError
from nemotron.kit.train_script.typing_help import parameters, takes

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from nemotron.kit.integrations.config_values import Meaning

T = TypeVar("T")

# Sections that the launcher and the kit read themselves, in the same file as the script's own.
_KIT_SECTIONS = ("run", "artifacts")


def omegaconf_to_dataclass(
    config: "DictConfig | Mapping[str, Any]", cls: type[T], *, strict: bool = True
) -> T:
    """Make a dataclass of a config.

    Nested dataclasses, `X | Y`, `list[X]`, `dict[str, X]`, `tuple`, `set`, `Enum` (by value or name),
    `Literal`, `Path`, `Annotated[int, Field(gt=0)]` and what else pydantic knows are made of what YAML has. A
    section that sets some fields keeps the others of the field's default. Keys are checked first and
    interpolations resolved after that, so a typo is reported before `${art:…}` downloads anything.

    A value `art://data:latest` is the artifact's own place in a field of type `Path`, the artifact itself in
    one of type `Artifact` or of a kind of it, and the version that it is, `art://data:v3`, in a field of
    text: the same for all ranks, and an input of the current run.

    Args:
        config: an OmegaConf config, or a plain dict.
        cls: a dataclass; inheritance, `InitVar` and annotations as text are understood.
        strict: False leaves keys out that the dataclass does not have. What an interpolation points to
            (`root` in `path: ${root}/x`) may always be there, and so may the top-level sections `run` and
            `artifacts`, which belong to the launcher.

    Raises:
        TypeError: `X must be a dataclass`.
        MisuseError: every unknown key, wrong type and missing value (`???`), with path and file; an
            interpolation that leads nowhere; or an artifact of another kind, or without a store.
        NotFoundError: there is no such artifact; a note says which key names it.
        DriftError, RefusedError, UnavailableError: files of an artifact differ from what was published or
            can't be compared, and `kit.init(on_drift="error")` was said.

    >>> @dataclasses.dataclass
    ... class Train:
    ...     lr: float
    ...     steps: int | None = None
    >>> omegaconf_to_dataclass({"lr": "1e-4"}, Train)
    Train(lr=0.0001, steps=None)
    >>> omegaconf_to_dataclass({"lr": "fast", "step": 3}, Train)
    Traceback (most recent call last):
    nemotron.kit.errors.MisuseError: The config does not fit Train:
      lr: expected float, found 'fast' (str)
      step: Train has no field 'step'. Did you mean 'steps'?
    """
    # A class defined in the caller's function may name others of that function in its annotations.
    asked = _Asked.of(config, cls, strict, dict(sys._getframe(1).f_locals))
    with asked.misfits():
        asked.check()
        resolved = asked.resolved()
        build = dataclasses.replace(
            asked.converter, build=True, artifacts=_artifacts_in(resolved, asked.where)
        )
        return cast(T, build.dataclass(cls, resolved, asked.where))


def check_config(config: "DictConfig | Mapping[str, Any]", cls: type[Any], *, strict: bool = True) -> None:
    """Refuse what `omegaconf_to_dataclass` would refuse, as far as that can be told without resolving.

    A script that calls it before `setup_artifact_tracking` says what is wrong in its config before a store
    or W&B is asked for anything.

    Args:
        config: as for `omegaconf_to_dataclass`; no interpolation in it is resolved.
        cls: a dataclass.
        strict: False takes keys that the dataclass does not have.

    Raises:
        TypeError: `X must be a dataclass`.
        MisuseError: every unknown key, wrong type and missing value (`???`), with path and file.

    >>> @dataclasses.dataclass
    ... class Train:
    ...     data: str
    ...     lr: float
    >>> check_config({"data": "${art:data,path}", "lr": "0.1"}, Train)
    >>> check_config({"data": "${art:data,path}", "lr": "???"}, Train)
    Traceback (most recent call last):
    nemotron.kit.errors.MisuseError: The config does not fit Train:
      lr: must be set (it is ???), expected float; add lr=VALUE
    """
    asked = _Asked.of(config, cls, strict, dict(sys._getframe(1).f_locals))
    with asked.misfits():
        asked.check()


@dataclasses.dataclass(frozen=True, slots=True)
class _Asked:
    """A config that is to become a dataclass.

    Attributes:
        config: it.
        cls: the dataclass.
        where: the dotted path of the config in the whole that it is a section of; "" for the whole.
        entries: what is meant for the dataclass, unresolved.
        converter: checks, and builds nothing.
    """

    config: "DictConfig"
    cls: type[Any]
    where: str
    entries: Mapping[Any, Any]
    converter: Converter

    @classmethod
    def of(cls, config: Any, wanted: Any, strict: bool, names: Mapping[str, Any]) -> "_Asked":
        if not (isinstance(wanted, type) and dataclasses.is_dataclass(wanted)):
            raise TypeError(f"{getattr(wanted, '__name__', repr(wanted))} must be a dataclass")
        origin = as_config(config)
        # What points to a key of this section may stand anywhere.
        referenced = referenced_paths(_plain(origin._get_root()))
        converter = Converter(build=False, strict=strict, names=names, referenced=referenced)
        own = parameters(wanted)
        entries = _plain(origin)
        meant = {key: value for key, value in entries.items() if str(key) in own or key not in _KIT_SECTIONS}
        return cls(origin, wanted, section_of(origin), meant, converter)

    def check(self) -> None:
        """Raise what does not fit, before anything is resolved."""
        self.converter.dataclass(self.cls, self.entries, self.where)

    def resolved(self) -> dict[Any, Any]:
        """What the dataclass takes, resolved: other sections may need resolvers that are not here."""
        own, source = parameters(self.cls), source_of(self.config)
        return {key: _resolved(self.config, key, source) for key in self.entries if takes(own, key)}

    @contextlib.contextmanager
    def misfits(self) -> Iterator[None]:
        """Say of what does not fit which file it is in."""
        try:
            yield
        except MismatchError as error:
            source = source_of(self.config)
            file = f" {source}" if source else ""
            lines = "\n".join(f"  {line}" for line in error.lines)
            raise MisuseError(f"The config{file} does not fit {self.cls.__name__}:\n{lines}") from error


def _artifacts_in(resolved: Mapping[Any, Any], where: str) -> "Mapping[str, Meaning]":
    """What each `art://…` means. Without a store it stays as it is written: a script may open one later."""
    tracker = context.current_tracker()
    if context.current_registry() is None and (tracker is None or not tracker.is_active()):
        return {}
    from nemotron.kit.integrations.config_values import meanings

    return meanings(resolved, where=where)


def _plain(config: Any) -> Any:
    """Return a config as dicts and lists, with interpolations and `???` as they stand."""
    from omegaconf import OmegaConf

    return OmegaConf.to_container(config, resolve=False) or {}


def _resolved(config: "DictConfig", key: Any, source: str | None) -> Any:
    """Return one entry of a config as plain values, with its interpolations resolved."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        value = config[key]
        if OmegaConf.is_config(value):
            return OmegaConf.to_container(value, resolve=True, throw_on_missing=True)
        return value
    except OmegaConfBaseException as error:
        raise resolution_error(error, str(key), source or "the config") from None
