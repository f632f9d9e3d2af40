"""The part of the conformance suite about house-keeping: walks over a store, and objects that move."""

import time
from contextlib import suppress

from nemotron.kit.errors import MissingExtraError, OutsideRootError, PathNotFoundError
from nemotron.kit.store.protocol import Store

try:
    import pytest
except ImportError as missing:
    raise MissingExtraError(
        "The suite needs pytest: pip install 'nemotron-kit[test]' (no module named pytest)"
    ) from missing

# How far the clock of a store may be from ours in a test: servers keep whole seconds.
SKEW_MAX_S = 5.0


class StoreUpkeep:
    """What house-keeping needs; a store without ages says so with `tells_ages = False`."""

    tells_ages = True

    @pytest.fixture(autouse=True)
    def _only_with_ages(self, request: pytest.FixtureRequest) -> None:
        if not self.tells_ages and request.function.__name__ in vars(StoreUpkeep):
            pytest.skip("this store does not tell how old its objects are")

    def test_a_walk_finds_everything_below_a_prefix(self, store: Store) -> None:
        """With sizes, whatever made them."""
        assert list(store.walk()) == []
        store.create("a/b", b"1")
        store.create("a/c/d", b"22")
        store.replace("a/c/e/f", b"333")
        store.put("ab/c", b"4444")
        store.create("x", b"")
        found = {item.key: item.size for item in store.walk("a")}
        assert found == {"a/b": 1, "a/c/d": 2, "a/c/e/f": 3}
        assert {item.key: item.size for item in store.walk()} == {**found, "ab/c": 4, "x": 0}
        assert list(store.walk("a/b/c")) == []
        assert list(store.walk("nothing")) == []

    def test_a_walk_tells_when(self, store: Store) -> None:
        """In seconds since the epoch."""
        before = time.time()
        store.create("a", b"1")
        store.put("b/c", b"2")
        after = time.time()
        for item in store.walk():
            assert before - SKEW_MAX_S <= item.modified <= after + SKEW_MAX_S

    def test_an_object_moves(self, store: Store) -> None:
        """To where there was no folder, and over what is there."""
        store.create("a/b", b"1")
        assert store.move("a/b", "t/u/v")
        assert (store.read("a/b"), store.read("t/u/v")) == (None, b"1")
        store.create("a/b", b"2")
        assert store.move("a/b", "t/u/v")
        assert (store.exists("a/b"), store.read("t/u/v")) == (False, b"2")
        assert store.create("a/b", b"3")
        assert store.read("a/b") == b"3"

    def test_what_is_not_there_does_not_move(self, store: Store) -> None:
        """And takes nothing away where it was to go."""
        assert store.move("a/b", "t/u") is False
        store.create("t/u", b"1")
        assert store.move("a/b", "t/u") is False
        assert store.read("t/u") == b"1"

    def test_what_was_moved_away_can_be_created_again(self, store: Store) -> None:
        """By all ways."""
        for number, target in enumerate(("t/u", "t/v")):
            assert store.create("a/b", b"1")
            assert not store.put("a/b", b"1")
            assert store.move("a/b", target)
            assert store.put("a/b", b"1")
            assert not store.create("a/b", b"1")
            store.remove("a/b")
            assert len(store.list("t")) == number + 1

    def test_pruning_takes_no_object(self, store: Store) -> None:
        """Only what is empty goes, and what comes later finds its place again."""
        store.create("t/a/b", b"1")
        store.create("t/c/d", b"2")
        store.remove("t/c/d")
        store.prune("t")
        store.prune("nothing")
        assert store.list("t") == ["a"]
        assert store.read("t/a/b") == b"1"
        store.remove("t/a/b")
        store.prune("t")
        assert store.list() == []
        assert store.create("t/a/b", b"3")
        assert store.put("t/c/d", b"4")
        assert sorted(store.list("t")) == ["a", "c"]

    @pytest.mark.parametrize("key", ["..", "/abs", "a//b", "a/../b", "a\x00b"])
    def test_upkeep_stays_below_the_root(self, store: Store, key: str) -> None:
        """Nothing is looked at, moved or taken away outside."""
        store.create("a", b"1")
        for way in (
            lambda: list(store.walk(key)),
            lambda: store.move(key, "b"),
            lambda: store.move("a", key),
        ):
            with pytest.raises(OutsideRootError):
                way()
        with suppress(OutsideRootError, PathNotFoundError):
            store.prune(key)
        assert store.read("a") == b"1"
