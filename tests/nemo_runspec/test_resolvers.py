"""`nemo_runspec.config.resolvers`: the names that recipes and their tests touch."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf

from nemo_runspec.config import resolvers
from nemotron import kit


@pytest.fixture(autouse=True)
def forgotten():
    resolvers.clear_artifact_cache()
    yield
    resolvers.clear_artifact_cache()
    resolvers.clear_git_mounts()
    OmegaConf.clear_resolvers()


def test_every_name_is_there():
    assert [name for name in resolvers.__all__ if not hasattr(resolvers, name)] == []
    assert resolvers._ARTIFACT_REGISTRY == {}
    assert resolvers._ARTIFACT_CACHE == {}


def test_a_recipe(tmp_path: Path):
    kit.init(root=tmp_path / "store")
    kit.ModelArtifact(path=tmp_path / "model", step=10).save(name="nano3/model")
    config = OmegaConf.create({"run": {"model": "nano3/model:latest"}, "load": "${art:model,path}"})
    assert resolvers.register_resolvers_from_config(config) == []
    assert config.load == str(tmp_path / "model")
    assert resolvers._ARTIFACT_REGISTRY["model"]["version"] == 1
    resolvers.clear_artifact_cache()
    assert resolvers._ARTIFACT_REGISTRY == {}


def test_resolving_before_a_run(monkeypatch: pytest.MonkeyPatch):
    artifact = SimpleNamespace(
        name="model:v7", version="v7", type="model", metadata={"absolute_path": "/ckpt/iter_0000100"}
    )
    client = SimpleNamespace(Api=lambda: SimpleNamespace(artifact=lambda name: artifact), run=None)
    monkeypatch.setitem(sys.modules, "wandb", client)
    assert resolvers.resolve_artifact_pre_init("team/proj/model:latest", patch_http_digest=True) == {
        "path": "/ckpt",
        "version": "v7",
        "name": "model:v7",
        "type": "model",
        "qualified_name": "team/proj/model:v7",
        "metadata_dir": "/ckpt/iter_0000100",
        "iteration": 100,
    }


def test_mounts():
    resolvers.register_auto_mount_resolver()
    config = OmegaConf.create({"mount": "${auto_mount:git+https://example.org/t/repo.git@main,/opt/r}"})
    assert config.mount == "__auto_mount__:repo"
    assert resolvers.get_git_mounts() == {
        "repo": {"url": "https://example.org/t/repo.git", "ref": "main", "target": "/opt/r"}
    }
    resolvers.clear_git_mounts()
    assert resolvers.get_git_mounts() == {}


def test_jobs_and_markers(monkeypatch: pytest.MonkeyPatch):
    assert resolvers._get_job_id().startswith("host_")
    monkeypatch.setenv("SLURM_JOB_ID", "8")
    assert resolvers._get_job_id() == "slurm_8"
    first = resolvers._get_marker_path({"data": "data:latest"})
    assert first == resolvers._get_marker_path({"data": "data:latest"})
    assert first != resolvers._get_marker_path({"data": "data:v1"})
    monkeypatch.setenv("NEMO_EXPERIMENT_ID", "7")
    assert resolvers._get_job_id() == "nemo_7"
    assert first != resolvers._get_marker_path({"data": "data:latest"})


def test_what_a_reference_is():
    assert resolvers._is_artifact_reference("super3/rl/rlvr1/data:latest")
    assert not resolvers._is_artifact_reference("localhost:8080")
