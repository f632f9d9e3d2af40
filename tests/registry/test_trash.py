"""What house-keeping set aside: readers find it, publishers write it anew, slow ones look again."""

import shutil

import pytest

from nemotron.kit.errors import ConflictError, CorruptError, WithdrawnError
from nemotron.kit.registry import digest_cache, layout, objects, publishing
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.memory import MemoryStore
from nemotron.kit.testing.faults import FaultyStore


@pytest.fixture(params=["local", "memory"])
def anywhere(request, tmp_path):
    return Registry.open(tmp_path / "store") if request.param == "local" else Registry(MemoryStore())


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.txt").write_text("first")
    (folder / "big.bin").write_bytes(b"x" * (2 << 20))
    for number in range(300):  # so many that the listing is an object of its own
        (folder / f"shard-{number:05}-of-00300.bin").write_bytes(b"%d" % number)
    return folder


def stored(store, *places):
    return {found.key for place in places or (layout.BLOBS, layout.TREES) for found in store.walk(place)}


def set_aside(store, batch="b1"):
    keys = stored(store)
    assert all(store.move(key, layout.set_aside(batch, key)) for key in keys)
    store.create(layout.batch(batch), b"{}")
    return keys


def test_readers_find_what_was_set_aside(anywhere, data):
    record = anywhere.publish(Draft(name="m", source=data, snapshot=True)).record
    assert len(set_aside(anywhere.store)) == 303
    reader = Registry(anywhere.store)
    assert reader.tree(record).files == 302
    assert reader.verify("m", "full").ok
    folder = reader.folder(record)
    assert (folder / "a.txt").read_text() == "first"
    assert (folder / "big.bin").stat().st_size == 2 << 20


def test_it_is_found_in_any_batch_and_while_it_is_put_back(anywhere, data):
    key = ".kit/blobs/aa/aabb"
    store = anywhere.store
    assert objects.locate(store, key) is None
    for batch in ("b1", "b2"):
        store.create(layout.set_aside(batch, key), batch.encode())
    assert objects.locate(store, key) == layout.set_aside("b2", key)
    assert objects.read(store, key) == b"b2"
    store.remove(layout.set_aside("b2", key))
    with objects.open_object(store, key) as file:
        assert file.read() == b"b1"

    def put_it_back(method, at):
        if method == "list":
            store.move(layout.set_aside("b1", key), key)

    moving = FaultyStore(store, on_call=put_it_back)
    assert objects.read(moving, key) == b"b1"
    with objects.open_object(FaultyStore(store), key) as file:
        assert file.read() == b"b1"


def test_what_lies_nowhere_is_missing(anywhere, data):
    record = anywhere.publish(Draft(name="m", source=data, snapshot=True)).record
    for key in stored(anywhere.store, layout.BLOBS):
        anywhere.store.remove(key)
    with pytest.raises(CorruptError, match="missing from the store"):
        Registry(anywhere.store).folder(record)


def test_publishing_the_same_again_brings_back_what_was_set_aside(anywhere, data):
    first = anywhere.publish(Draft(name="m", source=data, snapshot=True)).record
    blobs = {key for key in set_aside(anywhere.store) if key.startswith(layout.BLOBS)}
    again = Registry(anywhere.store).publish(Draft(name="m", source=data, snapshot=True))
    assert (again.created, again.record.version) == (False, first.version)
    assert stored(anywhere.store, layout.BLOBS) == blobs


def test_a_new_version_relies_on_nothing_that_was_set_aside(anywhere, data):
    anywhere.publish(Draft(name="m", source=data, snapshot=True))
    set_aside(anywhere.store)
    (data / "a.txt").write_text("other")
    record = Registry(anywhere.store).publish(Draft(name="m", source=data, snapshot=True)).record
    for found in list(anywhere.store.walk(layout.TRASH)):
        anywhere.store.remove(found.key)
    reader = Registry(anywhere.store)
    shutil.rmtree(data)
    assert (reader.folder(record) / "a.txt").read_text() == "other"
    assert reader.verify("m", "full").ok


def test_without_a_trash_an_unchanged_save_looks_for_no_blob(data, monkeypatch):
    monkeypatch.setattr(digest_cache, "SETTLED_NS", -(10**12))  # else what has just changed is read again
    store = MemoryStore()
    Registry(store).publish(Draft(name="m", source=data, snapshot=True))
    watched = FaultyStore(store)
    assert not Registry(watched).publish(Draft(name="m", source=data, snapshot=True)).created
    assert not [key for _, key in watched.calls if key.startswith(layout.BLOBS)]


