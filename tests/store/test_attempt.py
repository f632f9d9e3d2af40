"""Which processes are ranks of one attempt: the key, as launchers set their variables."""

import pytest

from nemotron.kit.errors import MisuseError
from nemotron.kit.store.attempt import Attempt, attempt_of, job_id, key_of, without_ranks

REFERENCES = ["data:latest"]


def attempt(environ, command=("train.py",), references=REFERENCES, launcher="11@22"):
    return attempt_of(environ, command, references, lambda: launcher)


def slurm(**more):
    return {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8", **more}


def torchrun(**more):
    return {
        "TORCHELASTIC_RUN_ID": "none",
        "WORLD_SIZE": "8",
        "LOCAL_WORLD_SIZE": "8",
        "GROUP_WORLD_SIZE": "1",
        **more,
    }


@pytest.mark.parametrize("environ", [{}, {"WORLD_SIZE": ""}, {"WORLD_SIZE": "1", "SLURM_JOB_ID": "7"}])
def test_one_rank_is_alone(environ):
    assert attempt(environ).alone


def test_all_ranks_of_an_attempt_have_one_key():
    keys = {
        attempt(
            slurm(RANK=str(rank), LOCAL_RANK=str(rank % 8), TMPDIR=f"/tmp/{rank}"),
            ["train.py", "--local_rank", str(rank % 8), f"--node-rank={rank // 8}"],
            launcher=str(rank // 8),
        ).key
        for rank in range(16)
    }
    assert len(keys) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"environ": slurm(SLURM_JOB_ID="8")},
        {"environ": slurm(SLURM_STEP_ID="1")},
        {"environ": slurm(SLURM_RESTART_COUNT="1")},
        {"environ": slurm(TORCHELASTIC_RUN_ID="abc")},
        {"environ": slurm(NEMO_EXPERIMENT_ID="x")},
        {"environ": slurm(PMIX_NAMESPACE="prterun-1")},
        {"environ": slurm(), "command": ["sft.py"]},
        {"environ": slurm(), "command": ["train.py", "--lora-rank=8"]},
        {"environ": slurm(), "references": ["data:latest", "model:latest"]},
    ],
    ids=["job", "step", "requeue", "rendezvous", "experiment", "mpi", "stage", "argument", "references"],
)
def test_another_attempt_has_another_key(other):
    assert attempt(**other).key != attempt(slurm()).key


@pytest.mark.parametrize(
    "same",
    [
        slurm(TORCHELASTIC_RESTART_COUNT="3"),
        slurm(SLURM_RESTART_COUNT="0"),
        slurm(RANK="9", LOCAL_RANK="1", GROUP_RANK="1"),
        slurm(MASTER_PORT="29500"),
    ],
    ids=["workers restarted", "not requeued", "another rank", "another port"],
)
def test_the_same_attempt_has_the_same_key(same):
    assert attempt(same).key == attempt(slurm()).key


def test_the_order_of_references_does_not_matter():
    assert (
        attempt(slurm(), references=["a:v1", "b:v1"]).key == attempt(slurm(), references=["b:v1", "a:v1"]).key
    )


def test_two_torchruns_in_one_allocation_are_two_attempts():
    first = attempt(torchrun(SLURM_JOB_ID="7"), launcher="11@22")
    again = attempt(torchrun(SLURM_JOB_ID="7"), launcher="12@23")
    assert first.key != again.key
    assert first.one_node


def test_the_launcher_counts_on_one_node_even_with_an_id():
    said = torchrun(TORCHELASTIC_RUN_ID="mine")
    assert attempt(said, launcher="1").key != attempt(said, launcher="2").key


def test_torchrun_on_several_nodes_without_an_id_is_refused():
    several = torchrun(WORLD_SIZE="16", GROUP_WORLD_SIZE="2", SLURM_JOB_ID="7")
    with pytest.raises(MisuseError, match="pass the same --rdzv-id"):
        attempt(several)
    assert not attempt({**several, "TORCHELASTIC_RUN_ID": "x"}).one_node
    assert not attempt({**several, "SLURM_STEP_ID": "3"}).one_node  # srun started it, once


