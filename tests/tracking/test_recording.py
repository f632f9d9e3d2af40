"""What is recorded of runs: when, where, by whom, and that it never stops anything."""

import contextvars
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from pydantic import BaseModel

from nemotron.kit import context, start
from nemotron.kit.artifact import Artifact
from nemotron.kit.errors import RefusedError, UnavailableError
from nemotron.kit.lineage.runs import list_runs, read_run
from nemotron.kit.store.local import LocalStore
from nemotron.kit.tracking import recording
from nemotron.kit.tracking.plain_config import plain_config
from nemotron.kit.tracking.run import Run


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A store that the kit is started with."""
    start.init(root=tmp_path / "store")
    yield tmp_path / "store"
    start.shutdown()


def saved(name: str, **metadata: object) -> str:
    folder = Path("data", name)
    folder.mkdir(parents=True, exist_ok=True)
    uri = Artifact(path=folder, metadata=metadata).save(name=name).uri
    assert uri is not None
    return uri


def folders(root: Path) -> list[str]:
    place = root / ".kit/runs"
    return sorted(os.listdir(place)) if place.is_dir() else []


def said(root: Path, run_id: str, what: str) -> Any:
    return json.loads((root / f".kit/runs/{run_id}/{what}.json").read_bytes())


# -- the record --------------------------------------------------------------------------------------------


def test_a_run_that_was_asked_for_is_recorded_from_its_beginning(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    monkeypatch.setenv("NEMO_EXPERIMENT_ID", "exp-7")
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setattr(sys, "orig_argv", ["/usr/bin/python3", "train.py", "--hf-token", "abc"])
    data = saved("data")
    with start.run("sft", config={"lr": 0.1, "api_key": "abc"}, tags=["a"], seeds=7, image="img:1") as run:
        Artifact.from_uri("art://data")
        model = saved("model")
        run.log({"loss": 3.0})
        run.log({"loss": 2.0, "bad": object()})
    began, ended = said(root, run.id, "start"), said(root, run.id, "finish")
    assert began["command"] == ["python3", "train.py", "--hf-token", "(redacted)"]
    assert (began["name"], began["config"]) == ("sft", {"lr": 0.1, "api_key": "(redacted)"})
    assert (began["seeds"], began["tags"], began["image"]) == ({"seed": 7}, ["a"], "img:1")
    assert (began["experiment"], began["world_size"]) == ("exp-7", 8)
    assert began["scheduler"] == {"SLURM_JOB_ID": "42"}
    assert (began["process"]["pid"], began["cwd"]) == (os.getpid(), os.getcwd())
    assert (ended["status"], ended["inputs"], ended["outputs"]) == ("finished", [data], [model])
    assert (ended["resolved"], ended["metrics"]) == ({"art://data": data}, {"loss": 2.0})
    packages = said(root, run.id, "environment")["packages"]
    assert "pydantic" in packages
    assert context.require_registry().resolve(model).manifest.run == run.id


def test_a_script_that_asks_for_none_is_recorded_with_its_first_version(root: Path) -> None:
    context.current_run()
    assert folders(root) == []
    uri = saved("data")
    (run_id,) = folders(root)
    assert not (root / f".kit/runs/{run_id}/finish.json").exists()
    assert context.require_registry().resolve(uri).manifest.run == run_id
    saved("data")  # unchanged
    assert saved("other").endswith(":v1")
    start.shutdown()
    assert folders(root) == [run_id]
    ended = said(root, run_id, "finish")
    assert (ended["status"], ended["outputs"]) == ("finished", ["art://data:v1", "art://other:v1"])
    assert sorted(os.listdir(root / f".kit/runs/{run_id}/made")) == ["data.v1", "other.v1"]


def test_who_only_reads_writes_nothing(root: Path) -> None:
    with start.using(root="elsewhere"):
        saved("data")
    start.init(root="elsewhere")
    before = folders(Path("elsewhere"))
    Artifact.from_uri("art://data")
    start.shutdown()
    assert folders(Path("elsewhere")) == before


def test_what_was_there_already_is_kept_apart_from_what_was_made(root: Path) -> None:
    uri = saved("data")
    with start.run("again") as run:
        assert saved("data") == uri
    ended = said(root, run.id, "finish")
    assert (ended["outputs"], ended["unchanged"]) == ([], [uri])


@pytest.mark.parametrize(
    ("raised", "status", "error"),
    [
        (ValueError("secret"), "failed", "ValueError"),
        (RefusedError("no"), "failed", "nemotron.kit.errors.RefusedError"),
        (KeyboardInterrupt(), "failed", "KeyboardInterrupt"),
        (SystemExit(3), "failed", "SystemExit"),
        (SystemExit(0), "finished", None),
        (SystemExit(), "finished", None),
    ],
)
def test_how_it_ended(root: Path, raised: BaseException, status: str, error: str | None) -> None:
    with pytest.raises(type(raised)), start.run("sft") as run:
        raise raised
    ended = said(root, run.id, "finish")
    assert (ended["status"], ended["error"]) == (status, error)
    assert "secret" not in (root / f".kit/runs/{run.id}/finish.json").read_text()


def test_using_ends_the_runs_that_it_had(tmp_path: Path) -> None:
    def fail() -> None:
        with start.using(root=tmp_path / "a"):
            saved("data")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    (run,) = list_runs(LocalStore(str(tmp_path / "a")))
    assert (run.status, run.finish and run.finish.error) == ("failed", "ValueError")


def test_a_run_that_saves_to_two_stores_is_recorded_in_both(root: Path, tmp_path: Path) -> None:
    with start.run("copy") as run:
        saved("data")
        with start.using(root=tmp_path / "other"):
            saved("data")
    assert said(root, run.id, "finish") == said(tmp_path / "other", run.id, "finish")


def test_a_run_within_a_run_says_so(root: Path) -> None:
    with start.run("outer") as outer, start.run("inner") as inner:
        pass
    assert said(root, inner.id, "start")["parent"] == outer.id
    assert said(root, outer.id, "start")["parent"] is None


@pytest.mark.parametrize("rank", ["1", "7"])
def test_another_rank_that_makes_nothing_writes_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, rank: str
) -> None:
    saved("data")
    before = folders(root)
    monkeypatch.setenv("RANK", rank)
    with start.run("sft"):
        Artifact(path=Path("data", "data")).save(name="data", all_ranks=True)
        Artifact(path=Path("data", "data")).save(name="other")
    assert folders(root) == before


def test_no_rank_makes_a_version_that_names_a_run_of_which_nothing_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {"1": [1, 2], "0": [3], "2": [], "3": [4]}  # whose turn it is: which versions it makes
    for rank, versions in made.items():
        monkeypatch.setenv("RANK", rank)
        start.init(root=tmp_path / "store")
        for version in versions or [3]:
            Artifact(path=Path("data"), metadata={"of": version}).save(name="ck", all_ranks=True)
        start.shutdown()
    store = LocalStore(str(tmp_path / "store"))
    runs = list_runs(store)
    assert [run.made for run in runs][::-1] == [tuple(f"art://ck:v{one}" for one in made[r]) for r in "103"]
    assert {run.status for run in runs} == {"finished"}
    start.init(root=tmp_path / "store")
    recorded = {run.id for run in runs if run.finish is not None}
    for version in range(1, 5):
        assert context.require_registry().resolve(f"ck:v{version}").manifest.run in recorded
    start.shutdown()


# -- configs -----------------------------------------------------------------------------------------------


class Optimiser(BaseModel):
    lr: float = 0.1
    wandb_api_key: str = "abc"


@dataclass
class Config:
    optimiser: Optimiser = field(default_factory=Optimiser)
    path: Path = Path("/data")
    activation: Any = print


def test_configs_of_every_kind_are_plain_and_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {"lr": 0.1, "wandb_api_key": "(redacted)"}
    assert plain_config(Optimiser()) == expected
    assert plain_config(Config())["optimiser"] == expected
    assert plain_config(Config())["path"] == "/data"
    assert plain_config(Config())["activation"] == "<builtin_function_or_method print>"
    monkeypatch.setenv("HIDDEN", "abc")
    made = OmegaConf.create({"a": "${oc.env:HIDDEN}", "b": "${nowhere}", "c": "???", "token": "x", "n": [1]})
    assert plain_config(made) == {
        **{"a": "${oc.env:HIDDEN}", "b": "${nowhere}", "c": "???", "token": "(redacted)", "n": [1]}
    }
    assert plain_config({"nested": made})["nested"]["n"] == [1]
    assert plain_config(None) is None


def test_a_config_that_holds_itself_is_no_reason_to_fail(root: Path) -> None:
    config: dict[str, Any] = {"lr": 1}
    config["self"] = config
    with start.run("sft", config=config) as run:
        pass
    assert said(root, run.id, "start")["config"]["lr"] == 1


FIRST, SECOND = {"lr": 1, "api_key": "(redacted)"}, {"lr": 2}


def recorded(root: Path, run_id: str) -> Any:
    store = LocalStore(str(root))
    record = read_run(store, run_id)
    assert record is not None
    assert next(one for one in list_runs(store) if one.id == run_id).start.config == record.start.config
    return record.start.config


def test_a_config_that_is_told_later_is_recorded_whenever_that_is(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    live = {"lr": 1, "api_key": "hidden-thing"}
    early = context.current_run()
    early.configure(live)
    live["lr"] = 3  # it was taken as it was
    saved("data")
    assert said(root, early.id, "start")["config"] == FIRST
    with start.run("within") as within:
        saved("within")
    with start.run("own", config=SECOND) as own:
        own.configure(live)
        saved("own")
    with start.run("later") as later:  # its start is recorded already
        later.configure(SECOND)
    with start.run("makes nothing") as idle:
        pass
    assert caplog.records == []
    early.configure(FIRST)
    assert caplog.records == []
    early.configure(SECOND)
    assert "begin a run for each, with kit.run(…, config=…)" in caplog.text
    start.shutdown()
    configs = [recorded(root, run.id) for run in (early, within, own, later, idle)]
    assert configs == [FIRST, FIRST, SECOND, SECOND, None]
    late = [run.id for run in (within, later) if (root / f".kit/runs/{run.id}/config.json").exists()]
    assert late == [within.id, later.id]
    assert "hidden-thing" not in "".join(file.read_text() for file in (root / ".kit/runs").rglob("*.json"))


def test_a_config_that_is_told_to_the_run_of_a_script_after_its_first_version(root: Path) -> None:
    saved("data")
    context.current_run().configure(FIRST)
    (run_id,) = folders(root)
    start.shutdown()
    assert recorded(root, run_id) == FIRST


def test_a_child_that_was_forked_of_a_run_that_is_not_recorded_has_its_config(root: Path) -> None:
    run = Run()
    run.configure(FIRST)
    child = run.forked()
    assert (child is run, child.config) == (False, FIRST)


# -- it never stops anything -------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [UnavailableError("down"), RefusedError("read-only"), OSError("gone")])
def test_a_store_that_takes_no_records_stops_nothing(
    root: Path, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    create = LocalStore.create

    def refusing(self: LocalStore, key: str, data: bytes, *, durable: bool = True) -> bool:
        if key.startswith(".kit/runs"):
            raise error
        return create(self, key, data, durable=durable)

    monkeypatch.setattr(LocalStore, "create", refusing)
    with start.run("sft"):
        assert saved("data") == "art://data:v1"
    assert "is not recorded" in caplog.text
    assert folders(root) == []


def test_a_root_that_nobody_can_write_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    start.init(root=tmp_path / "file" / "store")
    with start.run("sft") as run:
        run.log({"loss": 1.0})
    assert "Nothing of this run is recorded in" in caplog.text


def test_a_store_that_hangs_is_waited_for_only_so_long(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answer = threading.Event()
    exists = LocalStore.exists

    def hanging(self: LocalStore, key: str) -> bool:
        answer.wait(60)
        return exists(self, key)

    monkeypatch.setattr(LocalStore, "exists", hanging)
    monkeypatch.setattr(recording, "PATIENCE_S", 0.01)
    with start.run("sft"):
        pass
    answer.set()
    assert "the store does not answer" in caplog.text


def test_a_store_that_was_deleted_is_not_made_again(tmp_path: Path) -> None:
    import shutil

    start.init(root=tmp_path / "store")
    saved("data")
    while (tmp_path / "store").exists():  # its environment is being written down meanwhile
        shutil.rmtree(tmp_path / "store", ignore_errors=True)
    start.shutdown()
    assert not (tmp_path / "store/.kit/runs").exists() or not list((tmp_path / "store").rglob("finish.json"))


def test_logging_metrics_touches_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    with start.run("sft") as run:
        for name in ("create", "replace", "read", "list"):
            monkeypatch.setattr(LocalStore, name, lambda *a, name=name, **k: calls.append(name))
        before = len(calls)
        for step in range(1000):
            run.log({"loss": 1 / (step + 1), "step": step})
        assert len(calls) == before
        assert run.summary == {"loss": 0.001, "step": 999}
        monkeypatch.undo()


# -- whose is it -------------------------------------------------------------------------------------------


def test_two_runs_in_two_threads_know_nothing_of_each_other(root: Path) -> None:
    sources = [saved("a", of=1), saved("b", of=2)]
    both = threading.Barrier(2)
    made: dict[int, str] = {}

    def work(which: int) -> None:
        with start.run(f"run-{which}"):
            both.wait()
            Artifact.from_uri(sources[which])
            both.wait()
            made[which] = saved(f"made-{which}")
            both.wait()

    threads = [threading.Thread(target=work, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for which, uri in made.items():
        assert context.require_registry().resolve(uri).inputs == [sources[which]]


def test_a_loader_thread_belongs_to_the_only_run_there_is(root: Path) -> None:
    data = saved("data")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: None).result()
        with start.run("outer"), start.run("sft") as run:
            pool.submit(Artifact.from_uri, data).result()
            assert run.used == (data,)
    assert context.used() == ()


def test_a_loader_thread_of_one_of_two_runs_has_to_say_whose_it_is(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = saved("data")
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with start.run("other"):
            entered.set()
            leave.wait()

    thread = threading.Thread(target=other)
    thread.start()
    entered.wait()
    with ThreadPoolExecutor(1) as pool, start.run("sft") as run:
        pool.submit(Artifact.from_uri, data).result()
        assert run.used == ()
        assert context.used() == ()
        pool.submit(contextvars.copy_context().run, Artifact.from_uri, data).result()
        assert run.used == (data,)
    leave.set()
    thread.join()
    assert "counts for none of them" in caplog.text
    assert data in context.used()


def test_a_thread_that_outlives_its_run_is_in_none(root: Path) -> None:
    with start.run("sft") as run:
        inside = contextvars.copy_context()
    assert inside.run(context.current_run) is not run


def test_a_child_that_was_forked_saves_for_its_parents_run(root: Path) -> None:
    with start.run("sft") as run:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if saved("from-the-child") else 1
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
    assert context.require_registry().resolve("from-the-child").manifest.run == run.id
    record = read_run(context.require_registry().store, run.id)
    assert record is not None
    assert (record.status, record.made) == ("finished", ("art://from-the-child:v1",))


# -- the end of the process --------------------------------------------------------------------------------

SCRIPT = """
import sys
from nemotron import kit
from pathlib import Path
Path("data").mkdir(exist_ok=True)
kit.init(root=sys.argv[1])
def save(name):
    kit.Artifact(path=Path("data"), metadata={"of": name}).save(name)
