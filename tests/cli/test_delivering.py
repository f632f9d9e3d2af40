"""What waits for W&B."""

import sys

import pytest

from nemotron.kit.documents.outbox import Destination, OutboxRecord, Receipt, RunIdentity
from nemotron.kit.errors import ConflictError, UnavailableError
from nemotron.kit.registry.processes import this_maker
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.stamps import now, uuid7
from nemotron.kit.tracking.outbox import Outbox

WHERE = Destination(server="https://w.example.test", entity="team", project="p")


def record(subject: str | None, *used: str) -> OutboxRecord:
    return OutboxRecord(
        id=uuid7(),
        created_at=now(),
        destination=WHERE,
        run=RunIdentity(id="r1", kit_run="k1"),
        maker=this_maker(),
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


def test_sync_with_nothing_to_do_needs_no_client(
    kit, store: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    said = kit("sync", "--json")
    assert (said.code, said.json) == (0, {"delivered": 0, "waiting": 0, "set_aside": 0, "records": []})


@pytest.mark.parametrize("command", [("outbox",), ("sync",), ("sync", "--dry-run")])
def test_a_root_that_is_not_there_has_no_outbox(kit, store: Registry, command: tuple[str, ...]) -> None:
    said = kit(*command, "--root", f"{store.root}s")
    assert (said.code, said.out) == (1, "")
    assert f"No store at {store.root}s" in said.err


def test_sync_without_the_client_says_what_to_install(
    kit, store: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    Outbox(store.store).add(record("art://base:v1"))
    monkeypatch.setitem(sys.modules, "wandb", None)
    said = kit("sync")
    assert (said.code, said.out) == (2, "")
    assert "pip install 'nemotron-kit[wandb]'" in said.err
    assert len(Outbox(store.store).ids()) == 1


def test_a_dry_run_shows_the_order_and_does_nothing(kit, store: Registry) -> None:
    outbox = Outbox(store.store)
    model, data = record("art://base:v1", "art://nano3-data:v1"), record("art://nano3-data:v1")
    outbox.add(model)
    outbox.add(data)
    said = kit("sync", "--dry-run", "--json")
    assert said.code == 0
    assert [line["uri"] for line in said.json["records"]] == ["art://nano3-data:v1", "art://base:v1"]
    assert (said.json["delivered"], said.json["waiting"]) == (0, 2)
    assert kit("sync", "--dry-run").out.splitlines()[-1] == "2 to be sent; nothing was sent"
    assert len(outbox.ids()) == 2


def test_what_is_still_there_after_a_sync_is_exit_code_1(
    kit, store: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nemotron.kit.integrations.wandb import delivery_sync

    outbox = Outbox(store.store)
    outbox.add(record("art://base:v1"))
    stopped = delivery_sync.Outcome(stopped={"https://w.example.test": "no answer"})
    monkeypatch.setattr(delivery_sync, "sync", lambda registry, **options: stopped)
    said = kit("sync")
    assert said.code == 1
    assert "https://w.example.test takes nothing at the moment: no answer" in said.err
    assert said.out.splitlines()[-1] == "0 delivered, 1 waiting, 0 set aside"


def test_watching_goes_on_until_it_is_enough(kit, store: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    from nemotron.kit.cli import delivering
    from nemotron.kit.integrations.wandb import delivery_sync

    rounds = iter([False, False, True])
    monkeypatch.setattr(delivering, "_interrupted", lambda seconds: next(rounds))
    outcomes = iter([delivery_sync.Outcome(delivered=["x"]), delivery_sync.Outcome()] * 2)
    monkeypatch.setattr(delivery_sync, "sync", lambda registry, **options: next(outcomes))
    said = kit("sync", "--watch")
    assert (said.code, said.out.splitlines()[-1]) == (0, "2 delivered, 0 waiting, 0 set aside")
    # On a pipe too, whoever reads it sees each round that had something, and nothing of the others.
    assert said.err.splitlines() == ["1 delivered", "1 delivered"]

    def interrupted(registry: Registry, **options: object) -> delivery_sync.Outcome:
        raise KeyboardInterrupt

    monkeypatch.setattr(delivery_sync, "sync", interrupted)
    said = kit("sync", "--watch", "--json")  # Ctrl-C while it sends is as good as while it waits
    assert (said.code, said.json["delivered"]) == (0, 0)


def test_what_was_set_aside_can_be_tried_again(kit, store: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    from nemotron.kit.integrations.wandb import delivery_sync

    outbox = Outbox(store.store)
    bad = record("art://base:v1")
    outbox.add(bad)
    outbox.set_aside(bad.id, ConflictError("of another type"))
    tried: list[str] = []

    def sync(registry: Registry, **options: object) -> delivery_sync.Outcome:
        tried.extend(outbox.ids())
        return delivery_sync.Outcome()

    monkeypatch.setattr(delivery_sync, "sync", sync)
    kit("sync")
    assert tried == []
    kit("sync", "--again")
    assert tried == [bad.id]


def test_what_is_kept_without_a_store_is_shown_beside_it_and_alone(
    kit, store: Registry, tmp_path, monkeypatch
) -> None:
    Outbox(store.store).add(record("art://in-the-store:v1"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    kept = Registry.open(tmp_path / "state" / "nemotron-kit")

    def shown(*arguments: str) -> list[str]:
        return [one["uri"] for one in kit(*arguments, "--json").json["records"]]

    assert shown("outbox") == ["art://in-the-store:v1"]
    Outbox(kept.store).add(record("art://kept:v1"))
    assert shown("outbox") == ["art://in-the-store:v1", "art://kept:v1"]
    assert shown("sync", "--dry-run") == ["art://in-the-store:v1", "art://kept:v1"]
    assert shown("outbox", "--root", kept.root) == ["art://kept:v1"]
    monkeypatch.delenv("NEMO_ARTIFACT_ROOT")
    assert shown("outbox") == ["art://kept:v1"]
