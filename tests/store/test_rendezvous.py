"""Ranks agree: real processes, threads that count requests, and a simulated job of 1,250 nodes."""

import logging
import multiprocessing
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nemotron.kit.errors import (
    ArtifactNotFoundError,
    ArtifactVersionNotFoundError,
    CorruptError,
    KitError,
    MisuseError,
    RefusedError,
    UnavailableError,
    WithdrawnError,
)
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.attempt import Attempt
from nemotron.kit.store.launcher import launcher
from nemotron.kit.store.local import LocalStore
from nemotron.kit.store.memory import MemoryStore
from nemotron.kit.store.node_folder import node_folder_path, open_node_folder
from nemotron.kit.store.rendezvous import FOLDER, Places, Timing, agree, agree_on, open_places
from nemotron.kit.testing.faults import Fault, FaultyStore
from store.ranks import RANKS_PER_NODE, VirtualTime, hang, rank

SPAWN = multiprocessing.get_context("spawn")


def attempt(node=0, key="slurm_7-0-abc", world=16, one_node=False):
    return Attempt(key, world, node, one_node)


def no_waiting():
    now = [0.0]

    def sleep(seconds):
        now[0] += seconds

    return Timing(sleep=sleep, clock=lambda: now[0])


def node_folder(tmp_path, node=0):
    return open_node_folder({"TMPDIR": str(tmp_path / f"node{node}")})


def forbidden():
    raise AssertionError("resolved again")


# -- one rank at a time ------------------------------------------------------------------------------------


def test_alone_nothing_happens(tmp_path):
    places = Places(None, None)
    assert agree(Attempt("", 1), lambda: {"version": 3}, places) == {"version": 3}


def test_alone_nothing_is_written_or_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    store = FaultyStore(MemoryStore())
    assert agree_on(["data:latest"], lambda: {"version": 3}, store) == {"version": 3}
    assert store.calls == []
    assert list(tmp_path.iterdir()) == []


def test_the_second_node_reads_what_the_first_one_found(tmp_path):
    store = MemoryStore()
    for node in (0, 1):
        places = Places(node_folder(tmp_path, node), store)
        said = agree(attempt(node), lambda node=node: {"version": node}, places, no_waiting())
        assert said == {"version": 0}
    assert store.list(FOLDER) == ["slurm_7-0-abc.json"]


def test_the_second_rank_of_a_node_asks_nobody(tmp_path):
    store = FaultyStore(MemoryStore())
    places = Places(node_folder(tmp_path), store)
    agree(attempt(), lambda: {"version": 1}, places, no_waiting())
    with store.counting() as calls:
        assert agree(attempt(), forbidden, places, no_waiting()) == {"version": 1}
    assert calls == []


def test_a_restarted_worker_keeps_its_answer_and_a_requeue_does_not(tmp_path):
    places = Places(node_folder(tmp_path), MemoryStore())
    agree(attempt(key="job-0"), lambda: {"version": 1}, places, no_waiting())
    assert agree(attempt(key="job-0"), forbidden, places, no_waiting()) == {"version": 1}
    assert agree(attempt(key="job-1"), lambda: {"version": 2}, places, no_waiting()) == {"version": 2}


def test_a_restart_on_a_new_node_keeps_the_answer(tmp_path):
    store = MemoryStore()
    agree(attempt(), lambda: {"version": 1}, Places(node_folder(tmp_path, 0), store), no_waiting())
    spare = Places(node_folder(tmp_path, 1), store)
    assert agree(attempt(1), forbidden, spare, no_waiting()) == {"version": 1}


def test_who_is_slower_takes_the_answer_that_came_meanwhile(tmp_path):
    store = MemoryStore()

    def slow():
        agree(attempt(1), lambda: {"version": 2}, Places(None, store), no_waiting())
        return {"version": 1}

    assert agree(attempt(), slow, Places(None, store), no_waiting()) == {"version": 2}


