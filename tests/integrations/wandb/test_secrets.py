"""Nothing secret gets out: everything is run with marked secrets, and all that comes of it is searched."""

import json
import logging
from pathlib import Path
from types import ModuleType

import pytest

from nemo_runspec.artifact_registry import ArtifactRegistry
from nemotron import kit
from nemotron.kit import PretrainBlendsArtifact, context, wandb_kit
from nemotron.kit.errors import KitError
from nemotron.kit.integrations.wandb.errors import translate
from nemotron.kit.integrations.wandb.secrets import redacted
from nemotron.kit.trackers import InputDatasetInfo
from wandb_server import WandbServer
from wandb_server.web import API_KEY

MARK = "S3cr3tM4rk"
SIGNED = f"https://me:{MARK}@bucket.test/data?part=1&X-Amz-Signature={MARK}&X-Amz-Credential={MARK}"
ENVIRONMENT = ("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "GITHUB_TOKEN", "COOKIE", "AWS_SESSION_TOKEN")


def everything(server: WandbServer) -> str:
    """All that the server was given, as text."""
    state = server.state
    files = [file.data or b"" for file in state.files.values()]
    texts = [json.dumps([a.metadata, a.description, a.aliases]) for a in state.artifacts.values()]
    runs = [repr(vars(run)) for run in state.runs.values()]
    return "\n".join([*texts, *runs, *(data.decode("latin-1") for data in files)])


@pytest.mark.parametrize("with_store", [False, True])
def test_nothing_secret_gets_out(
    with_store: bool,
    wandb_server: WandbServer,
    real_wandb: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name in ENVIRONMENT:
        monkeypatch.setenv(name, f"{MARK}-{name}")
    caplog.set_level(logging.DEBUG, "nemotron")
    root = tmp_path / "store" if with_store else None
    kit.init(backend="fsspec" if root else "wandb", root=root, wandb_project="proj")
    wandb_kit.init_wandb_if_configured(wandb_kit.WandbConfig("proj"))
    wandb_kit.log_wandb_config({"hub": {"api_key": MARK, "url": SIGNED}, "pad_token": "<pad>", "token": MARK})
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "part.txt").write_text("x")
    data = PretrainBlendsArtifact(
        path=tmp_path / "data",
        source_datasets=[InputDatasetInfo(SIGNED), f"s3://user:{MARK}@bucket/x"],
        metadata={"from": SIGNED},
    )
    data.save(name="data", inputs=[SIGNED])
    tracker = context.current_tracker()
    registry = ArtifactRegistry(backend="wandb", wandb_project="proj")
    registry.publish("other", tmp_path / "data", {"from": SIGNED})
    real_wandb.finish()

    said = [repr(tracker), repr(registry), repr(registry.list()), caplog.text, *capfd.readouterr()]
    on_disk = [
        file for place in ("store", "data") for file in (tmp_path / place).rglob("*") if file.is_file()
    ]
    said += [file.read_bytes().decode("latin-1") for file in on_disk]
    assert "data:v0" in wandb_server.names()
    for text in (*said, everything(wandb_server)):
        assert MARK not in text
        assert API_KEY not in text
    assert "bucket.test/data" in everything(wandb_server)


@pytest.mark.parametrize("server_says", [f"PUT {SIGNED}: broken", f"key {API_KEY} is not valid"])
def test_no_error_tells_one(server_says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    error = translate(ValueError(server_says), "log my-model")
    assert isinstance(error, KitError)
    for text in (str(error), repr(error)):
        assert MARK not in text
        assert API_KEY not in text


def test_what_the_environment_keeps_is_cut_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0123456789")
    monkeypatch.setenv("WANDB_PROJECT", "my-project")
    assert redacted("0123456789 of my-project") == "… of my-project"
