"""The typed artifacts of a training pipeline: `Artifact` and its kinds, each imported when first used."""

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
    from nemotron.kit.artifacts.inputs import InputDatasetInfo as InputDatasetInfo
    from nemotron.kit.artifacts.model import ModelArtifact as ModelArtifact
    from nemotron.kit.artifacts.pretrain_blends import PretrainBlendsArtifact as PretrainBlendsArtifact
    from nemotron.kit.artifacts.pretrain_data import PretrainDataArtifact as PretrainDataArtifact
    from nemotron.kit.artifacts.rerank import RerankDataArtifact as RerankDataArtifact
    from nemotron.kit.artifacts.rerank import RerankModelArtifact as RerankModelArtifact
    from nemotron.kit.artifacts.sft_data import SFTDataArtifact as SFTDataArtifact
    from nemotron.kit.artifacts.split_jsonl import SplitJsonlDataArtifact as SplitJsonlDataArtifact

__all__ = sorted(MODULES)


def __getattr__(name: str) -> object:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
