"""With which code a process leaves, as far as that can be seen from inside.

Python tells its exit handlers nothing of `sys.exit(1)`. But it asks the exception for its code, just before
it calls them: so `sys.exit` is replaced by one that raises a `SystemExit` which notes that, once a run is to
be recorded. Only the interpreter asks from below all Python code: who catches it, asks and goes on leaves no
trace. What is raised in another way (`raise SystemExit(1)`, `exit(1)`, a name that was imported before) is
not seen, and neither is a signal.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

_seen: int | None = None
_CODE: Any = vars(SystemExit)["code"]


class _Exit(SystemExit):
    """The built-in one, in every respect but that the interpreter's asking for the code is noticed."""

    @property
    def code(self) -> Any:
        """What `sys.exit` was given."""
        said = _CODE.__get__(self)
        if sys._getframe().f_back is None:
            _note(said)
        return said

    @code.setter
    def code(self, said: Any) -> None:
        _CODE.__set__(self, said)

    def __reduce__(self) -> tuple[type[SystemExit], tuple[Any, ...]]:
        return SystemExit, self.args  # another process may have no kit


# So it is called where it is shown.
_Exit.__name__ = _Exit.__qualname__ = "SystemExit"
_Exit.__module__ = "builtins"


def _note(said: Any) -> None:
    global _seen
    _seen = code_of(said)


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
            if threading.current_thread() is not threading.main_thread():
                raise  # it ends the thread alone, and `threading` is silent about the built-in one only
            said = error.args
        raise _Exit(*said)

    leave.__name__ = leave.__qualname__ = "exit"
    leave.tells_the_kit = True  # type: ignore[attr-defined]
    sys.exit = leave


def told_by(raised: BaseException) -> int | None:
    """The code that an exception of `sys.exit` leads to; None for any other."""
    return code_of(raised.code) if isinstance(raised, _Exit) else None


@contextmanager
def leaving(code: int | None) -> Iterator[None]:
    """While a run ends that an exception with this code ends: it is the one that is seen.

    Whether the process leaves with it as well, nobody knows yet.
    """
    global _seen
    before = _seen
    _seen = before if code is None else code
    try:
        yield
    finally:
        _seen = before


def seen() -> int | None:
    """The code that the process, or the run that ends, is leaving with; None if it was not seen."""
    return _seen