"""


def script(root: Path, body: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT + body, str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


HOOK = "sys.excepthook = lambda *a: print('mine', file=sys.stderr)"
THREAD = "import threading\nt = threading.Thread(target=save, args=('a',)); t.start(); t.join()"
FORK = "import os\npid = os.fork()\nsave('a') if pid == 0 else os.waitpid(pid, 0)"


@pytest.mark.parametrize(
    ("body", "code", "status", "error"),
    [
        ("save('a')", 0, "exited", None),
        ("save('a'); sys.exit(1)", 1, "exited", None),
        ("with kit.run('sft'): save('a')", 0, "finished", None),
        ("with kit.run('sft'): save('a'); sys.exit(1)", 1, "failed", "SystemExit"),
        ("save('a'); raise ValueError('x')", 1, "failed", "ValueError"),
        (f"{HOOK}\nsave('a'); 1 / 0", 1, "failed", "ZeroDivisionError"),
        (THREAD, 0, "exited", None),
        (FORK, 0, "exited", None),
    ],
)
def test_the_end_of_a_script(tmp_path: Path, body: str, code: int, status: str, error: str | None) -> None:
    done = script(tmp_path / "store", body, code)
    (run,) = list_runs(LocalStore(str(tmp_path / "store")))
    assert (run.status, run.finish and run.finish.error, run.made) == (status, error, ("art://a:v1",))
    assert ("mine" in done.stderr) == ("mine" in body)


EXITING_THREAD = "import threading\nt = threading.Thread(target=sys.exit, args=(5,)); t.start(); t.join()"
CAUGHT = "try: sys.exit(2)\nexcept SystemExit: pass\n"
CAUGHT_OUTSIDE = """
try:
    with kit.run("unsaved"): sys.exit(2)