def test_who_loses_the_claim_takes_the_winners_answer():
    store = MemoryStore()

    def somebody_claims(method, key):
        if method == "create":
            store.create(key, b'{"format": 1, "answer": {"version": 9}}\n')

    faulty = FaultyStore(store, on_call=somebody_claims)
    assert agree(attempt(), lambda: {"version": 1}, Places(None, faulty), no_waiting()) == {"version": 9}


def test_a_lost_reply_is_no_lost_claim():
    store = FaultyStore(MemoryStore(), Fault("lost", call=1, methods=frozenset({"create"})))
    assert agree(attempt(), lambda: {"version": 1}, Places(None, store), no_waiting()) == {"version": 1}


# -- failures ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        ArtifactVersionNotFoundError("data", 7),
        WithdrawnError("data", 7, "data:v7 is withdrawn: wrong tokenizer"),
        RefusedError("no permission"),
        MisuseError("no such mode"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_definitive_failure_is_everybodys(error, tmp_path):
    def fail():
        raise error from OSError("the disk said so")

    store = MemoryStore()
    with pytest.raises(type(error)) as mine:
        agree(attempt(), fail, Places(None, store), no_waiting())
    assert mine.value is error
    with pytest.raises(type(error)) as theirs:
        agree(attempt(1), forbidden, Places(None, store), no_waiting())
    assert theirs.value is not error
    assert str(theirs.value) == str(error)
    assert vars(theirs.value).get("version") == vars(error).get("version")
    assert "caused by OSError: the disk said so" in theirs.value.__notes__
    assert any(note.startswith("found by rank") for note in theirs.value.__notes__)


def test_all_ranks_are_told_which_key_of_the_config_it_was():
    def fail():
        error = ArtifactNotFoundError("data")
        error.add_note("run.data is data:latest")
        raise error

    store = MemoryStore()
    for node, resolve in enumerate((fail, forbidden)):
        with pytest.raises(ArtifactNotFoundError) as caught:
            agree(attempt(node), resolve, Places(None, store), no_waiting())
        assert caught.value.__notes__[0] == "run.data is data:latest"


def test_an_error_of_a_newer_kit_is_an_error_all_the_same():
    class _NewError(RefusedError):
        """Not in this version's list."""

    def fail():
        raise _NewError("because")

    store = MemoryStore()
    with pytest.raises(_NewError):
        agree(attempt(), fail, Places(None, store), no_waiting())
    with pytest.raises(RefusedError, match="because"):
        agree(attempt(1), forbidden, Places(None, store), no_waiting())
    key = f"{FOLDER}/{attempt().key}.json"
    store.replace(key, store.read(key).replace(b"RefusedError", b"NewError"))
    with pytest.raises(KitError, match="because"):
        agree(attempt(1), forbidden, Places(None, store), no_waiting())


def test_what_may_pass_is_tried_again_and_told_nobody():
    tries = []

    def flaky():
        tries.append(1)
        if len(tries) < 4:
            raise UnavailableError("not now")
        return {"version": 1}

    store = MemoryStore()
    assert agree(attempt(), flaky, Places(None, store), no_waiting()) == {"version": 1}
    assert b"failure" not in store.read(f"{FOLDER}/{attempt().key}.json")


@pytest.mark.parametrize("call", range(1, 5))
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_store_that_fails_once_fails_nobody(call, when):
    store = FaultyStore(MemoryStore(), Fault(when, call=call))
    assert agree(attempt(), lambda: {"version": 1}, Places(None, store), no_waiting()) == {"version": 1}
    assert agree(attempt(1), forbidden, Places(None, store), no_waiting()) == {"version": 1}


def test_a_store_that_stays_away_is_an_error_after_a_minute():
    store = FaultyStore(MemoryStore(), *(Fault("before", call=n) for n in range(1, 500)))
    timing = no_waiting()
    with pytest.raises(UnavailableError):
        agree(attempt(), lambda: {}, Places(None, store), timing)
    assert 60 < timing.clock() < 65


def test_half_an_answer_is_waited_for_and_not_believed():
    store = MemoryStore()
    key = f"{FOLDER}/{attempt().key}.json"
    store.create(key, b'{"format": 1, "ans')
    now = [0.0]

    def sleep(seconds):
        now[0] += seconds
        if now[0] > 0.3:
            store.replace(key, b'{"format": 1, "answer": {"version": 5}}\n')

    timing = Timing(sleep=sleep, clock=lambda: now[0])
    assert agree(attempt(), forbidden, Places(None, store), timing) == {"version": 5}


def test_a_damaged_answer_is_an_error_that_names_it():
    store = MemoryStore()
    store.create(f"{FOLDER}/{attempt().key}.json", b"{}}\n")
    with pytest.raises(CorruptError, match=r"slurm_7-0-abc\.json"):
        agree(attempt(), forbidden, Places(None, store), no_waiting())


# -- places ------------------------------------------------------------------------------------------------


class ReadOnly(MemoryStore):
    def create(self, key, data, *, durable=True):
        raise RefusedError("Cannot write: the file system is read-only")


def test_a_read_only_root_says_what_to_set(tmp_path):
    places = Places(node_folder(tmp_path), ReadOnly())
    with pytest.raises(
        RefusedError, match=r"read-only.*Set NEMO_RUN_DIR to a folder that all nodes can write"
    ):
        agree(attempt(), lambda: {}, places, no_waiting())


def test_one_node_needs_no_writable_root(tmp_path):
    places = Places(node_folder(tmp_path), ReadOnly())
    here = attempt(one_node=True)
    assert agree(here, lambda: {"version": 1}, places, no_waiting()) == {"version": 1}
    assert agree(here, forbidden, places, no_waiting()) == {"version": 1}


def test_one_node_needs_no_store(tmp_path):
    places = open_places({"TMPDIR": str(tmp_path)}, None, attempt(one_node=True))
    assert agree(attempt(one_node=True), lambda: {"version": 1}, places, no_waiting()) == {"version": 1}
    assert agree(attempt(one_node=True), forbidden, places, no_waiting()) == {"version": 1}


@pytest.mark.parametrize("store", [None, MemoryStore()], ids=["none", "of this process alone"])
def test_several_nodes_need_a_place(tmp_path, store):
    with pytest.raises(MisuseError, match="set NEMO_RUN_DIR"):
        open_places({"TMPDIR": str(tmp_path)}, store, attempt())


def test_the_run_folder_comes_before_the_store(tmp_path):
    store = FaultyStore(MemoryStore())
    environ = {"TMPDIR": str(tmp_path / "tmp"), "NEMO_RUN_DIR": str(tmp_path / "run")}
    agree(attempt(), lambda: {}, open_places(environ, store, attempt()), no_waiting())
    assert store.calls == []
    assert (tmp_path / "run" / FOLDER / "slurm_7-0-abc.json").exists()


def test_a_run_folder_that_is_not_mounted_here_is_not_made(tmp_path):
    environ = {"TMPDIR": str(tmp_path), "NEMO_RUN_DIR": str(tmp_path / "lustre/jobs/7")}
    with pytest.raises(MisuseError, match=r"NEMO_RUN_DIR is .*, which is not here"):
        open_places(environ, None, attempt())


def test_the_nodes_folder_is_the_users_alone(tmp_path):
    folder = node_folder(tmp_path)
    assert os.stat(folder.path).st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["open to others", "a link", "a file"])
