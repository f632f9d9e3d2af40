"""`nemo_runspec.artifacts`: tracking as a config says it."""

import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from omegaconf import OmegaConf

from nemo_runspec.artifacts import ArtifactTrackingResult, log_artifact, setup_artifact_tracking
from nemo_runspec.config import resolvers
from nemotron import kit
from nemotron.kit import context
from nemotron.kit.errors import ArtifactNotFoundError, MisuseError, NotInitializedError
from nemotron.kit.integrations.wandb.tracker import WandbTracker
from nemotron.kit.lineage import questions
from nemotron.kit.lineage.runs import read_run
from nemotron.kit.registry.registry import Registry
from nemotron.kit.tracking.composite import CompositeTracker
from nemotron.kit.tracking.file import FileTracker
from nemotron.kit.tracking.noop import NoOpTracker
from nemotron.kit.tracking.outbox import Outbox
from wandb_server.fixtures import real_wandb, wandb_server
from wandb_server.web import WandbServer

__all__ = ["real_wandb", "wandb_server"]


@pytest.fixture(autouse=True)
def forgotten():
    resolvers.clear_artifact_cache()
    yield
    resolvers.clear_artifact_cache()
    OmegaConf.clear_resolvers()


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path / "store")


def model(tmp_path: Path, step: int = 1) -> kit.ModelArtifact:
    return kit.ModelArtifact(path=tmp_path / "model", step=step)


def config(root: str | None = None, **more: Any) -> Any:
    artifacts: dict[str, Any] = {} if root is None else {"manifest": {"root": root}}
    return OmegaConf.create({"artifacts": {**artifacts, **more}})


def test_a_store(root: str, tmp_path: Path):
    tracking = setup_artifact_tracking(config(root))
    assert tracking == ArtifactTrackingResult(manifest=True, wandb=False, qualified_names=[])
    assert isinstance(context.current_tracker(), FileTracker)
    saved = model(tmp_path)
    log_artifact(saved, tracking, name="nano3/model")
    assert saved.uri == "art://nano3-model:v1"
    assert saved._manifest_path == Path(root, "nano3-model/v1/manifest.json")
    assert saved._manifest_path.exists()


