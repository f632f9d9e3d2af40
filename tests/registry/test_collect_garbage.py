"""House-keeping on a store: what goes, when, and what never does."""

import json
import os
import time
from datetime import timedelta

import pytest

from nemotron.kit.errors import CorruptError, FormatTooNewError, MisuseError, RefusedError
from nemotron.kit.registry import collect_garbage, layout
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.memory import MemoryStore

DAY = 86_400.0
TEMPORARY = ".tmp-0123456789abcdef"


@pytest.fixture(params=["local", "memory"])
def anywhere(request, tmp_path):
    return Registry.open(tmp_path / "store") if request.param == "local" else Registry(MemoryStore())


@pytest.fixture
def local(tmp_path):
    return Registry.open(tmp_path / "store")


def pass_days(store, days, prefix=""):
    """Let everything in a store be so much older."""
    for found in list(store.walk(prefix)):
        if isinstance(store, MemoryStore):
            store.age(found.key, days * DAY)
        else:
            path = store.local_path(found.key)
            os.utime(path, (found.modified - days * DAY,) * 2)


def everything(store):
    return {found.key: store.read(found.key) for found in store.walk()}


def objects(store):
    return {f.key for place in (layout.BLOBS, layout.TREES) for f in store.walk(place)}


def said(sweep):
    """All but the journal's entries, which every publish leaves and which are a test of their own."""
    return {(item.what, item.action): item.count for item in sweep.items if item.what != "journal"}


def entries_deleted(sweep):
    return sum(item.count for item in sweep.items if item.what == "journal")


@pytest.fixture
def publish(tmp_path):
    def publish(registry, files, name="m"):
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
        for file, text in files.items():
            (folder / file).write_text(text)
        return registry.publish(Draft(name=name, source=folder, snapshot=True)).record

    return publish


@pytest.fixture
def half(anywhere, publish):
    """A store of two versions, one of them withdrawn; they share one of their files."""
    publish(anywhere, {"shared": "shared", "own": "first"})
    publish(anywhere, {"shared": "shared", "own": "second"})
    anywhere.withdraw("m:v1", "bad")
    pass_days(anywhere.store, 20)
    return anywhere


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(half):
    before = everything(half.store)
    sweep = half.gc()
    assert said(sweep) == {("blobs", "set aside"): 1}
    assert (sweep.applied, sweep.grace, sweep.size_deleted) == (False, timedelta(days=14), 0)
    assert everything(half.store) == before
    assert said(half.gc(apply=True)) == said(sweep)


def test_it_goes_into_the_trash_and_a_grace_period_later_for_good(half):
    before = time.time()
    assert len(objects(half.store)) == 3
    sweep = half.gc(apply=True)
    assert sweep.next_at == pytest.approx(before + 14 * DAY, abs=60)
    assert len(objects(half.store)) == 2
    pass_days(half.store, 13.9)
    sweep = half.gc(apply=True)
    assert said(sweep) == {("blobs", "waiting"): 1}
    assert sweep.next_at == pytest.approx(before + 0.1 * DAY, abs=60)
    pass_days(half.store, 0.2)
    sweep = half.gc(apply=True)
    assert (said(sweep), sweep.size_deleted) == ({("blobs", "deleted"): 1}, len("first"))
    assert list(half.store.walk(layout.TRASH)) == []
    assert said(half.gc(apply=True)) == {}
    assert half.verify("m", "full").ok


def test_what_is_young_or_from_the_future_stays(anywhere, publish):
    publish(anywhere, {"a": "first"})
    anywhere.withdraw("m:v1", "bad")
    for days in (0, 13.9, -20, -1000):
        pass_days(anywhere.store, days)
        assert said(anywhere.gc(apply=True)) == {}
        pass_days(anywhere.store, -days)
    pass_days(anywhere.store, 1)
    assert said(anywhere.gc(grace="12h")) == {("blobs", "set aside"): 1}


