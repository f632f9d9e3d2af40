"""What is done to many files: by functions of a module, on parts of a listing, so that anybody can do it."""

from collections.abc import Callable
from typing import Protocol

from nemotron.kit.documents.columns import Columns
from nemotron.kit.documents.entry import Entry

Told = Callable[[int], object]
Progress = Callable[[int, int], object]


class Work(Protocol):
    """What is done to a part of a listing: the same entries, completed, in the same order."""

    def __call__(self, part: Columns, threads: int = 1, told: Told | None = None) -> Columns:
        """Do it, with as many threads to each file; `told` hears of the bytes done, and may raise to stop."""


def each(part: Columns, do: Callable[[Entry], Entry]) -> Columns:
    """A part of a listing with what was made of each entry."""
    return Columns.of_files([do(entry) for entry in part.entries(range(len(part)))])
