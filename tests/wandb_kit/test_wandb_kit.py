"""What recipes say to W&B, with a fake client and with the real one."""

import enum
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from nemotron.kit import context, start, wandb_kit
from nemotron.kit.errors import MissingExtraError, RefusedError, UnavailableError
from nemotron.kit.integrations.wandb import exit as at_end
from nemotron.kit.tracking.composite import CompositeTracker
from nemotron.kit.tracking.file import FileTracker, ManifestTracker
from nemotron.kit.wandb_kit import WandbConfig
from wandb_server import WandbServer
from wandb_server.fixtures import offline_wandb, real_wandb, wandb_server

__all__ = ["offline_wandb", "real_wandb", "wandb_server"]


class FakeWandb(SimpleNamespace):
    """A client that remembers what it was told."""

    def __init__(self) -> None:
        super().__init__(run=None, config={}, finished=[], started=[])

    def init(self, **settings: Any) -> None:
        self.started.append(settings)
        self.run = SimpleNamespace(id="run1", tags=settings["tags"])

    def finish(self, exit_code: int) -> None:
        self.finished.append(exit_code)
        self.run = None


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


def test_nothing_happens_unless_a_project_is_set(fake: FakeWandb) -> None:
    assert not WandbConfig().enabled
    wandb_kit.init_wandb_if_configured(None)
    wandb_kit.init_wandb_if_configured(WandbConfig(entity="team"))
    assert fake.started == []
    assert not start.is_initialized()


def test_a_run_is_started_once_with_all_tags(fake: FakeWandb) -> None:
    config = WandbConfig("proj", "team", "night run", ("a", "b"), "notes")
    wandb_kit.init_wandb_if_configured(config, job_type="pretrain", tags=["b", "c"])
    wandb_kit.init_wandb_if_configured(config)
    assert fake.started == [
        {
            "project": "proj",
            "entity": "team",
            "name": "night run",
            "tags": ["a", "b", "c"],
            "notes": "notes",
            "job_type": "pretrain",
        }
    ]
    assert start.is_initialized()
    assert type(context.current_tracker()).__name__ == "WandbTracker"


def test_no_tags_are_none(fake: FakeWandb) -> None:
    wandb_kit.init_wandb_if_configured(WandbConfig("proj"))
    assert fake.started[0]["tags"] is None
    assert fake.started[0]["job_type"] == "data-prep"


def test_a_store_stays_in_force(fake: FakeWandb, tmp_path: Path) -> None:
    start.init(root=tmp_path / "store")
    wandb_kit.init_wandb_if_configured(WandbConfig("proj"))
    tracker = context.current_tracker()
    assert isinstance(tracker, CompositeTracker)
    assert [type(one).__name__ for one in tracker.trackers] == ["FileTracker", "WandbTracker"]
    assert wandb_kit._get_manifest_tracker() is tracker.first


def test_the_store_s_tracker(fake: FakeWandb, tmp_path: Path) -> None:
    assert wandb_kit._get_manifest_tracker() is None
    start.init(backend="wandb", wandb_project="proj")
    assert wandb_kit._get_manifest_tracker() is None
    start.init(root=tmp_path / "store")
    assert isinstance(wandb_kit._get_manifest_tracker(), FileTracker)
    own = ManifestTracker(tmp_path / "other")
    context.set_tracker(own)
    assert wandb_kit._get_manifest_tracker() is own


def test_without_the_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtraError, match="pip install"):
        wandb_kit.init_wandb_if_configured(WandbConfig("proj"))


def test_tags_are_merged(fake: FakeWandb) -> None:
    wandb_kit.add_run_tags(["lost"])
    fake.run = SimpleNamespace(id="run1", tags=None)
    wandb_kit.add_run_tags(["b", "a", "b"])
    wandb_kit.add_run_tags(["a", "c"])
    assert fake.run.tags == ("b", "a", "c")


class Precision(enum.Enum):
    BF16 = "bf16"


@dataclass
class Inner:
    paths: list[Path] = field(default_factory=lambda: [Path("/a"), Path("/b")])


@dataclass
class Config:
    out: Path = Path("/out")
    inner: Inner = field(default_factory=Inner)
    precision: Precision = Precision.BF16
    shards: dict[str, tuple[Path, int]] = field(default_factory=lambda: {"x": (Path("/c"), 1)})
    loss: object = len
    lr: float = 1e-4
    seed: int | None = None


PLAIN = {
    "out": "/out",
    "inner": {"paths": ["/a", "/b"]},
    "precision": "bf16",
    "shards": {"x": ["/c", 1]},
    "loss": "<built-in function len>",
    "lr": 1e-4,
    "seed": None,
}


def test_a_configuration_is_shown_in_plain_values(fake: FakeWandb) -> None:
    wandb_kit.log_wandb_config(Config())
    assert fake.config == {}
    fake.run = SimpleNamespace(id="run1")
    wandb_kit.log_wandb_config(Config())
    assert fake.config == PLAIN


def test_models_mappings_and_omegaconf_are_configurations_too(fake: FakeWandb) -> None:
    from omegaconf import OmegaConf
    from pydantic import BaseModel

    class Model(BaseModel):
        path: Path = Path("/m")

    fake.run = SimpleNamespace(id="run1")
    wandb_kit.log_wandb_config(Model())
    wandb_kit.log_wandb_config({"nested": Model()})
    wandb_kit.log_wandb_config(OmegaConf.create({"root": "/r", "data": "${root}/x"}))
    assert fake.config == {"path": "/m", "nested": {"path": "/m"}, "root": "/r", "data": "/r/x"}


def test_a_run_is_finished_with_its_exit_code(fake: FakeWandb) -> None:
    wandb_kit.finish_run()
    fake.run = SimpleNamespace(id="run1")
    wandb_kit.finish_run(3)
    wandb_kit.finish_run()
    assert fake.finished == [3]


def test_nothing_imports_the_client_to_find_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    wandb_kit.add_run_tags(["a"])
    wandb_kit.log_wandb_config({})
    wandb_kit.finish_run()
    assert "wandb" not in sys.modules


def test_with_the_real_client(wandb_server: WandbServer, real_wandb: ModuleType) -> None:
    wandb_kit.init_wandb_if_configured(
        WandbConfig("proj", run_name="night", tags=("a",), notes="why"), job_type="pretrain"
    )
    wandb_kit.add_run_tags(["b", "a"])
    wandb_kit.log_wandb_config(Config())
    wandb_kit.finish_run(1)
    assert real_wandb.run is None
    run = wandb_server.only_run()
    assert (run.display_name, run.job_type, run.notes, run.tags) == ("night", "pretrain", "why", ["a", "b"])
    assert run.settings() == PLAIN
    assert (run.exit_code, run.state) == (1, "failed")


def test_a_wrong_key_is_refused_and_a_server_that_is_gone_unavailable(
    wandb_server: WandbServer, real_wandb: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    with pytest.raises(RefusedError, match=r"could not start a run: .*user is not logged in"):
        wandb_kit.init_wandb_if_configured(WandbConfig("proj"))
    real_wandb.teardown()
    wandb_server.stop()
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "1")
    monkeypatch.setattr(at_end, "GRACE_S", 1.0)
    with pytest.raises(UnavailableError, match=r"connection refused|[Tt]imed out|does not answer") as caught:
        wandb_kit.init_wandb_if_configured(WandbConfig("proj"))
    assert "000" not in str(caught.value)