def test_what_a_version_names_again_is_put_back(half, publish):
    half.gc(apply=True)
    (aside,) = (f.key for f in half.store.walk(layout.TRASH) if "/blobs/" in f.key)
    publish(half, {"own": "first"})  # to a publisher it is absent
    assert len(objects(half.store)) == 3
    half.store.remove(layout.put_back(aside))  # as if it had relied on it just before
    pass_days(half.store, 15)
    assert half.verify("m:v3", "full").ok
    sweep = half.gc(apply=True)
    assert said(sweep) == {("blobs", "put back"): 1}
    assert list(half.store.walk(layout.TRASH)) == []
    assert half.store.read(layout.put_back(aside)) == b"first"


def test_what_is_there_twice_stays_once(half, publish):
    half.gc(apply=True)
    publish(half, {"own": "first"})
    pass_days(half.store, 15)
    assert said(half.gc(apply=True)) == {("blobs", "put back"): 1}
    assert half.verify("m:v3", "full").ok
    assert (len(objects(half.store)), list(half.store.walk(layout.TRASH))) == (3, [])


def test_an_empty_file_that_a_power_loss_left_does_not_win_over_the_trash(local, publish):
    record = publish(local, {"a": "first"})
    pass_days(local.store, 20)
    (key,) = objects(local.store)
    local.store.move(key, layout.set_aside("b", key))
    local.store.create(layout.batch("b"), b"{}")
    local.store.create(key, b"")
    pass_days(local.store, 20)
    local.gc(apply=True)
    assert (local.folder(record) / "a").read_text() == "first"


def test_large_listings_go_the_same_way(anywhere, publish):
    for step in ("first", "second"):
        publish(anywhere, {f"shard-{n:05}-of-00300.bin": f"{n}" for n in range(300)} | {"step": step})
    anywhere.withdraw("m:v1", "bad")
    pass_days(anywhere.store, 20)
    assert said(anywhere.gc(apply=True)) == {("blobs", "set aside"): 1, ("trees", "set aside"): 1}
    assert anywhere.verify("m", "full").ok


