"""The documents of a run: they come back, and a damaged field costs that field alone."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.documents.run import Process, RunConfig, RunEnvironment, RunFinish, RunRecord, RunStart
from nemotron.kit.errors import CorruptError, FormatTooNewError

texts = st.text(max_size=10)
some = st.none() | texts
jsons = st.recursive(st.none() | st.booleans() | st.integers() | texts, lambda one: st.lists(one, max_size=3))
maps = st.none() | st.dictionaries(texts, jsons, max_size=3)
lists = st.lists(texts, max_size=3).map(tuple)
starts = st.builds(
    RunStart,
    **{"id": texts, "name": some, "command": lists, "config": jsons, "seeds": maps, "tags": lists},
    process=st.builds(Process, host=some, pid=st.none() | st.integers(0, 2**31)),
)
finishes = st.builds(
    RunFinish,
    **{
        "status": st.sampled_from(["finished", "exited", "failed"]),
        "error": some,
        "inputs": lists,
        "metrics": maps,
    },
)
environments = st.builds(RunEnvironment, commit=some, dirty=st.none() | st.booleans(), packages=maps)
configs = st.builds(RunConfig, config=jsons)


@given(starts | finishes | environments | configs)
def test_they_come_back(document: RunStart | RunFinish | RunEnvironment | RunConfig) -> None:
    assert type(document).from_bytes(document.to_bytes(), "here") == document


@given(
    starts, st.sampled_from(["name", "command", "process", "scheduler", "world_size", "seeds", "tags"]), jsons
)
def test_a_damaged_field_costs_that_field_alone(start: RunStart, key: str, value: object) -> None:
    said = json.loads(start.to_bytes()) | {key: value, "of a newer kit": 1}
    read = RunStart.from_bytes(json.dumps(said).encode(), "here")
    assert read.id == start.id
    assert read.config == start.config


def test_what_is_no_document_is_corrupt_and_a_newer_one_is_told_apart() -> None:
    with pytest.raises(CorruptError, match="here is damaged"):
        RunFinish.from_bytes(b'{"status": "fini', "here")
    with pytest.raises(FormatTooNewError, match="here has run format 2"):
        RunFinish.from_bytes(b'{"format_version": 2}', "here")
    with pytest.raises(CorruptError, match="here is damaged: format_version is 'x'") as caught:
        RunFinish.from_bytes(b'{"format_version": "x"}', "here")
    assert not isinstance(caught.value, FormatTooNewError)
    assert RunFinish.from_bytes(b'{"status": "no such"}', "here").status == "unknown"


def test_a_record_is_one_document() -> None:
    start = RunStart(id="1", name="sft", config={"lr": 1}, process=Process(host="a"))
    said = RunRecord(start=start, status="killed", made=("art://m:v1",)).to_document()
    assert (said["id"], said["status"], said["outputs"], said["ended_at"]) == (
        "1",
        "killed",
        ["art://m:v1"],
        None,
    )
    assert said["process"]["host"] == "a"
    assert said["code"]["commit"] is None
    json.dumps(said)


@pytest.mark.parametrize(
    ("start", "label"),
    [
        (RunStart(id="1", name="sft"), "sft"),
        (RunStart(id="1", entry="/a/train.py", command=("python", "train.py")), "train.py"),
        (RunStart(id="1", command=("/bin/python", "-c", "x")), "python"),
        (RunStart(id="1"), "1"),
    ],
)
def test_it_is_called_by_what_people_know(start: RunStart, label: str) -> None:
    assert RunRecord(start=start).label == label
