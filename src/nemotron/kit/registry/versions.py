"""The versions of each name, as the store has them: manifests, the newest one, withdrawals.

Manifests never change, so they are kept once read. What can change is asked of the store every time: whether
there is a newer version, and whether one was withdrawn.
"""

import logging
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from nemotron.kit.documents import codec
from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.errors import CorruptError, FormatTooNewError, MisuseError, RefusedError
from nemotron.kit.names import is_key
from nemotron.kit.redaction import clean
from nemotron.kit.registry import layout, stamps
from nemotron.kit.registry.older import OlderGenerations
from nemotron.kit.store.protocol import Store

if TYPE_CHECKING:
    from nemotron.kit.documents.alias import Tombstone

log = logging.getLogger(__name__)

REMEMBERED_MAX = 20_000
# The first look ahead of a stale hint sees half a million versions far.
PROBE_RUNGS = 20


class Versions:
    """Reads the versions of a store.

    Args:
        store: where they are.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.older = OlderGenerations(store)
        self._manifests: dict[tuple[str, int], Manifest] = {}
        self._newest: dict[str, int] = {}
        # How often the store turned out to be another one than was known.
        self.foundings = 1

    def read(self, name: str, number: int) -> Manifest | None:
        """The manifest of a version, withdrawn or not; None if the number was never taken.

        Raises:
            CorruptError: it is damaged, or still being written; such a reading is not remembered.
        """
        known = self._manifests.get((name, number))
        if known is not None:
            return known
        manifest = self._read(name, number)
        if manifest is None:
            return None
        if len(self._manifests) >= REMEMBERED_MAX:
            self._manifests.clear()
        self._manifests[name, number] = manifest
        return manifest

    def _read(self, name: str, number: int) -> Manifest | None:
        older = number in self.older.numbers(name)
        if older and (known := self.older.adopted(name, number) or self.older.manifest(name, number)):
            return known
        key = layout.manifest(name, number)
        data = self.store.read(key)
        if data is None or (older and not self.older.is_commit(data, name, number)):
            return self.older.left_behind(name, number) if older else None
        where = f"{self.store.url}/{key}"
        manifest = Manifest.from_bytes(data, where)
        if (manifest.name, manifest.version) != (name, number):
            raise CorruptError(
                f"{where} is damaged: it says it is {manifest.name}:v{manifest.version}; was it renamed?"
            )
        return manifest

    def taken(self, name: str, number: int) -> bool:
        """Whether the number was given out."""
        if (name, number) in self._manifests or number in self.older.numbers(name):
            return True
        return self.store.exists(layout.manifest(name, number))

    def is_withdrawn(self, name: str, number: int) -> bool:
        """Whether a version was withdrawn."""
        return self.store.exists(layout.tombstone(name, number))

    def read_and_see(self, name: str, number: int) -> tuple[Manifest | None, bool]:
        """The manifest of a version, and whether it was withdrawn, at the same time where a call is slow."""
        if self.store.at_once == 1:
            manifest = self.read(name, number)
            return manifest, manifest is not None and self.is_withdrawn(name, number)
        calls: list[Callable[[], Any]] = [
            lambda: self.read(name, number),
            lambda: self.is_withdrawn(name, number),
        ]
        manifest, is_withdrawn = self.store.together(calls)
        return manifest, is_withdrawn

    def withdrawal(self, name: str, number: int) -> "Tombstone | None":
        """Why a version was withdrawn, or None if it is alive."""
        from nemotron.kit.documents.alias import Tombstone

        key = layout.tombstone(name, number)
        data = self.store.read(key)
        return None if data is None else Tombstone.from_bytes(data, f"{self.store.url}/{key}")

    def withdraw(self, name: str, number: int, reason: str) -> bool:
        """Withdraw a version; False if somebody else did."""
        from nemotron.kit.documents.alias import Tombstone

        stone = Tombstone(
            reason=clean(reason),
            withdrawn_at=stamps.now(),
            withdrawn_by=stamps.who(),
            write_id=stamps.uuid7(),
        )
        # "Exists" may mean this very one: the reply to the first try was lost.
        created = self.store.create(layout.tombstone(name, number), stone.to_bytes())
        return created or self.withdrawal(name, number) == stone

    def newest(self, name: str) -> int:
        """The highest number given out, 0 for none.

        Numbers have no gaps (N + 1 is claimed only where N exists), so a stale hint is healed by probing
        forward: one request when it is right, a logarithm of them when it is not, in a few rounds where a
        call is a round trip. Older tools left gaps; above the last of their numbers there are none.
        """
        return self._survey(name, None)

    def _survey(self, name: str, withdrawn: dict[int, bool] | None) -> int:
        """See `newest`.

        Args:
            name: the key.
            withdrawn: is told of numbers whether they are withdrawn, where that takes no time of its own.
        """
        start = self._newest.get(name)
        fresh = start is None
        if start is None:
            start, older = self.store.together([lambda: self._hint(name), lambda: self.older.highest(name)])
            start = max(start, older)
        number = start
        if start:
            is_there, more = self._look_at(name, start, withdrawn)
            if more:
                number = self._probe(name, start + 1, withdrawn)
            elif not is_there and not fresh:
                self._forget()
                return self._survey(name, withdrawn)
            elif not is_there:  # the hint is wrong; what older tools took is there
                start = self.older.highest(name)
                number = self._probe(name, start, withdrawn)
        else:
            number = self._probe(name, 0, withdrawn)
        if number:
            self._newest[name] = number
        return number

    def _look_at(self, name: str, number: int, withdrawn: dict[int, bool] | None) -> tuple[bool, bool]:
        """Whether a number and the next one are taken; the version is read, for it is asked for next."""
        known = (name, number) in self._manifests
        calls = [
            lambda: self._is_still_there(name, number) if known else self._is_read(name, number),
            lambda: self.taken(name, number + 1),
        ]
        if withdrawn is not None:
            calls.append(lambda: self.is_withdrawn(name, number))
        is_there, more, *gone = self.store.together(calls)
        if withdrawn is not None:
            withdrawn[number] = gone[0]
        return is_there, more

    def _is_read(self, name: str, number: int) -> bool:
        """Whether a number is taken, reading its manifest to see."""
        try:
            return self.read(name, number) is not None or number in self.older.numbers(name)
        except CorruptError:
            return True  # torn, but taken

    def learn(self, manifest: Manifest) -> None:
        """Know a version that was just committed, without asking for it."""
        self._manifests[manifest.name, manifest.version] = manifest
        self._newest[manifest.name] = manifest.version

    def lost(self, name: str, number: int) -> None:
        """Know that somebody else took a number, so that the next look begins there, not below it."""
        self._newest[name] = max(self._newest.get(name, 0), number)

    def _is_still_there(self, name: str, number: int) -> bool:
        """False when somebody cleared the root, which versions do not survive in memory either."""
        return number in self.older.numbers(name) or self.store.exists(layout.manifest(name, number))

    def _forget(self) -> None:
        self.older = OlderGenerations(self.store)
        self._manifests.clear()
        self._newest.clear()
        self.foundings += 1

    def latest(self, name: str) -> Manifest | None:
        """The highest living version; withdrawn and torn ones are stepped over."""
        return self.newest_and_latest(name)[1]

    def newest_and_latest(self, name: str) -> tuple[int, Manifest | None]:
        """What `newest` and `latest` say, in no more requests than one of them."""
        withdrawn: dict[int, bool] = {}
        newest = self._survey(name, withdrawn)
        for number in range(newest, 0, -1):
            gone = withdrawn.get(number)
            if not (self.is_withdrawn(name, number) if gone is None else gone):
                manifest = self.read_whole(name, number)
                if manifest is not None:
                    return newest, manifest
        return newest, None

    def read_whole(self, name: str, number: int) -> Manifest | None:
        """Like `read`, but None for a torn manifest, which it reports."""
        try:
            return self.read(name, number)
        except FormatTooNewError:
            raise
        except CorruptError as error:
            _say_torn(str(error))
            return None

    def living(self, name: str) -> Iterator[Manifest]:
        """All living versions, oldest first."""
        for number in range(1, self.newest(name) + 1):
            if not self.is_withdrawn(name, number):
                manifest = self.read_whole(name, number)
                if manifest is not None:
                    yield manifest

    def living_numbers(self, name: str, highest: int) -> tuple[int, ...]:
        """The numbers of the living versions up to one of them, without reading what they say.

        Torn manifests are left out; what is damaged inside is not seen, unlike by `living`. Where a call is a
        round trip an object is there whole or not at all, and one listing tells of all.
        """
        older, listed = self.older.numbers(name), self.walked(name)

        def is_there(number: int) -> bool:
            if number == highest:
                return True
            stone = layout.tombstone(name, number)
            if self.store.exists(stone) if listed is None else stone in listed:
                return False
            if number in older:
                return self.read_whole(name, number) is not None
            if (name, number) in self._manifests:
                return True
            key = layout.manifest(name, number)
            return self._is_whole(name, number) if listed is None else key in listed

        return tuple(number for number in range(1, highest + 1) if is_there(number))

    def walked(self, name: str) -> set[str] | None:
        """The keys of all that there is of a name, where asking for each is dear and listing them is not.

        None where a call is quick, or the store can't tell.
        """
        if self.store.at_once == 1:
            return None
        try:
            return {found.key for found in self.store.walk(name)}
        except MisuseError:
            return None

    def _is_whole(self, name: str, number: int) -> bool:
        """Whether there is a manifest whose end was written; parsing them all would take most of the time."""
        data = self.store.read(layout.manifest(name, number))
        if data is None or data.endswith(codec.END):
            return data is not None
        return self.read_whole(name, number) is not None

    def names(self) -> list[str]:
        """All names that have a version, sorted."""
        children = {name for name in self.store.list() if is_key(name)} | self.older.names()
        return sorted(name for name in children if self.is_there(name))

    def is_there(self, name: str) -> bool:
        """Whether a number of a name was ever given out; costs one request."""
        try:
            return self.taken(name, 1) or bool(self.older.numbers(name))
        except RefusedError as error:  # one name that can't be looked at does not hide the others
            log.warning("%s. This name is left out", error)
            return False

    def _hint(self, name: str) -> int:
        """The number that the hint speaks of, whether there is such a version or not; 0 for none."""
        try:
            data = self.store.read(layout.latest(name))
        except RefusedError as error:  # a link or a folder, as other tools make them: as good as no hint
            log.info("%s. The versions are counted instead", error)
            return 0
        if data is None or len(data) > 32:
            return 0
        return layout.version_number(data.decode("ascii", "replace").strip()) or 0

    def _probe(self, name: str, low: int, withdrawn: dict[int, bool] | None) -> int:
        """The highest number taken, from one that is taken (or 0): stride, then narrow.

        One number at a time where a call is quick, which is a binary search; else as many as the store takes
        at once, and the last of them are read, so that who asks for the latest version has it.
        """
        width = self.store.at_once
        rungs = 1 if width == 1 else min(width, PROBE_RUNGS)
        stride, high = 1, 0
        while not high:
            steps = [low + (stride << rung) for rung in range(rungs)]
            count = self._count_taken(name, steps)
            low, high = (steps[count - 1] if count else low), (steps[count] if count < rungs else 0)
            stride <<= rungs
        while high - low > 1:
            points = min(width, high - low - 1)
            steps = [low + (high - low) * (i + 1) // (points + 1) for i in range(points)]
            if width > 1 and points == high - low - 1 and withdrawn is not None:
                tombs = self.store.together(
                    [partial(self._is_read, name, n) for n in steps]
                    + [partial(self.is_withdrawn, name, n) for n in steps]
                )
                count = _leading(tombs[:points])
                withdrawn.update(zip(steps, tombs[points:], strict=True))
            else:
                count = self._count_taken(name, steps)
            low, high = (steps[count - 1] if count else low), (steps[count] if count < points else high)
        return low

    def _count_taken(self, name: str, numbers: list[int]) -> int:
        """How many of these numbers, which rise, are taken."""
        return _leading(self.store.together([partial(self.taken, name, number) for number in numbers]))


@lru_cache(maxsize=1024)
def _say_torn(problem: str) -> None:
    """Say it once: many questions about a name come by each of its versions."""
    log.warning("%s. This version is stepped over; run `nemotron kit doctor`", problem)


def _leading(answers: list[bool]) -> int:
    """How many answers at the beginning are yes."""
    return next((i for i, answer in enumerate(answers) if not answer), len(answers))
