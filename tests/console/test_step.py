"""`print_step_complete`: panels for people, one line for the next step."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from nemotron.kit.artifacts import Artifact, ModelArtifact
from nemotron.kit.artifacts.value import TrackingInfo
from nemotron.kit.console.step import print_step_complete
from nemotron.kit.errors import MisuseError


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def model(**fields: Any) -> ModelArtifact:
    return ModelArtifact(path="/data/m", **{"step": 1000, **fields})


def test_one_json_line_goes_to_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    print_step_complete({"base": model()}, {"more": Artifact(path="rel")}, data=Artifact(path="/data"))
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {
        "base": {"path": "/data/m", "type": "ModelArtifact"},
        "more": {"path": str(Path.cwd() / "rel"), "type": "Artifact"},
        "data": {"path": "/data", "type": "Artifact"},
    }


def test_nothing_goes_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", terminal)
    print_step_complete(base=model())
    assert terminal.getvalue() == ""


def test_the_panel(capsys: pytest.CaptureFixture[str]) -> None:
    artifact = model(
        final_loss=2.31049,
        name="nano3/base",
        metadata={"lr": 3e-05, "n": 25_000_000_000, "nan": float("nan")},
    )
    artifact.tracking = TrackingInfo(url="https://wandb.example/x")
    artifact._manifest_path = "/store/m/v1/manifest.json"
    print_step_complete(base=artifact, title="Pretraining done")
    err = capsys.readouterr().err
    for text in (
        "Pretraining done",
        "base (nano3/base)",
        "art_path  art://nano3/base",
        "Path      /data/m",
        "Manifest  /store/m/v1/manifest.json",
        "W&B       https://wandb.example/x",
        "Metrics   lr: 3e-05",
        "n: 25,000,000,000",
        "nan: nan",
        "step: 1,000",
        "final_loss: 2.31",
    ):
        assert text in err
    assert "\x1b" not in err, "colour on a terminal only"


def test_a_panel_without_a_name_shows_the_type(capsys: pytest.CaptureFixture[str]) -> None:
    print_step_complete(base=model())
    assert "base (ModelArtifact)" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["[red]x[/red]", "[/]", "[link=x]", "a\x1b[31mb", "ü\u202ex", ":smile:"])
def test_any_text_is_safe(capsys: pytest.CaptureFixture[str], text: str) -> None:
    print_step_complete({text: Artifact(path=f"/d/{text}", metadata={text: 1.5})}, title=text)
    captured = capsys.readouterr()
    assert json.loads(captured.out)[text]["path"] == f"/d/{text}"
    assert not any(mark in captured.err for mark in ("\x1b", "\u202e"))
    if text.isprintable():
        assert captured.err.count(text) == 5


def test_many_metrics_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    print_step_complete(a=Artifact(path="/d", metadata={f"m{n}": n for n in range(30)}))
    err = capsys.readouterr().err
    assert "m19: 19" in err
    assert "m20" not in err
    assert "… 10 more" in err


@pytest.mark.parametrize("call", [lambda: print_step_complete(a=3), lambda: print_step_complete(model())])  # type: ignore[arg-type]
def test_what_is_no_artifact_is_refused(capsys: pytest.CaptureFixture[str], call: Any) -> None:
    with pytest.raises(MisuseError, match="print_step_complete"):
        call()
    assert capsys.readouterr().out == ""