def test_a_folder_that_may_be_somebody_elses_is_not_used(kind, tmp_path, caplog):
    path = Path(node_folder_path({"TMPDIR": str(tmp_path)}))
    if kind == "open to others":
        path.mkdir()
        path.chmod(0o777)
    elif kind == "a link":
        (tmp_path / "else").mkdir(mode=0o700)
        path.symlink_to(tmp_path / "else")
    else:
        path.touch()
    with caplog.at_level(logging.WARNING):
        assert open_node_folder({"TMPDIR": str(tmp_path)}) is None
    assert "is not used" in caplog.text


def test_a_folder_of_another_user_is_not_used(tmp_path, monkeypatch, caplog):
    path = Path(node_folder_path({"TMPDIR": str(tmp_path)}))
    path.mkdir(mode=0o700)
    mine = os.geteuid()
    monkeypatch.setattr("nemotron.kit.store.node_folder.node_folder_path", lambda environ: str(path))
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    assert open_node_folder({"TMPDIR": str(tmp_path)}) is None
    assert f"it belongs to user {mine}" in caplog.text


def test_a_node_whose_folder_can_not_be_written_asks_for_each_rank(tmp_path, caplog):
    node = node_folder(tmp_path)
    node.store = FaultyStore(node.store, *(Fault("before", call=n) for n in range(1, 9)))
    store = MemoryStore()
    assert agree(attempt(), lambda: {"version": 1}, Places(node, store), no_waiting()) == {"version": 1}
    assert agree(attempt(), forbidden, Places(node, store), no_waiting()) == {"version": 1}
    assert "ask the store themselves" in caplog.text


