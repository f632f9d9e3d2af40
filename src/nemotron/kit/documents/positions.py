"""Where paths stand in a sorted column of paths: no table of a million of them is made to find that out."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence


class Positions:
    """Finds paths in a column; asked in its own order, each look costs one comparison.

    >>> there = Positions(["a", "b", "d"])
    >>> [there.find(path) for path in ("a", "c", "d", "b")]
    [0, None, 2, 1]

    Args:
        paths: sorted.
    """

    __slots__ = ("_next", "_paths")

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._next = 0

    def find(self, path: str) -> int | None:
        """The position of a path, or None if it is not there."""
        at, paths = self._next, self._paths
        if at >= len(paths) or paths[at] != path:
            at = bisect_left(paths, path)
            if at == len(paths) or paths[at] != path:
                return None
        self._next = at + 1
        return at


def side_by_side(one: Sequence[str], other: Sequence[str]) -> Iterator[tuple[int | None, int | None]]:
    """The positions of each path in two columns, in the order of the paths; None where it is not.

    >>> list(side_by_side(["a", "b"], ["b", "c"]))
    [(0, None), (1, 0), (None, 1)]

    Args:
        one: paths, sorted, each once.
        other: likewise.
    """
    a, b, a_end, b_end = 0, 0, len(one), len(other)
    while a < a_end and b < b_end:
        left, right = one[a], other[b]
        if left == right:
            yield a, b
            a, b = a + 1, b + 1
        elif left < right:
            yield a, None
            a += 1
        else:
            yield None, b
            b += 1
    for rest in range(a, a_end):
        yield rest, None
    for rest in range(b, b_end):
        yield None, rest
