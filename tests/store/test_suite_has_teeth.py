"""Stores that break their promises, and the tests of the suite that must notice."""

import threading

import pytest

from nemotron.kit.store.memory import MemoryStore
from nemotron.kit.testing.store_suite import StoreSuite


class CheckThenWrite(MemoryStore):
    """What fsspec's own local `mode="create"` does."""

    def create(self, key, data, *, durable=True):
        if self.exists(key):
            return False
        _let_others_in.wait()
        self._objects[key] = bytes(data)
        return True


class AlwaysOverwrites(MemoryStore):
    """An S3-like that ignores `If-None-Match`."""

    def create(self, key, data, *, durable=True):
        self.replace(key, data)
        return True


class OverwritesEmpty(MemoryStore):
    """`open("xb")` of s3fs with empty content."""

    def create(self, key, data, *, durable=True):
        if self.read(key) == b"":
            self.remove(key)
        return super().create(key, data, durable=durable)


class FillsLater(MemoryStore):
    """Gives an object its name before it is whole."""

    def replace(self, key, data):
        super().replace(key, data if self.exists(key) else data[: len(data) // 2])


class FollowsDots(MemoryStore):
    def read(self, key):
        return self._objects.get(key)


class ListsDeep(MemoryStore):
    def list(self, prefix=""):
        return [key for key in self._objects if key.startswith(prefix)]


class LeavesStaged(MemoryStore):
    def stage(self):
        staging = super().stage()
        staging.abort = lambda: self._objects.update(half=b"x")
        return staging


_let_others_in = threading.Event()
_let_others_in.set()

BROKEN = [
    (AlwaysOverwrites, lambda suite, store: suite.test_the_first_wins(store, True)),
    (AlwaysOverwrites, lambda suite, store: suite.test_one_winner_among_threads(store)),
    (OverwritesEmpty, lambda suite, store: suite.test_an_empty_object_counts_as_there(store)),
    (FillsLater, lambda suite, store: suite.test_readers_see_all_or_nothing(store, "replace")),
    (FollowsDots, lambda suite, store: suite.test_what_is_no_key_is_refused(store, "../a")),
    (ListsDeep, lambda suite, store: suite.test_listing_names_what_is_right_below(store)),
    (
        LeavesStaged,
        lambda suite, store: suite.test_staged_content_that_is_not_committed_leaves_nothing(store),
    ),
]


@pytest.mark.parametrize(("kind", "run"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_a_broken_store_is_found_out(kind, run):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        run(StoreSuite(), kind())


def test_check_then_write_is_found_out():
    # Let every thread pass the check before any of them writes, as it happens on a busy machine.
    store = CheckThenWrite()
    _let_others_in.clear()
    checked = threading.Barrier(16, action=_let_others_in.set)
    look = store.exists
    store.exists = lambda key: (look(key), _let_others_in.is_set() or checked.wait(60))[0]
    with pytest.raises(AssertionError, match="was given to"):
        StoreSuite().test_one_winner_among_threads(store)
