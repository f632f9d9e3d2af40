"""The rules of house-keeping: what they say of one thing, and that no order of events loses anything."""

from datetime import timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nemotron.kit.errors import MisuseError
from nemotron.kit.registry import garbage, layout, publishing
from nemotron.kit.store.protocol import Found

DAY = timedelta(days=1)
KEYS = [layout.blob(f"blake3:{letter * 64}") for letter in "ab"]


@given(
    modified=st.floats(0, 1e10), now=st.floats(0, 1e10), age=st.timedeltas(timedelta(hours=1), timedelta(99))
)
def test_only_what_is_certainly_old_is_old(modified, now, age):
    assert garbage.is_over(modified, now, age) == (now - modified >= age.total_seconds())
    assert not garbage.is_over(now + 1000, now, age)


@given(
    st.lists(
        st.tuples(st.sampled_from([*KEYS, ".kit/blobs/aa/mine.txt", ".kit/blobs/aa/.tmp-0"]), st.floats(0, 9))
    ),
    st.sets(st.sampled_from(KEYS)),
)
def test_what_is_set_aside_is_old_an_object_and_named_by_nobody(listed, named):
    objects = [Found(key, 1, days * 86_400) for key, days in listed]
    chosen = garbage.unnamed(garbage.candidates(objects, 10 * 86_400.0, 3 * DAY), named)
    assert chosen == [
        found
        for found in objects
        if found.key in KEYS and found.key not in named and 10 * 86_400 - found.modified >= 3 * 86_400
    ]


@given(st.sets(st.sampled_from(KEYS)), st.sets(st.sampled_from(KEYS)))
def test_a_batch_is_put_back_or_deleted_and_nothing_else_in_it_is_touched(inside, named):
    foreign = [Found(".kit/trash/b/begun.json", 1, 0.0), Found(".kit/trash/b/notes.txt", 1, 0.0)]
    batch = [Found(layout.set_aside("b", key), 1, 0.0) for key in sorted(inside)]
    settled = garbage.settle([*foreign, *batch], named)
    assert {layout.put_back(found.key) for found in settled.put_back} == inside & named
    assert {layout.put_back(found.key) for found in settled.deleted} == inside - named


@pytest.mark.parametrize("key", [layout.blob("blake3:" + "ab" * 32), layout.tree("blake3:" + "01" * 32)])
def test_an_object_finds_its_way_back(key):
    assert garbage.is_object(key)
    assert layout.put_back(layout.set_aside("b1", key)) == key


@pytest.mark.parametrize(
    "key",
    [
        ".kit/blobs/ab/ab",
        ".kit/runs/x/start.json",
        ".kit/blobs/ab/" + "cd" * 32,
        ".kit/blobs/ab/.tmp-00",
        "m/v1",
    ],
)
def test_other_keys_are_no_objects(key):
    assert not garbage.is_object(key)


@pytest.mark.parametrize("name", [".tmp-0123456789abcdef"])
def test_temporary_names(name):
    assert garbage.is_temporary(name)


@pytest.mark.parametrize(
    "name", [".tmp-", ".tmp-01234567", ".tmp-0123456789abcdef.bin", "x.tmp-0123456789abcdef"]
)
def test_names_of_others_are_not_temporary(name):
    assert not garbage.is_temporary(name)


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("7d", 168),
        ("12h", 12),
        ("90m", 1.5),
        ("2w", 336),
        ("P1DT12H", 36),
        (" 1H ", 1),
        ("3600s", 1),
        (None, 336),
    ],
)
def test_grace_periods(text, hours):
    assert garbage.parse_grace(text) == timedelta(hours=hours)
    assert garbage.parse_grace(timedelta(hours=hours)) == timedelta(hours=hours)


@pytest.mark.parametrize(
    "text",
    ["36501d", "876001h", "5215w", "999999999d", "99999999999d", f"{'9' * 5000}s", "P101Y", "P999999999D"],
)
def test_a_grace_period_that_is_too_long(text):
    with pytest.raises(MisuseError, match="expected at most 36500d"):
        garbage.parse_grace(text)
    with pytest.raises(MisuseError, match="expected at most 36500d"):
        garbage.parse_grace(timedelta.max)
    longest = {garbage.parse_grace(text) for text in ("36500d", "0036500d", "876000h", garbage.GRACE_MAX)}
    assert longest == {garbage.GRACE_MAX}


@pytest.mark.parametrize(
    "text",
    ["nan", "inf", "1e30d", "P1e30D", "", "x", "7", "7x", "d", "-7d", "59m", "0d", "-P7D", "1e9d", "7 d d"],
)
def test_what_is_no_grace_period(text):
    with pytest.raises(MisuseError, match=r"7d|at least an hour"):
        garbage.parse_grace(text)
    with pytest.raises(MisuseError, match="at least an hour"):
        garbage.parse_grace(timedelta(minutes=59))


GRACE = timedelta(hours=2)
MINUTES = 60.0


class Publisher:
    def __init__(self, key, at):
        self.key, self.looked_at = key, at


class Sweeper:
    """A run of gc; each of its steps may come long after the one before."""

    def __init__(self, batch, begun):
        self.batch, self.begun = batch, begun
        self.old = self.over = self.named = self.settled = None


