"""Listings that show what was there a while ago, and clocks that disagree: neither decides anything."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from nemotron.kit.registry import collect_garbage, layout, stamps
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.local import LocalStore
from nemotron.kit.store.memory import MemoryStore
from nemotron.kit.testing.faults import FaultyStore

DAY = 86_400.0


class Stale(FaultyStore):
    """A store whose listings are of the moment when it was opened, as NFS may show them elsewhere."""

    def __init__(self, inner):
        super().__init__(inner)
        self.then = {found.key for found in inner.walk()}

    def list(self, prefix=""):
        start = f"{prefix}/" if prefix else ""
        return list({key[len(start) :].split("/")[0] for key in self.then if key.startswith(start)})


@pytest.fixture(params=["nothing", "older tools"])
def root(request, tmp_path):
    """A root, empty or with a version of an earlier tool."""
    root = tmp_path / "store"
    if request.param == "older tools":
        (root / "old/v1").mkdir(parents=True)
        (root / "old/v1/manifest.json").write_text('{"name": "old", "version": "v1"}')
    return root


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "part.txt").write_text("hello")
    return folder


@pytest.mark.parametrize("seen", [0, 1, 3])
def test_a_stale_listing_gives_no_number_twice_and_hides_no_version(root, data, seen):
    ours = Registry.open(root)
    for step in range(seen):
        ours.publish(Draft(name="m", source=data, metadata={"step": step}, aliases=("good",)))
    theirs = Registry(Stale(LocalStore(root)))
    made = [f"art://m:v{n}" for n in range(1, seen + 1)]
    for step in range(10, 14):
        for registry in (ours, theirs):
            draft = Draft(name="m", source=data, metadata={"step": step, "by": registry is ours})
            made.append(registry.publish(draft).record.uri)
        ours.alias("m", "good", len(made))
        # Which move is the last one is read from a listing; who moves it on claims, and so knows.
        assert theirs.alias("m", "good", 1).previous == len(made)
        assert ours.resolve("m:good").version == 1
    assert made == [f"art://m:v{n}" for n in range(1, seen + 9)]
    ours.withdraw("m:v1", "bad")
    late = Registry(theirs.store)  # remembers nothing, and sees the same old listings
    assert late.resolve("m").version == len(made)
    assert late.get("m").versions == tuple(range(2, len(made) + 1))
    assert [record.version for record in late.versions("m")] == list(range(2, len(made) + 1))


@pytest.mark.parametrize("is_root_stale", [False, True])
def test_gc_beside_a_stale_listing_takes_nothing_that_a_version_names(data, is_root_stale):
    inner = MemoryStore()
    ours = Registry(inner)
    (data / "part.txt").write_text("first")
    ours.publish(Draft(name="m", source=data, snapshot=True))
    stale = Stale(inner)
    if not is_root_stale:
        stale.then |= {"n/latest"}
    (data / "part.txt").write_text("second")
    for name in ("m", "n"):
        ours.publish(Draft(name=name, source=data, snapshot=True, metadata={"of": name}))
    for found in [*inner.walk()]:
        inner.age(found.key, 20 * DAY)
    for _ in range(2):
        assert [item for item in Registry(stale).gc(apply=True).items if item.what == "blobs"] == []
        for found in [*inner.walk()]:
            inner.age(found.key, 20 * DAY)
    assert ours.verify("m", "full").ok
    assert ours.verify("n", "full").ok


@pytest.mark.parametrize("skew_s", [-400 * DAY, -3600.0, 3600.0, 400 * DAY])
def test_a_clock_that_is_wrong_moves_no_version_and_no_alias(root, data, monkeypatch, skew_s):
    """Two machines take turns; what is newest goes by numbers, not by times."""
    ours, theirs = Registry.open(root), Registry.open(root)
    moves = []
    for step in range(1, 5):
        for registry, ahead_s in ((ours, 0.0), (theirs, skew_s)):
            with monkeypatch.context() as clock:
                day = datetime.fromtimestamp(time.time() + ahead_s, UTC)
                clock.setattr(stamps, "now", day.isoformat)
                clock.setattr(stamps, "today", day.date().isoformat)
                clock.setattr(stamps.time, "time_ns", lambda day=day: int(day.timestamp() * 1e9))
                draft = Draft(name="m", source=data, metadata={"step": step, "skewed": bool(ahead_s)})
                published = registry.publish(draft)
                moves.append(registry.alias("m", "good", published.record.version))
            assert published.created
            assert Registry.open(root).resolve("m").version == published.record.version
    assert [move.version for move in moves] == list(range(1, 9))
    assert [move.sequence for move in Registry.open(root).alias_log("m", "good")] == list(range(1, 9))
    assert Registry.open(root).resolve("m:good").version == 8


@pytest.mark.parametrize("skew_s", [-400 * DAY, 400 * DAY])
def test_gc_goes_by_the_clock_of_the_store(data, monkeypatch, skew_s):
    registry = Registry(MemoryStore())
    registry.publish(Draft(name="m", source=data, snapshot=True))
    registry.withdraw("m:v1", "bad")
    wrong = SimpleNamespace(time=lambda: time.time() + skew_s, monotonic=time.monotonic)
    monkeypatch.setattr(collect_garbage, "time", wrong)
    assert registry.gc(apply=True).items == ()  # all of it is a moment old
    for found in [*registry.store.walk()]:
        registry.store.age(found.key, 20 * DAY)
    monkeypatch.setattr(stamps, "now", lambda: "1999-01-01T00:00:00+00:00")
    assert {(item.what, item.action) for item in registry.gc(apply=True).items} == {("blobs", "set aside")}


def test_gc_takes_one_request_a_version_where_each_is_a_round_trip(data):
    inner = MemoryStore()
    first = Registry(inner).publish(Draft(name="m", source=data, snapshot=True)).record.manifest
    costs = []
    for versions in (100, 1100):
        for number in range(versions - 999 if costs else 2, versions + 1):
            inner.create(layout.manifest("m", number), replace(first, version=number).to_bytes())
        inner.replace("m/latest", f"v{versions}".encode())
        store = FaultyStore(inner)
        store.at_once = 128
        Registry(store).gc(apply=True)
        costs.append(len(store.calls))
    assert costs[0] <= 100 + 25
    assert costs[1] - costs[0] <= 1000
