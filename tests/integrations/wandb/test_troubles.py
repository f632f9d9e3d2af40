"""What goes wrong between the client and a server, and what becomes of records."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from nemotron import kit
from nemotron.kit import context
from nemotron.kit.errors import ConflictError
from nemotron.kit.integrations.wandb import delivery_sync
from nemotron.kit.integrations.wandb.delivery import CONFLICTS_MAX, put_off
from nemotron.kit.integrations.wandb.delivery_sync import sync
from nemotron.kit.integrations.wandb.errors import translate
from nemotron.kit.integrations.wandb.limits import PAUSES_S
from nemotron.kit.integrations.wandb.probing import answers
from nemotron.kit.tracking.outbox import Outbox
from wandb_server import WandbServer
from wandb_server.web import RESET

ALWAYS = 10**6


@pytest.fixture
def kept(real_wandb: ModuleType, tmp_path: Path) -> None:
    """Two versions that wait in the outbox, `model` and `other`, each on a run of its own."""
    kit.init(root=tmp_path / "store", wandb_project="proj")
    for step, name in enumerate(("model", "other")):
        place = tmp_path / name
        place.mkdir()
        (place / "part.bin").write_text(name)
        with kit.run(name):
            kit.ModelArtifact(path=place, step=step).save(name=name)


@dataclass(frozen=True)
class Trouble:
    """One row.

    Attributes:
        name: for people.
        begin: makes the server suffer.
        kind: of the reason that the record waits with; None if it is delivered all the same.
        aside: whether the first record is set aside, and the other one delivered.
        stops: whether the server is left alone afterwards.
    """

    name: str
    begin: Callable[[WandbServer], object]
    kind: str | None
    aside: bool = False
    stops: bool = False


def all_fail(status: int) -> Callable[[WandbServer], object]:
    return lambda server: setattr(server, "failing", status)


def saves_fail(status: int, times: int = ALWAYS) -> Callable[[WandbServer], object]:
    return lambda server: server.fail("CreateArtifact", status, times)


TABLE = (
    Trouble("401", all_fail(401), "refused", stops=True),
    Trouble("403", all_fail(403), "refused", stops=True),
    Trouble("403 of saves", saves_fail(403), "refused", stops=True),
    Trouble("404", saves_fail(404, 1), "not_found", aside=True),
    Trouble("409 in passing", saves_fail(409, 2), None),
    Trouble("409 for long", saves_fail(409, 1 + len(PAUSES_S)), "conflict"),
    Trouble("429 with Retry-After", saves_fail(429, 1), None),
    Trouble("429 for long", all_fail(429), "unavailable", stops=True),
    Trouble("500 once", saves_fail(500, 1), None),
    Trouble("500 of saves", saves_fail(500), "unavailable", stops=True),
    *(Trouble(str(status), all_fail(status), "unavailable", stops=True) for status in (500, 502, 503, 504)),
    Trouble("hang", lambda server: server.hanging.set(), "unavailable", stops=True),
    Trouble("reset once", saves_fail(RESET, 1), None),
    Trouble("reset", all_fail(RESET), "unavailable", stops=True),
    Trouble("gone", WandbServer.stop, "unavailable", stops=True),
)


def outbox() -> Outbox:
    return Outbox(context.require_registry().store)


def reasons() -> list[str]:
    return [one.failure.kind if one.failure else "" for one in outbox().waiting()]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client tries for minutes after some failures; the deliverer shall not wait for that here."""
    monkeypatch.setattr(delivery_sync, "answers", partial(answers, timeout_s=1.0))


@pytest.mark.parametrize("trouble", TABLE, ids=lambda trouble: trouble.name)
def test_what_becomes_of_records(
    trouble: Trouble, wandb_server: WandbServer, kept: None, impatient: None
) -> None:
    trouble.begin(wandb_server)
    outcome = sync(
        context.require_registry(), silence_s=4 if trouble.stops and trouble.kind == "unavailable" else 60
    )

    aside = outbox().set_aside_records()
    assert list(outcome.stopped) == ([wandb_server.url] if trouble.stops else [])
    if trouble.aside:
        assert (outbox().ids(), wandb_server.names()) == ([], ["other:v0"])
        assert [one.failure.kind if one.failure else None for one in aside] == [trouble.kind]
        outbox().retry(aside[0].id)
    else:
        assert aside == []
        assert len(outcome.delivered) == (0 if trouble.stops else 2 if trouble.kind is None else 1)
        assert {why for why in reasons() if why} == ({trouble.kind} if trouble.kind else set())

    if not (trouble.kind is None or trouble.aside or wandb_server.operations):
        return  # it was not even begun
    wandb_server.recover()
    wandb_server.faults.clear()
    sync(context.require_registry())
    assert outbox().ids() == []
    assert sorted(wandb_server.names()) == ["model:v0", "other:v0"]


def test_a_conflict_that_stays_is_set_aside_in_the_end(kept: None) -> None:
    (first, second) = outbox().ids()
    conflict = translate(ValueError("createArtifact: returned error 409: busy"), "log model")
    taken = translate(ValueError("Artifact model already exists with type 'dataset'"), "log model")
    assert isinstance(conflict, ConflictError)
    assert isinstance(taken, ConflictError)
    for _ in range(CONFLICTS_MAX - 1):
        put_off(outbox(), first, conflict)
        assert reasons() == ["conflict", ""]
    put_off(outbox(), first, conflict)
    put_off(outbox(), second, taken)
    assert [one.id for one in outbox().set_aside_records()] == [first, second]
    outbox().retry(first)
    assert reasons() == [""]


@pytest.mark.parametrize("what", ["TLS", "DNS"])
def test_an_address_that_nobody_answers_at(
    what: str,
    wandb_server: WandbServer,
    kept: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting, other = outbox().waiting()
    for one in (waiting, other):
        outbox().remove(one.record.id)
    server = wandb_server.url.replace("http:", "https:") if what == "TLS" else "http://w.invalid"
    where = replace(waiting.record.destination, server=server)
    outbox().add(replace(waiting.record, destination=where))
    if what == "DNS":

        def unknown(*_: object, **__: object) -> object:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)
    outcome = sync(context.require_registry())
    assert outcome.stopped == {server: f"{server} does not answer"}
    assert reasons() == ["unavailable"]
