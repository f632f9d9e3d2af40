"""Door: artifacts and what recipe scripts need around them. Each name is looked up when it is first used.

>>> from nemotron.kit.artifact import ModelArtifact, apply_scale
>>> ModelArtifact(path="/checkpoints", step=apply_scale(1000, "small")).step
100
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nemotron.kit.artifacts.base import Artifact, TrackingInfo
    from nemotron.kit.artifacts.data_blends import DataBlendsArtifact
    from nemotron.kit.artifacts.embed import EmbedDataArtifact, EmbedModelArtifact
    from nemotron.kit.artifacts.energon_webdataset import EnergonWebDatasetArtifact
    from nemotron.kit.artifacts.inputs import Input, InputDatasetInfo
    from nemotron.kit.artifacts.model import ModelArtifact
    from nemotron.kit.artifacts.pretrain_blends import PretrainBlendsArtifact
    from nemotron.kit.artifacts.pretrain_data import PretrainDataArtifact
    from nemotron.kit.artifacts.recipes import ArtifactInput, apply_scale
    from nemotron.kit.artifacts.rerank import RerankDataArtifact, RerankModelArtifact
    from nemotron.kit.artifacts.sft_data import SFTDataArtifact
    from nemotron.kit.artifacts.split_jsonl import SplitJsonlDataArtifact
    from nemotron.kit.console.step import print_step_complete

# What is not in `artifacts` itself, and where it is.
_ELSEWHERE = {
    "Input": "nemotron.kit.artifacts.inputs",
    "ArtifactInput": "nemotron.kit.artifacts.recipes",
    "apply_scale": "nemotron.kit.artifacts.recipes",
    "print_step_complete": "nemotron.kit.console.step",
}

__all__ = [
    "Artifact",
    "ArtifactInput",
    "DataBlendsArtifact",
    "EmbedDataArtifact",
    "EmbedModelArtifact",
    "EnergonWebDatasetArtifact",
    "Input",
    "InputDatasetInfo",
    "ModelArtifact",
    "PretrainBlendsArtifact",
    "PretrainDataArtifact",
    "RerankDataArtifact",
    "RerankModelArtifact",
    "SFTDataArtifact",
    "SplitJsonlDataArtifact",
    "TrackingInfo",
    "apply_scale",
    "print_step_complete",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_ELSEWHERE.get(name, "nemotron.kit.artifacts")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
