"""References in configs that W&B resolves: by a thin fake, and by the real client and a local server."""

import sys
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from nemotron.kit import context
from nemotron.kit.errors import MisuseError, NotFoundError
from nemotron.kit.integrations.omegaconf import register_resolvers
from nemotron.kit.integrations.wandb.resolving import find
from nemotron.kit.integrations.wandb.tracker import WandbTracker

pytestmark = pytest.mark.usefixtures("forgotten")


class Fake:
    """A client that has `team/proj/model:v7`, also as `latest`, and nothing else."""

    def __init__(self, **artifact):
        self.asked = []
        self.used = []
        self.run = None
        self.artifact_ = SimpleNamespace(name="model:v7", version="v7", type="model", **artifact)

    def Api(self):
        return SimpleNamespace(artifact=self.get)

    def get(self, name):
        self.asked.append(name)
        if name.partition(":")[0] != "team/proj/model":
            raise ValueError(f"artifact {name} not found")
        return self.artifact_


@pytest.fixture
def fake(monkeypatch):
    def fake(**artifact):
        client = Fake(**artifact)
        monkeypatch.setitem(sys.modules, "wandb", client)
        return client

    return fake


def test_a_checkpoints_path_is_cut_into_its_iteration(fake):
    fake(metadata={"absolute_path": "/ckpt/run/iter_0000100"}, qualified_name="team/proj/model:latest")
    found = find("model:latest", entity="team", project="proj")
    assert found.pop("fields") == {"metadata": {"absolute_path": "/ckpt/run/iter_0000100"}}
    assert found == {
        "path": "/ckpt/run",
        "version": "v7",
        "name": "model:v7",
        "type": "model",
        "qualified_name": "team/proj/model:v7",
        "metadata_dir": "/ckpt/run/iter_0000100",
        "iteration": 100,
        "downloaded": False,
    }


def test_else_the_parent_of_the_first_reference(fake):
    entries = {
        "metadata.json": SimpleNamespace(ref=None),
        "output/blend.json": SimpleNamespace(ref="file:///data/run%201/blend.json"),
    }
    fake(metadata={}, manifest=SimpleNamespace(entries=entries))
    found = find("team/proj/model:v7")
    assert (found["path"], found["iteration"]) == ("/data/run 1", None)
    assert found["qualified_name"] == "team/proj/model:v7"


def test_else_a_download(fake, tmp_path):
    (tmp_path / "metadata.json").write_text('{"tokens": 12}')
    client = fake(download=lambda: str(tmp_path))  # and no metadata at all
    assert register_resolvers({"m": "art://team/proj/model"}, mode="pre_init") == ["team/proj/model:v7"]
    assert client.asked == ["team/proj/model:latest"]
    config = OmegaConf.create({"path": "${art:m}", "tokens": "${art:m,tokens}", "v": "${art:m,version}"})
    assert (config.path, config.tokens, config.v) == (str(tmp_path), 12, 7), "a number, as from a store"
    assert context.used() == ("art://team/proj/model:v7",)


def test_the_project_is_that_of_the_environment(fake, monkeypatch):
    client = fake(metadata={"absolute_path": "/m"})
    monkeypatch.setenv("WANDB_ENTITY", "team")
    monkeypatch.setenv("WANDB_PROJECT", "proj")
    find("model:v7")
    assert client.asked == ["team/proj/model:v7"]


def test_a_semantic_name_of_three_parts_is_looked_for_both_ways(fake):
    client = fake(metadata={"absolute_path": "/m"})
    with pytest.raises(NotFoundError, match=r"nano3-sft-data:v1 not found|nano3/sft/data:v1 not found"):
        find("nano3/sft/data:v1", entity="team", project="proj")
    assert client.asked == ["team/proj/nano3-sft-data:v1", "nano3/sft/data:v1"]


def test_the_active_run_gets_the_edge(fake):
    client = fake(metadata={"absolute_path": "/m"})
    client.run = SimpleNamespace(entity="team", project="proj", id="1")
    client.run.use_artifact = lambda name: client.used.append(name) or client.artifact_
    assert register_resolvers({"m": "model:latest"}) == ["team/proj/model:v7"]
    assert client.used == ["model:latest"]


def test_another_ranks_answer_is_taken_and_its_edge_made(fake, monkeypatch, tmp_path):
    job = {"SLURM_JOB_ID": "7", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TMPDIR": str(tmp_path / "tmp")}
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    client = fake(metadata={"absolute_path": "/m"})
    register_resolvers({"m": "team/proj/model:latest"})
    client.run = SimpleNamespace(entity="team", project="proj", id="1")
    client.run.use_artifact = lambda name: client.used.append(name) or client.artifact_
    assert register_resolvers({"m": "team/proj/model:latest"}) == ["team/proj/model:v7"]
    assert client.asked == ["team/proj/model:latest"]
    assert client.used == ["team/proj/model:v7"]


def test_data_that_another_node_downloaded_is_downloaded_here(fake, monkeypatch, tmp_path):
    job = {"SLURM_JOB_ID": "7", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TMPDIR": str(tmp_path / "tmp")}
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    client = fake(download=lambda: str(tmp_path / "there"))
    register_resolvers({"m": "team/proj/model:latest"})
    (tmp_path / "here").mkdir()
    client.artifact_.download = lambda: str(tmp_path / "here")
    register_resolvers({"m": "team/proj/model:latest"})
    assert client.asked == ["team/proj/model:latest", "team/proj/model:v7"]
    config = OmegaConf.create({"path": "${art:m}", "version": "${art:m,version}"})
    assert (config.path, config.version) == (str(tmp_path / "here"), 7)


def test_several_nodes_without_a_store_need_a_place(fake, monkeypatch, tmp_path):
    fake(metadata={"absolute_path": "/m"})
    for name, value in {"SLURM_JOB_ID": "7", "WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(MisuseError, match="set NEMO_RUN_DIR"):
        register_resolvers({"m": "team/proj/model:latest"}, mode="pre_init")


def test_changed_references_are_let_pass_when_asked(monkeypatch, real_wandb):
    patched = []
    monkeypatch.setattr(
        "nemotron.kit.integrations.wandb.patches.digests.allow_changed", lambda name: patched.append(name)
    )
    register_resolvers(mode="pre_init")
    register_resolvers(mode="active_run", pre_init_patch_http_digest=True)
    assert patched == []
    register_resolvers(mode="pre_init", pre_init_patch_http_digest=True)
    assert patched == ["http_handler"]


def test_with_the_real_client(wandb_server, real_wandb, make_thing, tmp_path):
    with real_wandb.init(project="proj"):
        logged = WandbTracker().log_artifact(make_thing(metadata={"tokens": 12}), "nano3/data", [])
    found = find("nano3/data:latest", entity="test-entity", project="proj")
    assert found["qualified_name"] == logged["artifact_id"] == "test-entity/proj/nano3-data:v0"
    assert (found["path"], found["version"]) == (str(tmp_path / "data"), "v0")
    assert found["fields"]["metadata"]["tokens"] == 12
