"""With which code a process leaves, as far as that can be seen from inside.

Python tells its exit handlers nothing of `sys.exit(1)`. But it asks the exception for its code, just before
it calls them: so `sys.exit` is replaced by one that raises a `SystemExit` which notes that, once a run is to
be recorded. Who catches it and goes on has most often not asked. What is raised in another way
(`raise SystemExit(1)`, `exit(1)`, a name that was imported before) is not seen, and neither is a signal.
"""

import sys
from typing import Any, NoReturn

_seen: int | None = None


class _Exit(SystemExit):
    """The built-in one, in every respect but that who asks for the code is noticed."""

    @property
    def code(self) -> Any:  # type: ignore[override]
        """What `sys.exit` was given."""
        global _seen
        said = self.args[0] if self.args else None
        _seen = code_of(said)
        return said


# So it is called where it is shown, and is the built-in one for pickle.
_Exit.__name__ = _Exit.__qualname__ = "SystemExit"
_Exit.__module__ = "builtins"


def code_of(said: Any) -> int:
    """The exit code that the argument of `sys.exit` leads to.

    >>> [code_of(said) for said in (None, 0, 3, 256, -1, "no data")]
    [0, 0, 3, 0, 255, 1]
    """
    if said is None:
        return 0
    return said & 0xFF if isinstance(said, int) else 1


def watch() -> None:
    """See the codes of `sys.exit` from now on; the second time changes nothing."""
    former = sys.exit
    if getattr(former, "tells_the_kit", False):
        return

    def leave(status: Any = None, /) -> NoReturn:
        """Exit the interpreter by raising SystemExit(status)."""
        try:
            former(status)
        except SystemExit as error:
            raise _Exit(*error.args) from None

    leave.__name__ = leave.__qualname__ = "exit"
    leave.tells_the_kit = True  # type: ignore[attr-defined]
    sys.exit = leave


def seen() -> int | None:
    """The code that the process is leaving with, once it is leaving; None if it was not seen."""
    return _seen
