"""Deliver what waits in an outbox: who goes first, in which process, and for how long.

The records are delivered by processes of their own, one for each server, see `delivery_child.py`. Here it is
watched that they get on: one that says nothing for too long is ended, with its service.
"""

import contextlib
import json
import logging
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from nemotron.kit.documents.outbox import OutboxRecord
from nemotron.kit.errors import KitError, UnavailableError
from nemotron.kit.integrations.wandb import run as wandb_run
from nemotron.kit.integrations.wandb import service
from nemotron.kit.integrations.wandb.delivery_plan import add_missing_inputs
from nemotron.kit.integrations.wandb.probing import answers
from nemotron.kit.registry.processes import is_here, life_of, this_maker
from nemotron.kit.registry.registry import Registry
from nemotron.kit.tracking.leases import Lease, started
from nemotron.kit.tracking.outbox import Outbox, in_sessions

log = logging.getLogger(__name__)

# How long one step may take: starting the client, resuming a run, one record.
SILENCE_S = 60.0
# A record with which the process has died so often is not tried again.
DEATHS_MAX = 3
# How long it may take to end when all is done.
GOODBYE_S = 20.0

Progress = Callable[[int, int], object]


@dataclass
class Outcome:
    """What came of a delivery.

    Attributes:
        delivered: ids of the records that are delivered.
        stopped: why a server took nothing more, by server.
    """

    delivered: list[str] = field(default_factory=list)
    stopped: dict[str, str] = field(default_factory=dict)


class CrashedError(KitError):
    """The client's process dies whenever it is given this record."""

    kind = "crashed"


def sync(
    registry: Registry,
    *,
    only: Iterable[str] | None = None,
    progress: Progress | None = None,
    silence_s: float = SILENCE_S,
) -> Outcome:
    """Deliver what waits in the outbox of a store; what can't be delivered stays, with the reason.

    Args:
        registry: the store.
        only: ids of the records to deliver; None for all, those of other people's runs too.
        progress: told how many records of how many are done.
        silence_s: how long a step may take.

    Raises:
        MissingExtraError: there is something to deliver, and the client is not installed.
    """
    outbox = Outbox(registry.store)
    outcome = Outcome()
    records = _due(outbox, None if only is None else set(only))
    if not records:
        return outcome
    wandb_run.client()
    add_missing_inputs(registry, outbox, records)
    if only is None:
        records = _due(outbox, None)
    told = progress or (lambda done, total: None)
    seen = {record.id for record in records}
    while records:
        told(len(outcome.delivered), len(seen))
        for server in dict.fromkeys(record.destination.server for record in records):
            mine = [record for record in records if record.destination.server == server]
            _Deliverer(
                registry, outbox, server, outcome, silence_s, lambda: told(len(outcome.delivered), len(seen))
            ).run(mine)
        records = [] if only is not None else _new_edges(outbox, outcome, seen)
        seen.update(record.id for record in records)
    return outcome


def _new_edges(outbox: Outbox, outcome: Outcome, seen: set[str]) -> list[OutboxRecord]:
    """Edges that were left over and can be made by now: another deliverer has brought the inputs."""
    return [
        record
        for record in _due(outbox, None)
        if record.id not in seen
        and record.subject is None
        and record.destination.server not in outcome.stopped
        and any(outbox.receipt(record.destination, ref) is not None for ref in record.used)
    ]


def sync_inputs(registry: Registry, outbox: Outbox, record: OutboxRecord) -> None:
    """Deliver the inputs of a record that its destination has never heard of, from their manifests."""
    if all(outbox.receipt(record.destination, ref) is not None for ref in record.used):
        return
    before = set(outbox.ids())
    add_missing_inputs(registry, outbox, [record])
    made = set(outbox.ids()) - before
    if made and not registry.root.startswith("memory:"):  # where no other process can see it
        sync(registry, only=made)


def plan(registry: Registry) -> list[OutboxRecord]:
    """What `sync` would try now, in order. Nothing is written and nobody is asked."""
    return [record for session in in_sessions(_due(Outbox(registry.store), None)) for record in session]


def _due(outbox: Outbox, only: set[str] | None) -> list[OutboxRecord]:
    """The records to be tried: not those that their own process is about to deliver."""
    waiting = [one.record for one in outbox.waiting()]
    if only is not None:
        return [record for record in waiting if record.id in only]
    return [record for record in waiting if not _has_a_living_maker(record)]


def _has_a_living_maker(record: OutboxRecord) -> bool:
    """Whether its run is open in a process of this machine: it would be closed under its feet."""
    maker = record.maker
    is_there = is_here(maker.process) and life_of(maker.process) != "gone"
    return record.live and is_there and maker != this_maker()


