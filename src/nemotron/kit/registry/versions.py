"""The versions of each name, as the store has them: manifests, the newest one, withdrawals.

Manifests never change, so they are kept once read. What can change is asked of the store every time: whether
there is a newer version, and whether one was withdrawn.
"""

import logging
from collections.abc import Iterator

from nemotron.kit.documents.alias import Tombstone
from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.errors import CorruptError, FormatTooNewError, RefusedError
from nemotron.kit.names import is_key
from nemotron.kit.registry import layout, stamps
from nemotron.kit.registry.older import OlderGenerations
from nemotron.kit.store.protocol import Store

log = logging.getLogger(__name__)

REMEMBERED_MAX = 20_000


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

    def withdrawal(self, name: str, number: int) -> Tombstone | None:
        """Why a version was withdrawn, or None if it is alive."""
        key = layout.tombstone(name, number)
        data = self.store.read(key)
        return None if data is None else Tombstone.from_bytes(data, f"{self.store.url}/{key}")

    def withdraw(self, name: str, number: int, reason: str) -> bool:
        """Withdraw a version; False if somebody else did."""
        stone = Tombstone(
            reason=reason, withdrawn_at=stamps.now(), withdrawn_by=stamps.who(), write_id=stamps.uuid7()
        )
        # "Exists" may mean this very one: the reply to the first try was lost.
        created = self.store.create(layout.tombstone(name, number), stone.to_bytes())
        return created or self.withdrawal(name, number) == stone

    def newest(self, name: str) -> int:
        """The highest number given out, 0 for none.

        Numbers have no gaps (N + 1 is claimed only where N exists), so a stale hint is healed by probing
        forward: one request when it is right, a logarithm of them when it is not. Older tools left gaps;
        above the last of their numbers there are none.
        """
        start = self._newest.get(name)
        if start is None:
            start = max(self._hint(name), self.older.highest(name))
            number = self._probe(name, start)
        else:
            number = self._probe(name, start)
            if number == start and not self._is_still_there(name, start):
                self._forget()
                return self.newest(name)
        if number:
            self._newest[name] = number
        return number

    def learn(self, manifest: Manifest) -> None:
        """Know a version that was just committed, without asking for it."""
        self._manifests[manifest.name, manifest.version] = manifest
        self._newest[manifest.name] = manifest.version

    def _is_still_there(self, name: str, number: int) -> bool:
        """False when somebody cleared the root, which versions do not survive in memory either."""
        return number in self.older.numbers(name) or self.store.exists(layout.manifest(name, number))

    def _forget(self) -> None:
        self.older = OlderGenerations(self.store)
        self._manifests.clear()
        self._newest.clear()
        self.foundings += 1

    def latest(self, name: str, newest: int | None = None) -> Manifest | None:
        """The highest living version; withdrawn and torn ones are stepped over.

        Args:
            name: the key.
            newest: what `newest` just said, if it was asked.
        """
        number = self.newest(name) if newest is None else newest
        while number > 0:
            if not self.is_withdrawn(name, number):
                manifest = self.read_whole(name, number)
                if manifest is not None:
                    return manifest
            number -= 1
        return None

    def read_whole(self, name: str, number: int) -> Manifest | None:
        """Like `read`, but None for a torn manifest, which it reports."""
        try:
            return self.read(name, number)
        except FormatTooNewError:
            raise
        except CorruptError as error:
            log.warning("%s. This version is stepped over; run `nemotron kit doctor`", error)
            return None

    def living(self, name: str) -> Iterator[Manifest]:
        """All living versions, oldest first."""
        for number in range(1, self.newest(name) + 1):
            if not self.is_withdrawn(name, number):
                manifest = self.read_whole(name, number)
                if manifest is not None:
                    yield manifest

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
        """The number that the hint speaks of, if there is such a version, else 0."""
        try:
            data = self.store.read(layout.latest(name))
        except RefusedError as error:  # a link or a folder, as other tools make them: as good as no hint
            log.info("%s. The versions are counted instead", error)
            return 0
        if data is None or len(data) > 32:
            return 0
        number = layout.version_number(data.decode("ascii", "replace").strip()) or 0
        try:
            # Reading it tells whether it is there, and what is asked next is most often its content.
            return number if number and self.read(name, number) is not None else 0
        except CorruptError:
            return number  # torn, but taken

    def _probe(self, name: str, start: int) -> int:
        """The highest number taken, from one that is taken (or 0): stride, then halve."""
        if not self.taken(name, start + 1):
            return start
        low, stride = start + 1, 1
        while self.taken(name, low + stride):
            low += stride
            stride *= 2
        high = low + stride
        while high - low > 1:
            middle = (low + high) // 2
            if self.taken(name, middle):
                low = middle
            else:
                high = middle
        return low
