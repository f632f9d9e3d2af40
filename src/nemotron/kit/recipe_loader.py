"""Find the recipe function that a config names, and the arguments that it is called with."""

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from nemotron.kit import context
from nemotron.kit.errors import MisuseError
from nemotron.kit.integrations.config_values import resolve_references
from nemotron.kit.integrations.megatron_padding import derive_pad_seq_to_mult
from nemotron.kit.integrations.omegaconf_errors import resolution_error
from nemotron.kit.names import near

__all__ = ["RecipeImportError", "derive_pad_seq_to_mult", "extract_recipe_config", "import_recipe_function"]

_TARGET = "_target_"
_EXAMPLE = "package.module.function"


class RecipeImportError(MisuseError, AttributeError):
    """A recipe's dotted name leads to no function; the message says how far it led."""

    kind = "recipe_import"


def import_recipe_function(target: str) -> Callable[..., Any]:
    """Import the function (or class) with a dotted name.

    Args:
        target: `package.module.function`; `package.module.Class.method` works too.

    Raises:
        RecipeImportError: `Failed to import recipe '…': …` (an `AttributeError`): no such module, a module
            that fails to import something, no such name in it, or a name that cannot be called.

    >>> import_recipe_function("math.lcm")(4, 6)
    12
    """
    parts = target.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise _failed(target, f"expected a dotted name such as {_EXAMPLE}")
    found: Any = _module(target, parts)
    for part in parts[found.__name__.count(".") + 1 :]:
        try:
            found = getattr(found, part)
        except AttributeError as error:
            where = getattr(found, "__name__", type(found).__name__)
            if isinstance(found, ModuleType) and _is_module(f"{where}.{part}"):
                raise _failed(target, "it is a module; add the name of a function in it") from error
            meant = near(part, dir(found))
            hint = f"; did you mean {meant[0]!r}?" if meant else ""
            raise _failed(target, f"{where!r} has no {part!r}{hint}") from error
    if not callable(found) or isinstance(found, ModuleType):
        raise _failed(target, f"it is a {type(found).__name__}, which cannot be called")
    return found  # type: ignore[no-any-return]


def _module(target: str, parts: list[str]) -> ModuleType:
    """Import the longest part of a dotted name that is a module."""
    for length in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:length])
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            # Only if the module itself is absent may a shorter name be meant; else a dependency is.
            absent = error.name is not None and (name == error.name or name.startswith(f"{error.name}."))
            if not absent or length == 1:
                raise _failed(target, str(error)) from error
        except ImportError as error:
            raise _failed(target, str(error)) from error
    raise _failed(target, "there is no such module")


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the parent is no package
        return False


def _failed(target: str, why: str) -> RecipeImportError:
    return RecipeImportError(f"Failed to import recipe '{target}': {why}")


def extract_recipe_config(config: Any, *, default_target: str) -> tuple[str, dict[str, Any]]:
    """Read which recipe a config asks for, and its arguments.

    Args:
        config: an OmegaConf config, a dict, or an object with a `recipe`.
        default_target: the recipe when `config.recipe` or its `_target_` is absent.

    Returns:
        The dotted name, and the rest of `config.recipe` as plain values: interpolations resolved, and for
        `art://…` the place of that artifact, if there is a store. The config is not changed.

    Raises:
        MisuseError: `recipe` is not a map, `_target_` is not text, or a value cannot be resolved.

    >>> extract_recipe_config({"recipe": {"_target_": "lib.nano", "lr": 0.1}}, default_target="lib.big")
    ('lib.nano', {'lr': 0.1})
    >>> extract_recipe_config({}, default_target="lib.big")
    ('lib.big', {})
    """
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        if isinstance(config, Mapping) and not isinstance(config, DictConfig):
            # Through OmegaConf, so that `${…}` means the same in a plain dict.
            config = OmegaConf.create(dict(config), flags={"allow_objects": True})
        recipe = config.get("recipe") if isinstance(config, DictConfig) else getattr(config, "recipe", None)
        if isinstance(recipe, DictConfig):
            recipe = OmegaConf.to_container(recipe, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise resolution_error(error, "recipe", "the config") from None
    if recipe is None:
        return default_target, {}
    if not isinstance(recipe, Mapping):
        raise MisuseError(f"recipe: expected a map with {_TARGET} and arguments, found {recipe!r}")
    arguments = {str(key): value for key, value in recipe.items()}
    target = arguments.pop(_TARGET, default_target)
    if not isinstance(target, str) or not target:
        raise MisuseError(f"recipe.{_TARGET}: expected a dotted name such as {_EXAMPLE}, found {target!r}")
    if context.current_registry() is not None:
        arguments = resolve_references(arguments, "recipe")
    return target, arguments
