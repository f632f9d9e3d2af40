"""Aliases: compare-and-swap and an audit trail, by creating the next entry."""

import pytest

from nemotron.kit.errors import (
    ArtifactNotFoundError,
    ArtifactVersionNotFoundError,
    ConflictError,
    CorruptError,
    FormatTooNewError,
    InvalidNameError,
    InvalidReferenceError,
    MisuseError,
    WithdrawnError,
)
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.local import LocalStore
from nemotron.kit.store.memory import MemoryStore
from nemotron.kit.testing.faults import Fault, FaultyStore


@pytest.fixture
def three(publish):
    for step in (1, 2, 3):
        publish(metadata={"step": step})


@pytest.fixture
def log(root):
    """The file of a move."""
    return lambda sequence, alias="best": root / f"m/aliases/{alias}/{sequence:08d}.json"


@pytest.mark.usefixtures("three")
class TestAliases:
    def test_moves_are_kept_with_who_when_and_why(self, registry, opened, monkeypatch):
        monkeypatch.setenv("USER", "alice")
        first = registry.alias("m", "best", 2, why="lower loss")
        second = registry.alias("m", "best", "v3")
        registry.alias("m", "best", "latest")  # v3 already: nothing is written
        assert opened().alias_log("m", "best") == [first, second]
        assert (first.sequence, first.version, first.previous, first.why) == (1, 2, None, "lower loss")
        assert (second.sequence, second.version, second.previous, second.why) == (2, 3, 2, None)
        assert first.moved_by.startswith("alice@")
        assert first.moved_at < second.moved_at
        assert opened().aliases("m") == {"best": 3}
        assert opened().resolve("m:best").version == 3

    def test_moving_to_where_it_is_writes_nothing(self, registry, log):
        first = registry.alias("m", "best", 2)
        assert registry.alias("m", "best", 2, why="again") == first
        assert not log(2).exists()

    def test_an_alias_can_be_rolled_back_and_can_follow_another(self, registry):
        registry.alias("m", "best", 3)
        registry.alias("m", "production", "best")
        registry.alias("m", "best", 1)
        assert registry.aliases("m") == {"best": 1, "production": 3}

    def test_compare_and_swap(self, registry):
        registry.alias("m", "best", 1)
        registry.alias("m", "best", 2, if_current=1)
        with pytest.raises(ConflictError, match="points at v2, not at v1: somebody moved it"):
            registry.alias("m", "best", 3, if_current="v1")
        assert registry.resolve("m:best").version == 2
        with pytest.raises(ConflictError, match="points at nothing"):
            registry.alias("m", "new", 3, if_current=1)
        assert "new" not in registry.aliases("m")

    def test_compare_and_swap_against_a_race(self, registry, opened):
        # The other moves it between this one's look and its claim.
        registry.alias("m", "best", 1)
        mine, real = opened(), None
        real = mine.store.create

        def create(key, data, **rest):
            mine.store.create = real
            registry.alias("m", "best", 3)
            return real(key, data, **rest)

        mine.store.create = create
        with pytest.raises(ConflictError, match="points at v3"):
            mine.alias("m", "best", 2, if_current=1)
        assert registry.resolve("m:best").version == 3

    def test_without_a_condition_the_last_one_wins_and_the_log_tells(self, registry, opened):
        mine = opened()
        real = mine.store.create

        def create(key, data, **rest):
            mine.store.create = real
            registry.alias("m", "best", 3)
            return real(key, data, **rest)

        mine.store.create = create
        assert mine.alias("m", "best", 2).previous == 3
        assert [move.version for move in registry.alias_log("m", "best")] == [3, 2]

    @pytest.mark.parametrize("if_current", [None, 1])
    def test_a_lost_reply_is_not_a_lost_race(self, registry, root, if_current):
        registry.alias("m", "best", 1)
        fault = Fault("lost", call=1, methods=frozenset({"create"}))
        mine = Registry(FaultyStore(LocalStore(root), fault))
        assert mine.alias("m", "best", 2, if_current=if_current).sequence == 2
        assert [move.version for move in registry.alias_log("m", "best")] == [1, 2]

    def test_a_stale_listing_does_not_stop_a_move(self, registry, opened):
        # NFS may show the folder as it was: the claim decides, and what it showed is believed.
        for version in (1, 2, 3):
            registry.alias("m", "best", version)
        mine = opened()
        real = mine.store.list
        mine.store.list = lambda prefix="": real(prefix)[:0] if prefix.endswith("best") else real(prefix)
        move = mine.alias("m", "best", 2)
        assert (move.sequence, move.previous) == (4, 3)
        assert registry.resolve("m:best").version == 2

    def test_what_is_no_alias(self, registry, root):
        before = sorted(root.rglob("*"))
        for alias in ("v1", "3", "../x", ".kit", "a/b", "", "a\n", "%2e%2e", "x" * 200):
            with pytest.raises(InvalidNameError, match="Invalid alias"):
                registry.alias("m", alias, 1)
        with pytest.raises(MisuseError, match="moves by itself"):
            registry.alias("m", "latest", 1)
        assert sorted(root.rglob("*")) == before

    def test_what_is_no_version(self, registry):
        for version in (4, "v9", "nothing"):
            with pytest.raises(ArtifactVersionNotFoundError):
                registry.alias("m", "best", version)
        with pytest.raises(ArtifactNotFoundError):
            registry.alias("n", "best", 1)
        with pytest.raises(InvalidReferenceError):
            registry.alias("m", "best", 1, if_current="production")
        registry.withdraw("m:v2", "wrong")
        with pytest.raises(WithdrawnError):
            registry.alias("m", "best", 2)
        assert registry.aliases("m") == {}

    def test_an_alias_of_a_withdrawn_version_says_why_it_is_gone(self, registry, opened):
        registry.alias("m", "best", 2)
        registry.withdraw("m:best", "toxic data")
        with pytest.raises(WithdrawnError, match="toxic data"):
            opened().resolve("m:best")
        registry.alias("m", "best", 1)
        assert opened().resolve("m:best").version == 1

    # -- damage --------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("torn", [b"", b'{"sequence": 2', b"\x00" * 50, b'{"sequence": 7, "version": 1}'])
    def test_a_torn_move_is_stepped_over_and_its_sequence_stays_taken(
        self, registry, opened, log, torn, caplog
    ):
        registry.alias("m", "best", 2)
        registry.alias("m", "other", 3)
        log(2).write_bytes(torn)
        assert opened().resolve("m:best").version == 2
        assert "00000002.json is damaged" in caplog.text
        assert opened().aliases("m") == {"best": 2, "other": 3}
        assert opened().list()[0].aliases == {"best": 2, "other": 3}
        move = opened().alias("m", "best", 3)
        assert (move.sequence, move.previous) == (3, 2)
        assert log(2).read_bytes() == torn
        assert [move.sequence for move in opened().alias_log("m", "best")] == [1, 3]

    def test_the_first_move_torn(self, opened, log):
        log(1).parent.mkdir(parents=True)
        log(1).write_bytes(b"")
        with pytest.raises(ArtifactVersionNotFoundError):
            opened().resolve("m:best")
        assert opened().alias("m", "best", 1).sequence == 2

    def test_a_move_of_a_newer_kit_is_not_stepped_over(self, registry, opened, log):
        registry.alias("m", "best", 2)
        log(2).write_text('{"format_version": 2, "sequence": 2, "version": 1, "target": "v1"}')
        with pytest.raises(FormatTooNewError, match="upgrade"):
            opened().resolve("m:best")
        assert issubclass(FormatTooNewError, CorruptError)
        assert opened().resolve("m").version == 3

    def test_strange_files_among_the_aliases_do_not_matter(self, registry, opened, root, tmp_path):
        registry.alias("m", "best", 2)
        folder = root / "m/aliases"
        (folder / ".DS_Store").write_text("")
        (folder / "v1").mkdir()
        (folder / "README").write_text("")
        (folder / "empty").mkdir()
        (folder / "best/notes.txt").write_text("")
        (folder / "best/.tmp-00").write_text("")
        (folder / "best/9.json").write_text("{}")
        assert opened().aliases("m") == {"best": 2}
        assert opened().list()[0].aliases == {"best": 2}
        assert opened().alias("m", "best", 3).sequence == 2


def test_aliases_on_a_store_without_folders(data):
    registry = Registry(MemoryStore())
    from nemotron.kit.registry.records import Draft

    for step in (1, 2):
        registry.publish(Draft(name="m", source=data, metadata={"step": step}))
    registry.alias("m", "best", 1)
    registry.alias("m", "best", 2)
    assert Registry(registry.store).resolve("m:best").version == 2
    assert Registry(registry.store).aliases("m") == {"best": 2}