def test_the_config_is_recorded_with_the_run_and_not_with_the_version(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("KEPT", "from the environment")
    uris, runs = [], []
    for lr, step in ((0.01, 1), (0.02, 1), (0.02, 2)):
        said = OmegaConf.merge(config(root), {"train": {"lr": lr, "of": "${oc.env:KEPT}", "token": "abc"}})
        tracking = setup_artifact_tracking(said)
        OmegaConf.resolve(said)  # what it does later with its own is its own
        saved = model(tmp_path, step)
        log_artifact(saved, tracking, name="model")
        uris.append(saved.uri)
        runs.append(context.current_run().id)
        kit.shutdown()
    assert uris == ["art://model:v1", "art://model:v1", "art://model:v2"]
    registry = Registry.open(root)
    records = [read_run(registry.store, run_id) for run_id in runs]
    assert [record and record.start.config["train"] for record in records] == [
        {"lr": lr, "of": "${oc.env:KEPT}", "token": "(redacted)"} for lr in (0.01, 0.02, 0.02)
    ]
    (changed,) = questions.diff(registry, "model:v1", "model:v2").here.config or ()
    assert (changed.key, changed.before, changed.after) == ("train.lr", 0.01, 0.02)


def test_a_config_that_the_caller_gave_to_the_run_stays(root: str, tmp_path: Path):
    kit.init(root=root)
    with kit.run("sft", config={"of": "the caller"}) as run:
        setup_artifact_tracking(config(root))
        model(tmp_path).save(name="model")
    with kit.run("sft") as other:
        setup_artifact_tracking(config(root))
    records = [read_run(Registry.open(root).store, one.id) for one in (run, other)]
    assert [record and record.start.config for record in records] == [
        {"of": "the caller"},
        {"artifacts": {"manifest": {"root": root}}},
    ]


def test_references_are_resolved(root: str, tmp_path: Path):
    kit.init(root=root)
    model(tmp_path).save(name="model")
    kit.shutdown()
    said = OmegaConf.merge(config(root), {"run": {"model": "model:latest"}, "load": "${art:model,path}"})
    setup_artifact_tracking(said)
    assert said.load == str(tmp_path / "model")
    assert context.used() == ("art://model:v1",)
    with pytest.raises(ArtifactNotFoundError):
        setup_artifact_tracking(OmegaConf.merge(config(root), {"run": {"model": "modle:latest"}}))


def test_another_section_may_hold_the_references(root: str, tmp_path: Path):
    kit.init(root=root)
    model(tmp_path).save(name="model")
    setup_artifact_tracking({"artifacts": {}, "inputs": {"m": "model:v1"}}, artifacts_key="inputs")
    assert resolvers._ARTIFACT_REGISTRY["m"]["version"] == 1


def test_the_store_in_force_stays_with_what_was_loaded(root: str, tmp_path: Path):
    kit.init(root=root, evidence="full")
    context.record_use("art://data:v1")
    setup_artifact_tracking(config(root))
    assert context.used() == ("art://data:v1",)
    assert context.settings().evidence == "full"
    assert setup_artifact_tracking({}).manifest


def test_another_store_takes_the_place_of_the_one_in_force_and_of_nothing_else(root: str, tmp_path: Path):
    kit.init(
        root=tmp_path / "first",
        evidence="full",
        checkout="copy",
        openlineage=tmp_path / "events.jsonl",
    )
    setup_artifact_tracking(config(root))
    saved = model(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model/w.bin").write_text("weights")
    saved.save(name="model", snapshot=True)
    registry = context.require_registry()
    record = registry.resolve("model:v1")
    assert registry.root == root
    assert record.manifest.content.evidence == "full"
    registry.folder(record)
    assert registry._checkouts is not None
    assert registry._checkouts.way == "copy"
    assert "model" in (tmp_path / "events.jsonl").read_text()


def test_another_store_of_the_same_kind_is_opened_with_the_same_options():
    options = {"endpoint": "http://127.0.0.1:1", "access_key_id": "me", "secret_access_key": "mine"}
    first = Registry.open("s3://bucket/first", storage_options=options)
    for root in ("s3://bucket/second", "s3a://elsewhere/third"):
        assert first.elsewhere(root).store.__reduce__()[1] == (root, options)
    with pytest.raises(MisuseError, match="storage_options are not used"):
        Registry.open("memory://second", storage_options=options)
    assert first.elsewhere("memory://second").root == "memory://second"
    secret = {"headers": {"Authorization": "Bearer mine"}}
    first = Registry.open("https://one.example/store", storage_options=secret)
    assert "mine" in str(first.elsewhere("https://one.example/other").store.__reduce__())
    assert "mine" not in str(first.elsewhere("https://two.example/store").store.__reduce__())


def test_a_tracker_that_was_set_by_hand_stays_beside_a_store(root: str, tmp_path: Path):
    mine = NoOpTracker()
    kit.set_lineage_tracker(mine)
    setup_artifact_tracking(config(root))
    tracker = context.current_tracker()
    assert isinstance(tracker, CompositeTracker)
    assert tracker.trackers[1:] == (mine,)
    assert context.require_registry().root == root


def test_what_another_store_has_of_the_same_is_for_w_and_b_as_well(tmp_path: Path, real_wandb: ModuleType):
    """Without a run; each store has an outbox of its own."""
    kit.init(root=tmp_path / "first", wandb_project="project")
    model(tmp_path).save(name="model")
    setup_artifact_tracking(config(str(tmp_path / "second")))
    model(tmp_path).save(name="model")
    for store in ("first", "second"):
        waiting = Outbox(Registry.open(tmp_path / store).store).waiting()
        assert [one.record.subject for one in waiting] == ["art://model:v1"], store


def test_without_any_section_nothing_is_tracked(tmp_path: Path):
    tracking = setup_artifact_tracking({"run": {"model": "model:latest"}})
    assert tracking == ArtifactTrackingResult()
    saved = model(tmp_path)
    log_artifact(saved, tracking, name="model")
    assert saved.uri is None
    assert saved._manifest_path is None
    assert (tmp_path / "model/metadata.json").exists()


@pytest.mark.parametrize("value", ["false", "False", "off", "0", 0, "", None, False, {"enabled": "false"}])
def test_false_is_false(value: object):
    assert setup_artifact_tracking(config(wandb=value)).wandb is False


@pytest.mark.parametrize("value", ["true", "True", "on", 1, True, {"enabled": "yes"}, {"project": "p"}])
def test_true_is_true(value: object):
    pytest.importorskip("wandb")
    assert setup_artifact_tracking(config(wandb=value)).wandb is True
    assert isinstance(context.current_tracker(), WandbTracker)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"artifact": {"wandb": True}}, "has a section 'artifact'; did you mean 'artifacts'"),
        ({"artefacts": {}}, "did you mean 'artifacts'"),
        ({"artifacts": {"manfest": {"root": "/x"}}}, r"artifacts\.manfest of .*did you mean manifest"),
        ({"artifacts": {"wandb": True, "mlflow": 1}}, r"artifacts\.mlflow .* known are manifest, wandb"),
        ({"artifacts": {"manifest": {"rot": "/x"}}}, r"artifacts\.manifest\.rot .*did you mean root"),
        ({"artifacts": {"manifest": "/x"}}, r"artifacts\.manifest .* is '/x', expected a map \(root: …\)"),
        ({"artifacts": {"manifest": {"root": 5}}}, r"artifacts\.manifest\.root .* is 5, expected a text"),
        ({"artifacts": {"manifest": {"root": "${nothing}"}}}, "cannot be resolved"),
        ({"artifacts": {"manifest": {"root": "???"}}}, "artifacts"),
        ({"artifacts": {"wandb": "maybe"}}, r"artifacts\.wandb .* is 'maybe', expected true or false"),
        ({"artifacts": {"wandb": ["x"]}}, "expected true or false"),
        ({"artifacts": {"wandb": {"projct": "p"}}}, "did you mean project"),
        ({"artifacts": True}, "artifacts of .* is True, expected a map"),
    ],
)
def test_a_misspelt_or_wrong_section_is_an_error(said: dict[str, Any], message: str):
    with pytest.raises(MisuseError, match=message):
        setup_artifact_tracking(said)
    assert context.current_registry() is None


