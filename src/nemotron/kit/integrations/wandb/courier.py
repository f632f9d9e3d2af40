"""Tell W&B of what the store has, from the process that made it, without ever holding its work up.

Each save is written into the store's outbox first. One thread then delivers what this process has put
there, in order, and a save waits for its own record, but not for longer than its limit. A server that does
not answer costs that once: the breaker is open then, and later saves only write. After a rest one of them
wakes the thread for another try, without waiting for it.
"""

import atexit
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from shlex import quote
from typing import Any

from nemotron.kit import context
from nemotron.kit.documents.outbox import OutboxRecord
from nemotron.kit.errors import KitError, UnavailableError
from nemotron.kit.integrations.wandb import run as wandb_run
from nemotron.kit.integrations.wandb.address import Address
from nemotron.kit.integrations.wandb.breaker import Breaker
from nemotron.kit.integrations.wandb.delivery import NOT_NOW, deliver, put_off
from nemotron.kit.integrations.wandb.delivery_sync import sync, sync_inputs
from nemotron.kit.integrations.wandb.describing import describe
from nemotron.kit.integrations.wandb.description import Description
from nemotron.kit.integrations.wandb.errors import translate
from nemotron.kit.integrations.wandb.exit import watch_run
from nemotron.kit.integrations.wandb.limits import SHARE
from nemotron.kit.integrations.wandb.probing import answers
from nemotron.kit.integrations.wandb.secrets import payload_of
from nemotron.kit.integrations.wandb.sending import Sender
from nemotron.kit.names import SCHEME
from nemotron.kit.registry import stamps
from nemotron.kit.registry.processes import this_maker
from nemotron.kit.registry.registry import Registry
from nemotron.kit.tracking.outbox import Outbox
from nemotron.kit.tracking.protocol import SaveOptions, empty_record
from nemotron.kit.tracking.standby import Standby

log = logging.getLogger(__name__)

Said = dict[str, Any]

_standby = Standby("nemotron-kit-wandb-exit")


