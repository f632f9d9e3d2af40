"""Checkpoints of Megatron-Bridge and NeMo-RL, with doubles of what the two frameworks do around the hooks."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from nemotron import kit
from nemotron.kit import context, wandb_kit
from nemotron.kit.integrations import nemo_run
from nemotron.kit.integrations.checkpoints import _name
from wandb_server import WandbServer

BRIDGE = "megatron.bridge.training.utils.wandb_utils"


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Megatron-Bridge 0.3.1's `wandb_utils`, as far as the hook touches it."""
    double: Any = ModuleType(BRIDGE)
    double._get_artifact_name_and_version = lambda save_dir, checkpoint: (save_dir.stem, checkpoint.stem)
    double._get_wandb_artifact_tracker_filename = lambda save_dir: (
        Path(save_dir) / "latest_wandb_artifact_path.txt"
    )
    monkeypatch.setitem(sys.modules, BRIDGE, double)
    return double


@pytest.fixture
def rl(monkeypatch: pytest.MonkeyPatch) -> type:
    """NeMo-RL's `CheckpointManager`: the folder is renamed, and a poor checkpoint is not kept."""

    class CheckpointManager:
        def finalize_checkpoint(self, checkpoint_path: str) -> str:
            path = Path(checkpoint_path)
            final = path.rename(path.parent / f"step_{path.name.split('_')[2]}")
            if (final / "poor").exists():
                (final / "poor").unlink()
                (final / "weights").unlink()
                final.rmdir()
            return "finished"

    monkeypatch.setitem(
        sys.modules, "nemo_rl.utils.checkpoint", SimpleNamespace(CheckpointManager=CheckpointManager)
    )
    return CheckpointManager


def write(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "weights").write_bytes(b"weights")
    return path


def save(bridge: Any, folder: Path, iteration: int, writer: Any) -> Path:
    """What `save_checkpoint` does on the last rank."""
    path = write(folder / f"iter_{iteration:07d}")
    bridge.on_save_checkpoint_success(str(path), str(folder), iteration, wandb_writer=writer)
    return path


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name.startswith("nemotron")]


def test_megatron_s_checkpoints_are_in_the_store(bridge: Any, tmp_path: Path) -> None:
    kit.init(root=tmp_path / "store")
    data = kit.Artifact(path=write(tmp_path / "data"))
    data.save(name="data")
    kit.Artifact.from_uri("art://data:v1")
    wandb_kit.patch_manifest_checkpoint_logging()

    paths = [save(bridge, tmp_path / "my run", n, None) for n in (10, 20)]

    registry = context.require_registry()
    versions = registry.versions("my-run")
    assert [record.path for record in versions] == [str(path) for path in paths]
    assert versions[1].type == "model"
    assert versions[1].metadata == {"iteration": 20, "absolute_path": str(paths[1])}
    assert versions[1].inputs == ["art://data:v1"]
    assert registry.aliases("my-run")["iter_0000010"] == 1
    assert not (tmp_path / "my run" / "latest_wandb_artifact_path.txt").exists()


def test_megatron_s_checkpoints_are_on_w_and_b(
    bridge: Any, wandb_server: WandbServer, real_wandb: ModuleType, tmp_path: Path
) -> None:
    real_wandb.init(project="proj")
    wandb_kit.patch_manifest_checkpoint_logging()
    wandb_kit.patch_wandb_checkpoint_logging()  # the last call wins

    save(bridge, tmp_path / "run", 10, None)
    assert wandb_server.names() == []
    path = save(bridge, tmp_path / "run", 20, real_wandb)

    artifact = wandb_server.artifact("run:iter_0000020")
    assert artifact.type == "model"
    assert artifact.metadata["iteration"] == 20
    assert artifact.metadata["absolute_path"] == str(path)
    assert artifact.references() == {"checkpoint/weights": f"file://{path}/weights"}
    written = tmp_path / "run" / "latest_wandb_artifact_path.txt"
    assert written.read_text() == "test-entity/proj"
    # What on_load_checkpoint_success makes of it.
    assert real_wandb.run.use_artifact(f"{written.read_text()}/run:iter_0000020").name


