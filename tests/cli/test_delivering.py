"""What waits for W&B."""

from nemotron.kit.documents.outbox import Destination, OutboxRecord, Receipt, RunIdentity
from nemotron.kit.errors import ConflictError, UnavailableError
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.stamps import now, uuid7
from nemotron.kit.tracking.outbox import Outbox
from nemotron.kit.tracking.processes import this_process

WHERE = Destination(server="https://w.example.test", entity="team", project="p")


def record(subject: str | None, *used: str) -> OutboxRecord:
    return OutboxRecord(
        id=uuid7(),
        created_at=now(),
        destination=WHERE,
        run=RunIdentity(id="r1", kit_run="k1"),
        maker=this_process(),
        subject=subject,
        used=used,
    )


def test_the_outbox_says_what_waits_since_when_and_why(kit, store: Registry) -> None:
    outbox = Outbox(store.store)
    data, model, edges, bad = (
        record("art://nano3-data:v1"),
        record("art://base:v1", "art://nano3-data:v1"),
        record(None, "art://base:v1"),
        record("art://tuned:v1"),
    )
    for one in (data, model, edges, bad):
        outbox.add(one)
    outbox.keep_receipt(
        WHERE, Receipt(subject="art://nano3-data:v1", twin="t/p/d:v0", record=data.id, run="r1")
    )
    outbox.remove(data.id)
    outbox.failed(model.id, UnavailableError("W&B could not log base: no answer\x1b[31m"))
    outbox.set_aside(bad.id, ConflictError("tuned is of another type"))

    said = kit("outbox", "--json")

    assert said.code == 0
    assert {key: said.json[key] for key in ("delivered", "waiting", "set_aside")} == {
        "delivered": 1,
        "waiting": 2,
        "set_aside": 1,
    }
    first, second, third = said.json["records"]
    assert first == {
        "id": model.id,
        "state": "waiting",
        "uri": "art://base:v1",
        "destination": "https://w.example.test/team/p",
        "run": "r1",
        "since": model.created_at,
        "inputs": ["art://nano3-data:v1"],
        "why": "W&B could not log base: no answer\x1b[31m",
        "kind": "unavailable",
        "attempts": 1,
        "last_attempt": first["last_attempt"],
    }
    assert (second["uri"], second["why"]) == (None, "nobody has tried yet")
    assert (third["state"], third["why"]) == ("set_aside", "tuned is of another type")

    plain = kit("outbox")
    assert plain.out.splitlines()[0].split() == ["WHAT", "FOR", "SINCE", "STATE", "TRIED", "WHY"]
    assert "inputs of run r1" in plain.out
    assert "\x1b" not in plain.out
    assert plain.out.splitlines()[-1] == "1 delivered, 2 waiting, 1 set aside"
    assert kit("outbox", "-q").out.splitlines() == ["art://base:v1", "inputs of run r1", "art://tuned:v1"]
