"""Door: artifacts and what recipe scripts need around them. Each name is looked up when it is first used.

>>> from nemotron.kit.artifact import ModelArtifact, apply_scale
>>> ModelArtifact(path="/checkpoints", step=apply_scale(1000, "small")).step
100
"""

from importlib import import_module
from typing import TYPE_CHECKING

from nemotron.kit.artifacts.modules import MODULES

if TYPE_CHECKING:
    from nemotron.kit.artifacts.base import Artifact as Artifact
    from nemotron.kit.artifacts.base import TrackingInfo as TrackingInfo
    from nemotron.kit.artifacts.data_blends import DataBlendsArtifact as DataBlendsArtifact
    from nemotron.kit.artifacts.embed import EmbedDataArtifact as EmbedDataArtifact
    from nemotron.kit.artifacts.embed import EmbedModelArtifact as EmbedModelArtifact
    from nemotron.kit.artifacts.energon_webdataset import (
        EnergonWebDatasetArtifact as EnergonWebDatasetArtifact,
    )
    from nemotron.kit.artifacts.inputs import Input as Input
    from nemotron.kit.artifacts.inputs import InputDatasetInfo as InputDatasetInfo
    from nemotron.kit.artifacts.model import ModelArtifact as ModelArtifact
    from nemotron.kit.artifacts.pretrain_blends import PretrainBlendsArtifact as PretrainBlendsArtifact
    from nemotron.kit.artifacts.pretrain_data import PretrainDataArtifact as PretrainDataArtifact
    from nemotron.kit.artifacts.recipes import ArtifactInput as ArtifactInput
    from nemotron.kit.artifacts.recipes import apply_scale as apply_scale
    from nemotron.kit.artifacts.rerank import RerankDataArtifact as RerankDataArtifact
    from nemotron.kit.artifacts.rerank import RerankModelArtifact as RerankModelArtifact
    from nemotron.kit.artifacts.sft_data import SFTDataArtifact as SFTDataArtifact
    from nemotron.kit.artifacts.split_jsonl import SplitJsonlDataArtifact as SplitJsonlDataArtifact
    from nemotron.kit.console.step import print_step_complete as print_step_complete

# What is not in `artifacts` itself, and where it is.
_ELSEWHERE = {
    "ArtifactInput": "nemotron.kit.artifacts.recipes",
    "Input": "nemotron.kit.artifacts.inputs",
    "apply_scale": "nemotron.kit.artifacts.recipes",
    "print_step_complete": "nemotron.kit.console.step",
}

__all__ = sorted([*MODULES, *_ELSEWHERE])


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_ELSEWHERE.get(name, "nemotron.kit.artifacts")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
