"""What is done to many files: by functions of a module, on parts of a listing, so that anybody can do it."""

from collections.abc import Callable, Sequence
from typing import Protocol

from nemotron.kit.documents.columns import Columns
from nemotron.kit.documents.entry import Entry

Told = Callable[[int], object]
Progress = Callable[[int, int], object]
# As `do_part` with its work.
DoPart = Callable[[Columns, int, Told | None], Columns]


class Work(Protocol):
    """What is done to a chunk of files: their entries, completed, in the same order."""

    def __call__(self, entries: Sequence[Entry], threads: int = 1, told: Told | None = None) -> list[Entry]:
        """Do it, with as many threads to each file; `told` hears of the bytes done, and may raise to stop."""


def do_part(work: Work, part: Columns, threads: int = 1, told: Told | None = None) -> Columns:
    """Do some work to the files of a part of a listing; returns that, completed.

    Args:
        work: what is done.
        part: which files.
        threads: to each file.
        told: hears of the bytes done.
    """
    return Columns.of_files(work(part.entries(range(len(part))), threads, told))
