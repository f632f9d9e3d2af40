"""Fixtures for tests with the real client: a server for each test, or none and offline.

A `conftest.py` takes them by `from wandb_server.fixtures import *`.
"""

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from wandb_server.web import API_KEY, WandbServer

__all__ = ["offline_wandb", "real_wandb", "wandb_server"]


@pytest.fixture
def real_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The real client with folders of its own; its service process is gone after the test."""
    pytest.importorskip("wandb")
    for name in ("DIR", "CACHE_DIR", "CONFIG_DIR", "DATA_DIR"):
        folder = tmp_path / "wandb-folders" / name.lower()
        folder.mkdir(parents=True)
        monkeypatch.setenv(f"WANDB_{name}", str(folder))
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("WANDB_DISABLE_GIT", "true")
    monkeypatch.setenv("WANDB_CONSOLE", "off")
    import wandb

    yield wandb
    if wandb.run is not None:
        wandb.finish()
    wandb.teardown()
    # The client never waits for a service that was killed: what is left of it would be found in another test.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def wandb_server(real_wandb: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    """A server of the test's own, which the client talks to."""
    with WandbServer() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        yield server
        # What a test has left hanging gets its answer, so that the client can end.
        server.recover()
        if real_wandb.run is not None:
            real_wandb.finish()
        real_wandb.teardown()
    assert not server.crashes, server.crashes


@pytest.fixture
def offline_wandb(real_wandb: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The client in offline mode; `read_log(tmp_path)` reads what it wrote, after `teardown()`."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    return real_wandb
