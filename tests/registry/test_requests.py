"""What each operation asks of the store, whatever the number of versions; each may be a round trip."""

import os
from dataclasses import replace

import pytest

from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.errors import ArtifactNotFoundError
from nemotron.kit.registry import digest_cache, layout
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.versions import Versions
from nemotron.kit.store.local import LocalStore
from nemotron.kit.store.memory import MemoryStore
from nemotron.kit.testing.faults import FaultyStore

OPENING_MAX = 3  # once per process: founding the store, or looking at how it was founded


def shown(calls):
    return "\n".join(f"{method} {key}" for method, key in calls)


@pytest.fixture(params=[1, 3, 40])
def versions(request, publish):
    for step in range(request.param):
        publish(metadata={"step": step})
    return request.param


@pytest.mark.parametrize("warm", [False, True])
def test_resolving(versions, counted, registry, warm):
    registry.alias("m", "best", 1)
    for ref, most in {"m:v1": 2, "m": 4, "m:latest": 4, "m:best": 4}.items():
        fresh, store = counted()
        if warm:
            fresh.resolve(ref)
        with store.counting() as calls:
            fresh.resolve(ref)
        opening = 0 if warm else sum(key == ".kit/format.json" for _, key in calls)
        assert opening <= OPENING_MAX
        assert len(calls) - opening <= most, shown(calls)


@pytest.mark.parametrize("warm", [False, True])
def test_publishing_by_reference(versions, counted, data, warm):
    fresh, store = counted()
    for step in range(100, 101 + warm):
        with store.counting() as calls:
            assert fresh.publish(Draft(name="m", source=data, metadata={"step": step})).created
    opening = sum(key == ".kit/format.json" for _, key in calls)
    assert opening <= (0 if warm else OPENING_MAX)
    assert len(calls) - opening <= 8, shown(calls)
    with store.counting() as calls:
        assert not fresh.publish(Draft(name="m", source=data, metadata={"step": step})).created
    assert {method for method, _ in calls} <= {"read", "exists"}
    assert len(calls) <= 4, shown(calls)


def test_the_first_publish_of_a_root(root, data):
    store = FaultyStore(LocalStore(root))
    Registry(store).publish(Draft(name="m", source=data))
    assert len(store.calls) <= 8 + OPENING_MAX + 2, shown(store.calls)


def test_a_stale_hint_costs_a_logarithm(publish, counted, root):
    for step in range(40):
        publish(metadata={"step": step})
    (root / "m/latest").write_text("v1")
    fresh, store = counted()
    assert fresh.resolve("m").version == 40
    assert len(store.calls) <= 20, shown(store.calls)
    (root / "m/latest").unlink()
    fresh, store = counted()
    assert fresh.resolve("m").version == 40
    assert len(store.calls) <= 20, shown(store.calls)


# -- where a call takes long --------------------------------------------------------------------------------