# -- the launcher ------------------------------------------------------------------------------------------

LAUNCHER = "from nemotron.kit.store.launcher import launcher; print(launcher())"


def launched(*command, **variables):
    return subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_the_launcher_is_found_behind_wrappers():
    variables = {"TORCHELASTIC_RUN_ID": "none", "RANK": "1"}
    direct = launched(sys.executable, "-c", LAUNCHER, **variables)
    wrapped = launched("bash", "-c", f"{shlex.quote(sys.executable)} -c '{LAUNCHER}'; true", **variables)
    assert direct == wrapped
    assert direct.startswith(f"{os.getpid()}@")


def test_two_launchers_are_told_apart():
    script = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', "
        f"'{LAUNCHER}'], env={{**__import__('os').environ, 'RANK': '0'}}, check=True)"
    )
    assert launched(sys.executable, "-c", script) != launched(sys.executable, "-c", script)
    assert launcher().startswith(f"{os.getppid()}@")


# -- many at once ------------------------------------------------------------------------------------------


def test_requests_grow_with_nodes_and_not_with_ranks(tmp_path):
    nodes = 4
    store = FaultyStore(MemoryStore())
    resolved = []
    folders = [node_folder(tmp_path, node) for node in range(nodes)]
    start = threading.Barrier(nodes * RANKS_PER_NODE)

    def be(number):
        node = number // RANKS_PER_NODE
        start.wait()
        return agree(
            attempt(node, world=32), resolve, Places(folders[node], store), Timing(sleep=lambda _: None)
        )

    def resolve():
        resolved.append(1)
        return {"version": len(resolved)}

    with ThreadPoolExecutor(nodes * RANKS_PER_NODE) as pool:
        answers = list(pool.map(be, range(nodes * RANKS_PER_NODE)))
    assert all(answer == answers[0] for answer in answers)
    assert len(resolved) <= nodes
    assert sum(method == "read" for method, _ in store.calls) <= 3 * nodes
    assert sum(method == "create" for method, _ in store.calls) <= nodes


def simulate(nodes, starts, resolve_seconds, request_seconds=0.02):
    time_ = VirtualTime()
    store = FaultyStore(MemoryStore(), on_call=lambda *_: time_.sleep(request_seconds))
    timing = Timing(sleep=time_.sleep, clock=time_.clock)
    answers, finished = [], []

    def be(node):
        def resolve():
            time_.sleep(resolve_seconds)
            return {"version": node}

        answers.append(agree(attempt(node, world=8 * nodes), resolve, Places(None, store), timing))
        finished.append(time_.now - starts[node])

    time_.run([(starts[node], lambda node=node: be(node)) for node in range(nodes)])
    assert len(answers) == nodes
    assert all(answer == answers[0] for answer in answers)
    writes = sum(method == "create" for method, _ in store.calls)
    reads = sum(method == "read" for method, _ in store.calls)
    assert reads <= 3 * nodes
    return writes, max(finished)


