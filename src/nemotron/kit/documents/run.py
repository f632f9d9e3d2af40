"""What is recorded of a run: a few small documents, each written once.

`start.json` is what is known at once, `environment.json` what takes a moment to find out (git, packages),
`config.json` the config where it was told later than at the start, and `finish.json` how it ended. A run
without a `finish.json` is running, or was killed: that is for the reader to find out, see
`nemotron.kit.lineage.runs`. What a reader does not know, or can't read, costs itself alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, get_args

from nemotron.kit.documents import codec, moments

RUN_FORMAT = 1

Status = Literal["running", "finished", "exited", "failed", "killed", "unknown"]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None


def _texts(value: Any) -> tuple[str, ...] | None:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else None


def _mapping(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _status(value: Any) -> Status | None:
    return value if value in get_args(Status) else None


class _Document:
    """What the documents have in common: fields that say how they are read."""

    __slots__ = ()

    def to_document(self) -> dict[str, Any]:
        """What is known, as JSON values."""
        said = {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]
        said = {key: one.to_document() if isinstance(one, _Document) else one for key, one in said.items()}
        return {key: list(one) if isinstance(one, tuple) else one for key, one in said.items()}

    @classmethod
    def from_document(cls, document: Any) -> Self:
        """Read `to_document()` back; a field of an unexpected type is one that nobody said."""
        known = document if isinstance(document, Mapping) else {}
        read = {one.name: _READERS[one.type](known.get(one.name)) for one in fields(cls)}  # type: ignore[arg-type]
        return cls(**{name: value for name, value in read.items() if value is not None})

    def to_bytes(self) -> bytes:
        """The stored form."""
        return codec.encode({"format_version": RUN_FORMAT, **self.to_document()})

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Self:
        """Read a stored document.

        Raises:
            CorruptError: it is no JSON object, or says no format; `where` is named.
            FormatTooNewError: a newer kit wrote it.
        """
        document = codec.decode(data, where)
        codec.format_of(document, where, "run", RUN_FORMAT, unsaid=RUN_FORMAT)
        return cls.from_document(document)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process(_Document):
    """Which process it is: enough to find out later whether it is still there.

    Attributes:
        host: its node's name.
        machine: a digest that tells machines apart, also two of one name.
        boot: which boot of the machine.
        pid: its number.
        pid_namespace: in which the number counts (containers have their own).
        pid_started: when the system started it, in the system's own ticks: numbers are used again.
        user: who runs it.
    """

    host: str | None = None
    machine: str | None = None
    boot: str | None = None
    pid: int | None = None
    pid_namespace: str | None = None
    pid_started: int | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStart(_Document):
    """What is known when a run begins.

    Attributes:
        id: the kit's own, a UUIDv7.
        name: as given to `kit.run`; None for the run of a script that asked for none.
        parent: id of the run that it is a part of.
        started_at: ISO 8601 with zone.
        command: the command line, without secrets.
        cwd: the working folder.
        entry: the file that Python was started with.
        python: its version.
        process: which process.
        experiment: `$NEMO_EXPERIMENT_ID`.
        scheduler: the scheduler's own names and ids, such as `SLURM_JOB_ID`.
        world_size: number of ranks.
        image: the container's.
        config: as the script told, without secrets.
        seeds: by name.
        tags: as told.
    """

    id: str = ""
    name: str | None = None
    parent: str | None = None
    started_at: str = ""
    command: tuple[str, ...] = ()
    cwd: str | None = None
    entry: str | None = None
    python: str | None = None
    process: Process = field(default_factory=Process)
    experiment: str | None = None
    scheduler: Mapping[str, Any] | None = None
    world_size: int | None = None
    image: str | None = None
    config: Any = None
    seeds: Mapping[str, Any] | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnvironment(_Document):
    """The code and the packages of a run.

    Attributes:
        commit: of the repository that the entry file is in.
        branch: or None where none is checked out.
        dirty: whether tracked files differ from the commit.
        diff: digest of that difference.
        entry_digest: of the entry file.
        packages: name → version of what is installed.
        packages_digest: of that list.
    """

    commit: str | None = None
    branch: str | None = None
    dirty: bool | None = None
    diff: str | None = None
    entry_digest: str | None = None
    packages: Mapping[str, Any] | None = None
    packages_digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig(_Document):
    """The config of a run that was told of it after its start was recorded.

    Attributes:
        config: as the script told, without secrets.
    """

    config: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinish(_Document):
    """How a run ended.

    Attributes:
        ended_at: ISO 8601 with zone.
        status: `finished`; `failed`; or `exited`: its process left by itself, with a code that can't always
            be seen from inside: it may have failed by `raise SystemExit(1)`.
        error: the type of the exception that ended it.
        exit_code: of `sys.exit`, where that was seen.
        inputs: URIs of what it had used.
        outputs: URIs of the versions that it made.
        unchanged: URIs of versions that it saved and that were there already, identical.
        resolved: what references without a fixed version meant: `data:latest` → `art://data:v3`.
        metrics: the last value of each.
        wandb_url: the page of the W&B run.
    """

    ended_at: str = ""
    status: Status = "unknown"
    error: str | None = None
    exit_code: int | None = None
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    resolved: Mapping[str, Any] | None = None
    metrics: Mapping[str, Any] | None = None
    wandb_url: str | None = None

    def to_bytes(self) -> bytes:
        """The stored form, which says an exit code only where one was seen."""
        said = self.to_document()
        if self.exit_code is None:
            del said["exit_code"]
        return codec.encode({"format_version": RUN_FORMAT, **said})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """All that is recorded of a run, and what became of it.

    Attributes:
        start: what was known at its beginning.
        environment: its code and packages; None where that was not found out in time.
        finish: how it ended; None where it did not say so.
        status: what became of it: of a run that did not say, what the reader could find out.
        made: URIs of the versions that it made.
        used: URIs of what it had used, and of what its versions were said to be made from.
    """

    start: RunStart
    environment: RunEnvironment | None = None
    finish: RunFinish | None = None
    status: Status = "unknown"
    made: tuple[str, ...] = ()
    used: tuple[str, ...] = ()

    @property
    def took_s(self) -> float | None:
        """How many seconds it took; None where it is not over, or the clocks that told disagree."""
        return moments.seconds_between(self.start.started_at, self.finish.ended_at if self.finish else None)

    @property
    def id(self) -> str:
        """The kit's own id."""
        return self.start.id

    @property
    def label(self) -> str:
        """Its name, else the script that it ran, else its id."""
        if self.start.name:
            return self.start.name
        script = self.start.entry or (self.start.command[0] if self.start.command else "")
        return script.rpartition("/")[2] or self.id

    def to_document(self) -> dict[str, Any]:
        """As JSON values: the documents as one; `status`, `inputs`, `outputs` as they are known now."""
        code = RunEnvironment() if self.environment is None else self.environment
        finish = RunFinish() if self.finish is None else self.finish
        ended_at = finish.ended_at or None
        known: dict[str, Any] = {"ended_at": ended_at, "status": self.status}
        known |= {"inputs": list(self.used), "outputs": list(self.made)}
        return {**self.start.to_document(), "code": code.to_document(), **finish.to_document(), **known}


def packages_text(packages: Mapping[str, str]) -> str:
    """The list of packages as a text, of which the digest is taken: `name==version` lines, sorted.

    >>> packages_text({"b": "2", "a": "1"})
    'a==1\\nb==2\\n'
    """
    return "".join(f"{name}=={packages[name]}\n" for name in sorted(packages))


# By the type of a field: reads it, or says None of what is of another type.
_READERS: Mapping[Any, Callable[[Any], Any]] = {
    str: _text,
    str | None: _text,
    int | None: _whole,
    bool | None: _truth,
    tuple[str, ...]: _texts,
    Mapping[str, Any] | None: _mapping,
    Status: _status,
    Process: Process.from_document,
    Any: lambda value: value,
}