class Far(FaultyStore):
    """A store whose every call is a round trip.

    Attributes:
        trips: how many of them followed one another.
    """

    at_once = 128

    def __init__(self, inner):
        super().__init__(inner, on_call=self._travel)
        self.trips = 0

    def _travel(self, method, key):
        self.trips += 1

    def together(self, calls):
        before, longest, said = self.trips, 0, []
        for call in calls:
            self.trips = 0
            said.append(call())
            longest = max(longest, self.trips)
        self.trips = before + longest * -(-len(calls) // self.at_once)
        return said


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A store with 10,000 versions of one name, an alias, and a withdrawn v9999."""
    inner = MemoryStore("memory://far")
    data = tmp_path_factory.mktemp("data")
    registry = Registry(inner)
    first = registry.publish(Draft(name="m", source=data)).record.manifest
    for number in range(2, 10_001):
        inner.create(layout.manifest("m", number), replace(first, version=number).to_bytes())
    registry.alias("m", "good", 77)
    registry.withdraw("m:v9999", "bad")
    return inner


@pytest.mark.parametrize(
    ("hint", "trips"), [("v10000", 2), ("v9998", 5), ("v9000", 5), ("v1", 5), ("", 5), ("v77777", 5)]
)
def test_the_latest_of_ten_thousand_takes_five_trips(many, hint, trips):
    many.replace("m/latest", hint.encode())
    store = Far(many)
    assert Registry(store).resolve("m").version == 10_000
    assert store.trips <= trips, shown(store.calls)
    assert len(store.calls) <= (5 if hint == "v10000" else 400)


def test_a_withdrawn_latest_and_what_is_named(many):
    many.replace("m/latest", b"v10000")
    for ref, trips in {"m:v5": 2, "m:good": 4}.items():
        store = Far(many)
        Registry(store).resolve(ref)
        assert store.trips <= trips, shown(store.calls)
    many.create(layout.tombstone("m", 10_000), many.read(layout.tombstone("m", 9999)))
    store = Far(many)
    assert Registry(store).resolve("m").version == 9998
    many.remove(layout.tombstone("m", 10_000))


def test_a_lost_claim_costs_a_few_requests_and_no_new_search(many, tmp_path):
    """As among writers of one name: others commit between the look and the claim."""
    many.replace("m/latest", b"v10000")
    losses = 5

    def others(method, key):
        if method == "create" and key.endswith("manifest.json") and taken[-1] < 10_000 + losses:
            taken.append(taken[-1] + 1)
            inner.create(key, replace(first, version=taken[-1], write_id="other").to_bytes())

    inner = MemoryStore("memory://raced")
    inner._objects.update(many._objects)
    taken, first = [10_000], Manifest.from_bytes(inner.read("m/v1/manifest.json"), "m")
    store = Far(inner)
    store._on_call = lambda method, key: (others(method, key), store._travel(method, key))
    published = Registry(store).publish(Draft(name="m", source=tmp_path, metadata={"mine": 1}))
    assert published.record.version == 10_001 + losses
    assert len(store.calls) <= 8 + OPENING_MAX + 6 * losses, shown(store.calls)


@pytest.mark.parametrize("at_once", [1, 128])
def test_a_name_of_three_segments_takes_a_request_for_each_shorter_reading(tmp_path, at_once):
    inner = MemoryStore("memory://three")
    registry = Registry(inner)
    for step in range(5):
        registry.publish(Draft(name="nano3/sft/data", source=tmp_path, metadata={"step": step}))
    store = Far(inner)
    store.at_once = at_once
    fresh = Registry(store)
    assert fresh.find("art://nano3/sft/data")[0].version == 5
    assert len(store.calls) <= 1 + 3 + 4, shown(store.calls)  # how it was founded, three names, the latest
    if at_once > 1:
        assert store.trips <= 1 + 1 + 2, shown(store.calls)
    with store.counting() as calls:  # it is known now what the text means
        assert fresh.find("art://nano3/sft/data")[0].version == 5
    assert len(calls) <= 4, shown(calls)


def test_a_root_of_older_tools_that_is_only_read_is_listed_once(tmp_path):
    inner = MemoryStore("memory://older")
    store = FaultyStore(inner)
    reader = Registry(store)
    with pytest.raises(ArtifactNotFoundError):
        reader.resolve("m")
    for number in (1, 2):
        inner.create(f"m/v{number}/manifest.json", b'{"name": "m", "version": "v%d"}' % number)
    assert reader.resolve("m").version == 2  # it was empty, and is asked again
    with store.counting() as calls:
        for _ in range(10):
            assert reader.resolve("m:v1").version == 1
    assert [key for method, key in calls if method == "list"] == []
    assert [key for _, key in calls if key == layout.FORMAT] == []


def test_a_root_that_is_founded_while_it_is_looked_at_is_of_this_format(tmp_path):
    inner = MemoryStore("memory://founded")
    store = FaultyStore(inner, on_call=lambda method, key: method == "list" and key == "" and found())

    def found():
        if not inner.exists("m/v1/manifest.json"):
            Registry(inner).publish(Draft(name="m", source=tmp_path))

    versions = Versions(store)
    assert versions.older.present is False
    assert versions.older.numbers("m") == frozenset()


def test_what_there_is_of_ten_thousand_versions_takes_one_walk(many):
    many.replace("m/latest", b"v10000")
    store = Far(many)
    found = Registry(store).get("m")
    assert (found.latest, found.aliases) == (10_000, {"good": 77})
    assert found.versions == (*range(1, 9999), 10_000)
    assert len(store.calls) <= 9, shown(store.calls)


def test_on_a_disk_what_there_is_is_counted_without_parsing_it(publish, opened, monkeypatch):
    for step in range(40):
        publish(metadata={"step": step})
    parsed, real = [], Manifest.from_bytes
    monkeypatch.setattr(Manifest, "from_bytes", lambda data, where: parsed.append(where) or real(data, where))
    assert opened().get("m").versions == tuple(range(1, 41))
    assert len(parsed) == 1, parsed


@pytest.mark.parametrize("at_once", [1, 2, 3, 8, 128])
@pytest.mark.parametrize("versions", [1, 2, 3, 4, 5, 7, 8, 9, 64, 65, 300])
def test_every_number_is_found_from_every_hint(versions, at_once, tmp_path):
    inner = MemoryStore("memory://near")
    first = Registry(inner).publish(Draft(name="m", source=tmp_path)).record.manifest
    for number in range(2, versions + 1):
        inner.create(layout.manifest("m", number), replace(first, version=number).to_bytes())
    for hint in ["", "v999", *(f"v{n}" for n in range(1, min(versions, 70) + 1))]:
        inner.replace("m/latest", hint.encode())
        store = Far(inner)
        store.at_once = at_once
        registry = Registry(store)
        assert registry.resolve("m").version == versions
        assert registry.resolve("m").version == versions


def test_nothing_lists_names_or_versions_to_publish_or_resolve(versions, counted, data):
    fresh, store = counted()
    fresh.resolve("m")
    fresh.publish(Draft(name="m", source=data, metadata={"step": "new"}))
    assert [key for method, key in store.calls if method == "list"] == []


# -- on a disk: what a commit costs --------------------------------------------------------------------------


@pytest.fixture
def syncs(monkeypatch):
    """The file or folder of every fsync."""
    synced = []

    def fsync(descriptor, real=os.fsync):
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "sync", lambda: synced.append("the whole machine"))
    return synced


def test_a_publish_by_reference_takes_three_syncs(publish, syncs):
    publish(metadata={"step": 0})
    for step in range(1, 10):
        syncs.clear()
        publish(metadata={"step": step})
        # What the manifest says, that vN is there, and that the manifest is there.
        assert len(syncs) == 3
        manifest, folder, entry = (path.partition("/store/")[2] for path in syncs)
        assert (folder, entry) == ("m", f"m/v{step + 1}")
        assert manifest.startswith(f"m/v{step + 1}/.tmp-")


def test_publishing_what_is_there_already_takes_none(publish, syncs):
    publish()
    syncs.clear()
    publish()
    assert syncs == []


@pytest.mark.parametrize("digests_known", [False, True])
def test_content_that_nobody_committed_is_synced_before_it_is_relied_on(
    publish, opened, root, data, syncs, monkeypatch, digests_known
):
    # Copied by a process that was killed before it could sync.
    if digests_known:  # as if the files had been written long ago
        monkeypatch.setattr(digest_cache, "SETTLED_NS", -(10**12))
    publish("other", snapshot=True)
    blob = next(path for path in (root / ".kit/blobs").rglob("*") if path.is_file())
    syncs.clear()
    publish("m", via=opened(), snapshot=True)
    assert str(blob) in syncs
    (data / "more.txt").write_text("more")
    syncs.clear()
    publish("m", via=opened(), snapshot=True)
    assert str(blob) not in syncs  # m:v1 speaks for it


def test_the_content_is_on_disk_before_the_commit(publish, root, monkeypatch, syncs):
    linked = []

    def link(source, target, real=os.link, **options):
        if str(target).endswith("manifest.json"):
            linked.extend(syncs)
        real(source, target, **options)

    monkeypatch.setattr(os, "link", link)
    publish(snapshot=True)
    blobs = [str(path) for path in (root / ".kit/blobs").rglob("*")]
    assert len(blobs) >= 4  # two files and their folders
    assert set(blobs) | {str(root), str(root / ".kit"), str(root / ".kit/blobs")} <= set(linked)
