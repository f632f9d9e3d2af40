"""`kill -9` at random points: what was reported stays, nothing is half there, the next publish goes on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nemotron.kit.registry.doctor import examine
from nemotron.kit.registry.registry import Registry

SCRIPT = Path(__file__).parent / "scripts/killed.py"
NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"


def run(root, folder, rounds, seed, *flags):
    command = [sys.executable, "-W", "error", SCRIPT, root, folder, str(rounds), str(seed), *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"seed {seed}\n{done.stderr}"
    return json.loads(done.stdout)


@pytest.mark.parametrize("flags", [(), ("pair",), ("snapshot",), ("nolink", "pair")], ids="-".join)
def test_killed_at_random_points(tmp_path, flags, request):
    rounds = 1000 if NIGHTLY else 25
    seed = request.config.getoption("randomly_seed", 0)
    root = tmp_path / "store"
    found = run(root, tmp_path / "data", rounds, seed if isinstance(seed, int) else 0, *flags)
    assert found["versions"] >= 2 * rounds
    assert found["next"] == found["newest"]
    # A kill between the commit and the report leaves a version of which nobody was told: at most one a kill.
    kills = rounds * (2 if "pair" in flags else 1)
    assert found["newest"] - 1 == found["versions"] + found["torn"] + found["unsaid"]
    assert found["torn"] + found["unsaid"] <= kills
    if "nolink" not in flags:
        assert found["torn"] == 0
    registry = Registry.open(root)
    if "snapshot" in flags:
        for record in registry.versions("race")[-20:-1]:
            text = (registry.folder(record) / "part.txt").read_text()
            assert text.startswith(f"writer {record.metadata['writer']} step {record.metadata['step']} ")
    problems = {item.kind for item in examine(registry) if item.level == "problem"}
    expected = {"drifted", "dangling_alias", "missing_companion"}
    assert problems <= (
        expected | {"damaged_manifest", "damaged_alias", "damaged_tombstone"}
        if "nolink" in flags
        else expected
    )