def test_other_keys_are_left_alone():
    assert setup_artifact_tracking({"artifact_dir": "/x", "art": 1}) == ArtifactTrackingResult()


def test_a_store_that_is_gone_is_an_error(root: str, tmp_path: Path):
    tracking = setup_artifact_tracking(config(root))
    kit.shutdown()
    with pytest.raises(NotInitializedError, match="call setup_artifact_tracking"):
        log_artifact(model(tmp_path), tracking, name="model")


def test_another_rank_saves_nothing(root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tracking = setup_artifact_tracking(config(root))
    monkeypatch.setenv("RANK", "1")
    saved = model(tmp_path)
    log_artifact(saved, tracking, name="model")
    assert (saved.uri, saved._manifest_path) == (None, None)


def test_a_missing_client_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ImportError, match="pip install 'nemotron-kit"):
        setup_artifact_tracking(config(wandb=True))


def test_the_store_first_and_wandb_second(
    root: str, tmp_path: Path, wandb_server: WandbServer, real_wandb: ModuleType
):
    tracking = setup_artifact_tracking(config(root, wandb=True))
    assert tracking == ArtifactTrackingResult(manifest=True, wandb=True)
    tracker = context.current_tracker()
    assert isinstance(tracker, CompositeTracker)
    assert [type(part) for part in tracker.trackers] == [FileTracker, WandbTracker]
    with real_wandb.init(project="proj"):
        saved = model(tmp_path)
        log_artifact(saved, tracking, name="model")
        assert saved.uri == "art://model:v1"
        log_artifact(model(tmp_path, 2), ArtifactTrackingResult(manifest=True), name="only-here")
        log_artifact(model(tmp_path, 3), ArtifactTrackingResult(wandb=True), name="only-there")
        assert context.current_tracker() is tracker
    assert set(wandb_server.names()) == {"model:v0", "only-there:v0"}
    registry = context.require_registry()
    assert [entry.name for entry in registry.list()] == ["model", "only-here"]


