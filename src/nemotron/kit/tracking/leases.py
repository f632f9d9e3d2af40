"""Leases: who may deliver what, for how long.

A lease is the highest number in a folder. It is taken by creating the next number, which only one can, and
ends when its time is over, when it is given back, or when its holder is seen to have ended. Numbers only
grow, so that a stale listing makes a create fail rather than two holders. A holder that was held up for
longer than its time may go on beside the next one for a moment: what it does has to be harmless twice.
"""

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from nemotron.kit.documents import codec
from nemotron.kit.documents.outbox import Maker
from nemotron.kit.errors import CorruptError, FormatTooNewError
from nemotron.kit.registry.processes import life_of, this_maker
from nemotron.kit.store import proc
from nemotron.kit.store.protocol import Store

log = logging.getLogger(__name__)

LEASE_S = 120.0
LEASE_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as its holder has it.

    Attributes:
        folder: what it is for.
        number: its place in the row.
        nonce: tells the holder's own object from others'.
        holder: the process.
        expires_at: seconds since the epoch.
        service: the process id of a helper that ends with the lease, 0 for none.
        service_started: when that began, so that no other process of the same id is taken for it.
    """

    folder: str
    number: int
    nonce: str
    holder: Maker
    expires_at: float
    service: int = 0
    service_started: str = ""

    @property
    def key(self) -> str:
        """Where it is in the store."""
        return f"{self.folder}/{self.number:08d}.json"

    def to_bytes(self) -> bytes:
        """The stored form."""
        return codec.encode({**asdict(self), "format_version": LEASE_FORMAT})

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> "Lease":
        """Read `to_bytes()` back.

        Raises:
            CorruptError: it is damaged; `where` is named.
            FormatTooNewError: a newer kit wrote it.
        """
        document = codec.decode(data, where)
        codec.format_of(document, where, "lease", LEASE_FORMAT)
        return codec.read(cls, document, where)


def started(pid: int) -> str:
    """When a process of this machine began; empty if there is none, or no way to know."""
    there = proc.stat(pid)
    return "" if there is None else str(there.started)


class Leases:
    """The leases below a folder of a store.

    >>> from nemotron.kit.store.memory import MemoryStore
    >>> leases = Leases(MemoryStore(), "leases")
    >>> mine = leases.take("run-1")
    >>> leases.take("run-1") is None
    True
    >>> leases.give_back(mine)
    >>> leases.take("run-1").number
    2

    Args:
        store: where they are.
        folder: under which keys.
        clock: seconds since the epoch.
        lease_s: how long one lasts.
    """

    def __init__(
        self, store: Store, folder: str, clock: Callable[[], float] = time.time, lease_s: float = LEASE_S
    ) -> None:
        self._store = store
        self._folder = folder
        self._clock = clock
        self._lease_s = lease_s

    def take(self, what: str) -> Lease | None:
        """The lease, or None while somebody else has it."""
        folder = f"{self._folder}/{what}"
        numbers = sorted(self._numbers(folder))
        last = numbers[-1] if numbers else 0
        if last and self._holds(self._read(folder, last)):
            return None
        mine = Lease(folder, last + 1, secrets.token_hex(8), this_maker(), self._clock() + self._lease_s)
        if not self._store.create(mine.key, mine.to_bytes(), durable=False):
            # A reply may have been lost: then it is ours all the same.
            there = self._read(folder, mine.number)
            if there is None or there.nonce != mine.nonce:
                return None
        for number in numbers:
            self._store.remove(f"{folder}/{number:08d}.json")
        return mine

    def last(self, what: str) -> Lease | None:
        """Whoever had it last, or has it now."""
        folder = f"{self._folder}/{what}"
        last = max(self._numbers(folder), default=0)
        return self._read(folder, last) if last else None

    def renew(self, lease: Lease, *, service: int | None = None) -> Lease | None:
        """The same for longer; None if it is somebody else's by now.

        Args:
            lease: as it was taken or renewed last.
            service: the process id of a helper that ends with the lease; None leaves it.
        """
        longer = replace(lease, expires_at=self._clock() + self._lease_s)
        if service is not None:
            longer = replace(longer, service=service, service_started=started(service))
        # The next one removes what was before it, so its absence alone says enough.
        if max(self._numbers(lease.folder), default=0) != lease.number:
            return None
        self._store.replace(lease.key, longer.to_bytes())
        return longer

    def give_back(self, lease: Lease) -> None:
        """End it now. Its number stays taken."""
        there = self._read(lease.folder, lease.number)
        if there is not None and there.nonce == lease.nonce:
            self._store.replace(
                lease.key, replace(lease, expires_at=0.0, service=0, service_started="").to_bytes()
            )

    def _holds(self, lease: Lease | None) -> bool:
        if lease is None or lease.expires_at <= self._clock():
            return False
        return life_of(lease.holder.process) != "gone"

    def _numbers(self, folder: str) -> list[int]:
        names = (name.removesuffix(".json") for name in self._store.list(folder))
        return [int(name) for name in names if name.isdecimal()]

    def _read(self, folder: str, number: int) -> Lease | None:
        key = f"{folder}/{number:08d}.json"
        data = self._store.read(key)
        try:
            return None if data is None else Lease.from_bytes(data, key)
        except FormatTooNewError:
            raise
        except CorruptError as error:  # torn by a crash, where a store writes in place
            log.warning("%s. Nobody has this lease; the next one counts", error)
            return None
