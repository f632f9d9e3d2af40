"""How many cores are ours: made-up control groups, and a process that is really bound to one core."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nemotron.kit.registry import cores

V1 = "5:memory:/slurm\n4:cpu,cpuacct:{path}\n3:cpuset:/\n0::/\n"


def system(root: Path, cgroup: str, **files: str) -> str:
    """A system whose control groups say what these files do; `__` stands for a slash."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("cpu_max", "cpu.max")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return str(root)


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    monkeypatch.setattr(cores, "bound", lambda: 8)


@pytest.mark.parametrize(
    ("said", "count"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("5000 100000", 1),
        ("6400000 100000", 8),
    ],
)
def test_the_quota_of_a_container_counts(tmp_path, said, count):
    assert cores.usable(system(tmp_path, "0::/\n", cpu_max=said)) == count


def test_every_group_above_counts(tmp_path):
    files = {"cpu_max": "max 100000", "job__cpu_max": "300000 100000", "job__step__cpu_max": "400000 100000"}
    assert cores.usable(system(tmp_path, "0::/job/step/task\n", **files)) == 3


def test_groups_of_others_do_not_count(tmp_path):
    assert cores.usable(system(tmp_path, "0::/mine\n", other__cpu_max="100000 100000")) == 8


@pytest.mark.parametrize("path", ["/docker/8f2a", "/", "/../../kubepods/pod1"])
def test_inside_of_a_container_the_path_may_be_the_one_outside(tmp_path, path):
    assert cores.usable(system(tmp_path, f"0::{path}\n", cpu_max="100000 100000")) == 1


@pytest.mark.parametrize("folder", ["cpu,cpuacct", "cpu"])
@pytest.mark.parametrize(("quota", "count"), [("-1", 8), ("250000", 3)])
def test_the_first_version_of_control_groups_counts(tmp_path, folder, quota, count):
    root = system(tmp_path, V1.format(path="/job"))
    group = tmp_path / "sys/fs/cgroup" / folder / "job"
    group.mkdir(parents=True)
    (group / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (group / "cpu.cfs_period_us").write_text("100000\n")
    assert cores.usable(root) == count


@pytest.mark.parametrize("cgroup", ["", "nonsense", "0::", "1:cpu"])
@pytest.mark.parametrize("said", ["", "nonsense", "max", "100000 0", "-1 100000", "²00000 100000"])
def test_what_can_not_be_read_is_no_limit(tmp_path, cgroup, said):
    assert cores.usable(system(tmp_path, cgroup, cpu_max=said)) == 8


def test_without_control_groups_there_is_no_limit(tmp_path):
    assert cores.usable(str(tmp_path)) == 8


BOUND = """
import os, sys
from pathlib import Path
from nemotron.kit.registry import cores, parallel
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

before = cores.usable()
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
started, make = [], parallel.Workers
parallel.Workers = lambda most, name: started.append(most) or make(most, name)
parallel.CHUNK_FILES = 1
Registry.open(sys.argv[1]).publish(Draft(name="x", source=Path(sys.argv[2]), snapshot=True))
print(before, cores.usable(), *started)
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no processes")
def test_a_process_that_is_bound_to_one_core_starts_one_worker(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for number in range(4):
        (data / f"{number}.txt").write_text(f"{number}")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON_CPU_COUNT"}
    ran = subprocess.run(
        [sys.executable, "-c", BOUND, str(tmp_path / "store"), str(data)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    before, after, *started = map(int, ran.stdout.split())
    assert before >= after == 1
    assert started
    assert set(started) == {1}
