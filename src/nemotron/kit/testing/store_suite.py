"""The conformance suite of stores. A backend's test is a subclass with a fixture:

    class TestLocal(StoreSuite):
        @pytest.fixture
        def opener(self, tmp_path):
            return functools.partial(LocalStore, tmp_path / "root")

`opener` opens the same, at first empty, store each time it is called; it is handed to other processes, so it
must be picklable. A store that no other process can reach overrides `store` instead.
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from nemotron.kit.errors import (
    ConflictError,
    KitError,
    MissingExtraError,
    OutsideRootError,
    PathNotFoundError,
)
from nemotron.kit.store.protocol import Store
from nemotron.kit.testing.store_races import StoreRaces, stage
from nemotron.kit.testing.store_upkeep import StoreUpkeep

try:
    import pytest
except ImportError as missing:
    raise MissingExtraError(
        "The suite needs pytest: pip install 'nemotron-kit[test]' (no module named pytest)"
    ) from missing

HOSTILE_KEYS = (
    "",
    ".",
    "..",
    "/",
    "/abs",
    "a/",
    "a//b",
    "./a",
    "a/.",
    "../a",
    "a/../b",
    "a/../../b",
    "a/..",
    "a\x00b",
    "a\nb",
    "a\r",
    "a\x7f",
)
ODD_KEYS = ("a b", "ä", "%2e%2e", "a%2fb", "...", "..a", ".a", "a.", "a\\b", "~", "$HOME", "-rf", "x" * 200)


# Every way to touch a key.
WAYS: dict[str, Callable[[Store, str], object]] = {
    "read": lambda store, key: store.read(key),
    "exists": lambda store, key: store.exists(key),
    "open": lambda store, key: store.open(key),
    "chunks": lambda store, key: list(store.chunks(key)),
    "list": lambda store, key: store.list(key),
    "create": lambda store, key: store.create(key, b"x"),
    "replace": lambda store, key: store.replace(key, b"x"),
    "remove": lambda store, key: store.remove(key),
    "stage": stage,
    "put": lambda store, key: store.put(key, b"x"),
}


class StoreSuite(StoreRaces, StoreUpkeep):
    """What every store promises, from the text of `Store`.

    Attributes:
        refused_keys: of the odd keys, those that the place can't hold under just that name; they are refused.
    """

    refused_keys: tuple[str, ...] = ()

    @pytest.fixture
    def opener(self) -> Callable[[], Store] | None:
        """Opens the store, here and in other processes; None where others can't reach it."""
        return None

    @pytest.fixture
    def store(self, opener: Callable[[], Store] | None) -> Store:
        """An empty store."""
        if opener is None:
            pytest.fail("A subclass of StoreSuite overrides the fixture `opener` or the fixture `store`")
        return opener()

    @pytest.fixture
    def again(self, opener: Callable[[], Store] | None, store: Store) -> Store:
        """A second handle on the same store."""
        if opener is None:
            pytest.skip("there is one handle on this store")
        return opener()

    # -- nothing there -------------------------------------------------------------------------------------

    def test_what_is_not_there(self, store: Store) -> None:
        """Absence is an answer, not an error, except to who opens it."""
        assert store.read("a/b") is None
        assert store.exists("a/b") is False
        assert store.list() == []
        assert store.list("a") == []
        store.remove("a/b")
        with pytest.raises(PathNotFoundError):
            store.open("a/b")
        with pytest.raises(PathNotFoundError):
            list(store.chunks("a/b"))

    def test_looking_makes_nothing(self, store: Store) -> None:
        """Reading leaves no trace."""
        store.read("a/b")
        store.exists("a/b")
        store.list("a")
        store.remove("a/b")
        assert store.list() == []

    def test_the_store_says_where_it_is(self, store: Store) -> None:
        """For messages."""
        assert store.url
        assert store.url in repr(store)

    # -- create-if-absent ----------------------------------------------------------------------------------

    @pytest.mark.parametrize("durable", [True, False])
    def test_the_first_wins(self, store: Store, durable: bool) -> None:
        """The one primitive."""
        assert store.create("a/b/c", b"first", durable=durable) is True
        assert store.create("a/b/c", b"second", durable=durable) is False
        assert store.create("a/b/c", b"first", durable=durable) is False
        assert store.read("a/b/c") == b"first"
        assert store.exists("a/b/c") is True

    def test_an_empty_object_counts_as_there(self, store: Store) -> None:
        """Some clients overwrite empty objects."""
        assert store.create("a", b"") is True
        assert store.create("a", b"x") is False
        assert store.read("a") == b""
        assert store.exists("a")

    @pytest.mark.parametrize("size", [1, 4095, 4096, 65537, 1 << 20], ids=str)
    def test_bytes_come_back_as_they_were(self, store: Store, size: int) -> None:
        """All 256 values, at sizes around the usual buffers."""
        data = (bytes(range(256)) * (size // 256 + 1))[:size]
        assert store.create("a/b", data)
        assert store.read("a/b") == data
        with store.open("a/b") as file:
            assert file.read() == data
        assert b"".join(store.chunks("a/b")) == data

    def test_one_object_says_nothing_of_another(self, store: Store) -> None:
        """Names that begin alike are still other names."""
        assert store.create("a/b", b"1")
        assert store.create("a/bc", b"2")
        assert store.create("ab/c", b"3")
        assert store.create("a/c/b", b"4")
        assert [store.read(key) for key in ("a/b", "a/bc", "ab/c", "a/c/b")] == [b"1", b"2", b"3", b"4"]
        assert store.read("a/B") is None

    def test_a_prefix_is_no_object(self, store: Store) -> None:
        """`a/b` makes nothing of `a` that could be taken for an object."""
        store.create("a/b/c", b"1")
        assert store.exists("a/b") is False
        assert store.exists("a") is False
        with pytest.raises(KitError):
            store.open("a/b").read()

    @pytest.mark.parametrize("key", HOSTILE_KEYS, ids=ascii)
    def test_what_is_no_key_is_refused(self, store: Store, key: str) -> None:
        """Nothing reaches outside the root, whatever is asked."""
        for name, way in WAYS.items():
            if key or name != "list":  # "" is the root itself
                with pytest.raises(OutsideRootError):
                    way(store, key)
        assert [name for name in store.list() if not name.startswith(".")] == []

    @pytest.mark.parametrize("key", ODD_KEYS, ids=ascii)
    def test_odd_keys_are_keys(self, store: Store, key: str) -> None:
        """What is odd but inside is kept as it is, under exactly that name."""
        if key in self.refused_keys:
            for way in WAYS.values():
                with pytest.raises(OutsideRootError):
                    way(store, key)
            return
        assert store.create(f"{key}/{key}", b"x")
        assert store.read(f"{key}/{key}") == b"x"
        assert store.list() == [key]
        assert store.list(key) == [key]
        store.remove(f"{key}/{key}")
        assert store.read(f"{key}/{key}") is None

    # -- hints, removal, listing ---------------------------------------------------------------------------

    def test_hints_are_replaced(self, store: Store) -> None:
        """The last one written is there."""
        for data in (b"v1", b"v22", b"", b"v3"):
            store.replace("a/latest", data)
            assert store.read("a/latest") == data
        assert store.create("a/latest", b"v4") is False

    def test_what_was_removed_can_be_created_again(self, store: Store) -> None:
        """Removal is whole, and can be repeated."""
        store.create("a/b", b"1")
        store.remove("a/b")
        store.remove("a/b")
        assert store.exists("a/b") is False
        assert store.create("a/b", b"2") is True
        assert store.read("a/b") == b"2"

    def test_listing_names_what_is_right_below(self, store: Store) -> None:
        """Objects and folders, each once, by its last part."""
        for key in ("x", "a/1", "a/2", "a/3/deep", "a/3/er", "ab/1", "b/c/d/e"):
            store.create(key, b"")
        assert sorted(store.list()) == ["a", "ab", "b", "x"]
        assert sorted(store.list("a")) == ["1", "2", "3"]
        assert sorted(store.list("a/3")) == ["deep", "er"]
        assert store.list("b") == ["c"]
        assert store.list("x") == []
        assert store.list("a/1/2") == []

    def test_listings_show_no_temporary_names(self, store: Store) -> None:
        """What is on its way is nobody's business."""
        store.create("a/b", b"1")
        store.replace("a/c", b"1")
        with store.stage() as staging:
            staging.write(b"half")
            assert sorted(store.list("a")) == ["b", "c"]
        assert [name for name in store.list() if not name.startswith(".")] == ["a"]

    # -- staged content ------------------------------------------------------------------------------------

    def test_staged_content_gets_its_name_at_the_end(self, store: Store) -> None:
        """In pieces of any kind; nothing is to be seen before."""
        with store.stage() as staging:
            staging.write(b"one ")
            staging.write(memoryview(b"two ")[:3])
            staging.write(b"")
            assert store.exists("c/x") is False
            assert staging.commit("c/x") is True
        assert store.read("c/x") == b"one two"
        store.rely_on("c/x")
        store.sync()
        store.sync()

    def test_each_who_shares_it_syncs_what_came_since_a_mark(self, store: Store) -> None:
        """What is gone before it is on disk is the business of who needed it, not of the next."""
        mark = store.mark()
        assert store.put("c/x", b"one") is True
        assert stage(store, "c/y", b"two") is True
        store.rely_on_all(["c/x", "c/y"])
        store.sync_since(mark)
        assert (store.read("c/x"), store.read("c/y")) == (b"one", b"two")
        mark = store.mark()
        assert store.put("c/z", b"three") is True
        store.remove("c/z")
        with suppress(ConflictError):  # a store that has nothing to sync has nothing to miss
            store.sync_since(mark)
        mark = store.mark()
        store.rely_on_all(["c/x"])
        store.sync_since(mark)

    def test_staged_content_of_any_size(self, store: Store) -> None:
        """Empty, and larger than one chunk."""
        assert stage(store, "c/empty", b"") is True
        assert store.read("c/empty") == b""
        data = bytes(range(256)) * (12 << 10)
        assert stage(store, "c/large", data) is True
        assert b"".join(store.chunks("c/large")) == data
        store.sync()

    @pytest.mark.parametrize("size", [0, 1, 100_000], ids=str)
    def test_small_content_is_put_at_once(self, store: Store, size: int) -> None:
        """As staged content, in one step."""
        data = (bytes(range(256)) * 400)[:size]
        assert store.put("c/d/x", data) is True
        assert store.put("c/d/x", data) is False
        assert store.put("c/d/y", data) is True
        assert store.read("c/d/x") == store.read("c/d/y") == data
        assert store.list("c/d") in (["x", "y"], ["y", "x"])
        assert stage(store, "c/d/x", data) is False
        store.sync()

    @pytest.mark.parametrize("size", [0, 1, 4096, 300_001], ids=str)
    def test_a_file_is_copied_in_and_shown_as_it_was_written(
        self, store: Store, tmp_path: Path, size: int
    ) -> None:
        """Whole, in order, in blocks of the size asked for."""
        data = (bytes(range(251)) * (size // 251 + 1))[:size]
        (tmp_path / "source").write_bytes(data)
        seen: list[bytes] = []
        with (tmp_path / "source").open("rb", buffering=0) as source, store.stage() as staging:
            done = staging.fill(source.fileno(), lambda block: seen.append(bytes(block)), 65536)
            assert staging.commit("c/x") is True
        assert done == size
        assert b"".join(seen) == store.read("c/x") == data
        assert all(len(block) <= 65536 for block in seen)

    def test_staged_content_that_is_there_is_dropped(self, store: Store) -> None:
        """The first stays, whichever way it came."""
        assert stage(store, "c/x", b"same") is True
        assert stage(store, "c/x", b"same") is False
        assert store.read("c/x") == b"same"
        store.sync()

    def test_staged_content_that_is_not_committed_leaves_nothing(self, store: Store) -> None:
        """Neither by an error nor by leaving the block."""
        with suppress(InterruptedError), store.stage() as staging:
            staging.write(b"x")
            raise InterruptedError
        with store.stage() as staging:
            staging.write(b"x")
        staging.abort()
        store.sync()
        assert [name for name in store.list() if not name.startswith(".")] == []

    def test_two_stagings_do_not_mix(self, store: Store) -> None:
        """Each has its own bytes."""
        with store.stage() as one, store.stage() as two:
            one.write(b"1")
            two.write(b"2")
            one.write(b"1")
            assert two.commit("two")
            assert one.commit("one")
        assert (store.read("one"), store.read("two")) == (b"11", b"2")

    # -- others --------------------------------------------------------------------------------------------

    def test_a_second_handle_sees_it_at_once(self, store: Store, again: Store) -> None:
        """Nothing is remembered that may change."""
        assert again.read("a/b") is None
        assert again.list("a") == []
        store.create("a/b", b"1")
        assert again.read("a/b") == b"1"
        assert again.exists("a/b")
        assert again.list("a") == ["b"]
        assert again.create("a/b", b"2") is False
        again.replace("a/hint", b"v1")
        assert store.read("a/hint") == b"v1"
        again.remove("a/b")
        assert store.exists("a/b") is False
        assert store.create("a/b", b"3") is True

    def test_a_local_path_is_where_the_bytes_are(self, store: Store) -> None:
        """Or None."""
        store.create("a/b", b"bytes")
        path = store.local_path("a/b")
        if path is not None:
            assert path.read_bytes() == b"bytes"
