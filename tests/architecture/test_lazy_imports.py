"""Importing costs nothing: what is heavy, or not in the base install, is loaded when it is used."""

import subprocess
import sys

import pytest

# What no door may load; pydantic is not here because the artifact values are made of it.
HEAVY = {
    *("wandb", "omegaconf", "fsspec", "pyarrow", "numpy", "torch", "rich", "typer", "click", "upath", "yaml"),
    *("tokenizers", "safetensors", "zstandard", "obstore", "sqlite3", "asyncio", "http", "xml"),
}

# Beyond these the front door loads nothing at all: they are itself.
FRONT_DOOR = {"nemotron", "nemotron.kit"}

DOORS = (
    *("artifact", "trackers", "wandb_kit", "train_script", "recipe_loader", "megatron_stub", "start"),
    *("artifacts", "context", "registry.registry", "tracking.composite", "lineage.graph", "errors", "names"),
)


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter loads for the code, beyond those of its own start."""
    script = f"import sys\nbefore = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - before), sep='\\n')"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def heavy(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules} & HEAVY


@pytest.mark.parametrize(
    "code",
    [
        "import nemotron.kit",
        "from nemotron import kit; dir(kit)",
        "import nemotron.kit as kit; kit.__all__; hasattr(kit, '__wrapped__')",
        "import importlib, nemotron.kit; importlib.reload(nemotron.kit)",
    ],
)
def test_the_front_door_loads_nothing_but_itself(code: str) -> None:
    assert loaded_by(f"import importlib\nbefore = set(sys.modules)\n{code}") == FRONT_DOOR


@pytest.mark.parametrize("door", DOORS)
def test_a_door_loads_nothing_heavy(door: str) -> None:
    assert heavy(loaded_by(f"import nemotron.kit.{door}")) == set()


def test_starting_a_local_store_loads_nothing_heavy_and_no_pydantic() -> None:
    modules = loaded_by(
        "import os; from nemotron import kit; kit.init(root='store');"
        "registry = kit.context.current_registry(); registry.list(); kit.shutdown()"
    )
    assert heavy(modules) == set()
    assert "pydantic" not in modules


def test_the_siblings_load_nothing_heavy() -> None:
    assert heavy(loaded_by("import nemo_runspec")) == set()


def test_this_check_can_fail() -> None:
    assert heavy(loaded_by("import fsspec, xml.sax")) >= {"fsspec", "xml"}
    assert loaded_by("from nemotron.kit import Artifact") > FRONT_DOOR