@pytest.mark.parametrize("resolve_seconds", [0.05, 1.0])
def test_1250_nodes_that_start_at_once_make_a_handful_of_writes(resolve_seconds):
    writes, slowest = simulate(1250, [0.0] * 1250, resolve_seconds)
    assert writes <= 4
    assert slowest < 3


def test_1250_nodes_that_start_as_a_scheduler_starts_them():
    # In no order, over ten seconds.
    starts = [(node * 7919 % 1250) / 125 for node in range(1250)]
    writes, slowest = simulate(1250, starts, 0.2)
    assert writes <= 4
    assert slowest < 3


def test_a_killed_rank_leaves_nobody_waiting(tmp_path):
    started = tmp_path / "started"
    process = SPAWN.Process(target=hang, args=(str(tmp_path), "slurm_7-0-abc", str(started)))
    process.start()
    try:
        while not started.exists():
            process.join(0.01)
            assert process.exitcode is None
        waiting = ThreadPoolExecutor(1)
        places = Places(open_node_folder({"TMPDIR": str(tmp_path)}), LocalStore(tmp_path / "shared"))
        answer = waiting.submit(agree, attempt(), lambda: {"version": 1}, places)
    finally:
        os.kill(process.pid, signal.SIGKILL)
    killed = time.monotonic()
    assert answer.result(timeout=10) == {"version": 1}
    assert time.monotonic() - killed < 2
    process.join()
    waiting.shutdown()


def attempts_of_a_job(rounds):
    """Attempts, and which of the ones before has the same answer by right."""
    train, sft, latest = ["train.py"], ["sft.py"], "data:latest"
    for n in range(rounds):
        job = {"SLURM_JOB_ID": f"{n}", "SLURM_STEP_ID": "0", "SLURM_RESTART_COUNT": "0"}
        yield job, train, latest
        yield {**job, "TORCHELASTIC_RESTART_COUNT": "1"}, train, latest  # workers restarted: the same attempt
        yield {**job, "SLURM_RESTART_COUNT": "1"}, train, latest
        yield job, sft, latest
        yield job, train, "nothing:latest"


@pytest.mark.slow
def test_64_processes_agree_while_versions_are_published(tmp_path):
    world, rounds = 64, 20
    (tmp_path / "data").mkdir()
    registry = Registry.open(tmp_path / "store")
    registry.publish(Draft(name="data", source=tmp_path / "data"))
    for node in range(world // RANKS_PER_NODE):
        (tmp_path / f"node{node}").mkdir()
    attempts = list(attempts_of_a_job(rounds))
    barrier, results = SPAWN.Barrier(world), SPAWN.Queue()
    ranks = [
        SPAWN.Process(target=rank, args=(n, world, str(tmp_path), barrier, attempts, results))
        for n in range(world)
    ]
    for process in ranks:
        process.start()
    done = threading.Event()

    def publish():
        n = 0
        while not done.is_set():
            n += 1
            registry.publish(Draft(name="data", source=tmp_path / "data", metadata={"n": n}))
            done.wait(0.01)

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        said = [results.get(timeout=120) for _ in range(world * len(attempts))]
    finally:
        done.set()
        publisher.join()
        for process in ranks:
            process.join(30)
            process.kill()
    answers = [{} for _ in attempts]
    for number, who, answer, seconds in said:
        answers[number][who] = answer
        if "error" in answer:
            assert seconds < 2
    for number, by_rank in enumerate(answers):
        assert len(by_rank) == world
        assert all(answer == by_rank[0] for answer in by_rank.values()), (number, by_rank)
    for n in range(rounds):
        first, restarted, requeued, stage, missing = (found[0] for found in answers[5 * n : 5 * n + 5])
        assert restarted == first
        assert first["version"] < requeued["version"] < stage["version"]
        assert missing["error"] == "ArtifactNotFoundError"
        assert missing["message"].startswith("Artifact not found: nothing")