class Protocol(RuleBasedStateMachine):
    """Publishers and runs of gc, step by step, on a store of three dicts; time passes between any two."""

    def __init__(self):
        super().__init__()
        self.now = 1e9
        self.blobs = dict.fromkeys(KEYS, 0.0)  # key: when it was written; left by killed publishers, long ago
        self.trash = {}  # batch: (when it was begun, keys)
        self.versions = []  # keys of the living ones
        self.publishers = []
        self.sweepers = []
        self.batches = 0

    @rule(minutes=st.sampled_from([1, 29, 31, 121]))
    def time_passes(self, minutes):
        self.now += minutes * MINUTES

    def look(self, key):
        if key not in self.blobs:  # in the trash is absent
            self.blobs[key] = self.now

    @precondition(lambda self: len(self.publishers) < 2)
    @rule(key=st.sampled_from(KEYS))
    def begin_to_publish(self, key):
        self.look(key)
        self.publishers.append(Publisher(key, self.now))

    @precondition(lambda self: self.publishers)
    @rule(data=st.data())
    def commit(self, data):
        who = self.publishers.pop(data.draw(st.integers(0, len(self.publishers) - 1)))
        if self.now - who.looked_at > publishing.OBJECTS_TRUSTED_S:
            self.look(who.key)
        self.versions.append(who.key)

    @precondition(lambda self: self.versions)
    @rule()
    def withdraw(self):
        self.versions.clear()

    @precondition(lambda self: len(self.sweepers) < 2)
    @rule()
    def begin_to_sweep(self):
        self.sweepers.append(self.sweeper())

    def sweeper(self):
        self.batches += 1
        batch = f"b{self.batches}"
        self.trash[batch] = (self.now, set())
        return Sweeper(batch, self.now)

    @rule(minutes=st.sampled_from([0, 29]))
    def sweep_in_one_go(self, minutes):
        who = self.sweeper()
        self.list_for(who)
        self.now += minutes * MINUTES
        self.read_for(who)
        while who.settled:
            self.settle_for(who)
        while who.old:
            self.set_aside_for(who)

    def pick(self, data, ready):
        return data.draw(st.sampled_from([who for who in self.sweepers if ready(who)]))

    @precondition(lambda self: any(who.old is None for who in self.sweepers))
    @rule(data=st.data())
    def list_what_there_is(self, data):
        self.list_for(self.pick(data, lambda who: who.old is None))

    def list_for(self, who):
        objects = [Found(key, 1, written) for key, written in self.blobs.items()]
        who.old = garbage.candidates(objects, who.begun, GRACE)
        who.over = {
            batch: [Found(layout.set_aside(batch, key), 1, 0.0) for key in keys]
            for batch, (begun, keys) in self.trash.items()
            if batch != who.batch and garbage.is_over(begun, who.begun, GRACE)
        }

    @precondition(lambda self: any(who.old is not None and who.named is None for who in self.sweepers))
    @rule(data=st.data())
    def read_what_versions_name(self, data):
        self.read_for(self.pick(data, lambda who: who.old is not None and who.named is None))

    def read_for(self, who):
        who.named = set(self.versions)
        who.settled = [(batch, garbage.settle(found, who.named)) for batch, found in who.over.items()]
        who.old = garbage.unnamed(who.old, who.named)

    @precondition(lambda self: any(who.settled for who in self.sweepers))
    @rule(data=st.data())
    def settle_a_batch(self, data):
        self.settle_for(self.pick(data, lambda who: who.settled))

    def settle_for(self, who):
        batch, settled = who.settled.pop()
        for found in settled.put_back:
            key = layout.put_back(found.key)
            if key in self.trash.get(batch, (0, ()))[1]:
                self.blobs.setdefault(key, 0.0)
        self.trash.pop(batch, None)

    @precondition(lambda self: any(who.settled == [] and who.old for who in self.sweepers))
    @rule(data=st.data())
    def set_one_aside(self, data):
        self.set_aside_for(self.pick(data, lambda who: who.settled == [] and who.old))

    def set_aside_for(self, who):
        key = who.old.pop().key
        in_time = self.now - who.begun <= GRACE.total_seconds() / 4
        if in_time and key in self.blobs and who.batch in self.trash:
            del self.blobs[key]
            self.trash[who.batch][1].add(key)

    @precondition(lambda self: self.sweepers)
    @rule(data=st.data())
    def be_killed_or_done(self, data):
        self.sweepers.remove(self.pick(data, lambda who: True))

    @invariant()
    def what_a_version_names_is_somewhere(self):
        there = {*self.blobs, *(key for _, keys in self.trash.values() for key in keys)}
        assert set(self.versions) <= there


TestProtocol = Protocol.TestCase
# What goes wrong here takes five certain steps or more, so it takes some looking.
TestProtocol.settings = settings(stateful_step_count=50, max_examples=5 * settings().max_examples)


@pytest.mark.parametrize("looks_again", [True, False])
def test_a_slow_publisher_that_does_not_look_again_loses(looks_again):
    store = Protocol()
    store.look(KEYS[0])  # an orphan: it is there, nothing is written
    for _ in range(2):
        who = store.sweeper()
        store.list_for(who)
        store.read_for(who)
        while who.settled:
            store.settle_for(who)
        while who.old:
            store.set_aside_for(who)
        store.now += GRACE.total_seconds()
    if looks_again:
        store.look(KEYS[0])
    store.versions.append(KEYS[0])
    assert (KEYS[0] in store.blobs) == looks_again
