"""From a path in NeMo-Run's container to the one outside."""

import builtins
import io
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nemotron.kit.integrations.nemo_run import Mount, _by_mountinfo, outside_path, parse_mountinfo

MOUNTS = Path(__file__).parents[1] / "golden" / "mountinfo"

LUSTRE = "100 1 98:0 / /lustre rw,noatime shared:1 - lustre 10.0.0.1@tcp:/fs rw"
JOB = r"101 1 98:0 /team/my\040jobs/7 /nemo_run rw - lustre 10.0.0.1@tcp:/fs rw"
CODE = "102 1 98:0 /team/code /nemo_run/code rw - lustre 10.0.0.1@tcp:/fs rw"
NEARER = "103 1 98:0 /team /workspace rw - lustre 10.0.0.1@tcp:/fs rw"
OTHER = "104 1 99:0 / /scratch rw - ext4 /dev/sdb rw"


@pytest.fixture
def proc(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The contents of files in /proc; what is not there can't be opened."""
    files: dict[str, str] = {}
    real = builtins.open

    def fake(path: Any, *args: Any, **kwargs: Any) -> Any:
        if not str(path).startswith("/proc/"):
            return real(path, *args, **kwargs)
        if path not in files:
            raise FileNotFoundError(path)
        return io.StringIO(files[path])

    monkeypatch.setattr(builtins, "open", fake)
    return files


def test_the_whole_file_system_is_found_by_its_device(proc: dict[str, str]) -> None:
    proc["/proc/self/mountinfo"] = "\n".join([OTHER, NEARER, JOB, LUSTRE, CODE])
    assert outside_path("/nemo_run/ckpt/iter_1") == "/lustre/team/my jobs/7/ckpt/iter_1"
    assert outside_path("/nemo_run") == "/lustre/team/my jobs/7"
    assert outside_path("/nemo_run/code/x.py") == "/lustre/team/code/x.py"


@pytest.mark.parametrize("path", ["/nemo_runner/x", "/data/x", "nemo_run/x", "/"])
def test_other_paths_stay(proc: dict[str, str], path: str) -> None:
    proc["/proc/self/mountinfo"] = f"{LUSTRE}\n{JOB}"
    assert outside_path(path) == path


def test_then_the_list_of_mounts_is_asked(proc: dict[str, str]) -> None:
    proc["/proc/self/mountinfo"] = f"{OTHER}\n{JOB}\nnot a mount"
    proc["/proc/mounts"] = (
        "10.0.0.1@tcp:/fs /data lustre rw 0 0\n"
        "/dev/sda1 /nemo_run ext4 rw 0 0\n"
        "/lustre/jobs/7 /nemo_run none rw 0 0"
    )
    assert outside_path("/nemo_run/x") == "/lustre/jobs/7/x"


def test_then_the_environment_and_then_nothing_is_known(
    proc: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outside_path("/nemo_run/x") == "/nemo_run/x"
    monkeypatch.setenv("NEMO_RUN_DIR", "/lustre/jobs/8/")
    assert outside_path("/nemo_run/x") == "/lustre/jobs/8/x"
    assert outside_path("/nemo_run") == "/lustre/jobs/8"
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("mounts", "inside", "outside"),
    [
        ("bind", "/nemo_run/ckpt/iter_1", "/scratch/team/my jobs/7/ckpt/iter_1"),
        ("nested", "/nemo_run/ckpt", "/scratch/team/jobs/7/ckpt"),
        ("nested", "/nemo_run/code/train.py", "/scratch/team/src/nemo/train.py"),
        ("nested", "/nemo_run/codes", "/scratch/team/jobs/7/codes"),
        (
            "lustre",
            "/nemo_run/checkpoints",
            "/lustre/fsw/portfolios/llm/users/ada/runs/nano3 sft_1700000000/checkpoints",
        ),
        ("lustre", "/nemo_run/code", "/lustre/fsw/portfolios/llm/users/ada/code"),
        ("nfs", "/nemo_run/x", "/home/projects/speech/runs/42/x"),
        # In a folder of the container itself, or of nothing: only the environment can tell.
        ("overlay", "/nemo_run/x", "/outside/x"),
        ("missing", "/nemo_run/x", "/outside/x"),
    ],
)
def test_mounts_as_containers_see_them(
    mounts: str, inside: str, outside: str, proc: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    proc["/proc/self/mountinfo"] = (MOUNTS / f"{mounts}.txt").read_text(encoding="utf-8")
    monkeypatch.setenv("NEMO_RUN_DIR", "/outside")
    assert outside_path(inside) == outside


def test_a_real_mount_namespace(tmp_path: Path) -> None:
    """The kernel's own list, of a bind mount that is made here."""
    script = (
        "mkdir -p scratch/jobs/7/ckpt run && mount -t tmpfs scratch scratch && mkdir -p scratch/jobs/7/ckpt"
        " && mount --bind scratch/jobs/7 run && cat /proc/self/mountinfo"
    )
    made = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"no mount namespace can be made here: {made.stderr.strip()[:200]}")
    mounts = parse_mountinfo(made.stdout)
    (job,) = [mount for mount in mounts if mount.point == str(tmp_path / "run")]
    assert job.root == "/jobs/7"
    moved = [Mount(job.device, job.root, "/nemo_run") if mount is job else mount for mount in mounts]
    assert _by_mountinfo("/nemo_run/ckpt", moved) == str(tmp_path / "scratch/jobs/7/ckpt")
