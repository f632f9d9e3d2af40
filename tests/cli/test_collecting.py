"""`gc`, from the command line."""

import os
import shlex
from pathlib import Path

import pytest

from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry


@pytest.fixture
def old(store: Registry, tmp_path: Path) -> Registry:
    """A store with a withdrawn snapshot of long ago."""
    source = tmp_path / "snapshot"
    source.mkdir()
    (source / "a.bin").write_bytes(b"x" * 3000)
    store.withdraw(store.publish(Draft(name="gone", source=source, snapshot=True)).record.uri, "bad")
    for found in list(store.store.walk()):
        os.utime(Path(store.root, found.key), (10**9, 10**9))
    return store


def test_a_dry_run_says_how_to_do_it(kit, old: Registry) -> None:
    said = kit("gc", "--grace", "36h")
    assert said.code == 0
    assert "contents of snapshots  to the trash" in said.out
    assert "2.9 KiB" in said.out
    assert f"Nothing was changed in {old.root}. To do this: nemotron kit gc --apply --grace 36h" in said.out
    assert list(old.store.walk(".kit/trash")) == []
    assert kit("gc", "--quiet").out.splitlines()[0] == "blobs set_aside 1 3000"


def test_what_was_done_and_when_to_come_back(kit, old: Registry) -> None:
    said = kit("gc", "--apply")
    assert "contents of snapshots  moved to the trash  1" in said.out
    assert "run it again then" in said.out
    said = kit("gc")
    assert "waiting in the trash" in said.out
    assert f"Nothing to collect in {old.root}." in said.out
    for found in old.store.walk(".kit/trash"):
        os.utime(Path(old.root, found.key), (10**9, 10**9))
    assert f"2.9 KiB freed in {old.root}." in kit("gc", "--apply").out
    assert kit("gc").out == f"Nothing to collect in {old.root}.\n"


@pytest.mark.parametrize("grace", ["90m", "100d", "P1DT12H"])
def test_what_it_advises_does_just_that(kit, old: Registry, grace: str) -> None:
    """With the root that was given by hand, and the grace period as it was."""
    spaced = Path(old.root).parent / "a store"
    os.rename(old.root, spaced)
    said = kit("gc", "--grace", grace, "--root", str(spaced)).out.replace("\n", "")
    command = f"nemotron kit gc --apply --grace {grace} --root '{spaced}'"
    assert said.endswith(f"Nothing was changed in {spaced}. To do this: {command}")
    done = kit(*shlex.split(command)[2:])
    assert "moved to the trash" in done.out
    assert done.out.replace("\n", "").endswith(f"on: run it again then: {command}")
    asked = kit("gc", "--forget-damaged", "--root", str(spaced), "--grace", grace).out.replace("\n", "")
    assert asked.endswith(f"gc --apply --grace {grace} --forget-damaged --root '{spaced}'")


def test_as_json(kit, old: Registry) -> None:
    said = kit("gc", "--apply", "--grace", "7d", "--json").json
    assert (said["applied"], said["grace_s"], said["bytes_deleted"]) == (True, 604_800.0, 0)
    assert {"what": "blobs", "action": "set_aside", "count": 1, "bytes": 3000} in said["items"]
    assert said["next_at"] > "2020"


@pytest.mark.parametrize(
    ("grace", "message"), [("5m", "at least an hour"), ("soon", "7d, 12h"), ("", "7d, 12h")]
)
def test_a_grace_period_that_is_none(kit, store: Registry, grace: str, message: str) -> None:
    said = kit("gc", "--grace", grace)
    assert said.code == 2
    assert message in said.err


def test_a_grace_period_too_short_has_one_answer_however_it_is_written(kit, store: Registry) -> None:
    answers = set()
    for grace in ("0", "0h", "0d", "59m", "-1d", "14", "soon", ""):
        said = kit("gc", f"--grace={grace}")
        assert said.code == 2
        assert f"Invalid grace period: {grace!r}; " in said.err
        answers.add(said.err.replace(repr(grace), ""))
    assert len(answers) == 1
    assert "expected at least an hour (1h), " in answers.pop()


def test_a_damaged_version_stops_it(kit, old: Registry) -> None:
    Path(old.root, "base/v1/manifest.json").write_text('{"half": ')
    said = kit("gc", "--apply")
    assert said.code == 1
    assert "base/v1/manifest.json" in said.err
    assert "--forget-damaged" in said.err
    assert kit("gc", "--apply", "--forget-damaged").code == 0


def test_the_doctor_repairs(kit, store: Registry) -> None:
    hint = Path(store.root, "base/latest")
    hint.write_text("v99")
    assert kit("doctor").code == 1
    said = kit("doctor", "--repair")
    assert said.code == 0
    assert "repaired: it says v" in said.out
    assert "1 repaired" in said.out
    hint.write_text("v99")
    document = kit("doctor", "--repair", "--json").json
    assert document["ok"] is True
    assert [finding["repaired"] is not None for finding in document["findings"]] == [True]
