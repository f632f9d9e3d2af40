"""Withdrawal: a tombstone with a reason; the number is never reused, the lineage stays."""

import json

import pytest

from nemotron.kit.errors import (
    ArtifactNotFoundError,
    ArtifactVersionNotFoundError,
    MisuseError,
    WithdrawnError,
)
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.local import LocalStore
from nemotron.kit.testing.faults import Fault, FaultyStore


@pytest.fixture
def three(publish):
    for step in (1, 2, 3):
        publish(metadata={"step": step})


@pytest.mark.usefixtures("three")
class TestWithdraw:
    def test_it_no_longer_resolves_and_says_why(self, registry, opened, monkeypatch):
        monkeypatch.setenv("USER", "alice")
        record = registry.withdraw("m:v2", "personal data in shard 3")
        assert record.uri == "art://m:v2"
        pattern = r"^Artifact version withdrawn: m:v2 by alice@\S+ at 20\d\d-\S+: personal data in shard 3$"
        for ref in ("m:v2", "art://m:2"):
            with pytest.raises(WithdrawnError, match=pattern):
                opened().resolve(ref)
        assert opened().resolve("m:v1").version == 1
        assert opened().resolve("m").version == 3

    def test_latest_is_the_highest_living_version(self, registry, opened, publish):
        registry.withdraw("m:v3", "x")
        assert opened().resolve("m").version == 2
        registry.withdraw("m:v1", "x")
        assert opened().resolve("m").version == 2
        registry.withdraw("m:latest", "x")
        with pytest.raises(ArtifactVersionNotFoundError, match="every version of it is withdrawn"):
            opened().resolve("m")
        entry = opened().get("m")
        assert (entry.latest, entry.versions, entry.type) == (None, (), "artifact")
        assert opened().versions("m") == []
        assert [entry.name for entry in opened().list()] == ["m"]
        assert publish(via=opened(), metadata={"step": 4}).record.version == 4
        assert opened().resolve("m").version == 4

    def test_numbers_are_never_used_again(self, registry, opened, publish, root):
        for number in (3, 4, 5):
            registry.withdraw(f"m:v{number}", "x")
            assert publish(via=opened(), metadata={"step": 3}).record.version == number + 1
        assert (root / "m/v3/manifest.json").exists()

    def test_the_lineage_stays(self, registry, opened, root):
        before = (root / "m/v2/manifest.json").read_bytes()
        registry.withdraw("m:v2", "x")
        assert (root / "m/v2/manifest.json").read_bytes() == before

    def test_twice_is_said(self, registry, opened):
        registry.withdraw("m:v2", "first")
        with pytest.raises(WithdrawnError, match="first"):
            opened().withdraw("m:v2", "second")
        with pytest.raises(WithdrawnError, match="first"):
            opened().resolve("m:v2")

    def test_who_loses_the_race_hears_the_winners_reason(self, registry, opened):
        mine = opened()
        real = mine.store.create

        def create(key, data, **rest):
            registry.withdraw("m:v2", "the winner's")
            return real(key, data, **rest)

        mine.store.create = create
        with pytest.raises(WithdrawnError, match="the winner's"):
            mine.withdraw("m:v2", "mine")

    def test_a_lost_reply_is_not_a_lost_race(self, opened, root):
        fault = Fault("lost", call=1, methods=frozenset({"create"}))
        mine = Registry(FaultyStore(LocalStore(root), fault))
        assert mine.withdraw("m:v2", "mine").version == 2
        with pytest.raises(WithdrawnError, match="mine"):
            opened().resolve("m:v2")

    def test_what_is_asked_must_be_clear(self, registry):
        for ref in ("m", "m/part.txt", "m:v1/part.txt"):
            with pytest.raises(MisuseError, match="Say which version"):
                registry.withdraw(ref, "x")
        for reason in ("", "  \n"):
            with pytest.raises(MisuseError, match="Say why"):
                registry.withdraw("m:v1", reason)
        with pytest.raises(ArtifactVersionNotFoundError):
            registry.withdraw("m:v9", "x")
        with pytest.raises(ArtifactNotFoundError):
            registry.withdraw("n:v1", "x")
        assert registry.get("m").versions == (1, 2, 3)

    def test_a_damaged_tombstone_is_one(self, registry, opened, root):
        # Somebody meant it: a version does not come back to life because the reason can't be read.
        (root / "m/v3/tombstone.json").write_text("{")
        with pytest.raises(WithdrawnError, match="the reason can't be read"):
            opened().resolve("m:v3")
        assert opened().resolve("m").version == 2

    def test_the_tombstone_is_a_document_that_people_can_read(self, registry, root):
        registry.withdraw("m:v2", "grün")
        document = json.loads((root / "m/v2/tombstone.json").read_text("utf-8"))
        assert document["reason"] == "grün"
        assert document["format_version"] == 1

    def test_the_other_handle_sees_it_at_once(self, registry, opened):
        other = opened()
        assert other.resolve("m:v3").version == other.resolve("m").version == 3
        registry.withdraw("m:v3", "x")
        assert other.resolve("m").version == 2
        with pytest.raises(WithdrawnError):
            other.resolve("m:v3")