def test_both_and_wandb_is_down(
    root: str, tmp_path: Path, real_wandb: ModuleType, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    kit.init(root=root)
    kit.PretrainDataArtifact(path=tmp_path / "data", total_tokens=7).save(name="data")
    kit.shutdown()
    said = config(root, wandb={"project": "proj"})
    said = OmegaConf.merge(said, {"run": {"data": "data:latest"}, "tokens": "${art:data,total_tokens}"})
    tracking = setup_artifact_tracking(said)
    assert (tracking.manifest, tracking.wandb, said.tokens) == (True, True, 7)
    kit.init_wandb_if_configured(kit.WandbConfig("proj"))
    saved = model(tmp_path)
    log_artifact(saved, tracking, name="model")
    registry = context.require_registry()
    record = registry.resolve("model:v1")
    assert (saved.uri, record.inputs) == ("art://model:v1", ["art://data:v1"])
    waiting = Outbox(registry.store)
    subjects = [waiting.read(waiting_id).subject for waiting_id in waiting.ids()]
    assert subjects == ["art://model:v1"]


def test_no_run_stops_nothing(
    root: str,
    tmp_path: Path,
    real_wandb: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    tracking = setup_artifact_tracking(config(root, wandb=True))
    saved = model(tmp_path)
    with caplog.at_level(logging.WARNING):
        log_artifact(saved, tracking, name="model")
    assert saved.uri == "art://model:v1"
    assert "No W&B run is active" in caplog.text


def test_references_of_wandb_alone_are_in_the_configured_project(monkeypatch: pytest.MonkeyPatch):
    from types import SimpleNamespace

    asked: list[str] = []
    artifact = SimpleNamespace(name="m:v2", version="v2", type="model", metadata={"absolute_path": "/m"})
    api = SimpleNamespace(artifact=lambda name: asked.append(name) or artifact)
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(Api=lambda: api, run=None))
    said = {
        "artifacts": {"wandb": True},
        "run": {"model": "m:latest", "wandb": {"project": "proj", "entity": "team"}},
    }
    assert setup_artifact_tracking(said).qualified_names == ["team/proj/m:v2"]
    assert asked == ["team/proj/m:latest"]


@pytest.mark.parametrize("how", ["gone from the start", "gone in the middle", "refusing"])
def test_w_and_b_down_with_both_backends_costs_no_job_and_no_record(
    wandb_server: WandbServer, real_wandb: ModuleType, root: str, tmp_path: Path, how: str
) -> None:
    from nemotron.kit.integrations.wandb.delivery_sync import sync
    from nemotron.kit.tracking.outbox import Outbox

    config = {"artifacts": {"manifest": {"root": root}, "wandb": {"enabled": True, "project": "proj"}}}
    tracking = setup_artifact_tracking(config)
    if how == "gone from the start":
        wandb_server.stop()
    kit.wandb_kit.init_wandb_if_configured(kit.WandbConfig("proj"))
    context.set_settings(context.Settings(wandb_timeout_s=0.5))
    if how == "gone in the middle":
        wandb_server.stop()
    elif how == "refusing":
        wandb_server.failing = 403

    thing = model(tmp_path)
    log_artifact(thing, tracking, name="my-model")

    registry = context.require_registry()
    assert thing.uri == "art://my-model:v1"
    assert registry.resolve("my-model").version == 1
    assert len(Outbox(registry.store).ids()) == 1
    wandb_server.recover()
    real_wandb.finish()
    sync(registry)
    assert wandb_server.names() == ["my-model:v0"]
    assert Outbox(registry.store).ids() == []