class _Deliverer:
    """Gives one server's records to processes, one after the other until all were tried."""

    def __init__(
        self,
        registry: Registry,
        outbox: Outbox,
        server: str,
        outcome: Outcome,
        silence_s: float,
        step: Callable[[], object],
    ) -> None:
        self._registry = registry
        self._outbox = outbox
        self._server = server
        self._outcome = outcome
        self._silence_s = silence_s
        self._step = step
        self._begun: str | None = None
        self._tried: set[str] = set()
        self._services: list[int] = []

    def run(self, records: list[OutboxRecord]) -> None:
        """Try them all."""
        if not answers(self._server):
            # The client would find out in a minute, at each start.
            self._stop(records[0].id, UnavailableError(f"{self._server} does not answer"))
            return
        deaths: dict[str, int] = {}
        silences = 0
        while left := [record for record in records if record.id not in self._tried]:
            sessions = in_sessions(left)
            for session in sessions:
                end_orphan(self._outbox.leases.last(session[0].session))
            why = self._one_process([[record.id for record in session] for session in sessions])
            if why is None:
                return
            guilty = self._begun or left[0].id
            deaths[guilty] = deaths.get(guilty, 0) + 1
            if isinstance(why, UnavailableError):
                # Once it may be the record, twice it is the server.
                silences += 1
                if self._begun and silences == 1:
                    self._outbox.failed(guilty, why)
                self._tried.add(guilty)
            elif deaths[guilty] >= DEATHS_MAX and self._begun:
                self._outbox.set_aside(guilty, why)
                self._tried.add(guilty)
            if not self._begun or silences > 1:
                self._stop(guilty, why)
                return

    def _stop(self, record_id: str, why: KitError) -> None:
        self._outcome.stopped[self._server] = str(why)
        self._outbox.failed(record_id, why)

    def _one_process(self, sessions: list[list[str]]) -> KitError | None:
        """Let a process deliver; returns why it ended before its time, or None."""
        self._begun = None
        with tempfile.TemporaryDirectory(prefix="nemotron-kit-", ignore_cleanup_errors=True) as folder:
            job = {
                "root": self._registry.root,
                "server": self._server,
                "sessions": sessions,
                "folder": folder,
            }
            patience_s = 0.0
            with _process(job, folder) as (process, events):
                try:
                    while (event := events.get(timeout=self._silence_s)) is not None and "end" not in event:
                        self._take(event)
                    patience_s = GOODBYE_S
                except queue.Empty:
                    return UnavailableError(
                        f"W&B's client said nothing for {self._silence_s:g} s, and was ended"
                    )
                finally:
                    self._end(process, patience_s)
                code = process.returncode
            # After an outage the client goes on trying to send what nobody needs, and is ended.
            if code == 0 or self._server in self._outcome.stopped:
                return None
            return CrashedError(f"W&B's client ended with exit code {code}: {_last_line(folder)}")

    def _take(self, event: dict[str, Any]) -> None:
        """What the process says of itself."""
        if "service" in event:
            self._services = list(event["service"])
        if "begun" in event:
            self._begun = event["begun"]
        if "delivered" in event:
            self._outcome.delivered.append(event["delivered"])
        if "stopped" in event:
            self._outcome.stopped[self._server] = event["why"]
        for record_id in (event.get("delivered"), event.get("failed"), *(event.get("busy") or ())):
            if record_id:
                self._tried.add(record_id)
                self._begun = None if record_id == self._begun else self._begun
                self._step()

    def _end(self, process: "subprocess.Popen[str]", patience_s: float) -> None:
        """See to it that it has ended, and that nothing of it is left."""
        if self._server in self._outcome.stopped:
            patience_s = min(patience_s, 1.0)
        try:
            process.wait(timeout=patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pid in self._services:
            service.kill(pid)
        self._services = []


def end_orphan(lease: Lease | None) -> None:
    """End the service of a deliverer that was killed: it would stay for hours.

    Args:
        lease: the deliverer's. By now another service, such as a job's, may have the same process id.
    """
    if lease is None or life_of(lease.holder.process) != "gone":
        return
    if lease.service_started and started(lease.service) == lease.service_started:
        service.kill(lease.service)


@contextlib.contextmanager
def _process(
    job: dict[str, Any], folder: str
) -> "Iterator[tuple[subprocess.Popen[str], queue.Queue[dict[str, Any] | None]]]":
    """A process that works on a job, and its events; None is the last."""
    command = [sys.executable, "-m", "nemotron.kit.integrations.wandb.delivery_child"]
    events: queue.Queue[dict[str, Any] | None] = queue.Queue()
    with open(os.path.join(folder, "errors.txt"), "w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,  # Ctrl-C is for us: we end it, and its service
        )
    assert process.stdin is not None
    assert process.stdout is not None
    stdout = process.stdout

    def read() -> None:
        for line in stdout:
            try:
                events.put(json.loads(line))
            except ValueError:
                log.debug("W&B's client says: %s", line.rstrip())
        events.put(None)

    reader = threading.Thread(target=read, daemon=True, name="nemotron-kit-sync")
    try:
        reader.start()
    except RuntimeError as error:
        process.kill()
        process.communicate()
        raise UnavailableError("This process is ending, and can deliver nothing any more") from error
    try:
        with contextlib.suppress(BrokenPipeError):
            json.dump(job, process.stdin)
            process.stdin.close()
        yield process, events
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        reader.join()
        stdout.close()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def _last_line(folder: str) -> str:
    try:
        with open(os.path.join(folder, "errors.txt"), encoding="utf-8", errors="replace") as file:
            return next((line.strip() for line in reversed(file.readlines()) if line.strip()), "no message")
    except OSError:
        return "no message"
