"""Resolvers in configs, over a store."""

import json

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError

from nemotron.kit import context
from nemotron.kit.artifact import ModelArtifact, PretrainDataArtifact
from nemotron.kit.errors import (
    ArtifactNotFoundError,
    InvalidReferenceError,
    MisuseError,
    NotInitializedError,
    PathNotFoundError,
)
from nemotron.kit.integrations import git_mounts, omegaconf, pins
from nemotron.kit.integrations.omegaconf import (
    clear_artifact_cache,
    references_in,
    register_auto_mount_resolver,
    register_manifest_resolver,
    register_resolvers,
    register_resolvers_from_config,
)
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry


@pytest.fixture(autouse=True)
def no_mounts(forgotten):
    yield
    git_mounts.clear_git_mounts()


@pytest.fixture
def registry(tmp_path):
    registry = Registry.open(tmp_path / "store")
    context.set_registry(registry)
    return registry


@pytest.fixture
def publish(registry, tmp_path):
    def publish(name="my-data", folder="data", **draft):
        (tmp_path / folder).mkdir(exist_ok=True)
        return registry.publish(Draft(name=name, source=tmp_path / folder, **draft)).record

    return publish


def value(text):
    return OmegaConf.create({"value": text}).value


def test_fields_have_their_types(publish, tmp_path):
    metadata = {"tokens": 25_000_000_000, "loss": 1.5, "clean": True, "note": None, "split": {"train": 3}}
    publish(metadata=metadata, type="PretrainDataArtifact")
    assert register_resolvers({"data": "my-data:latest"}, mode="local") == []
    config = OmegaConf.create(
        {
            "path": "${art:data}",
            "version": "${art:data,version}",
            "name": "${art:data,name}",
            "type": "${art:data,type}",
            "tokens": "${art:data,tokens}",
            "loss": "${art:data,metadata.loss}",
            "clean": "${art:data,clean}",
            "note": "${art:data,note}",
            "train": "${art:data,split.train}",
            "created": "${art:data,created_at}",
            "inside": "${art:data,path}/000.bin",
            "split": "${art:data,split}",
        }
    )
    found = OmegaConf.to_container(config, resolve=True)
    assert found.pop("created").startswith("20")
    assert found == {
        "path": str(tmp_path / "data"),
        "version": 1,
        "name": "my-data",
        "type": "PretrainDataArtifact",
        "tokens": 25_000_000_000,
        "loss": 1.5,
        "clean": True,
        "note": None,
        "train": 3,
        "inside": f"{tmp_path}/data/000.bin",
        "split": {"train": 3},
    }


def test_an_artifact_of_the_kit(registry, tmp_path):
    ModelArtifact(path=tmp_path / "m", step=100, final_loss=2.5).save(name="nano3/sft/model")
    register_resolvers({"model": "nano3/sft/model:v1"}, mode="local")
    assert value("${art:model,step}") == 100
    assert value("${art:model,path}") == str(tmp_path / "m")


def test_a_field_that_is_not_there_names_what_there_is(publish):
    publish(metadata={"tokens": 1})
    register_resolvers({"data": "my-data"}, mode="local")
    with pytest.raises(KeyError, match=r"Artifact 'data' has no field 'tokns'. There is: .*tokens.*version"):
        omegaconf._art("data", "tokns")
    with pytest.raises(InterpolationResolutionError, match="has no field 'tokns'"):
        value("${art:data,tokns}")


def test_a_name_that_is_not_there_names_what_there_is(publish):
    publish()
    register_resolvers({"data": "my-data"}, mode="local")
    with pytest.raises(KeyError, match=r"Artifact 'dta' is not registered.*Registered: data"):
        omegaconf._art("dta")


def test_without_a_store_it_says_what_to_do():
    register_resolvers()
    with pytest.raises(ArtifactNotFoundError, match="no artifact store to look in"):
        omegaconf._art("data")
    with pytest.raises(NotInitializedError):
        register_resolvers({"data": "my-data"}, mode="local")


def test_a_reference_may_stand_in_the_interpolation(publish, tmp_path):
    publish()
    publish(metadata={"n": 2})
    register_resolvers()
    assert value("${art:my-data:v1,version}") == 1
    assert value("${art:art://my-data,version}") == 2


def test_latest_is_what_it_was_when_it_was_pinned(publish):
    publish()
    register_resolvers({"data": "my-data:latest"}, mode="local")
    publish(metadata={"n": 2})
    assert value("${art:data,version}") == 1


