"""Records, receipts and failures: stored and read back."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.documents.outbox import Destination, Failure, Maker, OutboxRecord, Receipt, RunIdentity
from nemotron.kit.errors import CorruptError, FormatTooNewError
from nemotron.kit.testing import strategies

pytestmark = pytest.mark.usefixtures("no_io")

RECORD = OutboxRecord(
    id="01890a5d-ac96-774b-bcce-b302099a8057",
    created_at="2026-01-02T03:04:05+00:00",
    destination=Destination(server="https://w.example.test", entity="team", project="nano3"),
    run=RunIdentity(id="abc123", kit_run="01890a5d-0000-774b-bcce-b302099a8057", program="train.py"),
    maker=Maker(host="node7", pid=12, started="345"),
    subject="art://data:v3",
    used=("art://raw:v1",),
    payload={"draft": {"name": "data"}},
)
RECEIPT = Receipt(
    subject="art://data:v3", twin="team/nano3/data:v0", record=RECORD.id, run="abc123", aliases=("latest",)
)
texts = st.text(max_size=20)


@given(payload=strategies.metadata(), entity=st.none() | texts, used=st.lists(texts).map(tuple))
def test_a_record_reads_back(payload, entity, used) -> None:
    record = replace(
        RECORD, payload=payload, used=used, destination=replace(RECORD.destination, entity=entity)
    )
    assert repr(OutboxRecord.from_bytes(record.to_bytes(), "it")) == repr(record)


def test_receipts_and_failures_read_back() -> None:
    assert Receipt.from_bytes(RECEIPT.to_bytes(), "it") == RECEIPT
    failure = Failure(why="W&B could not be reached", kind="unavailable", at="2026", attempts=3)
    assert Failure.from_bytes(failure.to_bytes(), "it") == failure


@pytest.mark.parametrize("cut", [0, 1, 40, 200])
def test_half_a_record_is_damaged(cut: int) -> None:
    with pytest.raises(CorruptError, match="waiting/x"):
        OutboxRecord.from_bytes(RECORD.to_bytes()[:cut], "waiting/x")


@pytest.mark.parametrize("kind", [OutboxRecord, Receipt])
def test_a_newer_format_is_told_from_damage_and_a_new_field_is_no_problem(kind: type) -> None:
    value = RECORD if kind is OutboxRecord else RECEIPT
    document = json.loads(value.to_bytes())
    assert kind.from_bytes(json.dumps({**document, "later": 1}).encode(), "it") == value
    with pytest.raises(FormatTooNewError, match="upgrade"):
        kind.from_bytes(json.dumps({**document, "format_version": 99}).encode(), "it")
    for name in ("subject",):
        with pytest.raises(CorruptError):
            kind.from_bytes(json.dumps({k: v for k, v in document.items() if k != name}).encode(), "it")


def test_destinations_have_keys_of_their_own_and_sessions_are_one_run_at_one_destination() -> None:
    where = RECORD.destination
    others = [replace(where, server="http://x"), replace(where, entity=None), replace(where, project="p")]
    assert len({where.key, *(other.key for other in others)}) == 4
    assert replace(where, server=where.server + "/").key == where.key
    assert str(where) == "https://w.example.test/team/nano3"
    other_run = replace(RECORD, run=replace(RECORD.run, id="other"))
    assert other_run.session != RECORD.session
    assert replace(RECORD, id="x", subject=None).session == RECORD.session


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"subject": 5}, "'subject' is 5, expected str"),
        ({"used": "art://a:v1"}, "'used' is"),
        ({"used": [1]}, "'used' is"),
        ({"payload": []}, "'payload' is"),
        ({"live": 1}, "'live' is 1, expected bool"),
        ({"run": None}, "'run' is None, expected RunIdentity"),
        ({"run": {"id": "x"}}, "'kit_run' is missing"),
        ({"destination": {"server": ["x"], "project": "p"}}, "'server' is"),
        ({"maker": {"host": "h", "pid": "../1", "started": ""}}, "'pid' is '../1', expected int"),
        ({"maker": {"host": "h", "pid": True, "started": ""}}, "'pid' is True"),
        ({"format_version": None}, "format_version is None"),
    ],
)
def test_a_field_of_another_type_is_damage_at_once_and_not_later(change: dict[str, Any], said: str) -> None:
    document = {**json.loads(RECORD.to_bytes()), **change}
    with pytest.raises(CorruptError, match=r"^waiting/x is damaged: ") as caught:
        OutboxRecord.from_bytes(json.dumps(document).encode(), "waiting/x")
    assert said in str(caught.value)


def test_so_it_is_of_receipts_and_failures() -> None:
    for value, change in ((RECEIPT, {"twin": []}), (Failure(why="", kind="", at=""), {"attempts": "3"})):
        document = {**json.loads(value.to_bytes()), **change}
        with pytest.raises(CorruptError, match=r"^it is damaged"):
            type(value).from_bytes(json.dumps(document).encode(), "it")
