"""A job that is told to go saves in its signal handler, wherever its own save is at that moment."""

import subprocess
import sys
from pathlib import Path

import pytest

from nemotron.kit.registry.registry import Registry

SCRIPT = Path(__file__).parent / "scripts" / "saving_in_handlers.py"


@pytest.mark.parametrize(("how", "number", "least"), [("at-lines", 12, 150), ("at-times", 12, 12)])
def test_a_handler_saves_in_the_middle_of_a_save(tmp_path: Path, how: str, number: int, least: int) -> None:
    command = [sys.executable, "-W", "error", str(SCRIPT), str(tmp_path), how, str(number)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    saved = int(done.stdout)
    assert saved >= least
    registry = Registry.open(tmp_path / "store")
    assert registry.resolve("last").version == saved
    assert registry.resolve("data").version >= 2
    for name in ("last", "data"):
        assert registry.verify(name, evidence="full").ok
