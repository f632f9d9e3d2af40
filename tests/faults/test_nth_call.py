"""Every operation with every one of its calls failing: before or after the effect, or its reply lost."""

import pytest

from nemotron.kit.errors import DiskFullError, KitError, UnavailableError, WithdrawnError
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.local import LocalStore
from nemotron.kit.store.memory import MemoryStore
from nemotron.kit.testing.faults import WRITES, Crashed, Fault, FaultyStore

STEPS_MAX = 100


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.txt").write_text("first")
    (folder / "b.txt").write_text("second")
    return folder


@pytest.fixture
def many(tmp_path):
    """So many files that their listing does not fit into a manifest."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(300):
        (folder / f"shard-{number:05}-of-00300.bin").write_bytes(b"x")
    return folder


def draft(folder, **rest):
    return Draft(name="m", source=folder, metadata={"step": "mine"}, **rest)


OPERATIONS = {
    "reference": lambda registry, data, many: registry.publish(draft(data)),
    "first of a root": lambda registry, data, many: registry.publish(draft(data)),
    "snapshot": lambda registry, data, many: registry.publish(draft(data, snapshot=True)),
    "large listing": lambda registry, data, many: registry.publish(draft(many)),
    "with an alias": lambda registry, data, many: registry.publish(draft(data, aliases=("best",))),
    "alias": lambda registry, data, many: registry.alias("m", "best", 2),
    "withdraw": lambda registry, data, many: registry.withdraw("m:v2", "mine"),
}
PUBLISHES = ["reference", "first of a root", "snapshot", "large listing", "with an alias"]


def before(operation, store, data):
    """A store as it is when the operation begins; its newest version."""
    if operation == "first of a root":
        return 0
    registry = Registry(store)
    for step in (1, 2, 3)[: 1 if operation in PUBLISHES else 3]:
        newest = registry.publish(Draft(name="m", source=data, metadata={"step": step})).record.version
    if operation in ("alias", "with an alias"):
        registry.alias("m", "best", 1)
    return newest


def attempt(operation, registry, data, many):
    """(what came of it, None) or (None, the error)."""
    try:
        return OPERATIONS[operation](registry, data, many), None
    except (KitError, Crashed) as error:
        return None, error


def each_fault(operation, data, many, whens, **fault):
    """A fresh store, its newest version, and the outcome of the operation, for each call that can fail."""
    for when in whens:
        for call in range(1, STEPS_MAX):
            inner = MemoryStore()
            newest = before(operation, inner, data)
            store = FaultyStore(inner, Fault(when, call=call, **fault))
            outcome = attempt(operation, Registry(store), data, many)
            if store._counts[0] < call:
                assert outcome[1] is None
                assert call > 3 or fault
                break
            yield f"{when} {store.calls[-1]} {call}", inner, newest, outcome
        else:
            raise AssertionError("an operation without an end")


def assert_whole(inner, newest, label):
    """What is visible is whole and without gaps, whatever happened; how many versions there are."""
    registry = Registry(inner)
    entry = registry.get("m")
    found = registry.versions("m") if entry else []
    numbers = [record.version for record in found]
    # `get` counts numbers, a torn one too; `versions` reads what they hold.
    assert numbers == [number for number in (entry.versions if entry else ()) if number in numbers], label
    steps = [record.metadata["step"] for record in found]
    assert steps[:newest] == [1, 2, 3][:newest], label
    assert steps[newest:] in ([], ["mine"]), label
    for record in found[newest:]:
        assert registry.tree(record).files in (2, 300), label
    return len(found)


@pytest.mark.parametrize("operation", PUBLISHES)
@pytest.mark.parametrize("error", [UnavailableError, DiskFullError, Crashed])
def test_a_publish_that_fails_is_whole_or_nothing_and_can_be_repeated(operation, error, data, many):
    tried = 0
    for label, inner, newest, (published, problem) in each_fault(
        operation, data, many, ("before", "after"), error=error
    ):
        tried += 1
        assert problem is None or type(problem) is error, label
        count = assert_whole(inner, newest, label)
        if published is not None:  # what was reported is there
            assert count == newest + 1, label
            assert published.record.version == newest + 1, label
        again, _ = attempt(operation, Registry(inner), data, many)
        assert again.record.version == newest + 1, label
        assert again.created == (count == newest), label
        assert assert_whole(inner, newest, label) == newest + 1, label
        if operation == "with an alias":
            assert Registry(inner).aliases("m") == {"best": 2}, label
        if operation == "snapshot":
            other = MemoryStore(inner.url)
            vars(other).update(vars(inner))  # another handle on the same objects
            folder = Registry(other).folder(again.record)
            assert {path.read_text() for path in folder.glob("*.txt")} == {"first", "second"}, label
        other = Registry(inner).publish(Draft(name="m", source=data, metadata={"step": "next"}))
        assert other.record.version == newest + 2, label
    assert tried > 10


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_sole_writer_is_never_told_that_it_lost(operation, data, many):
    tried = 0
    for label, inner, newest, (result, problem) in each_fault(operation, data, many, ("lost",)):
        tried += 1
        assert problem is None, label
        registry = Registry(inner)
        if operation in PUBLISHES:
            assert result.created, label
            assert result.record.version == newest + 1, label
            assert assert_whole(inner, newest, label) == newest + 1, label
        if operation in ("alias", "with an alias"):
            log = registry.alias_log("m", "best")
            assert [(move.sequence, move.version) for move in log] == [(1, 1), (2, 2)], label
        if operation == "withdraw":
            with pytest.raises(WithdrawnError, match="mine"):
                registry.resolve("m:v2")
    assert tried >= 3


@pytest.mark.parametrize("operation", PUBLISHES)
def test_a_torn_write_is_stepped_over(operation, data, many):
    # What a crash leaves where there are no hard links: half of an object under its final name.
    for label, inner, newest, (published, _) in each_fault(
        operation, data, many, ("torn",), methods=frozenset({"create"}), error=Crashed
    ):
        assert published is None, label
        assert_whole(inner, newest, label)
        if ".kit/format.json" in label:
            with pytest.raises(KitError, match="delete it"):
                attempt_or_raise(operation, inner, data, many)
            continue
        again = attempt_or_raise(operation, inner, data, many)
        assert again.record.version in (newest + 1, newest + 2), label
        assert Registry(inner).resolve("m").metadata["step"] == "mine", label


def attempt_or_raise(operation, inner, data, many):
    return OPERATIONS[operation](Registry(inner), data, many)


@pytest.mark.parametrize("error", [UnavailableError, Crashed])
def test_an_alias_that_fails_to_move_can_be_moved_again(error, data, many):
    for label, inner, _, (moved, problem) in each_fault(
        "alias", data, many, ("before", "after"), error=error
    ):
        assert (moved is None) == (type(problem) is error), label
        registry = Registry(inner)
        assert registry.resolve("m:best").version in (1, 2), label
        if moved is not None:
            assert registry.resolve("m:best").version == 2, label
        OPERATIONS["alias"](registry, data, many)
        log = Registry(inner).alias_log("m", "best")
        assert [(move.sequence, move.version, move.previous) for move in log] == [(1, 1, None), (2, 2, 1)], (
            label
        )


@pytest.mark.parametrize("error", [UnavailableError, Crashed])
def test_a_withdrawal_that_fails_can_be_repeated(error, data, many):
    for label, inner, _, (record, problem) in each_fault(
        "withdraw", data, many, ("before", "after"), error=error
    ):
        assert (record is None) == (type(problem) is error), label
        again, problem = attempt("withdraw", Registry(inner), data, many)
        assert again is not None or isinstance(problem, WithdrawnError), label
        with pytest.raises(WithdrawnError, match="mine"):
            Registry(inner).resolve("m:v2")
        assert [found.version for found in Registry(inner).versions("m")] == [1, 3], label


@pytest.mark.parametrize("operation", ["reference", "snapshot"])
def test_two_failures_in_a_row(operation, data, many, tmp_path):
    for first in range(1, 12):
        inner = MemoryStore()
        newest = before(operation, inner, data)
        for when in ("after", "before"):
            fault = Fault(when, call=first, methods=WRITES | {"read", "exists"})
            attempt(operation, Registry(FaultyStore(inner, fault)), data, many)
            assert_whole(inner, newest, f"{first} {when}")
        assert attempt_or_raise(operation, inner, data, many).record.version == newest + 1
        assert assert_whole(inner, newest, f"{first}") == newest + 1


def test_on_a_disk_nothing_temporary_stays_behind(data, many, tmp_path):
    for call in range(1, STEPS_MAX):
        root = tmp_path / f"store-{call}"
        store = FaultyStore(LocalStore(root), Fault("before", call=call))
        published, _ = attempt("snapshot", Registry(store), data, many)
        assert list(root.rglob(".tmp-*")) == []
        again = Registry.open(root).publish(draft(data, snapshot=True))
        assert again.record.version == 1
        assert list(root.rglob(".tmp-*")) == []
        if published is not None and len(store.calls) < call:
            return
    raise AssertionError("a publish without an end")


def test_reading_through_faults_never_takes_failure_for_absence(data, many):
    inner = MemoryStore()
    registry = Registry(inner)
    for step in (1, 2):
        registry.publish(Draft(name="m", source=data, metadata={"step": step}))
    registry.alias("m", "best", 1)
    asks = {
        "m": lambda registry: registry.resolve("m").version,
        "m:v1": lambda registry: registry.resolve("m:v1").version,
        "m:best": lambda registry: registry.resolve("m:best").version,
        "get": lambda registry: registry.get("m"),
        "list": lambda registry: registry.list(),
        "versions": lambda registry: [record.version for record in registry.versions("m")],
        "aliases": lambda registry: registry.aliases("m"),
        "log": lambda registry: registry.alias_log("m", "best"),
    }
    for name, ask in asks.items():
        truth = ask(Registry(inner))
        for call in range(1, STEPS_MAX):
            store = FaultyStore(inner, Fault("before", call=call))
            try:
                answer = ask(Registry(store))
            except UnavailableError:
                continue
            assert answer == truth, (name, call)
            assert len(store.calls) < call, (name, call, "a failure was swallowed")
            break
        else:
            raise AssertionError("a question without an end")
