"""Which values of a config are artifacts."""

import pytest

from nemotron.kit.integrations.config_references import is_reference, written_out


@pytest.mark.parametrize(
    "text",
    [
        "data:latest",
        "data:v3",
        "data:3",
        "super3/rl/rlvr1/data:latest",
        "llama-3.1-8b:v1",
        "llama-3.1/base:v1",
        "nano3/sft/data?sample=10:v2",
        "team/project/model:v7",
        "PretrainBlendsArtifact-tiny:latest",
        "PretrainBlendsArtifact-tiny",
        "PretrainBlendsArtifact-tiny:production",
        "art://data",
        "art://nano3/pretrain/data:v3",
        "art://data:production",
    ],
)
def test_references(text):
    assert is_reference(text)


@pytest.mark.parametrize(
    "value",
    [
        "nvcr.io/nvidia/nemo:latest",
        "nvcr.io/nvidia/nemo:25.07",
        "docker://nvcr.io/nvidia/nemo:v1",
        "registry.example.com:5005/team/image:latest",
        "localhost:8080",
        "127.0.0.1:8080",
        "node01:29500",
        "node01.cluster.example:80",
        "python:3",
        "ubuntu:latest",
        "pytorch/pytorch:latest",
        "/data/model:latest",
        "../data:v1",
        "art:///data/run1",
        "art://",
        "art://../x",
        "s3://bucket/data:v1",
        "data",
        "data:production",
        "a sentence with an Artifact in it",
        "the answer: 3",
        "12:30",
        "",
        " data:v1",
        3,
        None,
        True,
        ["data:v1"],
    ],
)
def test_other_values(value):
    assert not is_reference(value)


def test_what_is_written_out_is_meant():
    assert written_out("art://../x")
    assert not written_out("art:///data")
    assert not written_out("data:v1")
