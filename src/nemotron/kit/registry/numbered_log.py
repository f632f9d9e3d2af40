"""Append-only logs of numbered documents, whose last one is in force: `<folder>/<number>.json`.

Changing what is in force is creating the next entry if it is absent: a compare-and-swap, and an audit trail,
on stores that have neither.
"""

import logging
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from nemotron.kit.errors import CorruptError, FormatTooNewError
from nemotron.kit.registry import layout
from nemotron.kit.store.protocol import Store

log = logging.getLogger(__name__)

# An entry is small: who is writing it is done with it long before that.
LOOKS = 5
PAUSE_S = 0.05


class Entry(Protocol):
    """What such a log holds."""

    @property
    def sequence(self) -> int:
        """Its number: 1 for the first."""
        ...

    @property
    def write_id(self) -> str:
        """Unique to one attempt: who reads it back knows whose entry it is."""
        ...

    def to_bytes(self) -> bytes:
        """The stored form."""
        ...


E = TypeVar("E", bound=Entry)


class NumberedLog(Generic[E]):
    """One such log.

    Args:
        store: where it is.
        folder: its folder.
        parse: reads an entry, given its bytes and its place.
        key: the key of a number.
    """

    def __init__(
        self, store: Store, folder: str, parse: Callable[[bytes, str], E], key: Callable[[int], str]
    ) -> None:
        self._store = store
        self._folder = folder
        self._parse = parse
        self._key = key

    def numbers(self) -> list[int]:
        """The numbers that are taken, as far as the listing tells, lowest first."""
        listed = (layout.move_sequence(file_name) for file_name in self._store.list(self._folder))
        return sorted(n for n in listed if n)

    def all(self) -> list[E]:
        """All whole entries, oldest first."""
        return [entry for n in self.numbers() if (entry := self.read_whole(n))]

    def last(self, taken: int = 0, *, patient: bool = False) -> tuple[E | None, int]:
        """The entry in force, and the highest number that is taken.

        An entry that a crash left torn (possible without hard links) was never promised to anybody: its
        number is taken, and it changes nothing.

        Args:
            taken: a number that is taken for certain, whatever a stale listing says.
            patient: wait for an entry that may be being written just now. Who makes the next one has to:
                of two that start from the same state, the second would not know of the first.
        """
        numbers = sorted({*self.numbers(), taken} - {0}, reverse=True)
        looks = LOOKS if patient else 1
        whole = next((entry for n in numbers if (entry := self.read_whole(n, looks))), None)
        return whole, max(numbers, default=0)

    def read_whole(self, number: int, looks: int = 1) -> E | None:
        """An entry; None if there is none, or a torn one, which is reported.

        Raises:
            FormatTooNewError: a newer kit wrote it.
        """
        problem: CorruptError | None = None
        for look in range(looks):
            if look:
                time.sleep(PAUSE_S)
            try:
                return self.read(number)
            except FormatTooNewError:
                raise
            except CorruptError as error:
                problem = error
        log.warning("%s. This entry is stepped over; run `nemotron kit doctor`", problem)
        return None

    def read(self, number: int) -> E | None:
        """An entry, or None if there is none.

        Raises:
            CorruptError: it is damaged, or torn.
        """
        key = self._key(number)
        data = self._store.read(key)
        if data is None:
            return None
        where = f"{self._store.url}/{key}"
        entry = self._parse(data, where)
        if entry.sequence != number:
            raise CorruptError(f"{where} is damaged: it says it is number {entry.sequence}; was it renamed?")
        return entry

    def is_taken(self, number: int) -> bool:
        """Whether somebody has made the entry of a number; unlike a listing this is never stale."""
        return self._store.exists(self._key(number))

    def append(self, entry: E) -> bool:
        """Make an entry; False if somebody else has made that number. A lost reply is no such answer."""
        if self._store.create(self._key(entry.sequence), entry.to_bytes()):
            return True
        there = self.read_whole(entry.sequence)
        return there is not None and there.write_id == entry.write_id
