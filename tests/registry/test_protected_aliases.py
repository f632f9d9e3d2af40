"""Aliases that only who insists may move, and moves that are taken back."""

import pytest

from nemotron.kit.errors import (
    ArtifactVersionNotFoundError,
    ConflictError,
    MisuseError,
    RefusedError,
    WithdrawnError,
)
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.testing.faults import FaultyStore


@pytest.fixture
def three(publish):
    for step in (1, 2, 3):
        publish(metadata={"step": step})


@pytest.fixture
def log(opened):
    return lambda alias="production": [
        (move.version, move.previous, move.protected, move.undoes) for move in opened().alias_log("m", alias)
    ]


@pytest.mark.usefixtures("three")
class TestProtection:
    def test_a_protected_alias_moves_for_who_insists_and_stays_protected(self, registry, opened, log):
        registry.alias("m", "production", 1, why="first")
        registry.alias("m", "production", 2, why="served to customers", protect=True)
        said = r"m:production is protected by .+@.+ at 20.+: served to customers\. .*--force.*--unprotect"
        with pytest.raises(RefusedError, match=said):
            opened().alias("m", "production", 3)
        assert opened().resolve("m:production").version == 2
        move = opened().alias("m", "production", 3, force=True, why="passed the review")
        assert (move.protected, opened().resolve("m:production").version) == (True, 3)
        with pytest.raises(RefusedError, match="served to customers"):  # that is when it became protected
            opened().alias("m", "production", 1)
        assert log() == [(1, None, False, None), (2, 1, True, None), (3, 2, True, None)]

    def test_where_it_is_it_can_be_protected_and_the_protection_lifted(self, registry, log):
        registry.alias("m", "production", 1)
        registry.alias("m", "production", 1, protect=True)
        registry.alias("m", "production", 1, protect=True)  # as it is already
        registry.alias("m", "production", "production")
        registry.alias("m", "production", 1, protect=False)
        registry.alias("m", "production", 2)
        assert log() == [
            (1, None, False, None),
            (1, 1, True, None),
            (1, 1, False, None),
            (2, 1, False, None),
        ]

    def test_lifting_the_protection_is_no_way_to_move_it(self, registry):
        registry.alias("m", "production", 1, protect=True)
        with pytest.raises(RefusedError):
            registry.alias("m", "production", 2, protect=False)
        assert not registry.alias("m", "production", 2, protect=False, force=True).protected

    def test_compare_and_swap_comes_first(self, registry):
        registry.alias("m", "production", 1, protect=True)
        with pytest.raises(ConflictError):
            registry.alias("m", "production", 2, if_current=3, force=True)
        assert registry.alias("m", "production", 2, if_current=1, force=True).version == 2

    def test_who_protects_at_the_same_time_wins_over_who_moves(self, root, opened):
        opened().alias("m", "production", 1)
        done = []

        def protect_first(method, key):
            if method == "create" and key.endswith("00000002.json") and not done:
                done.append(opened().alias("m", "production", 1, protect=True, why="now"))

        slow = Registry(FaultyStore(opened().store, on_call=protect_first))
        with pytest.raises(RefusedError, match="now"):
            slow.alias("m", "production", 2)

    def test_a_save_is_kept_and_its_other_aliases_move(self, registry, data):
        registry.alias("m", "production", 1, protect=True)
        with pytest.raises(RefusedError, match="art://m:v4 is published, but m:production is protected"):
            registry.publish(
                Draft(name="m", source=data, metadata={"step": 4}, aliases=("production", "newest"))
            )
        assert registry.aliases("m") == {"newest": 4, "production": 1}


@pytest.mark.usefixtures("three")
class TestRollback:
    def test_it_goes_back_one_move_at_a_time(self, registry, log):
        for number in (1, 2, 3):
            registry.alias("m", "production", number)
        assert registry.rollback("m", "production", why="worse").version == 2
        assert registry.rollback("m", "production").version == 1
        with pytest.raises(MisuseError, match="no move to take back"):
            registry.rollback("m", "production")
        assert log()[3:] == [(2, 3, False, 3), (1, 2, False, 2)]
        assert registry.alias_log("m", "production")[3].why == "worse"

    def test_after_a_rollback_moves_count_anew(self, registry):
        for number in (1, 2):
            registry.alias("m", "production", number)
        registry.rollback("m", "production")
        registry.alias("m", "production", 3)
        assert registry.rollback("m", "production").version == 1

    def test_protection_is_no_move(self, registry):
        for number in (1, 2):
            registry.alias("m", "production", number)
        registry.alias("m", "production", 2, protect=True)
        with pytest.raises(RefusedError, match="is protected"):
            registry.rollback("m", "production")
        move = registry.rollback("m", "production", force=True)
        assert (move.version, move.protected, move.undoes) == (1, True, 2)

    def test_nothing_to_take_back(self, registry):
        registry.alias("m", "production", 1)
        with pytest.raises(MisuseError, match="no move to take back"):
            registry.rollback("m", "production")
        with pytest.raises(ArtifactVersionNotFoundError):
            registry.rollback("m", "nowhere")

    def test_it_does_not_go_back_to_what_is_withdrawn(self, registry):
        for number in (1, 2):
            registry.alias("m", "production", number)
        registry.withdraw("m:v1", "leaked")
        with pytest.raises(WithdrawnError, match="leaked"):
            registry.rollback("m", "production")
        assert registry.aliases("m") == {"production": 2}

    def test_it_takes_back_no_move_that_it_has_not_seen(self, root, opened):
        for number in (1, 2):
            opened().alias("m", "production", number)
        done = []

        def move_first(method, key):
            if method == "create" and not done:
                done.append(opened().alias("m", "production", 3))

        slow = Registry(FaultyStore(opened().store, on_call=move_first))
        with pytest.raises(ConflictError, match="somebody moved it"):
            slow.rollback("m", "production")
