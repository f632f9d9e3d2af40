"""What every test gets: a clean environment, a folder of its own to work in, and no state left behind.

The network ends at the loopback interface (pytest-socket, set up in pyproject.toml). Tests of pure rooms
run with files and sockets forbidden as well.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from architecture import purity

TESTS = Path(__file__).parent

# One profile for each amount of patience; HYPOTHESIS_PROFILE chooses.
settings.register_profile("default", max_examples=30, stateful_step_count=20, deadline=None)
settings.register_profile("ci", max_examples=100, deadline=None, print_blob=True)
settings.register_profile(
    "nightly", max_examples=3000, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# What decides how the kit, its clients or its output behave; a test sets what it wants of it.
PREFIXES = ("NEMO_", "WANDB_", "SLURM_", "TORCHELASTIC_", "AWS_", "GOOGLE_", "AZURE_", "XDG_", "HF_")
VARIABLES = (
    *("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT"),
    *("NO_COLOR", "FORCE_COLOR", "PY_COLORS", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "GITHUB_ACTIONS"),
    *("DISPLAY", "WAYLAND_DISPLAY"),
)


@pytest.fixture(autouse=True)
def clean_slate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No variable of the caller's, an empty home, `tmp_path` to work in, and the kit not started."""
    for name in list(os.environ):
        if name.startswith(PREFIXES) or name in VARIABLES:
            monkeypatch.delenv(name)
    home = tmp_path.with_name(f"{tmp_path.name}-home")
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.chdir(tmp_path)
    yield
    if context := sys.modules.get("nemotron.kit.context"):
        context.reset()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(autouse=True)
def _pure_rooms_do_no_io(request: pytest.FixtureRequest, clean_slate: None) -> None:
    if purity.is_pure(request.path.relative_to(TESTS).as_posix()):
        request.getfixturevalue("no_io")


@pytest.fixture
def no_io(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forbid files and sockets to the kit; the test itself, pytest and hypothesis may still use them.

    Tests of pure rooms have it by themselves; others ask by `pytestmark = pytest.mark.usefixtures("no_io")`.
    """
    purity.forbid_io(monkeypatch)