def test_all_ranks_have_what_the_first_one_found(publish, tmp_path, monkeypatch):
    job = {"SLURM_JOB_ID": "7", "WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8", "TMPDIR": str(tmp_path / "tmp")}
    for name, text in job.items():
        monkeypatch.setenv(name, text)
    publish()
    register_resolvers({"data": "my-data:latest"}, mode="local")
    publish(metadata={"n": 2})
    clear_artifact_cache()
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(pins, "_resolve", lambda *_: pytest.fail("resolved again"))
    register_resolvers({"data": "my-data:latest"}, mode="local")
    assert value("${art:data,version}") == 1


def test_a_requeued_job_has_new_data(publish, tmp_path, monkeypatch):
    job = {"SLURM_JOB_ID": "7", "WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8", "TMPDIR": str(tmp_path / "tmp")}
    for name, text in job.items():
        monkeypatch.setenv(name, text)
    publish()
    register_resolvers({"data": "my-data:latest"}, mode="local")
    publish(metadata={"n": 2})
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    register_resolvers({"data": "my-data:latest"}, mode="local")
    assert value("${art:data,version}") == 2


def test_what_is_not_there_is_an_error_at_once_with_the_key(registry):
    with pytest.raises(ArtifactNotFoundError, match="Artifact not found: my-data") as caught:
        register_resolvers({"data": "my-data:latest"}, mode="local")
    assert caught.value.__notes__ == ["data is my-data:latest"]


def test_uses_are_inputs_of_what_is_saved(publish, tmp_path):
    publish()
    register_resolvers({"data": "my-data:latest"}, mode="local")
    assert context.used() == ("art://my-data:v1",)
    with context.run("sft") as run:
        assert value("${art:data,version}") == 1
        assert run.used == ("art://my-data:v1",)
        model = ModelArtifact(path=tmp_path / "m", step=1)
        model.save(name="model")
    assert model.tracking.used_artifacts == ["my-data:v1"]


def test_what_latest_meant_is_in_the_record_of_the_run(publish, tmp_path, monkeypatch):
    job = {"SLURM_JOB_ID": "7", "WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8", "TMPDIR": str(tmp_path / "tmp")}
    for name, text in job.items():
        monkeypatch.setenv(name, text)
    publish()
    monkeypatch.setenv("RANK", "8")
    register_resolvers({"data": "my-data:latest", "same": "my-data:v1"}, mode="local")
    publish(metadata={"n": 2})
    monkeypatch.setenv("RANK", "0")
    with context.run("sft") as run:
        register_resolvers({"data": "my-data:latest", "same": "my-data:v1"}, mode="local")
        ModelArtifact(path=tmp_path / "m", step=1).save(name="model")
    ended = json.loads((tmp_path / f"store/.kit/runs/{run.id}/finish.json").read_text())
    assert ended["resolved"] == {"my-data:latest": "art://my-data:v1"}
    assert ended["inputs"] == ["art://my-data:v1"]