class Courier:
    """Delivers the records of this process.

    Args:
        sender: remembers what this process has sent.
        project: the W&B project where the client does not know one.
        entity: whose project it is.
        breaker: remembers whether the server answers.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        sender: Sender,
        project: str | None = None,
        entity: str | None = None,
        *,
        breaker: Breaker | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sender = sender
        self.breaker = breaker or Breaker()
        self.address = Address(project, entity)
        self._clock = clock
        self._was_online = False
        # (destination, run, name) → the version that was put into an outbox last, and what is said of it.
        self._kept: dict[tuple[str, str, str, str], tuple[str, Description]] = {}
        self._timeout_s = 0.0
        self._told: set[tuple[str, str]] = set()
        self._begin()

    def _begin(self) -> None:
        """What belongs to one process; a fork begins anew."""
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._busy = threading.RLock()
        self._is_delivering = False
        # What this process has put into an outbox and not delivered yet, oldest first.
        self._own: dict[str, tuple[OutboxRecord, Registry, Future[Said]]] = {}
        # What it has put there for runs of its own that are over.
        self._left: dict[str, Registry] = {}
        self._wanted: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_watching = False

    # -- saves ---------------------------------------------------------------------------------------------

    def follow(
        self, artifact: Any, name: str, stored: Said, options: SaveOptions, registry: Registry
    ) -> Said:
        """Tell W&B of a version of the store, or keep it for later.

        Returns:
            A `TrackingRecord`; `artifact_id` is None where W&B has not given a version yet.

        Raises:
            KitError: the outbox could not be written; W&B was not asked.
        """
        began = self._clock()
        if self._pid != os.getpid():
            self._begin()
        run = self.address.own_run()
        where = self.address.destination_of(run)
        if where is None:
            return empty_record(artifact.type)
        outbox = Outbox(registry.store)
        subject = f"{SCHEME}{stored['artifact_id']}"
        used = list(stored.get("used_artifacts") or ())
        description = describe(artifact, name, used, options)
        known = outbox.receipt(where, subject) if stored.get("created") is False else None
        if known is not None and set(description.aliases) <= set(known.aliases):
            return {**empty_record(artifact.type), "artifact_id": known.twin, "url": known.url}
        identity = self.address.identity_of(run)
        key = (str(registry.root), where.key, identity.id, description.draft.name)
        last, before = self._kept.get(key, ("", description))
        if last == subject and before.digest == description.digest:
            if set(description.aliases) <= set(before.aliases):
                return empty_record(artifact.type)
            # With the times of the first one, so that W&B sees that it is the same.
            description = before.with_aliases(*description.aliases)
        is_online = run is not None and wandb_run.mode(run) == "online"
        record = OutboxRecord(
            id=stamps.uuid7(),
            created_at=stamps.now(),
            destination=where,
            run=identity,
            maker=this_maker(),
            subject=subject,
            used=tuple(
                f"{SCHEME}{ref.removeprefix(SCHEME)}" for ref in used if "/" not in ref.removeprefix(SCHEME)
            ),
            live=is_online,
            payload=payload_of(description),
        )
        outbox.add(record)
        self._kept[key] = (subject, description)
        if not is_online:
            if run is None and self._was_online:
                self._left[record.id] = registry
            self._say_kept(registry, run)
            return empty_record(artifact.type)
        self._watch(run)
        return self._hand_over(record, registry, began) or empty_record(artifact.type)

    def take_over(self, run: Any, record: OutboxRecord, registry: Registry, why: KitError) -> None:
        """Deliver what W&B did not take when it was asked: before what is saved next, or at exit.

        Args:
            run: the client's run that it belongs to, online.
            record: as it lies in the outbox.
            registry: where that is.
            why: W&B did not take it.
        """
        if self._pid != os.getpid():
            self._begin()
        self._watch(run)
        with self._lock:
            self._own[record.id] = (record, registry, Future())
        self.breaker.failed(str(why))

    def catch_up(self) -> None:
        """Deliver what this process has kept, so that nothing newer goes before it.

        Raises:
            UnavailableError: W&B still does not take it.
        """
        if self._pid != os.getpid() or not self._own:
            return
        self.deliver_own()
        if self._own:
            raise UnavailableError(f"W&B has not taken what was saved before: {self.breaker.why}")

    def follows(self) -> bool:
        """Whether what is saved now goes to W&B, at once or later."""
        return self.address.destination_of(self.address.own_run()) is not None

    def _watch(self, run: Any) -> None:
        """See to what is left when the process ends, and that it can end."""
        self._was_online = True
        self._timeout_s = context.settings().wandb_timeout_s
        if not self._is_watching:
            self._is_watching = True
            # Before the client's own hook, which was there first: the run is still open then.
            atexit.unregister(self.at_exit)  # a fork has its parent's
            atexit.register(self.at_exit)
            _standby.get_ready()
        if wandb_run.is_real():
            watch_run(run)

    def _hand_over(self, record: OutboxRecord, registry: Registry, began: float) -> Said | None:
        """Let the thread deliver it, and wait as long as a save may take."""
        answer: Future[Said] = Future()
        with self._lock:
            self._own[record.id] = (record, registry, answer)
        if not self.breaker.may_try():
            return None
        waits = self.breaker.is_closed
        self._wake()
        if not waits:
            return None
        limit_s = context.settings().wandb_timeout_s
        try:
            return answer.result(timeout=max(0.0, limit_s * SHARE - (self._clock() - began)))
        except TimeoutError:
            self._failed(record, UnavailableError(f"W&B did not answer within {limit_s:g} s"), registry)
        except KitError as error:
            log.debug("%s is not on W&B: %s", record.subject, error)
        return None

    # -- the thread ----------------------------------------------------------------------------------------

    def _wake(self) -> None:
        with self._lock:
            if self._thread is None:
                # A daemon: a call that hangs must not keep the process.
                self._thread = threading.Thread(target=self._work, daemon=True, name="nemotron-kit-wandb")
                self._thread.start()
        self._wanted.put(None)

    def _work(self) -> None:
        while True:
            self._wanted.get()
            self.deliver_own()

    def deliver_own(self) -> None:
        """Deliver what this process has put into the outbox, until W&B refuses one or all is done."""
        with self._busy:
            if self._is_delivering:  # a signal handler of the thread that does
                return
            self._is_delivering = True
            try:
                while (first := self._first()) is not None and self._deliver(*first):
                    pass
            finally:
                self._is_delivering = False

    def _first(self) -> "tuple[OutboxRecord, Registry, Future[Said]] | None":
        with self._lock:
            return next(iter([*self._own.values()]), None)  # a signal handler may add one meanwhile

    def _deliver(self, record: OutboxRecord, registry: Registry, answer: "Future[Said]") -> bool:
        """Deliver one; returns whether to go on with the next."""
        outbox = Outbox(registry.store)
        run = self.address.own_run()
        if run is None or run.id != record.run.id:
            self._left[record.id] = registry
            self._forget(record, UnavailableError(f"W&B run {record.run.id} has ended"), answer)
            return True
        try:
            sync_inputs(registry, outbox, record)
            said = deliver(self.sender, run, record, outbox)
        except Exception as caught:  # noqa: BLE001 - the thread goes on, whatever it is
            error = translate(caught, f"take {record.subject}")
            known = error if isinstance(error, KitError) else KitError(f"{type(error).__name__}: {error}")
            if isinstance(known, NOT_NOW):
                _note(outbox.failed, record, known)
                self._failed(record, known, registry)
                _answer(answer, error=known)
                return False
            _note(partial(put_off, outbox), record, known)
            self._forget(record, known, answer)
            return True
        if self.breaker.succeeded():
            log.info("W&B answers again")
        with self._lock:
            self._own.pop(record.id, None)
        _answer(answer, said=said)
        return True

    def _forget(self, record: OutboxRecord, error: KitError, answer: "Future[Said]") -> None:
        with self._lock:
            self._own.pop(record.id, None)
        _answer(answer, error=error)

    def at_exit(self) -> None:
        """Deliver what is left, within the limit of one save, unless W&B is seen to fail."""
        if self._pid != os.getpid():
            return
        with self._lock:
            own = list(self._own.values())
        servers = {record.destination.server for record, _, _ in own}
        if not own and not self._left:
            return
        if not self.breaker.is_closed and not all(answers(server) for server in servers):
            return
        deadline = self._clock() + self._timeout_s
        for work in (self.deliver_own, self._deliver_left):
            # What hangs is left to the outbox.
            _standby.begin(work).wait(max(0.0, deadline - self._clock()))

    def _deliver_left(self) -> None:
        """Deliver what belongs to runs that are over, in a process that opens them again."""
        left, self._left = self._left, {}
        for registry in {registry.root: registry for registry in left.values()}.values():
            ids = [record_id for record_id, its in left.items() if its.root == registry.root]
            try:
                sync(registry, only=ids, silence_s=self._timeout_s)
            except KitError as error:
                log.warning(
                    "%s. To send what is kept: nemotron kit sync --root %s", error, quote(str(registry.root))
                )

    # -- what is said --------------------------------------------------------------------------------------

    def _failed(self, record: OutboxRecord, error: KitError, registry: Registry) -> None:
        if self.breaker.failed(str(error)):
            log.warning(
                "%s is saved in the store; WandbTracker did not take it: %s: %s. It is kept in the store's "
                "outbox, as is what follows, and sent when W&B answers again, or by: "
                "nemotron kit sync --root %s",
                (record.subject or "").removeprefix(SCHEME),
                type(error).__name__,
                str(error).rstrip("."),
                quote(str(registry.root)),
            )

    def _say_kept(self, registry: Registry, run: Any | None) -> None:
        why = "W&B is offline" if run is not None else "No W&B run is active"
        if (why, str(registry.root)) not in self._told:
            self._told.add((why, str(registry.root)))
            log.warning(
                "%s: what is saved is kept in the store's outbox. To send it: nemotron kit sync --root %s",
                why,
                quote(str(registry.root)),
            )


def _note(keep: Callable[[str, KitError], object], record: OutboxRecord, why: KitError) -> None:
    """Note in the outbox what became of a record; a store that fails as well must not end the thread."""
    try:
        keep(record.id, why)
    except KitError as error:
        log.warning("Why %s is not on W&B could not be noted: %s", record.subject or record.id, error)


def _answer(answer: "Future[Said]", *, said: Said | None = None, error: KitError | None = None) -> None:
    """Answer once: a record that is tried again has nobody who waits for it."""
    if answer.done():
        return
    if said is not None:
        answer.set_result(said)
    else:
        answer.set_exception(error or UnavailableError("W&B has not taken it"))
