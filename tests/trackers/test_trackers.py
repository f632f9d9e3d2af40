"""The door to the trackers, and the URIs of datasets and tokenizers."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nemotron.kit import trackers
from nemotron.kit.trackers import InputDatasetInfo, to_wandb_uri, tokenizer_to_uri


def test_every_name_is_there() -> None:
    for name in trackers.__all__:
        assert getattr(trackers, name) is not None
    assert set(trackers.__all__) <= set(dir(trackers))
    with pytest.raises(AttributeError, match="has no attribute 'WandTracker'"):
        trackers.WandTracker  # noqa: B018


def test_importing_the_door_loads_nobody_behind_it() -> None:
    code = (
        "import sys, nemotron.kit.trackers as t\n"
        "t.get_lineage_tracker(), t.NoOpTracker, t.to_wandb_uri('/x')\n"
        "print([m for m in ('wandb', 'pydantic', 'numpy', 'fsspec') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_tracker_is_the_process_s() -> None:
    assert trackers.get_lineage_tracker() is None
    tracker = trackers.NoOpTracker()
    trackers.set_lineage_tracker(tracker)
    assert trackers.get_lineage_tracker() is tracker
    trackers.set_lineage_tracker(None)
    assert trackers.get_lineage_tracker() is None


def test_all_trackers_keep_the_contract(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    all_of_them = (trackers.NoOpTracker(), trackers.ManifestTracker(tmp_path), trackers.WandbTracker())
    for tracker in all_of_them:
        assert isinstance(tracker, trackers.LineageTracker)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("hf://nvidia/Nemotron-CC", "https://huggingface.co/datasets/nvidia/Nemotron-CC"),
        ("hf://datasets/nvidia/Nemotron-CC", "https://huggingface.co/datasets/nvidia/Nemotron-CC"),
        ("s3://bucket/key", "s3://bucket/key"),
        ("gs://bucket/key", "gs://bucket/key"),
        ("az://container/key", "az://container/key"),
        ("http://host/x?y=1", "http://host/x?y=1"),
        ("file:///data/x", "file:///data/x"),
        ("/data/x/../y", "file:///data/y"),
    ],
)
def test_to_wandb_uri(path: str, expected: str) -> None:
    assert to_wandb_uri(path) == expected


def test_relative_paths_become_absolute(tmp_path: Path) -> None:
    assert to_wandb_uri("data") == f"file://{tmp_path}/data"
    assert to_wandb_uri(Path("data")) == f"file://{tmp_path}/data"
    assert to_wandb_uri("~/data") == f"file://{Path.home()}/data"


@example("~\0")
@given(st.text(max_size=50))
def test_a_uri_stays_what_it_is(text: str) -> None:
    uri = to_wandb_uri(text)
    assert "://" in uri
    assert to_wandb_uri(uri) == uri


@pytest.mark.parametrize(
    ("model", "revision", "expected"),
    [
        ("nvidia/Nemotron-H-8B", None, "https://huggingface.co/nvidia/Nemotron-H-8B"),
        ("nvidia/Nemotron-H-8B", "v1.0", "https://huggingface.co/nvidia/Nemotron-H-8B/tree/v1.0"),
        ("gpt2", None, "https://huggingface.co/gpt2"),
        ("/models/tok", "v1", "file:///models/tok"),
        ("s3://bucket/tok", None, "s3://bucket/tok"),
        ("https://host/tok.model", None, "https://host/tok.model"),
    ],
)
def test_tokenizer_to_uri(model: str, revision: str | None, expected: str) -> None:
    assert tokenizer_to_uri(model, revision) == expected


def test_a_tokenizer_on_disk_is_a_path(tmp_path: Path) -> None:
    assert tokenizer_to_uri("./org/tok") == f"file://{tmp_path}/org/tok"
    assert tokenizer_to_uri("a/b/c") == f"file://{tmp_path}/a/b/c"
    assert tokenizer_to_uri("tokenizer.model") == f"file://{tmp_path}/tokenizer.model"
    (tmp_path / "org" / "tok").mkdir(parents=True)
    assert tokenizer_to_uri("org/tok") == f"file://{tmp_path}/org/tok"


def test_a_dataset_needs_a_uri_only() -> None:
    info = InputDatasetInfo("hf://a/b")
    assert (info.weight, info.text_field, info.name, info.num_rows) == (1.0, "text", None, None)
