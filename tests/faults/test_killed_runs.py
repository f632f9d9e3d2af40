"""A run whose process is killed: found out later here, unknown elsewhere, and never finished."""

import signal
import subprocess
import sys
from pathlib import Path

from nemotron.kit.documents.run import RunStart
from nemotron.kit.lineage.runs import list_runs
from nemotron.kit.registry import layout
from nemotron.kit.registry.registry import Registry

SCRIPT = """
import sys
from pathlib import Path
from nemotron import kit

kit.init(root=sys.argv[1])
with kit.run("sft", config={"lr": 1}):
    Path(sys.argv[2]).mkdir(exist_ok=True)
    print(kit.Artifact(path=Path(sys.argv[2]), metadata={"by": sys.argv[2]}).save("model").uri, flush=True)
    sys.stdin.read()
"""


def started(root: Path, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(root), str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_killed_between_its_start_and_its_finish(tmp_path: Path) -> None:
    store = Registry.open(tmp_path / "store").store
    processes = [started(tmp_path / "store", tmp_path / name) for name in ("one", "two")]
    made = []
    for process in processes:
        assert process.stdout is not None
        made.append(process.stdout.readline().strip())
    assert {run.status for run in list_runs(store)} == {"running"}
    processes[0].kill()
    processes[0].communicate()
    assert processes[0].returncode == -signal.SIGKILL
    processes[1].communicate("")
    found = {run.status: run for run in list_runs(store)}
    assert set(found) == {"killed", "finished"}
    assert found["killed"].start.config == {"lr": 1}
    assert sorted(store.list(layout.run_made(found["killed"].id))) == [made[0][6:].replace(":", ".")]
    assert {run.made for run in list_runs(store)} == {(uri,) for uri in made}
    # What another host's process is about can't be known here.
    data = store.read(layout.run_start(found["killed"].id))
    assert data is not None
    path = tmp_path / "store" / layout.run_start(found["killed"].id)
    here = RunStart.from_bytes(data, str(path)).process.host
    path.write_bytes(data.replace(f'"{here}"'.encode(), b'"another-host"'))
    assert {run.status for run in list_runs(store)} == {"unknown", "finished"}
