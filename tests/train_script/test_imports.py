import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["train_script", "recipe_loader", "megatron_stub"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    heavy = {
        "wandb",
        "omegaconf",
        "pydantic",
        "yaml",
        "numpy",
        "fsspec",
        "rich",
        "typer",
        "nemotron.kit.start",
    }
    code = f"import sys, nemotron.kit.{module}; print(*sorted(set(sys.modules) & {heavy!r}))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.split() == []
