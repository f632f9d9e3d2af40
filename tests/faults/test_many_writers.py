"""Many processes publish one name at once: every number once, no gap, nothing mixed, nothing half-seen."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nemotron.kit.registry.doctor import examine
from nemotron.kit.registry.registry import Registry

SCRIPTS = Path(__file__).parent / "scripts"
READS_MIN = 1000


def run(script, *arguments):
    command = [sys.executable, "-W", "error", SCRIPTS / script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.mark.parametrize(
    ("writers", "publishes", "flags"),
    [
        pytest.param(8, 25, (), id="8 x 25"),
        pytest.param(16, 25, (), id="16 x 25", marks=pytest.mark.slow),
        pytest.param(8, 12, ("nolink",), id="8 x 12 without hard links"),
        pytest.param(8, 12, ("snapshot",), id="8 x 12 snapshots"),
    ],
)
def test_every_number_is_given_out_once(tmp_path, writers, publishes, flags):
    root = tmp_path / "store"
    found, errors = run("writers.py", root, tmp_path / "data", writers, publishes, READS_MIN, *flags)
    assert found["codes"] == [0] * (writers + 1), errors
    told = {version: int(writer) for writer, versions in found["told"].items() for version in versions}
    total = writers * publishes
    assert sum(len(versions) for versions in found["told"].values()) == total
    assert sorted(told) == list(range(1, total + 1))  # each once, no gap
    for versions in found["told"].values():
        assert versions == sorted(versions)
    registry = Registry.open(root)
    assert registry.get("race").versions == tuple(range(1, total + 1))
    steps = {writer: [] for writer in range(writers)}
    for record in registry.versions("race"):
        said = record.metadata
        assert told[record.version] == said["writer"]  # its own writer's
        assert record.manifest.producer == f"writer-{said['writer']}"
        assert record.inputs == [f"art://input-{said['writer']}:v1"]
        steps[said["writer"]].append(said["step"])
    assert all(found == list(range(publishes)) for found in steps.values())
    assert registry.resolve("race").version == total
    assert found["seen"]["reads"] >= READS_MIN
    if "snapshot" in flags:
        for record in registry.versions("race")[:: total // 10]:
            text = (registry.folder(record) / "part.txt").read_text()
            assert text.startswith(f"writer {record.metadata['writer']} step {record.metadata['step']} ")
    doctor = [item for item in examine(Registry.open(root)) if item.level == "problem"]
    # The references of one writer lie in one folder that it rewrites: that they have changed is true.
    assert [item for item in doctor if item.kind not in ("drifted", "touched")] == []