except SystemExit as error: print(error.code)
"""
ASKED = "try: sys.exit(2)\nexcept SystemExit as error: print(error.code)\n"


@pytest.mark.parametrize(
    ("body", "code", "seen"),
    [
        ("save('a'); sys.exit(3)", 3, 3),
        ("save('a'); sys.exit()", 0, 0),
        ("save('a'); sys.exit('no data')", 1, 1),
        ("save('a'); sys.exit(-1)", 255, 255),
        ("with kit.run('sft'): save('a'); sys.exit(4)", 4, 4),
        # Who catches it goes on; and what is raised otherwise is not seen.
        (f"save('a')\n{CAUGHT}", 0, None),
        (f"save('a')\n{ASKED}", 0, None),
        (f"save('a')\n{CAUGHT_OUTSIDE}", 0, None),
        (f"save('a')\n{EXITING_THREAD}", 0, None),
        ("save('a'); raise SystemExit(1)", 1, None),
    ],
)
def test_the_code_of_sys_exit_is_recorded_where_it_is_seen(
    tmp_path: Path, body: str, code: int, seen: int | None
) -> None:
    done = script(tmp_path / "store", body, code)
    runs = {run.start.name: run for run in list_runs(LocalStore(str(tmp_path / "store")))}
    run = runs.get(None) or runs["sft"]
    assert run.finish is not None
    assert run.finish.exit_code == seen
    assert ("no data" in done.stderr) == ("no data" in body)


LIKE_ANY_OTHER = """
save("a")
import copy, pickle, threading, traceback
thread = threading.Thread(target=lambda: sys.exit(5))
thread.start(); thread.join()
try:
    try: raise ValueError("why")
    except ValueError: sys.exit(3)
