"""Which class a type on disk stands for: the kit's own kinds, and every class that somebody derived."""

import logging
import weakref
from functools import cache
from importlib import import_module
from typing import TypeVar

from nemotron.kit.artifacts.metadata import nearest
from nemotron.kit.artifacts.modules import MODULES
from nemotron.kit.artifacts.value import ArtifactValue
from nemotron.kit.errors import MisuseError

log = logging.getLogger(__name__)

# The modules of the kit's kinds, which are imported when the kind is met.
KINDS = {name: module for name, module in MODULES.items() if module not in ("base", "inputs")}

Kind = TypeVar("Kind", bound=ArtifactValue)

_classes: "weakref.WeakValueDictionary[str, type[ArtifactValue]]" = weakref.WeakValueDictionary()


def register(cls: type[ArtifactValue]) -> None:
    """Let a class be found by its type; the last one of a name counts."""
    _classes[cls.type_name()] = _classes[cls.__name__] = cls


def named(type_name: str) -> type[ArtifactValue] | None:
    """The class of a type, or None if nobody has defined one in this process."""
    if type_name not in _classes and type_name in KINDS:
        import_module(f"{__package__}.{KINDS[type_name]}")
    return _classes.get(type_name)


def meant(name: str) -> type[ArtifactValue] | None:
    """The class that a person means by a type.

    Args:
        name: of a class, or `MODULE:CLASS` for one that has to be imported first; other text, in lower case,
            is a label that stands for no class.

    Returns:
        None for a label.

    Raises:
        MisuseError: there is no such class; the message says which is nearest.

    >>> meant("model"), meant("ModelArtifact").__name__
    (None, 'ModelArtifact')
    """
    module, colon, cls_name = name.rpartition(":")
    if colon:
        try:
            found = getattr(import_module(module), cls_name, None)
        except (ImportError, ValueError) as error:
            raise MisuseError(f"Cannot import {module}, for the type {name}: {error}") from error
        if not (isinstance(found, type) and issubclass(found, ArtifactValue)):
            raise MisuseError(f"{module} has no artifact class {cls_name!r}")
        return found
    if (cls := named(name)) is not None:
        return cls
    own = {key for key, cls in _classes.items() if not cls.__module__.startswith(f"{__package__}.")}
    known = {"Artifact", *KINDS, *own}
    same = next((other for other in known if other.casefold() == name.casefold()), None)
    if same is None and not name[:1].isupper():
        return None
    hint = f"did you mean {same}?" if same else nearest(name, known)
    raise MisuseError(
        f"No artifact class is called {name} ({hint}). One of your own is named with its module, "
        f"MODULE:{name}"
    )


@cache
def _say_unknown(type_name: str, where: str) -> None:
    log.warning(
        "%s is a %s, which is not defined in this process: it is a plain Artifact here, its fields are in "
        "metadata; import the module that defines the class to have it typed",
        where,
        type_name,
    )


def choose(asked: type[Kind], type_name: str, where: str) -> type[Kind]:
    """The class to load something as: its own, if that is what was asked for, or is derived from it.

    Args:
        asked: the class that `load` or `from_uri` was called on.
        type_name: what the artifact says it is.
        where: what is loaded, for the message.

    Raises:
        MisuseError: it is of another kind.
    """
    found = named(type_name)
    # By name, because a class that is defined again in a notebook is another one of the same name.
    bases = (base for base in asked.__mro__ if issubclass(base, ArtifactValue))
    if found is asked or any(type_name in (base.type_name(), base.__name__) for base in bases):
        return asked
    if found is None:
        # Other tools write types such as "model" or "dataset", which may be any kind; a class name is one.
        if asked._keeps_unknown or not type_name[:1].isupper():
            if type_name[:1].isupper():
                _say_unknown(type_name, where)
            return asked
    elif issubclass(found, asked):
        return found
    raise MisuseError(
        f"{where} is a {type_name}, not a {asked.__name__}; load it as {type_name}, or with Artifact, "
        "which takes every kind"
    )
