"""Names that W&B takes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.artifacts.inputs import InputDatasetInfo
from nemotron.kit.errors import InvalidNameError, InvalidReferenceError
from nemotron.kit.integrations.wandb.uris import (
    alias,
    artifact_name,
    dataset_name,
    is_reference,
    local_path,
    reference_candidates,
    tokenizer_name,
)


@pytest.mark.parametrize(
    ("uri", "subset", "split", "expected"),
    [
        ("hf://nvidia/Nemotron-CC", None, None, "nvidia-Nemotron-CC"),
        ("hf://nvidia/Nemotron-CC", "high quality", None, "nvidia-Nemotron-CC-high-quality"),
        ("hf://nvidia/Nemotron-CC", "hq", "train", "nvidia-Nemotron-CC-hq-train"),
        ("s3://bucket//corpus/", None, None, "bucket-corpus"),
        ("/lustre/data/v1.2_final", None, None, "lustre-data-v1.2_final"),
        ("file:///ein/Verzeichnis/für Daten", None, None, "ein-Verzeichnis-f-r-Daten"),
        ("///", None, None, "dataset"),
    ],
)
def test_dataset_names(uri: str, subset: str | None, split: str | None, expected: str) -> None:
    assert dataset_name(InputDatasetInfo(uri, subset=subset, split=split)) == expected


@given(uri=st.text(min_size=1, max_size=400), subset=st.none() | st.text(max_size=200))
def test_w_and_b_takes_every_dataset_name(uri: str, subset: str | None) -> None:
    name = dataset_name(InputDatasetInfo(uri, subset=subset))
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", name)
    assert "--" not in name


@given(st.sets(st.text("abc/", min_size=130, max_size=300), min_size=2, max_size=5))
def test_names_that_are_cut_stay_apart(paths: set[str]) -> None:
    names = {dataset_name(InputDatasetInfo(f"s3://bucket/{path}")) for path in paths}
    assert len(names) == len({re.sub("-+", "-", path.replace("/", "-")).strip("-") for path in paths}) or len(
        names
    ) == len(paths)


def test_tokenizer_names() -> None:
    assert tokenizer_name("https://huggingface.co/gpt2") == "gpt2-tokenizer"
    assert tokenizer_name("file:///models/tok.model") == "models-tok.model-tokenizer"


def test_artifact_names_and_aliases() -> None:
    assert artifact_name("nano3/pretrain/data?sample=10") == "nano3-pretrain-data-sample-10"
    with pytest.raises(InvalidNameError):
        artifact_name("../x")
    assert alias("exp/7:a") == "exp-7-a"


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("art://data", ["data:latest"]),
        ("data:v3", ["data:v3"]),
        ("art://sft/data:production", ["sft-data:production"]),
        ("art://nano3/sft/data:v1", ["nano3-sft-data:v1", "nano3/sft/data:v1"]),
        ("art://team/proj/data:v1", ["team/proj/data:v1"]),
        ("team/my project/data:v1", ["team/my project/data:v1"]),
        ("other/proj/data:v1", ["other-proj-data:v1", "other/proj/data:v1"]),
    ],
)
def test_what_a_reference_can_mean(ref: str, expected: list[str]) -> None:
    assert reference_candidates(ref, "team") == expected


@pytest.mark.parametrize("ref", ["art://data:v3/train/0.bin", "s3://bucket/x", "art://", "a b"])
def test_what_is_no_reference_is_refused(ref: str) -> None:
    with pytest.raises(InvalidReferenceError):
        reference_candidates(ref, "team")


def test_paths_and_other_uris_are_no_references() -> None:
    assert [is_reference(text) for text in ("art://x:v1", "x:v1", "art:///data/x", "s3://b/x")] == [
        True,
        True,
        False,
        False,
    ]


def test_the_path_behind_a_uri_is_the_one_that_the_client_opens() -> None:
    assert local_path("file:///a/b%20c") == "/a/b c"
    assert local_path("file:///a/b c") == "/a/b c"
    assert local_path("https://h/x") is None
