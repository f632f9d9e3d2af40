"""The store that fails on purpose fails as it says, and otherwise is the store inside."""

import pytest

from nemotron.kit.errors import DiskFullError, UnavailableError
from nemotron.kit.store.memory import MemoryStore
from nemotron.kit.testing.faults import WRITES, Crashed, Fault, FaultyStore
from nemotron.kit.testing.store_suite import StoreSuite


class TestWithoutFaults(StoreSuite):
    @pytest.fixture
    def store(self):
        return FaultyStore(MemoryStore())


def test_before_has_no_effect():
    store = FaultyStore(MemoryStore(), Fault("before", call=1))
    with pytest.raises(UnavailableError, match=r"before create\(a\), call 1"):
        store.create("a", b"x")
    assert store.read("a") is None


def test_after_has_its_effect():
    store = FaultyStore(MemoryStore(), Fault("after", call=1))
    with pytest.raises(UnavailableError):
        store.create("a", b"x")
    assert store.read("a") == b"x"


def test_a_lost_reply_reports_the_second_time():
    store = FaultyStore(MemoryStore(), Fault("lost", call=1))
    assert store.create("a", b"x") is False
    assert store.read("a") == b"x"


def test_torn_leaves_half():
    store = FaultyStore(MemoryStore(), Fault("torn", call=1))
    with pytest.raises(UnavailableError):
        store.create("a", b"1234")
    assert store.read("a") == b"12"


def test_only_the_methods_named_are_counted():
    store = FaultyStore(MemoryStore(), Fault("before", call=2, methods=WRITES, error=DiskFullError))
    store.read("a")
    assert store.create("a", b"x")
    store.read("a")
    with pytest.raises(DiskFullError):
        store.replace("a", b"y")
    store.replace("a", b"z")
    assert store.read("a") == b"z"


def test_staging_counts_each_step():
    store = FaultyStore(MemoryStore(), Fault("lost", call=1, methods=frozenset({"commit"})))
    with store.stage() as staging:
        staging.write(b"x")
        assert staging.commit("a") is False
    assert store.read("a") == b"x"
    assert [method for method, _ in store.calls] == ["stage", "write", "commit", "read"]


def test_after_a_crash_nothing_answers():
    store = FaultyStore(MemoryStore(), Fault("after", call=1, error=Crashed))
    with pytest.raises(Crashed):
        store.create("a", b"x")
    for call in (lambda: store.read("a"), lambda: store.replace("a", b"y"), store.list, store.stage):
        with pytest.raises(Crashed):
            call()
    assert store.inner.read("a") == b"x"
    assert not issubclass(Crashed, Exception)


def test_a_slow_store_waits_for_whoever_makes_it_slow():
    waited = []
    store = FaultyStore(MemoryStore(), on_call=lambda method, key: waited.append((method, key)))
    store.create("a", b"x")
    assert waited == store.calls == [("create", "a")]
