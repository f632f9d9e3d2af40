"""Read a YAML config, and remember which file it came from."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron.kit.errors import MisuseError, PathNotFoundError, RefusedError
from nemotron.kit.train_script.nearest import nearest

if TYPE_CHECKING:
    from omegaconf import DictConfig

# An instance attribute, not a key: OmegaConf neither shows nor compares it. Errors name the file by it.
_SOURCE = "_nemotron_config_file"


def remember_source(config: Any, source: str | None) -> None:
    """Note on a config the file it was read from."""
    vars(config)[_SOURCE] = source


def source_of(config: Any) -> str | None:
    """Return the file that a config, or the whole that it is a section of, was read from; else None."""
    node: Any = config
    while node is not None:
        source: str | None = vars(node).get(_SOURCE)
        if source is not None:
            return source
        node = node._get_parent()
    return None


def section_of(config: Any) -> str:
    """Return the dotted path of a config in the whole that it is a section of; "" for the whole."""
    parent = config._get_parent()
    # Asked of the parent: of itself, an element of a list says `all1` for `all[1]`.
    return "" if parent is None else str(parent._get_full_key(config._key()))


def place(config: Any) -> str:
    """Return the words that say where a config came from, for an error."""
    return source_of(config) or "the config"


def as_config(config: "Mapping[str, Any] | DictConfig") -> "DictConfig":
    """Return an OmegaConf config as it is, and make one of a plain dict.

    Raises:
        MisuseError: neither of them, or a dict that OmegaConf does not take.
    """
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(config, DictConfig):
        return config
    if not isinstance(config, Mapping):
        raise MisuseError(f"the config must be a map (DictConfig or dict), found {type(config).__name__}")
    try:
        return OmegaConf.create(dict(config), flags={"allow_objects": True})
    except OmegaConfBaseException as error:
        raise MisuseError(f"the config is no map that OmegaConf takes: {error}") from error


def load_omegaconf_yaml(path: str | PathLike[str]) -> "DictConfig":
    """Read a YAML file as an OmegaConf config; interpolations stay as they are.

    Args:
        path: the file; a leading `~` is the home folder.

    Raises:
        PathNotFoundError: `Config file not found: …` (a `FileNotFoundError`).
        RefusedError: the file may not be read.
        MisuseError: a folder, not YAML (with line and column), or not a map at the top.
    """
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    file = Path(path).expanduser()
    if file.is_dir():
        raise MisuseError(f"{file} is a folder, expected a YAML file; name the file in it")
    try:
        config = OmegaConf.load(file)
    except FileNotFoundError as error:
        raise PathNotFoundError(f"Config file not found: {file}{_did_you_mean(file)}") from error
    except PermissionError as error:
        raise RefusedError(
            f"{file} may not be read: check the permissions of the file and its folder"
        ) from error
    except YAMLError as error:
        raise MisuseError(f"{file} is not valid YAML: {error}") from error
    except UnicodeDecodeError as error:
        raise MisuseError(f"{file} is not UTF-8 text ({error}); is it a config file?") from error
    except (OmegaConfBaseException, OSError) as error:
        # OmegaConf raises OSError("Invalid loaded object type: …") for a document that is one number or text.
        raise MisuseError(f"{file} cannot be read as a config: {error}") from error
    if not isinstance(config, DictConfig):
        raise MisuseError(f"{file} holds a list at the top, expected a map (`key: value` lines)")
    remember_source(config, str(file))
    return config


def _did_you_mean(file: Path) -> str:
    """Name the file of the same folder that was meant, if one comes near."""
    try:
        names = sorted(other.name for other in file.parent.iterdir())
    except OSError:
        return ""  # the folder is missing or closed to us: the message without a hint is still true
    found = nearest(file.name, names)
    return f". Did you mean {file.parent / found}?" if found is not None else ""
