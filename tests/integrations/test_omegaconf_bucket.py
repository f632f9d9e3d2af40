"""Resolvers in configs, over a store in a bucket."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from bucket_server import new_bucket
from bucket_server.fixtures import proxy, server
from nemotron.kit import context
from nemotron.kit.integrations.omegaconf import clear_artifact_cache, register_resolvers_from_config
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

__all__ = ["proxy", "server"]


pytestmark = pytest.mark.usefixtures("forgotten")


@pytest.fixture
def root(server, proxy):
    return f"s3://{new_bucket(server)}/store"


def published(root, tmp_path, **draft):
    registry = Registry.open(root)
    context.set_registry(registry)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "part.txt").write_text("hello")
    registry.publish(Draft(name="org/data", source=tmp_path / "data", metadata={"tokens": 7}, **draft))


def resolved():
    register_resolvers_from_config({"run": {"data": "org/data:latest"}})
    return OmegaConf.create(
        {"path": "${art:data}", "version": "${art:data,version}", "tokens": "${art:data,tokens}"}
    )


@pytest.mark.parametrize("snapshot", [False, True])
def test_a_store_in_a_bucket(snapshot, root, tmp_path):
    published(root, tmp_path, snapshot=snapshot)
    config = resolved()
    assert (config.version, config.tokens) == (1, 7)
    assert Path(config.path, "part.txt").read_text() == "hello"
    assert (config.path == str(tmp_path / "data")) is not snapshot


def test_a_snapshot_is_laid_out_on_each_node(root, tmp_path, monkeypatch):
    for name, text in {"SLURM_JOB_ID": "7", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1"}.items():
        monkeypatch.setenv(name, text)
    published(root, tmp_path, snapshot=True)
    Path("data/part.txt").write_text("else")
    for rank in "01":
        node = tmp_path / f"node{rank}"
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("TMPDIR", str(node / "tmp"))
        monkeypatch.setenv("XDG_CACHE_HOME", str(node / "cache"))
        context.set_registry(Registry.open(root))
        clear_artifact_cache()
        config = resolved()
        assert Path(config.path).is_relative_to(node)
        assert Path(config.path, "part.txt").read_text() == "hello"
        node.rename(tmp_path / f"far{rank}")  # another machine's disk
