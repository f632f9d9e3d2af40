"""What killed writers leave: what the doctor says of it, and that the commands it names do what it says."""

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nemotron.kit.registry.doctor import examine
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

TEMPORARY = ".tmp-0123456789abcdef"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store of one version."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.txt").write_text("hello")
    Registry.open(tmp_path / "store").publish(Draft(name="ref", source=tmp_path / "data"))
    return tmp_path / "store"


@pytest.mark.parametrize(
    ("hours", "deletes"), [(0, ()), (2, ("gc",)), (25, ("gc",)), (49, ("gc", "--repair")), (-2, ())]
)
def test_what_is_said_of_temporary_files_is_what_is_done(root: Path, hours: int, deletes: tuple[str]) -> None:
    folder = root / ".kit/staging"
    folder.mkdir(exist_ok=True)
    then = time.time() - hours * 3600
    for number in range(3):
        (folder / f".tmp-{number:016}").write_bytes(b"x" * (1 << 20))
        os.utime(folder / f".tmp-{number:016}", (then, then))
    [said] = examine(Registry.open(root))
    assert (said.where, said.count, said.size) == (str(folder), 3, 3 << 20)
    day = f"{datetime.fromtimestamp(then, UTC):%Y-%m-%d %H:%M} UTC"
    assert said.what.startswith(f"3 temporary files, 3.0 MiB, last written to {day}: ")
    assert f"`nemotron kit gc --apply --grace 1h --root {root}`" in said.fix
    [repaired] = examine(Registry.open(root), repair=True)
    left = len(os.listdir(folder))
    assert (repaired.repaired, left) == (
        ("3 temporary files deleted, 3.0 MiB", 0) if "--repair" in deletes else (None, 3)
    )
    Registry.open(root).gc(grace="1h", apply=True)
    assert len(os.listdir(folder)) == (0 if deletes else 3)


def test_repair_leaves_what_is_being_written(root: Path) -> None:
    for name, age_s in (("0", 180_000), ("1", 60)):
        path = root / f"ref/.tmp-{name * 16}"
        path.write_bytes(b"x" * 10)
        os.utime(path, (time.time() - age_s,) * 2)
    [said] = examine(Registry.open(root), repair=True)
    assert said.repaired == "1 temporary file deleted, 10 B; 1 stays, written to within two days"
    assert [path.name for path in root.rglob(".tmp-*")] == [f".tmp-{'1' * 16}"]


def test_temporary_names_between_an_earlier_tools_data_are_its_users(tmp_path: Path) -> None:
    folder = tmp_path / "old/m/v1"
    folder.mkdir(parents=True)
    document = {"name": "m", "version": 1, "type": "model", "path": str(tmp_path), "created_at": "2024-01-01"}
    (folder / "manifest.json").write_text(json.dumps(document))
    (folder / TEMPORARY).write_text("mine")
    os.utime(folder / TEMPORARY, (1, 1))
    found = examine(Registry.open(tmp_path / "old"), repair=True)
    assert "leftover" not in {finding.kind for finding in found}
    assert (folder / TEMPORARY).read_text() == "mine"


def test_a_half_made_folder_of_a_snapshot(root: Path) -> None:
    folder = root / ".kit/checkouts/snap" / TEMPORARY
    folder.mkdir(parents=True)
    [said] = examine(Registry.open(root))
    assert said.where == str(folder)
    assert f"`nemotron kit gc --apply --root {root}` deletes it when it is 14 days old" in said.fix