except SystemExit as error:
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(other), other.code) == (SystemExit, 3), other
    assert isinstance(error.__context__, ValueError) and not error.__suppress_context__
    error.code = 4
    raise
"""


def test_what_sys_exit_raises_is_like_any_other(tmp_path: Path) -> None:
    """A thread leaves without a word, another process gets it, who catches it may change its code."""
    done = script(tmp_path / "store", LIKE_ANY_OTHER, 4)
    assert done.stderr == ""
    (run,) = list_runs(LocalStore(str(tmp_path / "store")))
    assert run.finish is not None
    assert run.finish.exit_code == 4


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_of_multiprocessing_end_their_own_runs(tmp_path: Path, method: str) -> None:
    body = f"""
import multiprocessing
def work():
    kit.init(root=sys.argv[1])
    kit.Artifact(path=Path("data")).save("a")
if __name__ == "__main__":
    child = multiprocessing.get_context("{method}").Process(target=work)
    child.start()
    child.join()
    sys.exit(child.exitcode)
"""
    file = tmp_path / "script.py"
    file.write_text(SCRIPT + body)
    done = subprocess.run(
        [sys.executable, file, tmp_path / "store"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (run,) = list_runs(LocalStore(str(tmp_path / "store")))
    assert (run.status, run.made) == ("exited", ("art://a:v1",))


def test_a_run_is_what_it_says() -> None:
    run = Run("sft", tags="one", seeds={"data": 1})
    assert (run.tags, run.seeds, run.outputs, run.unchanged) == (("one",), {"data": 1}, (), ())
    logging.getLogger(__name__).debug("%r", run)
    assert repr(run) == f"Run(id={run.id!r}, name='sft')"
