"""Nothing secret gets out: everything is run with marked secrets, and all that comes of it is searched."""

import base64
import json
import logging
from pathlib import Path
from types import ModuleType

import pytest

from nemo_runspec.artifact_registry import ArtifactRegistry
from nemotron import kit
from nemotron.kit import PretrainBlendsArtifact, context, wandb_kit
from nemotron.kit.errors import KitError
from nemotron.kit.integrations.wandb.delivery_sync import sync
from nemotron.kit.integrations.wandb.errors import translate
from nemotron.kit.integrations.wandb.secrets import redacted
from nemotron.kit.registry.registry import Registry
from nemotron.kit.trackers import InputDatasetInfo
from nemotron.kit.tracking.outbox import Outbox
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


def written(*places: Path) -> dict[Path, str]:
    """Every file below folders as text; what records hold of files is decoded."""
    texts = {}
    for file in (file for place in places for file in place.rglob("*") if file.is_file()):
        text = file.read_bytes().decode("latin-1")
        if ".kit/outbox/" in str(file) and "payload" in text:
            for _, data, _ in json.loads(text)["payload"].get("draft", {}).get("files", ()):
                text += base64.b64decode(data).decode("latin-1")
        texts[file] = text
    return texts


@pytest.mark.parametrize("with_store", [False, True])
def test_nothing_secret_is_kept_for_later(
    with_store: bool,
    wandb_server: WandbServer,
    real_wandb: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ENVIRONMENT:
        monkeypatch.setenv(name, f"{MARK}-{name}")
    caplog.set_level(logging.DEBUG, "nemotron")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    root = tmp_path / "store" if with_store else None
    kit.init(backend="fsspec" if root else "wandb", root=root, wandb_project="proj")
    key = f"hf_{MARK}abcdefghijklmnopqrst"
    config = wandb_kit.WandbConfig("proj", run_name=f"of {SIGNED}", tags=(key,), notes=f"see {SIGNED}")
    wandb_kit.init_wandb_if_configured(config, job_type=SIGNED)
    wandb_kit.add_run_tags([f"{key}2"])
    wandb_kit.log_wandb_config({"hub": {"api_key": MARK, "url": SIGNED}, "note": key, SIGNED: 1})
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "part.txt").write_text("x")
    for snapshot in (False, True):
        data = PretrainBlendsArtifact(
            path=tmp_path / "data",
            source_datasets=[InputDatasetInfo(SIGNED, name=key), f"s3://user:{MARK}/+{MARK}@bucket/x"],
            tokenizer_uri=SIGNED,
            metadata={"from": SIGNED, SIGNED: key, "why": f"Bearer {MARK}"},
        )
        data.save(name=f"data-{snapshot}", inputs=[SIGNED], snapshot=snapshot, aliases=("good",))
    real_wandb.finish()
    real_wandb.teardown()
    place = tmp_path / ("store" if with_store else "state/nemotron-kit")
    files = written(place, tmp_path / "wandb-folders", tmp_path / "data")
    assert [file for file, text in files.items() if MARK in text or API_KEY in text] == []
    assert any(".wandb" in file.name for file in files)
    outbox = Outbox(Registry.open(place).store)
    assert len(outbox.ids()) == 2
    assert any("bucket.test/data" in text for file, text in files.items() if "waiting" in str(file))

    # What went wrong, what was set aside, and what was delivered says nothing either.
    wandb_server.fail("CreateArtifact", 404)
    sync(Registry.open(place))
    (aside,) = outbox.set_aside_records()
    outbox.retry(aside.id)
    sync(Registry.open(place))
    assert outbox.ids() == []
    assert outbox.count_receipts() == 2
    shown = [everything(wandb_server), caplog.text, *written(place).values()]
    assert [text for text in shown if MARK in text or API_KEY in text] == []


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
