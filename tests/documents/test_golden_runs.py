"""Documents of runs, and what manifests say of inputs, as they were first written: they are read for ever."""

from pathlib import Path

from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.documents.run import Process, RunEnvironment, RunFinish, RunStart

GOLDEN = Path(__file__).parents[1] / "golden"


def test_a_run_of_format_1() -> None:
    data = {path.stem: path.read_bytes() for path in (GOLDEN / "runs/1").iterdir()}
    start = RunStart.from_bytes(data["start"], "start")
    assert (start.id, start.name) == ("01a20ebf-5571-76d1-8a70-62993e30a6b2", "sft")
    assert (start.command, start.cwd) == (("python", "sft.py", "--seed=1"), "/home/ann")
    assert (start.scheduler, start.world_size, start.image) == ({"SLURM_JOB_ID": "42"}, 8, "img:1")
    assert (start.config, start.seeds) == ({"optim": {"lr": 0.1}, "hf_token": "(redacted)"}, {"seed": 1})
    assert isinstance(start.process, Process)
    assert (start.process.host, start.process.pid, start.process.pid_started) == ("node-1", 42, 1206425)
    environment = RunEnvironment.from_bytes(data["environment"], "environment")
    assert (environment.commit, environment.dirty, environment.packages) == ("a" * 40, True, {"torch": "2.1"})
    finish = RunFinish.from_bytes(data["finish"], "finish")
    assert (finish.status, finish.error, finish.metrics) == ("failed", "ValueError", {"loss": 1.5})
    assert (finish.outputs, finish.unchanged) == (("art://model:v1",), ("art://eval:v2",))
    assert finish.resolved == {"data:latest": "art://data:v1"}
    for document, name in ((start, "start"), (environment, "environment"), (finish, "finish")):
        assert document.to_bytes() == data[name]


def test_edges_of_format_1() -> None:
    data = (GOLDEN / "edges/1/manifest.json").read_bytes()
    manifest = Manifest.from_bytes(data, "manifest")
    assert manifest.input_uris == ["art://base:v1", "art://data:v3", "hf://datasets/org/x"]
    assert manifest.edges == (
        InputEdge(
            uri="art://data:v3",
            role="data",
            split="train",
            shards=("a.bin",),
            tokens=10,
            token_range=(5, 15),
            weight=0.5,
        ),
        InputEdge(uri="hf://datasets/org/x", revision="main"),
    )
    assert manifest.to_bytes() == data
