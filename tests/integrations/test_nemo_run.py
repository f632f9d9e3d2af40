"""From a path in NeMo-Run's container to the one outside."""

import builtins
import io
from typing import Any

import pytest

from nemotron.kit.integrations.nemo_run import outside_path

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
