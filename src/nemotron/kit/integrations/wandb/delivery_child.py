"""The process that delivers records of runs that are over: `python -m … < job`.

W&B's client keeps one run to a process, and what it does to a process (a service, signal handlers, exit
hooks) has no business in the one that asks for a delivery. So deliveries have a process of their own, which
can be killed at any moment: the store says what was done.

The job comes on standard input, since it may hold what no command line should; events go to standard output,
one JSON object a line.
"""

import json
import logging
import os
import sys
from dataclasses import dataclass
from typing import Any, TextIO

from nemotron.kit.documents.outbox import OutboxRecord
from nemotron.kit.errors import KitError, RefusedError, UnavailableError
from nemotron.kit.integrations.wandb import run as wandb_run
from nemotron.kit.integrations.wandb import service
from nemotron.kit.integrations.wandb.delivery import NOT_NOW, deliver, put_off
from nemotron.kit.integrations.wandb.errors import translate, translated
from nemotron.kit.integrations.wandb.sending import Sender
from nemotron.kit.store.connect import open_store
from nemotron.kit.tracking.leases import Lease
from nemotron.kit.tracking.outbox import Outbox

log = logging.getLogger(__name__)

# What a run of the caller's would bring along.
_NOT_INHERITED = (
    *("WANDB_MODE", "WANDB_RUN_ID", "WANDB_RESUME", "WANDB_SERVICE", "WANDB_PROJECT", "WANDB_ENTITY"),
    *("WANDB_NAME", "WANDB_NOTES", "WANDB_TAGS", "WANDB_JOB_TYPE", "WANDB_RUN_GROUP", "WANDB_SWEEP_ID"),
    *("WANDB_DISABLED", "WANDB_PROGRAM", "WANDB_LAUNCH", "WANDB_X_PRIMARY"),
)


@dataclass(frozen=True)
class Job:
    """What to deliver.

    Attributes:
        root: the store.
        server: whom to tell.
        sessions: ids of records, in the order of delivery, those of one run together.
        folder: where the client may write.
    """

    root: str
    server: str
    sessions: list[list[str]]
    folder: str


def main(source: TextIO, target: TextIO) -> None:
    """Do a job, and say what becomes of it."""

    def say(**event: Any) -> None:
        target.write(json.dumps(event) + "\n")
        target.flush()

    _work(Job(**json.load(source)), say)
    say(end=True)


def _work(job: Job, say: Any) -> None:
    outbox = Outbox(open_store(job.root))
    _prepare(job)
    sender = Sender()
    refused: set[str] = set()
    for ids in job.sessions:
        first = next((record for one in ids if (record := outbox.read(one)) is not None), None)
        if first is None or first.destination.key in refused:
            continue
        lease = outbox.leases.take(first.session)
        if lease is None:
            say(busy=ids)
            continue
        try:
            _Session(outbox, sender, lease, say).deliver(ids, first)
        except _Stopped as stopped:
            for record_id in ids:
                outbox.failed(record_id, stopped.error)
            say(stopped=stopped.error.kind, why=str(stopped.error))
            if not isinstance(stopped.error, RefusedError):
                return
            # Another entity or project of the same server may take its records.
            refused.add(first.destination.key)
        finally:
            outbox.leases.give_back(lease)


class _Stopped(Exception):
    """The server takes nothing at the moment."""

    def __init__(self, error: KitError) -> None:
        super().__init__(str(error))
        self.error = error


class _Session:
    """The records of one run."""

    def __init__(self, outbox: Outbox, sender: Sender, lease: Lease, say: Any) -> None:
        self._outbox = outbox
        self._sender = sender
        self._lease: Lease = lease
        self._say = say

    def deliver(self, ids: list[str], first: OutboxRecord) -> None:
        """Deliver them.

        Raises:
            _Stopped: there is no use in trying more of them.
        """
        try:
            run = _resume(first)
        except Exception as error:
            raise _Stopped(_known(error, "resume the run")) from error
        pids = service.services_of(os.getpid())
        self._say(service=pids)
        for record_id in ids:
            longer = self._outbox.leases.renew(self._lease, service=pids[0] if pids else 0)
            if longer is None:
                self._say(busy=[record_id])
                break
            self._lease = longer
            self._deliver_one(run, record_id)
        try:
            run.finish()
        except Exception as error:  # noqa: BLE001 - the records were delivered, and their receipts are there
            log.warning("%s", _known(error, "finish the run"))

    def _deliver_one(self, run: Any, record_id: str) -> None:
        record = self._outbox.read(record_id)
        if record is None:
            return
        self._say(begun=record_id)
        try:
            deliver(self._sender, run, record, self._outbox)
        except Exception as error:
            known = _known(error, "take a record")
            if isinstance(known, NOT_NOW):
                raise _Stopped(known) from error
            put_off(self._outbox, record_id, known)
            self._say(failed=record_id, kind=known.kind, why=str(known))
        else:
            self._say(delivered=record_id)


def _known(error: Exception, doing: str) -> KitError:
    """The kit's error for any other, with what it is where nothing is known of it."""
    mapped = translate(error, doing)
    if isinstance(mapped, KitError):
        return mapped
    return KitError(f"W&B could not {doing}: {type(error).__name__}: {error}")


def _prepare(job: Job) -> None:
    """Let the client know nobody but the server that the records name, and write nowhere but in a folder."""
    for name in _NOT_INHERITED:
        os.environ.pop(name, None)
    if wandb_run.configured_server().rstrip("/") != job.server.rstrip("/"):
        # A key belongs to the server that it was meant for: records may name any. The client still looks
        # for one in the user's netrc, by the server's name.
        os.environ.pop("WANDB_API_KEY", None)
    # What was read is remembered; from here on it is the record's server that counts.
    wandb_run.client().teardown()
    os.environ.update(
        WANDB_BASE_URL=job.server, WANDB_DIR=job.folder, WANDB_SILENT="true", WANDB_CONSOLE="off"
    )


def _resume(record: OutboxRecord) -> Any:
    """The record's run, as it was or new; what it says of itself stays what its own process said."""
    wandb = wandb_run.client()
    settings = {
        "program": record.run.program,
        "x_disable_stats": True,
        "x_disable_meta": True,
        "disable_git": True,
        "disable_code": True,
        "disable_job_creation": True,
        "silent": True,
    }
    settings = {name: value for name, value in settings.items() if value is not None}
    with translated(f"resume run {record.run.id}"):
        run = wandb.init(
            id=record.run.id,
            entity=record.destination.entity,
            project=record.destination.project,
            name=record.run.name,
            job_type=record.run.job_type,
            group=record.run.group,
            resume="allow",
            settings=wandb.Settings(**settings),
        )
    if run is None or wandb_run.mode(run) != "online":
        raise UnavailableError("W&B could not resume the run: the client is not online")
    return run


def _events() -> TextIO:
    """Standard output, for events alone: whatever else writes there, and whoever inherits it, gets stderr."""
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return events


if __name__ == "__main__":
    main(sys.stdin, _events())