def test_the_steps_of_slurm_itself_are_no_launch():
    interactive = torchrun(WORLD_SIZE="16", GROUP_WORLD_SIZE="2", SLURM_STEP_ID=str(0xFFFFFFFA))
    with pytest.raises(MisuseError, match="--rdzv-id"):
        attempt(interactive)


def test_several_nodes_without_any_id_are_refused():
    with pytest.raises(MisuseError, match="set NEMO_EXPERIMENT_ID"):
        attempt({"WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8"})
    with pytest.raises(MisuseError, match="set NEMO_EXPERIMENT_ID"):
        attempt({"WORLD_SIZE": "16", "RANK": "9", "LOCAL_RANK": "1"})


def test_ranks_that_somebody_started_by_hand_are_known_by_who_started_them():
    by_hand = {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}
    assert attempt(by_hand, launcher="1").key != attempt(by_hand, launcher="2").key


def test_srun_without_torchrun_is_understood():
    srun = {
        "SLURM_JOB_ID": "7",
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NUM_TASKS": "16",
        "SLURM_STEP_NUM_NODES": "2",
    }
    found = attempt({**srun, "SLURM_PROCID": "9", "SLURM_LOCALID": "1", "SLURM_NODEID": "1"})
    assert (found.world_size, found.node, found.one_node) == (16, 1, False)


@pytest.mark.parametrize(
    ("environ", "node"),
    [
        ({"RANK": "17", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}, 4),
        ({"RANK": "17", "LOCAL_RANK": "1"}, 2),
        ({"RANK": "17", "GROUP_RANK": "5"}, 5),
        ({"RANK": "17"}, 2),
        ({}, 0),
    ],
)
def test_nodes_are_numbered(environ, node):
    assert attempt({"SLURM_JOB_ID": "7", "WORLD_SIZE": "64", **environ}).node == node


def test_a_world_size_that_is_no_number_is_refused():
    with pytest.raises(MisuseError, match="WORLD_SIZE is 'many', expected a whole number"):
        attempt({"WORLD_SIZE": "many"})


def test_keys_are_file_names():
    key = attempt(slurm(NEMO_EXPERIMENT_ID="../../etc/passwd and more" * 9)).key
    assert "/" not in key
    assert len(key) < 120


def test_the_key_is_known_at_world_size_one_too():
    assert key_of({"SLURM_JOB_ID": "7"}, ["x"], ["a:v1"], str) != key_of(
        {"SLURM_JOB_ID": "8"}, ["x"], ["a:v1"], str
    )


def test_job_ids():
    assert job_id({"NEMO_EXPERIMENT_ID": "1", "SLURM_JOB_ID": "2"}, 3) == "nemo_1"
    assert job_id({"SLURM_JOB_ID": "2", "TORCHELASTIC_RUN_ID": "x"}, 3) == "slurm_2"
    assert job_id({"TORCHELASTIC_RUN_ID": "x"}, 3) == "host_x"
    assert job_id({"TORCHELASTIC_RUN_ID": "none"}, 3) == "host_3"


def test_arguments_that_name_a_rank_are_left_out():
    assert without_ranks(["a.py", "--rank", "3", "-v"]) == ["a.py", "-v"]
    assert without_ranks(["a.py", "--local_rank", "--verbose"]) == ["a.py", "--verbose"]
    assert without_ranks(["a.py", "trainer.local_rank=3", "+node_rank=1"]) == ["a.py"]
    assert without_ranks(["a.py", "rank", "model.lora.rank=16"]) == ["a.py", "rank", "model.lora.rank=16"]


def test_nodes_wait_no_longer_than_a_second():
    assert Attempt("k", 10_000, 1249).delay_seconds == 1.0
