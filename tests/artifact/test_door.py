"""`nemotron.kit.artifact`: the names that recipes import, and what they need around artifacts."""

import inspect

import pytest

from nemotron.kit import artifact, artifacts
from nemotron.kit.artifact import ArtifactInput, apply_scale
from nemotron.kit.errors import MisuseError

CONTRACT = {
    *("Artifact", "ArtifactInput", "DataBlendsArtifact", "EnergonWebDatasetArtifact", "ModelArtifact"),
    *("PretrainBlendsArtifact", "PretrainDataArtifact", "SFTDataArtifact", "SplitJsonlDataArtifact"),
    *("TrackingInfo", "apply_scale", "print_step_complete"),
}


def test_the_contract_is_exported() -> None:
    assert set(artifact.__all__) >= CONTRACT
    assert artifact.__all__ == sorted(artifact.__all__)
    assert set(artifacts.__all__) <= set(artifact.__all__), "every kind has a door"
    for name in artifacts.__all__:
        assert getattr(artifact, name) is getattr(artifacts, name)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (
            "save",
            "(self, name=None, *, inputs=None, snapshot=None, evidence=None, aliases=(), all_ranks=False, "
            "follow_links=False, executor=None)",
        ),
        ("load", "(path=None, tracked_artifact=None)"),
        ("from_uri", "(uri)"),
        ("to_json", "(self)"),
        ("get_wandb_files", "(self)"),
        ("get_wandb_references", "(self)"),
        ("get_input_uris", "(self)"),
    ],
)
def test_signatures(method: str, expected: str) -> None:
    signature = inspect.signature(getattr(artifact.Artifact, method))
    bare = [
        parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()
    ]
    assert str(inspect.Signature(bare)) == expected


def test_a_slot_maps_metadata_to_the_config() -> None:
    slot = ArtifactInput(default_name="nano3/pretrain/data", mappings={"path": "dataset.data_path"})
    assert slot == ArtifactInput("nano3/pretrain/data", {"path": "dataset.data_path"})
    assert (slot.default_name, slot.mappings) == ("nano3/pretrain/data", {"path": "dataset.data_path"})


@pytest.mark.parametrize(
    ("count", "scale", "expected"),
    [
        (5000, "tiny", 50),
        (10**9, "tiny", 10_000),
        (1_000_099, "tiny", 10_000),
        (99, "tiny", 1),
        (19, "small", 1),
        (10, "medium", 3),
        (999, "medium", 299),
        (7, "full", 7),
        (1, "small", 1),
        (0, "tiny", 0),
        (0, "full", 0),
        (2**60 + 1, "full", 2**60 + 1),
        (10**19, "small", 10**18),
    ],
)
def test_apply_scale(count: int, scale: str, expected: int) -> None:
    assert apply_scale(count, scale) == expected


def test_apply_scale_refuses() -> None:
    with pytest.raises(
        ValueError, match=r"^Invalid scale: huge\. Must be one of: \['tiny', 'small', 'medium', 'full'\]$"
    ):
        apply_scale(1, "huge")
    with pytest.raises(MisuseError, match="Invalid count: -1"):
        apply_scale(-1, "full")
