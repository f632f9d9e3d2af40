"""What the doctor says."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["problem", "note"]
PATHS_SHOWN_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        kind: a short text that never changes, for programs.
        where: the file, or the version, that it is about.
        what: what was found.
        fix: what to do.
        remedy: repairs it, where that is possible, and says what was done; it may raise any `KitError`.
        repaired: what was done about it, or None.
        level: `problem`, something that a reader can run into; or `note`, something that needs nobody, but
            that somebody looking for trouble wants to know.
        count: how many objects it is about, where it is about their number.
        size: bytes of them.
    """

    kind: str
    where: str
    what: str
    fix: str
    level: Level = "problem"
    remedy: Callable[[], str] | None = field(default=None, compare=False, repr=False)
    repaired: str | None = None
    count: int | None = None
    size: int | None = None

    @property
    def is_problem(self) -> bool:
        """Whether a reader can still run into it."""
        return self.level == "problem" and self.repaired is None


def said_of(error: Exception, where: str) -> str:
    """What an error says of a place, for whoever reads the place right above it.

    >>> said_of(ValueError("/store/m/v1/manifest.json is damaged: not JSON"), "/store/m/v1/manifest.json")
    'it is damaged: not JSON'
    """
    text = str(error)
    return f"it {text.removeprefix(f'{where} ')}" if text.startswith(f"{where} is ") else text


def some(paths: list[str]) -> str:
    """The first few of some paths.

    >>> some(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    shown = ", ".join(paths[:PATHS_SHOWN_MAX])
    more = len(paths) - PATHS_SHOWN_MAX
    return f"{shown} and {more:,} more" if more > 0 else shown