def test_a_snapshot_lies_where_it_is_laid_out(publish, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/part.txt").write_text("one")
    publish(snapshot=True)
    (tmp_path / "data/part.txt").write_text("two")
    register_resolvers({"data": "my-data:v1"}, mode="local")
    with open(f"{value('${art:data}')}/part.txt") as file:
        assert file.read() == "one"


def test_a_metadata_file_of_the_users_own_is_read_once(publish, tmp_path):
    (tmp_path / "data").mkdir()
    file = tmp_path / "data/metadata.json"
    file.write_text(json.dumps({"language": "de", "metadata": {"depth": 2}}))
    publish(snapshot=True)
    register_resolvers({"data": "my-data"}, mode="local")
    assert (value("${art:data,language}"), value("${art:data,metadata.depth}")) == ("de", 2)


def test_a_file_shaped_artifact_is_its_file(registry, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/blend.json").write_text("{}")
    registry.publish(Draft(name="blend", source=tmp_path / "d", entry="blend.json"))
    register_resolvers({"blend": "blend:v1"}, mode="local")
    assert value("${art:blend}") == str(tmp_path / "d/blend.json")


def test_what_others_put_into_the_registry_is_used(tmp_path):
    (tmp_path / "metadata.json").write_text(json.dumps({"step": 3, "metadata": {"loss": 0.5}}))
    omegaconf._ARTIFACT_REGISTRY["model"] = {
        "path": str(tmp_path),
        "version": "v3",
        "name": "model",
        "type": "m",
    }
    register_resolvers()
    assert (value("${art:model,version}"), value("${art:model,step}")) == ("v3", 3)
    assert value("${art:model,loss}") == value("${art:model,metadata.loss}") == 0.5
    (tmp_path / "metadata.json").unlink()
    assert value("${art:model,step}") == 3


# -- from a config -----------------------------------------------------------------------------------------

CONFIG = {
    "run": {
        "data": "my-data:latest",
        "model": "${oc.env:MODEL_REFERENCE}",
        "container": "registry.example.com/nemo:latest",
        "missing": "???",
        "wandb": {"project": "p", "entity": "e"},
        "nodes": 4,
        "copy": "${art:data,path}",
    },
    "train": {"data": "other:latest"},
}


def test_references_under_a_key_are_found(monkeypatch):
    monkeypatch.setenv("MODEL_REFERENCE", "art://my-model:v3")
    found = {"data": "my-data:latest", "model": "art://my-model:v3"}
    assert references_in(OmegaConf.create(CONFIG)) == references_in(CONFIG) == found
    assert references_in(CONFIG, "train") == {"data": "other:latest"}
    assert references_in(CONFIG, "nothing") == {}


def test_a_written_out_reference_that_is_none_is_an_error():
    with pytest.raises(InvalidReferenceError, match=r"run\.data is art://da ta"):
        references_in({"run": {"data": "art://da ta"}})
    with pytest.raises(InvalidReferenceError, match=r"names train/x inside an artifact"):
        references_in({"run": {"data": "art://data:v1/train/x"}})


def test_a_config_is_resolved_against_the_store(publish):
    publish()
    config = OmegaConf.create({"run": {"data": "my-data:latest"}, "path": "${art:data,path}"})
    assert register_resolvers_from_config(config) == []
    assert config.path.endswith("/data")


# -- OmegaConf ---------------------------------------------------------------------------------------------


def test_a_resolver_that_is_there_may_be_kept():
    register_resolvers()
    register_resolvers()
    with pytest.raises(MisuseError, match="resolver 'art' is already registered"):
        register_resolvers(replace=False)


@pytest.mark.parametrize(
    ("version", "method"), [("2.3.0", "register_new_resolver"), ("2.4.0", "register_resolver")]
)
def test_the_method_is_chosen_by_version(version, method, monkeypatch):
    called = []
    # In force only here: what clears the resolvers after each test registers OmegaConf's own again.
    with monkeypatch.context() as patched:
        patched.setattr("omegaconf.__version__", version)
        for name in ("register_new_resolver", "register_resolver"):
            patched.setattr(OmegaConf, name, lambda *_, name=name, **__: called.append(name))
        register_manifest_resolver()
    assert called == [method]


def test_an_unknown_mode_is_refused():
    with pytest.raises(MisuseError, match="Unknown mode: 'remote'"):
        register_resolvers({"data": "my-data"}, mode="remote")


# -- manifests and mounts ----------------------------------------------------------------------------------


def test_a_manifest(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"train": "train.jsonl", "counts": {"train": 12}}))
    register_manifest_resolver()
    assert value(f"${{manifest:{tmp_path},train}}") == "train.jsonl"
    assert value(f"${{manifest:{tmp_path}/manifest.json,counts.train}}") == 12
    with pytest.raises(KeyError, match=r"has no 'val'\. There is: counts, train"):
        omegaconf._manifest(tmp_path, "val")
    with pytest.raises(PathNotFoundError, match="Manifest not found"):
        omegaconf._manifest(tmp_path / "no", "train")


def test_a_manifest_of_an_artifact(publish, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/manifest.json").write_text('{"train": "t.jsonl"}')
    publish()
    register_resolvers({"data": "my-data"}, mode="local")
    register_manifest_resolver()
    assert value("${manifest:${art:data,path},train}") == "t.jsonl"


def test_mounts():
    register_auto_mount_resolver()
    assert (
        value("${auto_mount:git+https://example.org/t/bridge.git@feature/x,/opt/b}")
        == "__auto_mount__:bridge"
    )
    assert value("${auto_mount:git+ssh://git@example.org/t/rl@v1}") == "__auto_mount__:rl"
    assert git_mounts.git_mounts() == {
        "bridge": {"url": "https://example.org/t/bridge.git", "ref": "feature/x", "target": "/opt/b"},
        "rl": {"url": "ssh://git@example.org/t/rl", "ref": "v1", "target": "/opt/rl"},
    }
    with pytest.raises(MisuseError, match="rl is mounted twice: v1 at /opt/rl, and v2 at /opt/rl"):
        git_mounts.mount("git+ssh://git@example.org/t/rl@v2")


@pytest.mark.parametrize(
    "url", ["https://a/b@c", "git+https://a/b", "git+https://git@a/b", "git+https://a@b", ""]
)
def test_no_mounts(url):
    with pytest.raises(MisuseError, match=r"takes git\+URL@REF"):
        git_mounts.mount(url)


def test_a_typed_artifact_of_data(registry, tmp_path):
    PretrainDataArtifact(path=tmp_path / "d", total_tokens=12).save(name="d")
    register_resolvers({"d": "d"}, mode="active_run")
    assert value("${art:d,total_tokens}") == 12
