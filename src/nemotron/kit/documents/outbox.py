"""What a tracker has not taken yet, and what it called what it took.

An `OutboxRecord` holds all that its delivery needs, since the data and the process that made it may be gone
by then. Its fields are named one by one, here and in the payload's own codec: nothing of the environment gets
in by itself. A `Receipt` takes it away. Both are documents of the store, under `.kit/outbox/`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from nemotron.kit.documents import codec
from nemotron.kit.documents.run import Process

OUTBOX_FORMAT = 1
T = TypeVar("T")
KEY_LENGTH = 12
# What the key of a destination ends with whose entity is left open.
ANY = "-any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where records go.

    Attributes:
        tracker: the kind of server, "wandb".
        server: its address.
        entity: the user or team there; None for the default of whoever delivers.
        project: the project there.
    """

    tracker: str = "wandb"
    server: str
    entity: str | None = None
    project: str

    @property
    def key(self) -> str:
        """A short name that a file can have; the same for the same destination."""
        text = "\n".join((self.tracker, self.server.rstrip("/"), self.entity or "", self.project))
        digest = hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]
        return digest if self.entity else f"{digest}{ANY}"

    @property
    def anybody(self) -> "Destination":
        """The same project, whoever's it turns out to be."""
        return replace(self, entity=None)

    def __str__(self) -> str:
        return "/".join(part for part in (self.server.rstrip("/"), self.entity, self.project) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunIdentity:
    """The run that a record belongs to.

    Attributes:
        id: the tracker's id of it; derived from `kit_run` where the tracker never had one.
        kit_run: the kit's own id of it.
        name: what people call it.
        program: the script that ran.
        job_type: what kind of work it was.
        group: the runs that it belongs to.
    """

    id: str
    kit_run: str
    name: str | None = None
    program: str | None = None
    job_type: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """The process that made a record, or holds a lease.

    Attributes:
        host: the machine, as it was booted: two boots are two hosts.
        pid: the process.
        started: tells it from another process that got the same number later.
    """

    host: str
    pid: int
    started: str

    @classmethod
    def of(cls, process: Process) -> "Maker":
        """A process, in these words.

        >>> Maker.of(Process(host="n7", boot="b1", pid=12, pid_namespace="pid:[4]", pid_started=345))
        Maker(host='n7:b1:pid:[4]', pid=12, started='345')
        """
        host = ":".join(filter(None, (process.host, process.boot, process.pid_namespace)))
        started = "" if process.pid_started is None else str(process.pid_started)
        return cls(host=host, pid=process.pid or 0, started=started)

    @property
    def process(self) -> Process:
        """What it says of the process; of one whose start is not known the number says nothing."""
        host, boot, namespace = (*self.host.split(":", 2), "", "")[:3]
        if not self.started.isdecimal():
            return Process(host=host)
        return Process(
            host=host,
            boot=boot or None,
            pid=self.pid,
            pid_namespace=namespace or None,
            pid_started=int(self.started),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRecord:
    """One thing that a tracker is to be told.

    Attributes:
        id: a UUIDv7, so that records sort by the time they were made.
        created_at: ISO 8601 with zone.
        destination: who is to be told.
        run: whose it is.
        maker: the process that made it.
        subject: `art://name:vN` of the store, or None for what no store has.
        used: `art://name:vN` of the artifacts of the store that it was made from.
        live: the maker has the run open and tries to deliver it for as long as it lives.
        payload: what is to be told, in the tracker's own form.
        format_version: of this document.
    """

    id: str
    created_at: str
    destination: Destination
    run: RunIdentity
    maker: Maker
    subject: str | None
    used: tuple[str, ...] = ()
    live: bool = False
    payload: Mapping[str, Any] = field(default_factory=dict)
    format_version: int = OUTBOX_FORMAT

    @property
    def session(self) -> str:
        """The records of one session are delivered together: one destination, one run."""
        return f"{self.destination.key}-{hashlib.sha256(self.run.id.encode()).hexdigest()[:KEY_LENGTH]}"

    def to_bytes(self) -> bytes:
        """The stored form.

        >>> where = Destination(server="https://w.example", project="p")
        >>> record = OutboxRecord(
        ...     id="0190", created_at="2026-01-01T00:00:00+00:00", destination=where,
        ...     run=RunIdentity(id="r1", kit_run="0180"), maker=Maker(host="h", pid=1, started="2"),
        ...     subject="art://data:v1",
        ... )
        >>> OutboxRecord.from_bytes(record.to_bytes(), "it") == record
        True

        Raises:
            InvalidMetadataError: the payload holds what no document can.
        """
        return codec.encode(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> "OutboxRecord":
        """Read `to_bytes()` back.

        Raises:
            CorruptError: it is damaged; `where` is named.
            FormatTooNewError: a newer kit wrote it.
        """
        return _read(cls, data, where)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a tracker called a version of the store.

    Attributes:
        subject: `art://name:vN` of the store.
        twin: what the tracker calls it, `entity/project/name:vM`.
        record: id of the record that was delivered.
        run: the tracker's id of the run that it is shown with.
        aliases: those that were asked for.
        url: a page that shows it.
        delivered_at: ISO 8601 with zone.
        format_version: of this document.
    """

    subject: str
    twin: str
    record: str
    run: str
    aliases: tuple[str, ...] = ()
    url: str | None = None
    delivered_at: str = ""
    format_version: int = OUTBOX_FORMAT

    def to_bytes(self) -> bytes:
        """The stored form."""
        return codec.encode(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> "Receipt":
        """Read `to_bytes()` back.

        Raises:
            CorruptError: it is damaged; `where` is named.
            FormatTooNewError: a newer kit wrote it.
        """
        return _read(cls, data, where)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a record is still there.

    Attributes:
        why: for people.
        kind: of the error, `KitError.kind`.
        at: ISO 8601 with zone.
        attempts: how often delivery was tried, up to now.
    """

    why: str
    kind: str
    at: str
    attempts: int = 1

    def to_bytes(self) -> bytes:
        """The stored form."""
        return codec.encode(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> "Failure":
        """Read `to_bytes()` back.

        Raises:
            CorruptError: it is damaged; `where` is named.
        """
        return codec.read(cls, codec.decode(data, where), where)


def _read(cls: type[T], data: bytes, where: str) -> T:
    document = codec.decode(data, where)
    codec.format_of(document, where, "outbox", OUTBOX_FORMAT)
    return codec.read(cls, document, where)
