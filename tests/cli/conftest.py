"""The command in this process, and a small store to ask about."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from nemotron.kit.cli import app
from nemotron.kit.documents.run import RunFinish, RunStart
from nemotron.kit.registry import layout
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry


@dataclass(frozen=True)
class Said:
    """What a command said.

    Attributes:
        code: the exit code.
        out: standard output.
        err: standard error.
    """

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one strict JSON document."""

        def refuse(literal: str) -> None:
            raise AssertionError(f"not strict JSON: {literal}")

        return json.loads(self.out, parse_constant=refuse)


Command = Callable[..., Said]
RUN = "01a20ebf-5571-76d1-8a70-62993e30a6b2"


@pytest.fixture
def kit() -> Command:
    """Run `nemotron kit …`."""

    def run(*arguments: str, env: dict[str, str] | None = None) -> Said:
        result = CliRunner().invoke(app, ["kit", *arguments], env=env, prog_name="nemotron")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with two files, of 6 and 2 bytes."""
    folder = tmp_path / "data"
    (folder / "train").mkdir(parents=True)
    (folder / "train" / "a.txt").write_text("hello\n")
    (folder / "b.txt").write_text("x\n")
    return folder


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """An empty store, which NEMO_ARTIFACT_ROOT names."""
    monkeypatch.setenv("NEMO_ARTIFACT_ROOT", str(tmp_path / "store"))
    return Registry.open(tmp_path / "store")


@pytest.fixture
def store(registry: Registry, data: Path) -> Registry:
    """`nano3/data` v1 and v2 (a reference), `base` v1 (a snapshot of it), `base:good`, `tuned` v1; a run."""
    for step in (1, 2):
        draft = Draft(
            name="nano3/data",
            source=data,
            type="PretrainDataArtifact",
            metadata={"total_tokens": 25_000_000_000, "round": step},
            inputs=("hf://datasets/org/name",),
        )
        registry.publish(draft)
    registry.publish(
        Draft(
            name="base",
            source=data,
            type="ModelArtifact",
            snapshot=True,
            metadata={"step": 1000, "final_loss": 2.31049},
            used_artifacts=("nano3-data:v2",),
            aliases=("good",),
        )
    )
    registry.publish(
        Draft(
            name="tuned",
            source=data / "b.txt",
            type="ModelArtifact",
            metadata={"loss": float("nan")},
            used_artifacts=("base:v1", "nano3-data:v2"),
        )
    )
    begun = RunStart(id=RUN, name="tune", started_at="2025-01-01T00:00:00+00:00", config={"lr": float("nan")})
    registry.store.create(layout.run_start(RUN), begun.to_bytes())
    ended = RunFinish(status="finished", outputs=("art://gone:v1",), metrics={"loss": float("nan")})
    registry.store.create(layout.run_finish(RUN), ended.to_bytes())
    return registry
