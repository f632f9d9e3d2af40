"""What became of files, a few bytes each: a million of them may have been touched."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, overload

Verdict = Literal["touched", "changed", "missing", "extra"]
Place = Literal["store", "checkout"]


@dataclass(frozen=True, slots=True)
class Difference:
    """What became of one file.

    Attributes:
        path: relative to the artifact's folder.
        verdict: `touched` (other time, same size; same digest where there is one), `changed`, `missing`
            or `extra`.
        place: of a snapshot, where: in the `store`, or in a `checkout`, which is laid out anew when it is
            needed; None for a reference, whose data is in one place.
        is_sure: False for an object that was written again, as its etag tells, with the same size, where
            nothing is known of its bytes: they may be the same.
        is_proven: of a `touched` one, whether its bytes are known to be those that were published.
    """

    path: str
    verdict: Verdict
    place: Place | None = field(default=None, repr=False)
    is_sure: bool = field(default=True, repr=False)
    is_proven: bool = field(default=False, repr=False)


_Code = tuple[Verdict, Place | None, bool, bool]
_VERDICTS: tuple[Verdict, ...] = ("touched", "changed", "missing", "extra")
_PLACES: tuple[Place | None, ...] = (None, "store", "checkout")
_MEANINGS: tuple[_Code, ...] = tuple(
    (verdict, place, is_sure, is_proven)
    for verdict in _VERDICTS
    for place in _PLACES
    for is_sure in (True, False)
    for is_proven in (True, False)
)
_CODES = {meaning: code for code, meaning in enumerate(_MEANINGS)}


class Differences(Sequence[Difference]):
    """Many differences, each made when it is asked for.

    >>> found = Differences([Difference("a", "touched"), Difference("b", "missing")])
    >>> found[1], len(found), found.verdicts == {"touched", "missing"}
    (Difference(path='b', verdict='missing'), 2, True)
    >>> found == [Difference("a", "touched"), Difference("b", "missing")]
    True

    Args:
        found: to begin with.
    """

    __slots__ = ("_codes", "_paths")

    def __init__(self, found: Iterable[Difference] = ()) -> None:
        self._paths: list[str] = []
        self._codes = bytearray()
        self.extend(found)

    def add(
        self,
        path: str,
        verdict: Verdict,
        place: Place | None = None,
        *,
        is_sure: bool = True,
        is_proven: bool = False,
    ) -> None:
        """Add what became of one more file."""
        self._paths.append(path)
        self._codes.append(_CODES[verdict, place, is_sure, is_proven])

    def extend(self, found: Iterable[Difference]) -> None:
        """Add what became of more files."""
        if isinstance(found, Differences):
            self._paths += found._paths
            self._codes += found._codes
            return
        for item in found:
            self.add(item.path, item.verdict, item.place, is_sure=item.is_sure, is_proven=item.is_proven)

    @property
    def verdicts(self) -> set[Verdict]:
        """Those that there are."""
        return {_MEANINGS[code][0] for code in set(self._codes)}

    @property
    def is_sure(self) -> bool:
        """Whether there is no doubt about any."""
        return all(_MEANINGS[code][2] for code in set(self._codes))

    @property
    def is_proven(self) -> bool:
        """Whether of none that was touched the bytes may be others."""
        return all(_MEANINGS[code][3] for code in set(self._codes) if _MEANINGS[code][0] == "touched")

    def of(self, *verdicts: Verdict) -> "Differences":
        """Those with one of these verdicts."""
        wanted = {_CODES[meaning] for meaning in _MEANINGS if meaning[0] in verdicts}
        found = Differences()
        for path, code in zip(self._paths, self._codes, strict=True):
            if code in wanted:
                found._paths.append(path)
                found._codes.append(code)
        return found

    def without(self, positions: Iterable[int]) -> "Differences":
        """All but those at some positions, which rise."""
        found, start = Differences(), 0
        for at in chain(positions, (len(self),)):
            found._paths += self._paths[start:at]
            found._codes += self._codes[start:at]
            start = at + 1
        return found

    def as_touched(self, positions: Iterable[int]) -> "Differences":
        """The same, but those at some positions as files that were only touched, as is proven."""
        found = Differences(self)
        for at in positions:
            found._codes[at] = _CODES["touched", _MEANINGS[self._codes[at]][1], True, True]
        return found

    def paths(self) -> Sequence[str]:
        """The path of each, in order."""
        return self._paths

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, at: int) -> Difference: ...
    @overload
    def __getitem__(self, at: slice) -> "Differences": ...
    def __getitem__(self, at: int | slice) -> "Difference | Differences":
        if isinstance(at, slice):
            return Differences(map(self._at, range(*at.indices(len(self)))))
        return self._at(range(len(self))[at])

    def __iter__(self) -> Iterator[Difference]:
        return map(self._at, range(len(self)))

    def _at(self, at: int) -> Difference:
        return Difference(self._paths[at], *_MEANINGS[self._codes[at]])

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Differences):
            return self._codes == other._codes and self._paths == other._paths
        return isinstance(other, list | tuple) and len(self) == len(other) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(list(self))
