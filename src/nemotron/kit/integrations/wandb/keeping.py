"""Keep what W&B has not got where there is no store: in an outbox in a folder of the user's.

What is saved gets a version there, as in a store, so that an artifact that was saved offline can be an input
of the next one: it is known by the place of its data, since W&B has given it no name yet. `nemotron kit sync`
looks there as well.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nemotron.kit.documents import codec
from nemotron.kit.documents.outbox import OutboxRecord
from nemotron.kit.errors import CorruptError, KitError
from nemotron.kit.integrations.wandb import run as wandb_run
from nemotron.kit.integrations.wandb.courier import Courier
from nemotron.kit.integrations.wandb.delivery import NOT_NOW
from nemotron.kit.integrations.wandb.description import Description
from nemotron.kit.integrations.wandb.secrets import payload_of
from nemotron.kit.names import SCHEME
from nemotron.kit.registry import stamps
from nemotron.kit.registry.processes import this_maker
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.connect import open_store
from nemotron.kit.store.protocol import Store
from nemotron.kit.tracking.outbox import FOLDER, Outbox, state_root

log = logging.getLogger(__name__)


class Keeper:
    """Keeps the descriptions of this process.

    Args:
        courier: knows whose they are and where they go.
    """

    def __init__(self, courier: Courier) -> None:
        self._courier = courier
        # (run, name) → what was kept last.
        self._last: dict[tuple[str, str], Description] = {}

    def keep(self, run: Any, description: Description) -> bool:
        """Keep what an offline run has saved, durably; what equals the last one is not kept again.

        A folder that can't be written is a warning: the client has it in its own log.

        Args:
            run: the client's run that it belongs to.
            description: what W&B is to get.

        Returns:
            Whether it is kept.
        """
        key = (run.id, description.draft.name)
        before = self._last.get(key)
        is_known = before is not None and before.digest == description.digest
        if before is not None and is_known and set(description.aliases) <= set(before.aliases):
            return True
        try:
            outbox = _outbox()
            record = self._record(run, description)
            if record is not None:
                _add(outbox, record, description)
                self._last[key] = description
        except KitError as error:
            log.warning("%s is not kept for W&B: %s", description.draft.name, error)
            return False
        return record is not None

    def send(
        self,
        run: Any,
        description: Description,
        send: Callable[[], dict[str, Any]],
        within_limits: Callable[[Callable[[], dict[str, Any]]], dict[str, Any]],
    ) -> dict[str, Any]:
        """Have a description kept while W&B is asked, and after it if W&B is down.

        Args:
            run: the client's run, online.
            description: what W&B is to get.
            send: sends it.
            within_limits: calls what asks W&B, which raises when it takes too long.

        Returns:
            What W&B said.

        Raises:
            KitError: W&B did not take it; of an outage the message says where it is kept.
        """
        try:
            outbox = _outbox()
            record = self._record(run, description)
            if record is not None:
                outbox.add(record)
        except KitError as error:
            log.warning("%s is not kept while W&B is asked: %s", description.draft.name, error)
            return within_limits(send)

        def catch_up_and_send() -> dict[str, Any]:
            self._courier.catch_up()
            return send()

        try:
            said = within_limits(catch_up_and_send)
        except NOT_NOW as error:
            if record is None:
                raise
            last = _add(outbox, replace(record, id=stamps.uuid7()), description)
            outbox.failed(last.id, error)
            outbox.remove(record.id)
            self._courier.take_over(run, last, Registry.open(state_root()), error)
            raise type(error)(
                f"{str(error).rstrip('.')}. It is kept in {outbox.store.url}, and sent when W&B answers at "
                "the next save or at exit, or later by: nemotron kit sync"
            ) from error
        except KitError:
            _remove(outbox, record)
            raise
        _remove(outbox, record)
        return said

    def _record(self, run: Any, description: Description) -> OutboxRecord | None:
        where = self._courier.address.destination_of(run)
        if where is None:
            return None
        return OutboxRecord(
            id=stamps.uuid7(),
            created_at=stamps.now(),
            destination=where,
            run=self._courier.address.identity_of(run),
            maker=this_maker(),
            subject=None,
            live=wandb_run.mode(run) == "online",
            payload=payload_of(description),
        )


def _add(outbox: Outbox, record: OutboxRecord, description: Description) -> OutboxRecord:
    """Put a record into the outbox as a version of its own, made of what was saved before it."""
    store, where = outbox.store, record.destination.anybody.key
    made = {source.uri: _subject_at(store, where, source.uri) for source in description.sources}
    sources = tuple(source for source in description.sources if made[source.uri] is None)
    subject = _new_version(store, description.draft.name)
    kept = replace(
        record,
        subject=subject,
        used=tuple(dict.fromkeys(one for one in made.values() if one)),
        payload=payload_of(replace(description, sources=sources)),
    )
    outbox.add(kept)
    draft = description.draft
    for uri in (*(one.uri for one in draft.references), *(f"file://{one.path}" for one in draft.uploads)):
        store.replace(_place(where, uri), codec.encode({"subject": subject}))
    return kept


def _remove(outbox: Outbox, record: OutboxRecord | None) -> None:
    if record is None:
        return
    try:
        outbox.remove(record.id)
    except KitError as error:  # it is sent again, and is the same version there
        log.info("%s", error)


def _outbox() -> Outbox:
    return Outbox(open_store(state_root()))


def _new_version(store: Store, name: str) -> str:
    """A version that nobody else has."""
    folder = f"{FOLDER}/versions/{name}"
    number = max((int(one[1:]) for one in store.list(folder) if one[1:].isdecimal()), default=0) + 1
    while not store.create(f"{folder}/v{number}", b"", durable=False):
        number += 1
    return f"{SCHEME}{name}:v{number}"


def _place(destination: str, uri: str) -> str:
    return f"{FOLDER}/places/{destination}/{hashlib.sha256(uri.rstrip('/').encode()).hexdigest()[:32]}.json"


def _subject_at(store: Store, destination: str, uri: str) -> str | None:
    """What was saved of the data there, if anything was."""
    key = _place(destination, uri)
    data = store.read(key)
    try:
        subject = codec.decode(data, key).get("subject") if data is not None else None
    except CorruptError as error:
        log.info("%s", error)
        return None
    return subject if isinstance(subject, str) else None
