"""Pure rooms do their work with the disk unplugged: which tests that concerns, and how it is made sure."""

import builtins
import io
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest

# Paths under tests/, and what under them is not pure.
PURE_TESTS = (
    "names",
    "redaction",
    "test_names.py",
    "documents",
    "exporters",
    "lineage",
    "registry/test_changes.py",
    "registry/test_garbage.py",
)
NOT_PURE = ("lineage/test_collect", "lineage/test_index")

FORBIDDEN = (
    *((builtins, "open"), (io, "open"), (os, "open"), (os, "listdir"), (os, "scandir")),
    *((socket.socket, "connect"), (socket, "create_connection"), (socket, "getaddrinfo")),
)


class IoForbiddenError(AssertionError):
    """Code that must work with the disk unplugged touched it, or the network."""


def is_pure(test: str) -> bool:
    """Whether a test file, named by its path under tests/, is one of a pure room."""
    under = tuple(f"{name}/" for name in PURE_TESTS if not name.endswith(".py"))
    return (test in PURE_TESTS or test.startswith(under)) and not test.startswith(NOT_PURE)


def forbid_io(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forbid files and sockets to whatever the kit's modules call, for the length of a test."""
    for owner, name in FORBIDDEN:
        monkeypatch.setattr(owner, name, _guard(f"{owner.__name__}.{name}", getattr(owner, name)))


def _guard(what: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def guard(*args: Any, **kwargs: Any) -> Any:
        if caller := _kit_module():
            raise IoForbiddenError(f"{caller} is pure, but called {what}")
        return real(*args, **kwargs)

    return guard


def _kit_module() -> str | None:
    """The nearest module of ours on the stack. An import that the kit makes is not its own I/O."""
    frame = sys._getframe(2)
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.startswith("importlib"):
            return None
        if name.split(".")[0] in ("nemotron", "nemo_runspec"):
            return name
        frame = frame.f_back  # type: ignore[assignment]
    return None