def test_references_need_their_listings_and_nothing_else(anywhere, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(300):
        (folder / f"shard-{number:05}-of-00300.bin").write_text("x")
    record = anywhere.publish(Draft(name="m", source=folder)).record
    pass_days(anywhere.store, 20)
    assert said(anywhere.gc(apply=True)) == {}
    assert anywhere.tree(record).files == 300
    anywhere.withdraw("m:v1", "bad")
    assert said(anywhere.gc(apply=True)) == {("trees", "set aside"): 1}
    assert len(list(folder.iterdir())) == 300


def test_what_is_not_the_kits_stays(half):
    strangers = {
        f"{layout.BLOBS}/notes.txt": b"1",
        f"{layout.BLOBS}/aa/short": b"2",
        f"{layout.TRASH}/mine/diary.txt": b"3",
        ".kit/runs/x/start.json": b"{}",
        ".kit/outbox/1.json": b"{}",
        ".kit/other": b"4",
        "m/v2/stranger": b"5",
    }
    for key, data in strangers.items():
        half.store.create(key, data)
    pass_days(half.store, 400)
    for _ in range(3):
        half.gc(apply=True)
        pass_days(half.store, 20)
    assert strangers.items() <= everything(half.store).items()


def test_what_adopted_versions_name_is_needed(half):
    text = layout.BLOBS
    (lost,) = (f.key for f in half.store.walk(text) if half.store.read(f.key) == b"first")
    document = {"content": {"digest": "blake3:" + lost.rpartition("/")[2]}}
    half.store.create(".kit/adopted/m/v1.json", json.dumps(document).encode())
    assert said(half.gc(apply=True)) == {}


# -- what can't be read ------------------------------------------------------------------------------------


def test_nothing_goes_while_a_version_can_not_be_read(half, publish):
    publish(half, {"own": "third"})
    pass_days(half.store, 20)
    half.store.replace(layout.manifest("m", 2), b'{"half": ')
    before = everything(half.store)
    for apply in (False, True):
        with pytest.raises(CorruptError, match=r"m/v2/manifest\.json.*--forget-damaged"):
            half.gc(apply=apply)
        assert everything(half.store) == before
    sweep = half.gc(apply=True, forget_damaged=True)
    assert said(sweep) == {("blobs", "set aside"): 3}
    assert Registry(half.store).verify("m:v3", "full").ok


def test_nothing_goes_while_a_listing_is_missing(anywhere, publish):
    publish(anywhere, {f"shard-{n:05}-of-00300.bin": f"{n}" for n in range(300)})
    pass_days(anywhere.store, 20)
    (listing,) = (found.key for found in anywhere.store.walk(layout.TREES))
    anywhere.store.remove(listing)
    with pytest.raises(CorruptError, match=r"To give art://m:v1 up, withdraw it"):
        anywhere.gc(apply=True)
    anywhere.withdraw("m:v1", "its listing is lost")
    assert said(anywhere.gc(apply=True)) == {("blobs", "set aside"): 300}


def test_versions_of_a_newer_kit_are_never_forgotten(half):
    manifest = json.loads(half.store.read(layout.manifest("m", 2)))
    half.store.replace(layout.manifest("m", 2), json.dumps({**manifest, "format_version": 99}).encode())
    with pytest.raises(FormatTooNewError):
        Registry(half.store).gc(apply=True, forget_damaged=True)
    half.store.replace(layout.FORMAT, b'{"format_version": 99}')
    with pytest.raises(FormatTooNewError):
        half.gc()


def test_a_name_that_a_listing_does_not_show_whole_is_read_to_its_end(half, publish, monkeypatch):
    publish(half, {"own": "third"})
    pass_days(half.store, 20)
    listed = type(half.store).list
    monkeypatch.setattr(
        type(half.store), "list", lambda store, key="": [] if key == "m" else listed(store, key)
    )
    assert said(half.gc()) == {("blobs", "set aside"): 1}


def test_versions_behind_a_gap_count(half, publish):
    publish(half, {"own": "third"})
    pass_days(half.store, 20)
    half.store.remove(layout.manifest("m", 1))  # somebody deleted it by hand
    half.store.remove(layout.tombstone("m", 1))
    assert said(half.gc(apply=True)) == {("blobs", "set aside"): 1}
    assert Registry(half.store).verify("m:v3", "full").ok


def test_a_store_that_can_not_tell_ages_is_left_alone(half):
    class Ageless(MemoryStore):
        walk = MemoryStore.__mro__[1].walk

    ageless = Ageless()
    ageless.create(layout.FORMAT, half.store.read(layout.FORMAT))
    with pytest.raises(MisuseError, match="how old"):
        Registry(ageless).gc()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_may_not_be_written_is_refused(half):
    os.chmod(half.store.local_path(".kit"), 0o500)
    with pytest.raises(RefusedError):
        half.gc(apply=True)


# -- leftovers ---------------------------------------------------------------------------------------------


def test_temporary_files_go_when_they_are_old(local, publish):
    publish(local, {"a": "1"})
    local.alias("m", "best", 1)
    places = [
        "m",
        "m/v1",
        "m/aliases/best",
        ".kit",
        ".kit/staging",
        f"{layout.BLOBS}/aa",
        ".kit/journal/2026-01-01",
        f"{layout.TRASH}/b1",
    ]
    for place in places:
        folder = local.store.local_path(place)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TEMPORARY).write_text("half")
        (folder / ".tmp-of-mine").write_text("mine")
    assert said(local.gc(apply=True)) == {}
    pass_days(local.store, 15)
    sweep = local.gc(apply=True)
    assert said(sweep) == {("temporary", "deleted"): len(places)}
    assert sweep.size_deleted == 4 * len(places)
    left = [found.key for found in local.store.walk() if ".tmp-" in found.key]
    assert sorted(left) == sorted(f"{place}/.tmp-of-mine" for place in places)


def test_temporary_files_between_an_earlier_tools_data_are_its_users(tmp_path):
    root = tmp_path / "store"
    (root / "old/v1").mkdir(parents=True)
    (root / "old/v1" / TEMPORARY).write_text("mine")
    (root / "old/v1/data.bin").write_text("mine")
    (root / ".art_index.json").write_text(
        json.dumps({"old": {"name": "old", "versions": [{"version": 1, "path": "v1"}], "aliases": {}}})
    )
    registry = Registry.open(root)
    pass_days(registry.store, 400)
    before = everything(registry.store)
    assert said(registry.gc(apply=True)) == {}
    assert everything(registry.store) == before