def test_both_the_store_first_whatever_w_and_b_says(
    bridge: Any,
    wandb_server: WandbServer,
    real_wandb: ModuleType,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kit.init(root=tmp_path / "store", wandb_project="proj")
    real_wandb.init(project="proj")
    wandb_kit.patch_checkpoint_logging_both()
    save(bridge, tmp_path / "run", 10, real_wandb)
    assert wandb_server.artifact("run:iter_0000010").aliases == ["iter_0000010", "latest"]
    wandb_server.fail("CreateArtifact", 403)
    save(bridge, tmp_path / "run", 20, real_wandb)
    assert len(context.require_registry().versions("run")) == 2
    assert wandb_server.names() == ["run:v0"]
    assert "WandbTracker did not take it" in warnings(caplog)[0]


def test_training_goes_on_when_nothing_can_be_recorded(
    bridge: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wandb_kit.patch_manifest_checkpoint_logging()
    save(bridge, tmp_path / "run", 10, None)
    (tmp_path / "store").write_text("no folder")
    wandb_kit.patch_checkpoint_logging_both()
    save(bridge, tmp_path / "run", 20, None)
    assert [message.partition(" is not recorded: ")[2] for message in warnings(caplog)] == [
        "there is no store; call nemotron.kit.init(root=…) before",
        "there is neither a store nor a W&B run",
    ]


def test_the_record_holds_the_path_outside_the_container(
    bridge: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit.init(root=tmp_path / "store")
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    monkeypatch.setattr(nemo_run, "MOUNT_POINT", str(inside))
    monkeypatch.setenv("NEMO_RUN_DIR", str(outside))
    wandb_kit.patch_manifest_checkpoint_logging()
    save(bridge, inside / "run", 10, None)
    write(outside / "run" / "iter_0000020")
    save(bridge, inside / "run", 20, None)
    records = context.require_registry().versions("run")
    assert [record.metadata["absolute_path"] for record in records] == [
        str(outside / "run" / "iter_0000010"),
        str(outside / "run" / "iter_0000020"),
    ]
    # Where the folder outside can be seen from inside, it is the one that is referred to.
    assert [record.path for record in records] == [
        str(inside / "run" / "iter_0000010"),
        str(outside / "run" / "iter_0000020"),
    ]


def test_nemo_rl_s_checkpoints(rl: type, tmp_path: Path) -> None:
    kit.init(root=tmp_path / "store")
    wandb_kit.patch_nemo_rl_checkpoint_logging_both("rlvr")
    wandb_kit.patch_manifest_nemo_rl_checkpoint_logging("nano3/rl")

    manager: Any = rl()
    assert manager.finalize_checkpoint(str(write(tmp_path / "ckpt" / "tmp_step_40"))) == "finished"

    registry = context.require_registry()
    (record,) = registry.versions("nano3-rl")
    assert record.path == str(tmp_path / "ckpt" / "step_40")
    assert record.metadata == {"step": 40, "absolute_path": record.path}
    assert registry.aliases("nano3-rl")["step_40"] == 1
    assert [entry.name for entry in registry.list()] == ["nano3-rl"]


def test_a_checkpoint_that_was_not_kept_is_not_recorded(rl: type, tmp_path: Path) -> None:
    kit.init(root=tmp_path / "store")
    wandb_kit.patch_manifest_nemo_rl_checkpoint_logging()
    written = write(tmp_path / "tmp_step_1")
    (written / "poor").touch()
    manager: Any = rl()
    manager.finalize_checkpoint(str(written))
    assert context.require_registry().list() == []


@pytest.mark.parametrize(
    ("patch", "module", "said"),
    [
        (wandb_kit.patch_wandb_checkpoint_logging, BRIDGE, "Megatron-Bridge's"),
        (wandb_kit.patch_nemo_rl_checkpoint_logging, "nemo_rl.utils.checkpoint", "NeMo-RL's"),
    ],
)
def test_without_the_framework_it_is_a_warning(
    patch: Callable[[], None],
    module: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    patch()
    assert warnings(caplog)[0].startswith(f"{said} checkpoints are not recorded: ")


@pytest.mark.parametrize(
    ("folder", "name"),
    [("nano3", "nano3"), ("my run (2)", "my-run-2"), ("v3", "checkpoint-v3"), ("...", "checkpoint-")],
)
def test_any_folder_has_a_name(folder: str, name: str) -> None:
    assert _name(folder) == name
