"""All ranks of an attempt get one answer, though no rank has a role and none waits for another.

Whoever needs the answer finds it and creates it where all ranks look, if it is absent there; whoever comes
too late reads what is there. See `docs/design/006-ranks-agree.md`.
"""

import json
import logging
import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from nemotron.kit import errors
from nemotron.kit.errors import (
    CorruptError,
    DriftError,
    KitError,
    MisuseError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from nemotron.kit.store.attempt import Attempt, attempt_of
from nemotron.kit.store.launcher import launcher
from nemotron.kit.store.local import LocalStore
from nemotron.kit.store.memory import MemoryStore
from nemotron.kit.store.node_folder import NodeFolder, open_node_folder

log = logging.getLogger(__name__)

FOLDER = ".kit/resolutions"
RUN_FOLDER = "NEMO_RUN_DIR"
INSIDE_RUN_FOLDER = "/nemo_run"  # where NeMo-Run mounts that folder in its containers
PATIENCE_SECONDS = 60.0
PAUSE_MIN_SECONDS = 0.05
PAUSE_MAX_SECONDS = 2.0

# Every rank would meet these too; all others are this rank's own, or pass.
DEFINITIVE = (NotFoundError, RefusedError, MisuseError, DriftError)

Answer = dict[str, Any]


class Board(Protocol):
    """What is needed of the place where all ranks look; every `Store` has it."""

    url: str

    def read(self, key: str) -> bytes | None:
        """All bytes of an object, or None."""
        ...

    def create(self, key: str, data: bytes, *, durable: bool = True) -> bool:
        """Create an object if it is absent; whether it was."""
        ...


@dataclass(frozen=True, slots=True)
class Places:
    """Where ranks meet.

    Attributes:
        node: the ranks of one node; None where there is no folder that can be trusted.
        shared: the nodes; None where there is only one, or nothing that all of them can write.
    """

    node: NodeFolder | None
    shared: Board | None


@dataclass(frozen=True, slots=True)
class Timing:
    """Time, as tests replace it.

    Attributes:
        sleep: waits for some seconds.
        clock: tells seconds that only grow.
        patience_seconds: how long what may pass is tried again.
    """

    sleep: Callable[[float], object] = time.sleep
    clock: Callable[[], float] = time.monotonic
    patience_seconds: float = PATIENCE_SECONDS


def agree_on(references: Iterable[str], resolve: Callable[[], Answer], store: Board | None) -> Answer:
    """`agree` for this process: its environment, its command line, its places.

    Args:
        references: what is to be resolved, as it was written.
        resolve: finds the answer; anything that JSON can hold.
        store: of the artifacts, if there is one.

    Raises:
        KitError: what `resolve` raised, on this rank or on another.
    """
    attempt = attempt_of(os.environ, sys.argv, references, launcher)
    if attempt.alone:
        return resolve()
    return agree(attempt, resolve, open_places(os.environ, store, attempt))


def open_places(environ: Mapping[str, str], store: Board | None, attempt: Attempt) -> Places:
    """Where the ranks of an attempt meet.

    Raises:
        MisuseError: there is no place that all nodes share; the message says what to set.
    """
    node = open_node_folder(environ)
    if folder := environ.get(RUN_FOLDER, "").strip():
        return Places(node, LocalStore(_run_folder(folder)))
    shared = None if isinstance(store, MemoryStore) else store
    if shared is None and not (attempt.one_node and node):
        raise MisuseError(
            f"The ranks have no place to agree in on which version they use: set {RUN_FOLDER} to a folder "
            "that all nodes can write, use an artifact store (NEMO_ARTIFACT_ROOT), or start with torchrun"
        )
    return Places(node, shared)


def _run_folder(folder: str) -> str:
    """The job's folder as this process can reach it.

    It is made only beside what is there: in a container without that file system each node would make one.
    """
    path = os.path.abspath(os.path.expanduser(folder))
    if os.path.isdir(path) or os.path.isdir(os.path.dirname(path)):
        return path
    if os.path.isdir(INSIDE_RUN_FOLDER):
        return INSIDE_RUN_FOLDER
    raise MisuseError(
        f"{RUN_FOLDER} is {folder}, which is not here: mount it into the container, or correct it"
    )


def agree(
    attempt: Attempt, resolve: Callable[[], Answer], places: Places, timing: Timing | None = None
) -> Answer:
    """The one answer of all ranks of an attempt.

    Args:
        attempt: whose ranks agree.
        resolve: finds the answer. What it raises that every rank would meet is everybody's answer; what may
            pass (`UnavailableError`) is tried again and told nobody.
        places: where they meet.
        timing: how time passes.

    Raises:
        KitError: what `resolve` raised, here or on the rank that came first.
        RefusedError: the shared place can't be written; the message says what to set.
        UnavailableError: the store could not be reached for a minute.
    """
    if attempt.alone:
        return resolve()
    meeting = _Meeting(attempt, resolve, places, timing or Timing())
    node = places.node
    if node is None:
        return meeting.open(meeting.settle())
    key = f"{attempt.key}.json"
    if (copy := node.read(key)) is not None and _is_whole(copy):
        return meeting.open(copy)
    with node.lock(attempt.key):
        if (copy := node.read(key)) is not None and _is_whole(copy):
            return meeting.open(copy)
        data = meeting.settle()
        node.keep(key, data)
    return meeting.open(data)


class _Meeting:
    """One rank on its way to the answer."""

    def __init__(
        self, attempt: Attempt, resolve: Callable[[], Answer], places: Places, timing: Timing
    ) -> None:
        self._attempt = attempt
        self._resolve = resolve
        self._timing = timing
        self._begun = timing.clock()
        self._failure: KitError | None = None
        self._node = places.node
        self._board: Board | None = places.shared
        self._key = f"{FOLDER}/{attempt.key}.json"
        if self._board is None and self._node is not None:
            self._stay_on_the_node()

    def _stay_on_the_node(self) -> None:
        assert self._node is not None
        self._board, self._key = self._node.store, f"{self._attempt.key}.json"

    def settle(self) -> bytes:
        """The document that counts, whoever wrote it."""
        if self._attempt.delay_seconds:
            self._timing.sleep(self._attempt.delay_seconds)
        pause = PAUSE_MIN_SECONDS
        while True:
            try:
                return self._try()
            except UnavailableError as error:
                if self._timing.clock() - self._begun > self._timing.patience_seconds:
                    raise
                log.info("Trying again: %s", error)
            # Ranks that met the same outage should not come back at the same moment.
            self._timing.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(2 * pause, PAUSE_MAX_SECONDS)

    def _try(self) -> bytes:
        if (found := self._read()) is not None:
            return found
        mine = self._document()
        # Finding it took a while, and meanwhile somebody may have answered.
        if (found := self._read()) is not None:
            return found
        if self._claim(mine):
            return mine
        found = self._read()
        if found is None:
            raise UnavailableError(f"{self._key} was in {self._where} and is gone")
        return found

    @property
    def _where(self) -> str:
        return self._board.url if self._board else "no place"

    def _read(self) -> bytes | None:
        assert self._board is not None
        try:
            data = self._board.read(self._key)
        except RefusedError as error:
            raise self._not_writable(error) from error
        if data is not None and not _is_whole(data):
            raise UnavailableError(
                f"{self._key} in {self._where} is not whole yet; if its writer was killed, remove it"
            )
        return data

    def _claim(self, data: bytes) -> bool:
        assert self._board is not None
        try:
            return self._board.create(self._key, data, durable=False)
        except RefusedError as error:
            if not self._attempt.one_node or self._node is None or self._board is self._node.store:
                raise self._not_writable(error) from error
            log.debug("The ranks of this one node agree without the store: %s", error)
            self._stay_on_the_node()
            return self._claim(data)

    def _not_writable(self, error: KitError) -> RefusedError:
        return RefusedError(
            f"The ranks can't agree on which version they use: {error}. "
            f"Set {RUN_FOLDER} to a folder that all nodes can write"
        )

    def _document(self) -> bytes:
        try:
            said = {"answer": self._resolve()}
        except DEFINITIVE as error:
            self._failure = error
            said = {"failure": _describe(error)}
        return (json.dumps({"format": 1, **said}, ensure_ascii=False) + "\n").encode(
            "utf-8", "surrogateescape"
        )

    def open(self, data: bytes) -> Answer:
        """The answer in a document.

        Raises:
            KitError: it is a failure.
        """
        try:
            document = json.loads(data.decode("utf-8", "surrogateescape"))
            failure, answer = document.get("failure"), document.get("answer")
        except (ValueError, AttributeError) as error:
            raise CorruptError(f"{self._key} in {self._where} is damaged: {error}; remove it") from error
        if failure is None:
            return dict(answer)
        if self._failure is not None and self._failure.message == failure["message"]:
            raise self._failure
        raise _rebuild(failure)


def _is_whole(data: bytes) -> bool:
    """Where there are no hard links, a reader can see a document that is still being written."""
    return data.endswith(b"}\n")


def _describe(error: KitError) -> dict[str, Any]:
    """An error as other processes can raise it again."""
    known = next(kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
    cause = error.__cause__
    fields = {name: value for name, value in vars(error).items() if isinstance(value, str | int)}
    return {
        "class": known.__name__,
        "message": error.message,
        "fields": {name: value for name, value in fields.items() if name != "message"},
        "notes": getattr(error, "__notes__", []),
        "cause": f"{type(cause).__name__}: {cause}" if cause else None,
        "by": f"rank {os.environ.get('RANK') or '?'} on {os.uname().nodename}",
    }


def _rebuild(failure: Mapping[str, Any]) -> KitError:
    kind = getattr(errors, str(failure["class"]), None)
    if not (isinstance(kind, type) and issubclass(kind, KitError)):
        kind = KitError  # of a newer kit than this one
    error: KitError = kind.__new__(kind, failure["message"])
    KitError.__init__(error, failure["message"])
    vars(error).update(failure.get("fields") or {})
    for note in failure.get("notes") or ():  # such as which key of the config it was
        error.add_note(note)
    error.add_note(f"found by {failure.get('by')}, and the same for all ranks of this attempt")
    if failure.get("cause"):
        error.add_note(f"caused by {failure['cause']}")
    return error
