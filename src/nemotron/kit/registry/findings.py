"""What the doctor says."""

from dataclasses import dataclass
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
        level: `problem`, something that a reader can run into; or `note`, something that needs nobody, but
            that somebody looking for trouble wants to know.
    """

    kind: str
    where: str
    what: str
    fix: str
    level: Level = "problem"


def some(paths: list[str]) -> str:
    """The first few of some paths.

    >>> some(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    shown = ", ".join(paths[:PATHS_SHOWN_MAX])
    more = len(paths) - PATHS_SHOWN_MAX
    return f"{shown} and {more:,} more" if more > 0 else shown
