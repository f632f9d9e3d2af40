"""Which store a command works on."""

import os
from typing import Any

from nemotron.kit.context import ROOT_VARIABLE
from nemotron.kit.errors import MisuseError

ENV_FILE = "env.toml"
_SECTION = "[artifacts.manifest] root"


def find_root(root: str | None) -> str:
    """The root: what was given, else `$NEMO_ARTIFACT_ROOT`, else what an `env.toml` says.

    Args:
        root: the value of `--root`.

    Raises:
        MisuseError: nothing names a root, or an `env.toml` can't be understood.
    """
    found = root if root is not None else named_root()
    if found is None:
        raise MisuseError(
            f'Which artifact store? Pass --root ROOT, set {ROOT_VARIABLE}, or write {_SECTION} = "…" into an '
            f"{ENV_FILE} in this folder or above it"
        )
    return found


def named_root() -> str | None:
    """What `$NEMO_ARTIFACT_ROOT` or an `env.toml` says, or None.

    Raises:
        MisuseError: an `env.toml` can't be understood.
    """
    return os.environ.get(ROOT_VARIABLE) or _from_env_files()


def outbox_roots(root: str | None) -> list[str]:
    """Where something may wait for W&B: in the store, and in the folder that stands in where there is none.

    Args:
        root: the value of `--root`, which alone is looked at then.

    Raises:
        MisuseError: there is neither, or an `env.toml` can't be understood.
    """
    from nemotron.kit.tracking.outbox import FOLDER, state_root

    state = state_root()
    if root is not None or not os.path.isdir(os.path.join(state, FOLDER)):
        return [find_root(root)]
    return list(dict.fromkeys(one for one in (named_root(), state) if one))


def _from_env_files() -> str | None:
    """What the nearest `env.toml` upwards that names a root says."""
    try:
        folder = os.getcwd()
    except FileNotFoundError:
        return None  # the working folder was deleted: there is no "upwards"
    while True:
        root = _from_env_file(os.path.join(folder, ENV_FILE))
        above = os.path.dirname(folder)
        if root is not None or above == folder:
            return root
        folder = above


def _from_env_file(path: str) -> str | None:
    import tomllib

    try:
        with open(path, "rb") as file:
            document: Any = tomllib.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise MisuseError(f"Cannot read {path}: {error.strerror}. Fix it, or pass --root") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MisuseError(f"{path} is damaged: {error}. Fix it, or pass --root") from error
    for key in ("artifacts", "manifest", "root"):
        if not isinstance(document, dict):
            raise MisuseError(f"{path}: expected a table that holds {key!r} ({_SECTION}), found {document!r}")
        if key not in document:
            return None
        document = document[key]
    if not isinstance(document, str) or not document:
        raise MisuseError(f"{path}: {_SECTION} is {document!r}, expected a path or URL")
    if "${" in document:
        raise MisuseError(f"{path}: {_SECTION} is {document!r}; write it out, nothing is filled in here")
    if "://" in document or document.startswith("~"):
        return document
    return os.path.join(os.path.dirname(path), document)
