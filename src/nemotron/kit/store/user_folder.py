"""Folders of the user's own, for what may be lost and for what may not."""

import os

from nemotron.kit.store.node_folder import open_node_folder


def cache_folder() -> str:
    """Where what may be deleted lies: `$XDG_CACHE_HOME`, else `~/.cache`; absolute.

    A user without a home, as containers have them, has the folder of this user on this node.

    >>> os.path.isabs(cache_folder())
    True
    """
    return _named("XDG_CACHE_HOME") or _at_home(".cache")


def state_folder() -> str:
    """Where what is to stay lies: `$XDG_STATE_HOME`, else `~/.local/state`; else as for the cache."""
    return _named("XDG_STATE_HOME") or _at_home(".local/state")


def _named(variable: str) -> str | None:
    path = os.environ.get(variable)
    return path if path and os.path.isabs(path) else None  # the XDG specification has others ignored


def _at_home(name: str) -> str:
    home = os.path.expanduser("~")
    if os.path.isabs(home):
        return f"{home.rstrip('/')}/{name}"
    node = open_node_folder(os.environ)
    # In what is no folder nothing can be, and who tries says so.
    return f"{node.path if node else os.devnull}/{name}"
