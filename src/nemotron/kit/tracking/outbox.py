"""The outbox: what a tracker has not taken yet, kept in the store until it has.

    .kit/outbox/waiting/<id>.json                      records, in the order of their making
    .kit/outbox/failures/<id>.json                     a hint: why a record is still there
    .kit/outbox/set-aside/<id>.json                    records that can't be delivered as they are
    .kit/outbox/receipts/<destination>/<name>/v<N>.json  what the tracker calls a version of the store
    .kit/outbox/leases/<session>/<n>.json              who delivers at the moment

Where there is no store, the same folders are in `state_root()`, with two more:

    .kit/outbox/versions/<name>/v<N>                   the numbers that are taken
    .kit/outbox/places/<destination>/<place>.json      a hint: which version was saved of the data there

A record is created before the tracker is asked, and removed after its receipt is there. A crash in between
means that it is delivered again, which trackers must take for what it is: the same.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from nemotron.kit.documents.outbox import ANY, Destination, Failure, OutboxRecord, Receipt
from nemotron.kit.errors import CorruptError, FormatTooNewError, KitError
from nemotron.kit.names import SCHEME
from nemotron.kit.registry import stamps
from nemotron.kit.store.protocol import Store
from nemotron.kit.store.user_folder import state_folder
from nemotron.kit.tracking.leases import LEASE_S, Leases

log = logging.getLogger(__name__)

FOLDER = ".kit/outbox"
# A record that can't be read may be one that is being written, where a store writes in place.
TORN_S = 60.0


def state_root() -> str:
    """The folder of the user's that has an outbox where there is no store."""
    return os.path.join(state_folder(), "nemotron-kit")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A record in the outbox.

    Attributes:
        record: what is to be told.
        failure: why it was not taken the last time, or None if nobody has tried.
    """

    record: OutboxRecord
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class SetAside:
    """A record that nobody tries to deliver any more.

    Attributes:
        id: the record's.
        record: what it says, or None if it can't be read.
        failure: why it is here.
    """

    id: str
    record: OutboxRecord | None
    failure: Failure | None


class Outbox:
    """The outbox of one store.

    Args:
        store: where it is.
        clock: seconds since the epoch.
        lease_s: how long a deliverer may be silent before another takes over.
    """

    def __init__(
        self, store: Store, *, clock: Callable[[], float] = time.time, lease_s: float = LEASE_S
    ) -> None:
        self.store = store
        self.leases = Leases(store, f"{FOLDER}/leases", clock, lease_s)
        self._clock = clock

    # -- records -------------------------------------------------------------------------------------------

    def add(self, record: OutboxRecord) -> None:
        """Keep a record; it is there for good when this returns.

        Raises:
            KitError: the store did not take it.
        """
        self.store.create(_key("waiting", record.id), record.to_bytes())

    def is_waiting(self, record_id: str) -> bool:
        """Whether nobody has delivered it or set it aside."""
        return self.store.exists(_key("waiting", record_id))

    def ids(self) -> list[str]:
        """The records that wait, oldest first."""
        aside = set(self._names("set-aside"))
        found = []
        for record_id in sorted(self._names("waiting")):
            if record_id in aside:  # a crash while it was set aside
                self.store.remove(_key("waiting", record_id))
            else:
                found.append(record_id)
        return found

    def waiting(self) -> list[Waiting]:
        """All records that wait, oldest first; one that is damaged is set aside, with a warning."""
        found = []
        for record_id in self.ids():
            record = self.read(record_id)
            if record is not None:
                found.append(Waiting(record, self.failure(record_id)))
        return found

    def read(self, record_id: str) -> OutboxRecord | None:
        """A record that waits; None if it is gone, damaged (it is set aside) or too new."""
        key = _key("waiting", record_id)
        data = self.store.read(key)
        if data is None:
            return None
        try:
            return OutboxRecord.from_bytes(data, key)
        except FormatTooNewError as error:
            log.warning("%s", error)
        except CorruptError as error:
            if self._age(record_id) > TORN_S:
                self.set_aside(record_id, error)
        return None

    def _age(self, record_id: str) -> float:
        """Seconds since a record was made, by its id; infinite for what is no id of ours."""
        digits = record_id.replace("-", "")[:12]
        try:
            return self._clock() - int(digits, 16) / 1000
        except ValueError:
            return float("inf")

    # -- what became of them -------------------------------------------------------------------------------

    def remove(self, record_id: str) -> None:
        """Take a record away that was delivered, its receipt first, or has nothing to say any more."""
        self.store.remove(_key("waiting", record_id))
        self.store.remove(_key("failures", record_id))

    def failed(self, record_id: str, error: KitError) -> Failure:
        """Note why a record is still there."""
        before = self.failure(record_id)
        failure = Failure(
            why=str(error),
            kind=error.kind,
            at=stamps.now(),
            attempts=1 + (before.attempts if before else 0),
        )
        self.store.replace(_key("failures", record_id), failure.to_bytes())
        return failure

    def failure(self, record_id: str) -> Failure | None:
        """Why a record was not taken the last time, if somebody has tried."""
        key = _key("failures", record_id)
        data = self.store.read(key)
        try:
            return None if data is None else Failure.from_bytes(data, key)
        except CorruptError as error:
            log.info("%s", error)
            return None

    def set_aside(self, record_id: str, error: KitError) -> None:
        """Put a record out of the way of others, with the reason. Nothing of it is lost."""
        data = self.store.read(_key("waiting", record_id))
        if data is None:
            return
        self.failed(record_id, error)
        self.store.create(_key("set-aside", record_id), data)
        self.store.remove(_key("waiting", record_id))
        log.warning("Record %s of the outbox is set aside: %s", record_id, error)

    def set_aside_records(self) -> list[SetAside]:
        """What was set aside, oldest first."""
        found = []
        for record_id in sorted(self._names("set-aside")):
            key = _key("set-aside", record_id)
            try:
                record = OutboxRecord.from_bytes(self.store.read(key) or b"", key)
            except (CorruptError, FormatTooNewError):
                record = None
            found.append(SetAside(record_id, record, self.failure(record_id)))
        return found

    def retry(self, record_id: str) -> None:
        """Let a record that was set aside wait again."""
        data = self.store.read(_key("set-aside", record_id))
        if data is not None:
            # In this order a crash leaves it set aside: see `ids`.
            self.store.create(_key("waiting", record_id), data)
            self.store.remove(_key("failures", record_id))
            self.store.remove(_key("set-aside", record_id))

    # -- receipts ------------------------------------------------------------------------------------------

    def receipt(self, destination: Destination, subject: str) -> Receipt | None:
        """What a destination calls a version of the store, if it has it."""
        key = _receipt_key(destination, subject)
        data = self.store.read(key)
        return None if data is None else Receipt.from_bytes(data, key)

    def receipts(self, destination: Destination, name: str) -> list[tuple[int, Receipt]]:
        """What a destination has of one name: (version of the store, receipt), lowest version first."""
        found = []
        for file_name in self.store.list(f"{FOLDER}/receipts/{destination.key}/{name}"):
            version = file_name.removesuffix(".json").removeprefix("v")
            if version.isdecimal():
                receipt = self.receipt(destination, f"{SCHEME}{name}:v{version}")
                if receipt is not None:
                    found.append((int(version), receipt))
        return sorted(found, key=lambda pair: pair[0])

    def keep_receipt(self, destination: Destination, receipt: Receipt) -> None:
        """Keep what a destination calls a version; a later answer wins.

        It is kept for the project without an entity as well: who was offline did not know his own.
        """
        for place in dict.fromkeys((destination, destination.anybody)):
            self._keep(place, receipt)

    def _keep(self, destination: Destination, receipt: Receipt) -> None:
        key = _receipt_key(destination, receipt.subject)
        if self.store.create(key, receipt.to_bytes()):
            return
        before = self.receipt(destination, receipt.subject)
        aliases = (*before.aliases, *receipt.aliases) if before else receipt.aliases
        both = replace(receipt, aliases=tuple(dict.fromkeys(aliases)))
        if before is None or (before.twin, before.aliases) != (both.twin, both.aliases):
            self.store.replace(key, both.to_bytes())

    def count_receipts(self) -> int:
        """How many versions were delivered, to all destinations."""
        top = f"{FOLDER}/receipts"
        places = [f"{top}/{place}" for place in self.store.list(top) if not place.endswith(ANY)]
        names = [f"{place}/{name}" for place in places for name in self.store.list(place)]
        return sum(len(self.store.list(name)) for name in names)

    def _names(self, part: str) -> Iterator[str]:
        names = self.store.list(f"{FOLDER}/{part}")
        return (name.removesuffix(".json") for name in names if name.endswith(".json"))


def in_order(records: Iterable[OutboxRecord]) -> list[OutboxRecord]:
    """Inputs before what was made of them, lower versions of a name before higher ones, else oldest first.

    Args:
        records: of one destination or several; those of different ones don't wait for each other.
    """
    oldest_first = sorted(records, key=lambda record: record.id)
    needs = _needs(oldest_first)
    done: dict[str, OutboxRecord] = {}
    begun: set[str] = set()
    stack = oldest_first[::-1]
    while stack:
        record = stack[-1]
        needed = [] if record.id in begun else [one for one in needs[record.id] if one.id not in begun]
        begun.add(record.id)
        if needed:
            stack += needed[::-1]
        else:
            done[record.id] = record
            stack.pop()
    return list(done.values())


def in_sessions(records: Iterable[OutboxRecord]) -> list[list[OutboxRecord]]:
    """The same order, with what one run can deliver in one go put together: resuming a run takes a second."""
    ordered = in_order(records)
    place = {record.id: n for n, record in enumerate(ordered)}
    # A cycle was broken by the order: what comes later in it is not waited for.
    needs = {
        record_id: {one.id for one in needed if place[one.id] < place[record_id]}
        for record_id, needed in _needs(ordered).items()
    }
    sessions = []
    done: set[str] = set()
    while ordered:
        session: list[OutboxRecord] = []
        left = []
        for record in ordered:
            if record.session == ordered[0].session and needs[record.id] <= done:
                session.append(record)
                done.add(record.id)
            else:
                left.append(record)
        sessions.append(session)
        ordered = left
    return sessions


def _needs(oldest_first: list[OutboxRecord]) -> dict[str, list[OutboxRecord]]:
    """For each record those that have to go before it."""
    makers: dict[tuple[str, str | None], list[OutboxRecord]] = {}
    for record in oldest_first:
        makers.setdefault((record.destination.key, record.subject), []).append(record)
    needs = {
        record.id: [maker for ref in record.used for maker in makers.get((record.destination.key, ref), ())]
        for record in oldest_first
    }
    names: dict[tuple[str, str], list[tuple[int, OutboxRecord]]] = {}
    for record in oldest_first:
        name, _, version = (record.subject or "").rpartition(":v")
        if name:
            names.setdefault((record.destination.key, name), []).append((int(version), record))
    for versions in names.values():
        in_row = [record for _, record in sorted(versions, key=lambda pair: pair[0])]
        for before, after in pairwise(in_row):
            needs[after.id].append(before)
    return needs


def _key(part: str, record_id: str) -> str:
    return f"{FOLDER}/{part}/{record_id}.json"


def _receipt_key(destination: Destination, subject: str) -> str:
    name = subject.removeprefix(SCHEME).replace(":", "/")
    return f"{FOLDER}/receipts/{destination.key}/{name}.json"
