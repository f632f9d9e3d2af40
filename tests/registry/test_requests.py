"""What each operation asks of the store, whatever the number of versions; each may be a round trip."""

import os

import pytest

from nemotron.kit.registry import digest_cache
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.local import LocalStore
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
        # That vN is there, what its manifest says, and that the manifest is there.
        assert len(syncs) == 3
        folder, manifest, entry = (path.partition("/store/")[2] for path in syncs)
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
