"""The outbox: what is in it stays until it is delivered or set aside, whatever happens in between."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.documents.outbox import Destination, OutboxRecord, Receipt, RunIdentity
from nemotron.kit.errors import ConflictError, FormatTooNewError, UnavailableError
from nemotron.kit.registry.processes import life_of, this_maker
from nemotron.kit.registry.stamps import uuid7
from nemotron.kit.store.local import LocalStore
from nemotron.kit.store.memory import MemoryStore
from nemotron.kit.testing.faults import Crashed, Fault, FaultyStore
from nemotron.kit.tracking.leases import Lease, Leases
from nemotron.kit.tracking.outbox import Outbox, in_order, in_sessions

WHERE = Destination(server="https://w.example.test", entity="team", project="p")


def make(subject: str | None = "art://data:v1", used: tuple[str, ...] = (), **values: Any) -> OutboxRecord:
    fields: dict[str, Any] = {
        "id": uuid7(),
        "created_at": "2026-01-01T00:00:00+00:00",
        "destination": WHERE,
        "run": RunIdentity(id="r1", kit_run="k1"),
        "maker": this_maker(),
    }
    return OutboxRecord(subject=subject, used=used, **{**fields, **values})


def receipt(record: OutboxRecord, twin: str = "team/p/data:v0", **values: Any) -> Receipt:
    return Receipt(subject=record.subject or "", twin=twin, record=record.id, run="r1", **values)


def delivered(outbox: Outbox, record: OutboxRecord, twin: str = "team/p/data:v0") -> None:
    outbox.keep_receipt(record.destination, receipt(record, twin))
    outbox.remove(record.id)


def test_a_record_waits_until_its_receipt_is_there() -> None:
    outbox = Outbox(MemoryStore())
    first, second = make(), make("art://model:v1", ("art://data:v1",))
    outbox.add(first)
    outbox.add(second)
    outbox.failed(second.id, UnavailableError("no answer"))
    failure = outbox.failed(second.id, UnavailableError("still none"))
    assert failure.attempts == 2
    assert [(one.record, one.failure) for one in outbox.waiting()] == [(first, None), (second, failure)]

    delivered(outbox, first)
    delivered(outbox, second, "team/p/model:v0")

    assert outbox.waiting() == []
    assert outbox.failure(second.id) is None
    found = outbox.receipt(WHERE, "art://data:v1")
    assert found is not None
    assert found.twin == "team/p/data:v0"
    assert outbox.receipt(replace(WHERE, project="q"), "art://data:v1") is None
    # Who was offline did not know whose project it is.
    assert outbox.receipt(replace(WHERE, entity=None), "art://data:v1") == found
    assert outbox.receipt(replace(WHERE, entity="others"), "art://data:v1") is None
    assert outbox.count_receipts() == 2


def test_the_receipts_of_a_name_are_its_own() -> None:
    outbox = Outbox(MemoryStore())
    for subject in ("art://data:v2", "art://data:v10", "art://data-more:v1", "art://v.data:v1"):
        outbox.keep_receipt(WHERE, receipt(make(subject)))
    assert [version for version, _ in outbox.receipts(WHERE, "data")] == [2, 10]
    assert outbox.receipts(WHERE, "dat") == []


def test_a_later_answer_wins_and_no_alias_is_forgotten() -> None:
    outbox = Outbox(MemoryStore())
    record = make()
    outbox.keep_receipt(WHERE, receipt(record, aliases=("latest", "a")))
    outbox.keep_receipt(WHERE, receipt(record, "team/p/data:v4", aliases=("b",)))
    found = outbox.receipt(WHERE, "art://data:v1")
    assert found is not None
    assert (found.twin, found.aliases) == ("team/p/data:v4", ("latest", "a", "b"))


def test_what_can_t_be_delivered_is_set_aside_with_the_reason_and_can_wait_again() -> None:
    outbox = Outbox(MemoryStore())
    poison, good = make(), make("art://model:v1")
    outbox.add(poison)
    outbox.add(good)
    outbox.set_aside(poison.id, ConflictError("the name has another type"))

    assert outbox.ids() == [good.id]
    (aside,) = outbox.set_aside_records()
    assert aside.record == poison
    assert aside.failure is not None
    assert (aside.failure.kind, aside.failure.why) == ("conflict", "the name has another type")

    outbox.retry(poison.id)
    assert outbox.ids() == [poison.id, good.id]
    assert outbox.set_aside_records() == []


def test_a_damaged_record_is_in_nobody_s_way(caplog: pytest.LogCaptureFixture) -> None:
    now = [1_900_000_000.0]
    store = MemoryStore()
    outbox = Outbox(store, clock=lambda: now[0])
    good = make()
    outbox.add(good)
    torn = f"{int(now[0] * 1000):012x}"
    store.create(f".kit/outbox/waiting/{torn[:8]}-{torn[8:]}-7000-8000-000000000000.json", b'{"id": "')
    newer = json.loads(make().to_bytes()) | {"format_version": 99, "id": "ffffffff-0000"}
    store.create(".kit/outbox/waiting/ffffffff-0000.json", json.dumps(newer).encode())

    # It may be one that is just being written.
    assert [one.record for one in outbox.waiting()] == [good]
    assert outbox.set_aside_records() == []
    now[0] += 61
    assert [one.record for one in outbox.waiting()] == [good]
    (aside,) = outbox.set_aside_records()
    assert aside.record is None
    assert aside.failure is not None
    assert "damaged" in aside.failure.why
    # What a newer kit wrote waits for a newer kit.
    assert "ffffffff-0000" in outbox.ids()
    assert "upgrade" in caplog.text


def test_it_moves_with_its_root(tmp_path: Path) -> None:
    record = make()
    Outbox(LocalStore(str(tmp_path / "old"))).add(record)
    (tmp_path / "old").rename(tmp_path / "new")
    (waiting,) = Outbox(LocalStore(str(tmp_path / "new"))).waiting()
    assert waiting.record == record


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("what", ["delivered", "set aside", "retry"])
def test_a_crash_at_any_call_loses_nothing(what: str, when: Any) -> None:
    for n in range(1, 12):
        inner = MemoryStore()
        outbox = Outbox(inner)
        record = make()
        outbox.add(record)
        if what == "retry":
            outbox.set_aside(record.id, ConflictError("x"))
        faulty = Outbox(FaultyStore(inner, Fault(when, n, error=Crashed)))
        try:
            if what == "delivered":
                delivered(faulty, record)
            elif what == "retry":
                faulty.retry(record.id)
            else:
                faulty.set_aside(record.id, ConflictError("x"))
        except Crashed:
            crashed = True
        else:
            crashed = False
        after = Outbox(inner)
        waits, aside = after.ids(), [one.id for one in after.set_aside_records()]
        known = after.receipt(WHERE, "art://data:v1") is not None
        assert waits == [record.id] or aside == [record.id] or known
        assert not (waits and aside)
        if not crashed:
            assert n > 3
            return
    pytest.fail("it never came to an end")


# -- order -------------------------------------------------------------------------------------------------


@st.composite
def pipelines(draw: st.DrawFn) -> list[OutboxRecord]:
    count = draw(st.integers(1, 12))
    records = []
    for n in range(count):
        used = draw(st.sets(st.integers(0, max(n - 1, 0)), max_size=3)) if n else set()
        records.append(make(f"art://a{n}:v1", tuple(f"art://a{u}:v1" for u in used)))
    # Clocks of different machines disagree: ids say nothing about lineage.
    ids = draw(st.permutations([record.id for record in records]))
    return [replace(record, id=record_id) for record, record_id in zip(records, ids, strict=True)]


@given(pipelines())
def test_inputs_go_before_what_was_made_of_them(records: list[OutboxRecord]) -> None:
    ordered = in_order(records)
    assert sorted(ordered, key=lambda r: r.id) == sorted(records, key=lambda r: r.id)
    for flat in (ordered, [record for session in in_sessions(records) for record in session]):
        place = {record.subject: n for n, record in enumerate(flat)}
        assert len(place) == len(records)
        assert all(place[used] < place[record.subject] for record in records for used in record.used)


def test_what_one_run_can_deliver_in_one_go_is_put_together() -> None:
    runs = [RunIdentity(id=f"r{n}", kit_run=f"k{n}") for n in range(2)]
    records = [make(f"art://a{n}:v1", run=runs[n % 2]) for n in range(6)]
    last = make("art://b:v1", ("art://a5:v1",), run=runs[0])
    sessions = in_sessions([*records, last])
    assert [[r.subject for r in session] for session in sessions] == [
        ["art://a0:v1", "art://a2:v1", "art://a4:v1"],
        ["art://a1:v1", "art://a3:v1", "art://a5:v1"],
        ["art://b:v1"],
    ]


def test_versions_go_in_order_destinations_don_t_matter_to_each_other_and_a_cycle_ends() -> None:
    new, old = make("art://data:v10"), make("art://data:v9")
    edges = make(None, ("art://data:v10",))
    assert in_order([edges, new, old]) == [old, new, edges]
    elsewhere = replace(make("art://data:v1"), destination=replace(WHERE, project="q"))
    later = make("art://model:v1", ("art://data:v1",))
    assert in_order([later, elsewhere]) == sorted([later, elsewhere], key=lambda r: r.id)
    one, two = make("art://a:v1", ("art://b:v1",)), make("art://b:v1", ("art://a:v1",))
    assert {r.id for r in in_order([one, two])} == {one.id, two.id}
    assert [r.id for (r,) in in_sessions([one, replace(two, run=RunIdentity(id="r2", kit_run="k2"))])] == [
        r.id for r in in_order([one, two])
    ]


# -- leases ------------------------------------------------------------------------------------------------


def test_one_deliverer_at_a_time_until_its_time_is_over() -> None:
    now = [1000.0]
    leases = Leases(MemoryStore(), "leases", clock=lambda: now[0], lease_s=60)
    mine = leases.take("run")
    assert mine is not None
    assert leases.take("run") is None
    assert leases.take("other") is not None
    now[0] += 50
    mine = leases.renew(mine, service=77)
    assert mine is not None
    now[0] += 50
    assert leases.take("run") is None
    now[0] += 20
    theirs = leases.take("run")
    assert theirs is not None
    assert theirs.number == mine.number + 1
    assert leases.renew(mine) is None
    leases.give_back(mine)  # changes nothing: it is not ours any more
    assert leases.take("run") is None
    leases.give_back(theirs)
    assert leases.take("run") is not None


def test_a_lease_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys; from nemotron.kit.store.local import LocalStore\n"
        "from nemotron.kit.tracking.outbox import Outbox\n"
        "from nemotron.kit.registry.processes import this_maker\n"
        "lease = Outbox(LocalStore(sys.argv[1])).leases.take('run')\n"
        "print(lease.holder == this_maker())\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert ended.stdout == "True\n", ended.stderr
    leases = Outbox(LocalStore(str(tmp_path))).leases
    before = leases.last("run")
    assert before is not None
    assert life_of(before.holder.process) == "gone"
    assert life_of(this_maker().process) == "alive"
    assert life_of(replace(before.holder, host="elsewhere").process) == "unknown"
    assert leases.take("run") is not None


def test_a_lost_reply_is_not_somebody_else_s_lease() -> None:
    class Forgetful(MemoryStore):
        def create(self, key: str, data: bytes, *, durable: bool = True) -> bool:
            super().create(key, data, durable=durable)
            return False

    assert Leases(Forgetful(), "leases").take("run") is not None


def test_of_many_only_one_gets_it(tmp_path: Path) -> None:
    leases = [Leases(LocalStore(str(tmp_path)), "leases") for _ in range(20)]
    random.shuffle(leases)
    assert len([lease for lease in leases if lease.take("run")]) == 1


def test_a_lease_reads_back() -> None:
    make_lease: Callable[..., Lease] = Lease
    lease = make_lease("leases/x", 3, "abc", this_maker(), 12.5, 99)
    assert Lease.from_bytes(lease.to_bytes(), "it") == lease


def test_outboxes_of_every_format_that_was_ever_written_open() -> None:
    golden = Path(__file__).parents[1] / "golden" / "outbox" / "1"
    record = OutboxRecord.from_bytes((golden / "record.json").read_bytes(), "golden")
    assert (record.subject, record.used, record.run.id) == ("art://data:v3", ("art://raw:v1",), "abc123")
    assert record.payload == {"draft": {"name": "data"}}
    known = Receipt.from_bytes((golden / "receipt.json").read_bytes(), "golden")
    assert (known.twin, known.aliases) == ("team/nano3/data:v0", ("latest",))


def test_a_lease_that_a_crash_left_torn_stops_nobody_and_a_newer_kit_s_is_his(caplog) -> None:
    store = MemoryStore()
    leases = Leases(store, "leases")
    store.create("leases/run/00000001.json", b'{"folder": "lea')
    mine = leases.take("run")
    assert mine is not None
    assert mine.number == 2
    assert "leases/run/00000001.json is damaged" in caplog.text
    store.replace(mine.key, b"")
    assert leases.last("run") is None
    store.replace(mine.key, json.dumps({**json.loads(mine.to_bytes()), "format_version": 2}).encode())
    with pytest.raises(FormatTooNewError, match="lease format 2"):
        leases.take("run")
