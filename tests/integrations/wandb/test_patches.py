"""What is changed in the client while it runs: that it is needed, and what it does."""

import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from nemotron import kit
from nemotron.kit import context, wandb_kit
from nemotron.kit.integrations.wandb.delivery_sync import sync
from nemotron.kit.integrations.wandb.patches import run_ids
from nemotron.kit.integrations.wandb.tracker import WandbTracker
from wandb_server import WandbServer


@pytest.fixture
def load_paths() -> Iterator[None]:
    """Puts the client's handlers back."""
    from wandb.sdk.artifacts.storage_handlers.http_handler import HTTPHandler
    from wandb.sdk.artifacts.storage_handlers.local_file_handler import LocalFileHandler

    before = [(cls, cls.load_path) for cls in (HTTPHandler, LocalFileHandler)]
    yield
    for cls, load_path in before:
        cls.load_path = load_path  # type: ignore[method-assign]


@pytest.fixture
def init(real_wandb: ModuleType) -> Iterator[None]:
    """Puts the client's `init` back."""
    before = real_wandb.init
    yield
    real_wandb.init = before


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name.startswith("nemotron")]


def test_every_run_uses_what_the_configuration_named(
    wandb_server: WandbServer, real_wandb: ModuleType, init: None, caplog: pytest.LogCaptureFixture
) -> None:
    real_wandb.init(project="proj")
    for name in ("data", "model"):
        real_wandb.run.log_artifact(real_wandb.Artifact(name, type="x", metadata={})).wait()
    wandb_kit.patch_wandb_init_for_lineage(
        artifact_qualified_names=["test-entity/proj/data:v0"], tags=["from-config"]
    )
    real_wandb.finish()
    wandb_kit.patch_wandb_init_for_lineage(
        artifact_qualified_names=["test-entity/proj/model:v0", "test-entity/proj/gone:v7"]
    )
    for _ in range(2):
        real_wandb.init(project="proj", tags=["own"])
        real_wandb.finish()

    first, second, third = wandb_server.state.runs.values()
    assert [a.name for a in first.inputs] == ["data:v0"]
    assert [a.name for a in second.inputs] == [a.name for a in third.inputs] == ["data:v0", "model:v0"]
    assert (first.tags, second.tags) == (["from-config"], ["own", "from-config"])
    assert len(warnings(caplog)) == 2
    assert "gone:v7 is no input of the run on W&B" in warnings(caplog)[0]


def test_offline_it_is_a_warning(
    offline_wandb: ModuleType, init: None, caplog: pytest.LogCaptureFixture
) -> None:
    wandb_kit.patch_wandb_init_for_lineage(artifact_qualified_names=["a/b/c:v0"])
    offline_wandb.init(project="proj")
    assert "a/b/c:v0 is no input" in warnings(caplog)[0]


def test_a_fake_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []
    fake = SimpleNamespace(run=None)

    def start(project: str) -> Any:
        fake.run = SimpleNamespace(id="r", tags=("own",), use_artifact=used.append)
        return fake.run

    fake.init = start
    monkeypatch.setitem(sys.modules, "wandb", fake)
    wandb_kit.patch_wandb_init_for_lineage(artifact_qualified_names=["a/b/c:v0"], tags=["t"])
    assert fake.init(project="p") is fake.run
    assert (used, fake.run.tags) == (["a/b/c:v0"], ("own", "t"))


def test_a_file_that_has_changed_is_loaded_with_a_warning(
    real_wandb: ModuleType, load_paths: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "part.bin"
    file.write_bytes(b"before")
    artifact = real_wandb.Artifact("data", type="x")
    (entry,) = artifact.add_reference(f"file://{file}", name="part.bin")
    file.write_bytes(b"after it")

    def load() -> bytes:
        policy = artifact.manifest.storage_policy
        return Path(policy.load_reference(entry, local=True)).read_bytes()

    with pytest.raises(ValueError, match="Digest mismatch"):
        load()
    for _ in range(2):
        wandb_kit.patch_wandb_local_file_handler_skip_digest_verification()
    assert load() == b"after it"
    assert warnings(caplog) == [
        f"file://{file} has changed since it was recorded on W&B; it is loaded as it is now"
    ]
    file.unlink()
    with pytest.raises(ValueError, match="Failed to find file"):
        load()


def test_a_page_that_has_changed_is_loaded_with_a_warning(
    real_wandb: ModuleType, load_paths: None, caplog: pytest.LogCaptureFixture
) -> None:
    with WandbServer() as server:
        page = server.state.new_file("page")
        page.data = b"before"
        url = f"{server.url}/download/{page.id}"
        artifact = real_wandb.Artifact("data", type="x")
        (entry,) = artifact.add_reference(url, name="page")
        entry.digest = "the-etag-of-before"
        policy = artifact.manifest.storage_policy
        with pytest.raises(ValueError, match="Digest mismatch"):
            policy.load_reference(entry, local=True)
        wandb_kit.patch_wandb_http_handler_skip_digest_verification()
        assert Path(policy.load_reference(entry, local=True)).read_bytes() == b"before"
    assert warnings(caplog) == [f"{url} has changed since it was recorded on W&B; it is loaded as it is now"]


def test_the_installed_client_draws_its_own_run_ids(real_wandb: ModuleType) -> None:
    from wandb.sdk.lib import runid

    before = runid.generate_id
    wandb_kit.patch_wandb_runid_for_seeded_random()
    assert runid.generate_id is before


def test_a_client_that_follows_the_seed_does_so_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    def generate_id(length: int = 8) -> str:
        return "".join(random.choice("abc") for _ in range(length))

    old = SimpleNamespace(generate_id=generate_id)
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "wandb.sdk.lib.runid", old)
    random.seed(7)
    state = random.getstate()
    assert run_ids.draw_independently()
    assert random.getstate() == state
    random.seed(7)
    first = old.generate_id()
    random.seed(7)
    assert old.generate_id() != first
    assert len(old.generate_id(5)) == 5
    assert not run_ids.draw_independently()


def test_an_edge_that_w_and_b_does_not_take_now_is_made_by_a_sync(
    wandb_server: WandbServer,
    real_wandb: ModuleType,
    init: None,
    make_thing: Callable[..., Any],
    tmp_path: Path,
) -> None:
    first = real_wandb.init(project="proj")
    WandbTracker().log_artifact(make_thing(), "data", [])
    first.finish()
    kit.init(root=tmp_path / "store")
    wandb_kit.patch_wandb_init_for_lineage(artifact_qualified_names=["test-entity/proj/data:v0"])
    run = real_wandb.init(project="proj", mode="offline")
    run.finish()
    assert len(sync(context.require_registry()).delivered) == 1
    resumed = wandb_server.state.run("test-entity", "proj", run.id)
    assert resumed is not None
    assert [used.name for used in resumed.inputs] == ["data:v0"]
