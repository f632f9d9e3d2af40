import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import nemotron.kit.start
from nemotron.kit import context
from nemotron.kit.errors import MissingExtraError
from nemotron.kit.integrations.wandb.tracker import WandbTracker
from nemotron.kit.tracking.composite import CompositeTracker
from nemotron.kit.tracking.file import FileTracker
from nemotron.kit.train_script import init_wandb_from_env, wandb_env


class FakeWandb(SimpleNamespace):
    """As thin as the fakes of recipes: a run, and an init."""

    def __init__(self, run: Any = None) -> None:
        super().__init__(run=run, calls=[])

    def init(self, **arguments: Any) -> None:
        self.calls.append(arguments)
        self.run = object()


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note when W&B joins the tracker."""
    calls: list[str] = []
    monkeypatch.setattr(nemotron.kit.start, "add_wandb", lambda: calls.append("joined"))
    return calls


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    wandb = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)  # type: ignore[arg-type]
    return wandb


@pytest.mark.parametrize("project", [None, ""])
def test_nothing_happens_without_a_project(
    monkeypatch: pytest.MonkeyPatch, fake: FakeWandb, joined: list[str], project: str | None
) -> None:
    monkeypatch.setenv("WANDB_NAME", "x")
    if project is not None:
        monkeypatch.setenv("WANDB_PROJECT", project)
    init_wandb_from_env()
    assert fake.calls == joined == []


def test_a_project_alone(monkeypatch: pytest.MonkeyPatch, fake: FakeWandb, joined: list[str]) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "nano")
    init_wandb_from_env()
    assert fake.calls == [
        {
            "project": "nano",
            "entity": None,
            "name": None,
            "group": None,
            "tags": None,
            "job_type": "data-prep",
        }
    ]
    assert joined == ["joined"]


def test_every_variable_is_used(monkeypatch: pytest.MonkeyPatch, fake: FakeWandb, joined: list[str]) -> None:
    for name in ("PROJECT", "ENTITY", "NAME", "GROUP", "JOB_TYPE"):
        monkeypatch.setenv(f"WANDB_{name}", name.lower())
    monkeypatch.setenv("WANDB_TAGS", "a, b,,c ")
    init_wandb_from_env()
    assert fake.calls == [
        {
            "project": "project",
            "entity": "entity",
            "name": "name",
            "group": "group",
            "tags": ["a", "b", "c"],
            "job_type": "job_type",
        }
    ]


def test_an_active_run_is_kept_and_w_and_b_joins(
    monkeypatch: pytest.MonkeyPatch, fake: FakeWandb, joined: list[str]
) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "nano")
    fake.run = active = object()
    init_wandb_from_env()
    init_wandb_from_env()
    assert fake.run is active
    assert fake.calls == []
    assert joined == ["joined", "joined"]


def test_a_missing_client_is_an_error_with_the_pip_command(
    monkeypatch: pytest.MonkeyPatch, joined: list[str]
) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "nano")
    monkeypatch.setitem(sys.modules, "wandb", None)  # type: ignore[arg-type]
    with pytest.raises(MissingExtraError, match=r"pip install 'nemotron-kit\[wandb\]'") as caught:
        init_wandb_from_env()
    assert isinstance(caught.value, ImportError)
    assert joined == []


def test_the_module_may_be_reloaded(
    monkeypatch: pytest.MonkeyPatch, fake: FakeWandb, joined: list[str]
) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "nano")
    importlib.reload(wandb_env).init_wandb_from_env()
    assert (len(fake.calls), joined) == (1, ["joined"])


def test_the_store_stays_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake: FakeWandb) -> None:
    nemotron.kit.start.init(root=tmp_path)
    monkeypatch.setenv("WANDB_PROJECT", "nano")
    for _ in range(2):
        init_wandb_from_env()
        tracker = context.current_tracker()
        assert isinstance(tracker, CompositeTracker)
        assert [type(part) for part in tracker.trackers] == [FileTracker, WandbTracker]
    registry = context.current_registry()
    assert registry is not None
    assert registry.root == str(tmp_path)
