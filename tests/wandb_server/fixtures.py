"""Fixtures for tests with the real client: a server for each test, or none and offline.

A `conftest.py` takes them by `from wandb_server.fixtures import *`.
"""

import gc
import importlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from nemotron.kit.integrations.wandb import service
from wandb_server.web import API_KEY, WandbServer

__all__ = ["needs_sync", "offline_wandb", "real_wandb", "sync_offline_runs", "wandb_server"]

PATIENCE_S = 60.0
SYNC_S = 120.0


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

    run_class = importlib.import_module("wandb.sdk.wandb_run").Run
    for name in ("url", "project_url", "sweep_url"):
        # A disabled run of an old client (0.22) takes these from all runs of the process.
        monkeypatch.setattr(run_class, name, vars(run_class)[name])
    yield wandb
    _end(wandb)
    _reap()


@pytest.fixture
def wandb_server(real_wandb: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    """A server of the test's own, which the client talks to."""
    with WandbServer() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        yield server
        # What a test has left hanging gets its answer, so that the client can end.
        server.recover()
        _end(real_wandb)
    assert not server.crashes, server.crashes


def _end(wandb: ModuleType) -> None:
    """Let the client end, which waits for its service for ever: one that does not end fails the test."""
    ended: list[int] = []
    too_long = threading.Timer(
        PATIENCE_S, lambda: ended.extend(filter(service.kill, service.services_of(os.getpid())))
    )
    too_long.daemon = True
    too_long.start()
    try:
        if wandb.run is not None:
            wandb.finish()
        wandb.teardown()
    except Exception:
        if not ended:
            raise
    finally:
        too_long.cancel()
    assert not ended, f"the client's service went on for {PATIENCE_S:g} s after the test"


def _reap() -> None:
    """Wait for killed services, as the client does not: Python would warn of them in another test."""
    try:
        left = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return
    if left is not None:
        for one in gc.get_objects():
            if type(one) is subprocess.Popen:
                one.poll()


@pytest.fixture
def offline_wandb(real_wandb: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The client in offline mode; `read_log(tmp_path)` reads what it wrote, after `teardown()`."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    return real_wandb


def needs_sync(wandb: ModuleType) -> None:
    """Skip a test that calls `wandb sync` with a client whose sync the server does not answer."""
    if tuple(map(int, wandb.__version__.split(".")[:2])) < (0, 29):
        pytest.skip("`wandb sync` of this client uses operations of its own, which the test's server lacks")


def sync_offline_runs(wandb: ModuleType, place: Path) -> None:
    """What a user does with the client's own transaction logs, those that lie anywhere below a folder."""
    needs_sync(wandb)
    wandb.teardown()
    logs = sorted(str(path) for path in place.rglob("offline-run-*") if path.is_dir())
    environment = {name: value for name, value in os.environ.items() if name != "WANDB_MODE"}
    command = [sys.executable, "-m", "wandb", "sync", *logs]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SYNC_S)
    assert done.returncode == 0, done.stderr