def test_answers_of_rank_agreements_stay_a_fortnight_at_least(half):
    for key in ("old", "new"):
        half.store.create(f".kit/resolutions/{key}.json", b"{}")
        if key == "old":
            pass_days(half.store, 10, ".kit/resolutions")
    assert ("resolutions", "deleted") not in said(half.gc(grace="1h"))
    pass_days(half.store, 5, ".kit/resolutions")
    assert said(half.gc(apply=True))["resolutions", "deleted"] == 1
    assert half.store.list(".kit/resolutions") == ["new.json"]


def test_old_journal_entries_go(half):
    assert entries_deleted(half.gc(apply=True)) == 0
    (day,) = half.store.list(".kit/journal")
    pass_days(half.store, 11)
    half.store.create(".kit/journal/2099-01-01/0198-x.m", b"")
    assert entries_deleted(half.gc()) == 2
    assert entries_deleted(half.gc(apply=True)) == 2
    assert half.store.list(".kit/journal") == ["2099-01-01"]
    assert entries_deleted(half.gc(apply=True)) == 0
    assert day < "2099-01-01"


def test_folders_of_withdrawn_snapshots_go(local, publish):
    first, second = publish(local, {"a": "1"}), publish(local, {"a": "2"})
    folders = [local.folder(record) for record in (first, second)]
    set_aside = folders[0].with_name("v1.changed-1")
    set_aside.mkdir()
    (set_aside / "notes.txt").write_text("somebody's")
    half_made = folders[0].with_name(TEMPORARY)
    half_made.mkdir()
    local.withdraw("m:v1", "bad")
    pass_days(local.store, 13)
    assert ("checkouts", "deleted") not in said(local.gc(apply=True))
    assert all(folder.is_dir() for folder in folders)
    pass_days(local.store, 2)
    os.utime(half_made, (1, 1))
    assert said(local.gc())["checkouts", "deleted"] == 2
    assert said(local.gc(apply=True))["checkouts", "deleted"] == 2
    assert [folders[0].exists(), folders[1].exists(), half_made.exists()] == [False, True, False]
    assert (set_aside / "notes.txt").read_text() == "somebody's"
    assert (local.folder(second) / "a").read_text() == "2"


# -- runs that don't end as they should --------------------------------------------------------------------


def test_a_run_that_takes_too_long_leaves_the_rest_to_the_next(half, monkeypatch):
    clock = iter([0.0] + [4 * 86_400.0] * 100)
    monkeypatch.setattr(collect_garbage.time, "monotonic", lambda: next(clock))
    sweep = half.gc(apply=True)
    assert (said(sweep), "too long" in sweep.unfinished) == ({}, True)
    monkeypatch.undo()
    assert said(half.gc(apply=True)) == {("blobs", "set aside"): 1}


def test_a_run_with_nothing_to_set_aside_leaves_no_batch(half):
    half.gc(apply=True)
    batches = half.store.list(layout.TRASH)
    half.gc(apply=True)
    assert half.store.list(layout.TRASH) == batches


def test_a_batch_that_lost_its_mark_begins_anew(half):
    half.gc(apply=True)
    (batch,) = half.store.list(layout.TRASH)
    pass_days(half.store, 20)
    half.store.remove(layout.batch(batch))
    assert said(half.gc()) == {("blobs", "waiting"): 1}
    assert said(half.gc(apply=True)) == {("blobs", "waiting"): 1}
    pass_days(half.store, 15)
    assert said(half.gc(apply=True)) == {("blobs", "deleted"): 1}


def test_progress_is_told(half):
    told = []
    half.gc(apply=True, progress=lambda done, total: told.append((done, total)))
    assert (2, 2) in told
    assert (1, 1) in told


def test_an_empty_batch_of_a_killed_run_goes(local, publish):
    publish(local, {"a": "1"})
    local.store.local_path(f"{layout.TRASH}/b1").mkdir(parents=True)
    local.gc()
    assert local.store.list(layout.TRASH) == ["b1"]
    local.gc(apply=True)
    assert local.store.list(layout.TRASH) == []


def test_where_nothing_was_published_nothing_is_made(tmp_path):
    registry = Registry.open(tmp_path / "misspelt")
    assert registry.gc(apply=True).items == ()
    assert not (tmp_path / "misspelt").exists()