def test_what_is_taken_after_the_last_look_is_found_in_the_trash(anywhere, data):
    taken = []

    def take_all(method, key):
        if method == "create" and key == layout.manifest("m", 1):
            taken.extend(set_aside(anywhere.store))

    Registry(anywhere.store).publish(Draft(name="other", source=data, snapshot=True))
    relying = Registry(FaultyStore(anywhere.store, on_call=take_all))
    assert relying.publish(Draft(name="m", source=data, snapshot=True)).created
    assert len(taken) == 303
    assert Registry(anywhere.store).verify("m", "full").ok


@pytest.fixture
def taken_while_it_gathers(anywhere, monkeypatch):
    """All objects are set aside after a publisher has looked at them, and before it commits."""
    gather, then = publishing.gather, []

    def gather_then_take(*arguments):
        gathered = gather(*arguments)
        set_aside(anywhere.store)
        for step in then:
            step()
        return gathered

    monkeypatch.setattr(publishing, "gather", gather_then_take)
    return then


@pytest.mark.parametrize(("trusted_s", "brought"), [(-1.0, True), (1800.0, False)])
def test_a_slow_publisher_looks_again_before_it_commits(
    anywhere, data, monkeypatch, taken_while_it_gathers, trusted_s, brought
):
    monkeypatch.setattr(publishing, "OBJECTS_TRUSTED_S", trusted_s)
    assert anywhere.publish(Draft(name="m", source=data, snapshot=True)).created
    assert len(stored(anywhere.store, layout.BLOBS)) == (302 if brought else 0)
    assert len(stored(anywhere.store, layout.TREES)) == 1
    assert Registry(anywhere.store).verify("m", "full").ok


def test_a_file_that_changed_meanwhile_is_no_part_of_the_version(
    anywhere, data, monkeypatch, taken_while_it_gathers
):
    monkeypatch.setattr(publishing, "OBJECTS_TRUSTED_S", -1.0)
    taken_while_it_gathers.append(lambda: (data / "a.txt").write_text("other"))
    with pytest.raises(ConflictError, match=r"a\.txt changed meanwhile"):
        anywhere.publish(Draft(name="m", source=data, snapshot=True))
    assert anywhere.get("m") is None


@pytest.fixture
def stands_still(monkeypatch):
    """Lets so much time pass, by one of the clocks, whenever it is called."""
    real, passed = publishing.clocks, [0.0, 0.0]
    monkeypatch.setattr(publishing, "clocks", lambda: tuple(map(sum, zip(real(), passed, strict=True))))

    def stand_still(by):
        passed[by] += 86_400 * 30

    return stand_still


@pytest.mark.parametrize("by", [0, 1], ids=["the machine's clock", "the wall's clock"])
def test_who_stands_still_between_the_last_look_and_the_commit_looks_again(anywhere, data, stands_still, by):
    def suspended(method, key):
        if (method, key) == ("create", layout.manifest("m", 1)):
            stands_still(by)
            set_aside(anywhere.store)
            for found in list(anywhere.store.walk(layout.TRASH)):  # and the next run has been there, too
                anywhere.store.remove(found.key)

    registry = Registry(FaultyStore(anywhere.store, on_call=suspended))
    assert registry.publish(Draft(name="m", source=data, snapshot=True)).created
    assert len(stored(anywhere.store, layout.BLOBS)) == 302
    assert len(stored(anywhere.store, layout.TREES)) == 1
    assert Registry(anywhere.store).verify("m", "full").ok


def test_what_can_not_be_brought_after_it_was_committed_is_withdrawn(anywhere, data, stands_still):
    def suspended(method, key):
        if (method, key) == ("create", layout.manifest("m", 1)):
            stands_still(0)
            for found in list(anywhere.store.walk(layout.BLOBS)):
                anywhere.store.remove(found.key)
            (data / "a.txt").write_text("other")

    registry = Registry(FaultyStore(anywhere.store, on_call=suspended))
    with pytest.raises(ConflictError, match=r"art://m:v1 is withdrawn: its content .*Publish it again"):
        registry.publish(Draft(name="m", source=data, snapshot=True))
    with pytest.raises(WithdrawnError, match="stood still"):
        Registry(anywhere.store).resolve("m:v1")
    again = Registry(anywhere.store).publish(Draft(name="m", source=data, snapshot=True))
    assert again.record.version == 2
    assert Registry(anywhere.store).verify("m", "full").ok
