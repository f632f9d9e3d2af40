"""The hook in Megatron-Bridge's own module, as far as that can be loaded without CUDA.

`make test-megatron-bridge` lays the package out and names the folder in MEGATRON_BRIDGE. Run is the package's
own `megatron/bridge/training/utils/wandb_utils.py`, which holds the function that is replaced and the two
that read what it leaves. Not run are the packages above it (they import CUDA libraries) and
`checkpointing.py`, of which only the order of the calls is read from its source.
"""

import ast
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nemotron import kit
from nemotron.kit import context, wandb_kit
from wandb_server import WandbServer

PACKAGE = os.environ.get("MEGATRON_BRIDGE", "")
pytestmark = pytest.mark.skipif(not PACKAGE, reason="run by `make test-megatron-bridge`")

BRIDGE = Path(PACKAGE) / "megatron" / "bridge"


@pytest.fixture
def wandb_utils(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The real module, under packages whose own code is not run."""
    for name in ("", ".bridge", ".bridge.training", ".bridge.training.utils", ".bridge.utils"):
        package = ModuleType(f"megatron{name}")
        package.__path__ = [str(Path(PACKAGE, "megatron", *name.split(".")[1:]))]
        monkeypatch.setitem(sys.modules, package.__name__, package)
    common: Any = ModuleType("megatron.bridge.utils.common_utils")
    common.print_rank_last = lambda message: pytest.fail(message)
    monkeypatch.setitem(sys.modules, common.__name__, common)
    name = "megatron.bridge.training.utils.wandb_utils"
    sys.modules.pop(name, None)
    module = importlib.import_module(name)
    assert str(module.__file__).startswith(PACKAGE)
    yield module
    sys.modules.pop(name, None)


def write(folder: Path, iteration: int) -> Path:
    """What is left of a finished distributed checkpoint."""
    path = folder / f"iter_{iteration:07d}"
    path.mkdir(parents=True)
    for name in ("__0_0.distcp", ".metadata", "metadata.json", "common.pt", "run_config.yaml"):
        (path / name).write_bytes(b"x")
    (folder / "latest_checkpointed_iteration.txt").write_text(str(iteration))
    return path


def test_what_is_saved_is_found_when_training_resumes(
    wandb_utils: Any, wandb_server: WandbServer, real_wandb: ModuleType, tmp_path: Path
) -> None:
    kit.init(root=tmp_path / "store", wandb_project="proj")
    real_wandb.init(project="proj")
    wandb_kit.patch_checkpoint_logging_both()
    path = write(tmp_path / "nano3", 100)
    wandb_utils.on_save_checkpoint_success(str(path), str(tmp_path / "nano3"), 100, wandb_writer=real_wandb)
    real_wandb.finish()

    (record,) = context.require_registry().versions("nano3")
    assert (record.path, record.metadata["iteration"]) == (str(path), 100)
    assert wandb_server.artifact("nano3:iter_0000100").metadata["absolute_path"] == str(path)

    resumed = real_wandb.init(project="proj")
    # Megatron-Bridge's own function, with what ours has left for it.
    wandb_utils.on_load_checkpoint_success(str(path), str(tmp_path / "nano3"), real_wandb)
    run = wandb_server.state.run("test-entity", "proj", resumed.id)
    assert run is not None
    assert [artifact.name for artifact in run.inputs] == ["nano3:v0"]


def test_the_names_that_the_hook_relies_on(wandb_utils: Any, tmp_path: Path) -> None:
    assert wandb_utils._get_artifact_name_and_version(tmp_path / "nano3", tmp_path / "iter_0000010") == (
        "nano3",
        "iter_0000010",
    )
    file = wandb_utils._get_wandb_artifact_tracker_filename(str(tmp_path))
    assert file == tmp_path / "latest_wandb_artifact_path.txt"
    parameters = wandb_utils.on_save_checkpoint_success.__code__.co_varnames[:4]
    assert parameters == ("checkpoint_path", "save_dir", "iteration", "wandb_writer")


def test_the_caller_looks_the_function_up_when_it_calls_it() -> None:
    tree = ast.parse((BRIDGE / "training" / "checkpointing.py").read_text())
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "on_save_checkpoint_success"
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "wandb_utils"
    ]
    assert len(calls) == 1
    assert [keyword.arg for keyword in calls[0].keywords] == ["wandb_writer"]
