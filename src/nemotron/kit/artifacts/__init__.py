"""The typed artifacts of a training pipeline: `Artifact` and its kinds, each imported when first used."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nemotron.kit.artifacts.base import Artifact, TrackingInfo
    from nemotron.kit.artifacts.data_blends import DataBlendsArtifact
    from nemotron.kit.artifacts.embed import EmbedDataArtifact, EmbedModelArtifact
    from nemotron.kit.artifacts.energon_webdataset import EnergonWebDatasetArtifact
    from nemotron.kit.artifacts.inputs import InputDatasetInfo
    from nemotron.kit.artifacts.model import ModelArtifact
    from nemotron.kit.artifacts.pretrain_blends import PretrainBlendsArtifact
    from nemotron.kit.artifacts.pretrain_data import PretrainDataArtifact
    from nemotron.kit.artifacts.rerank import RerankDataArtifact, RerankModelArtifact
    from nemotron.kit.artifacts.sft_data import SFTDataArtifact
    from nemotron.kit.artifacts.split_jsonl import SplitJsonlDataArtifact

_MODULES = {
    "Artifact": "base",
    "DataBlendsArtifact": "data_blends",
    "EmbedDataArtifact": "embed",
    "EmbedModelArtifact": "embed",
    "EnergonWebDatasetArtifact": "energon_webdataset",
    "InputDatasetInfo": "inputs",
    "ModelArtifact": "model",
    "PretrainBlendsArtifact": "pretrain_blends",
    "PretrainDataArtifact": "pretrain_data",
    "RerankDataArtifact": "rerank",
    "RerankModelArtifact": "rerank",
    "SFTDataArtifact": "sft_data",
    "SplitJsonlDataArtifact": "split_jsonl",
    "TrackingInfo": "base",
}

__all__ = [
    "Artifact",
    "DataBlendsArtifact",
    "EmbedDataArtifact",
    "EmbedModelArtifact",
    "EnergonWebDatasetArtifact",
    "InputDatasetInfo",
    "ModelArtifact",
    "PretrainBlendsArtifact",
    "PretrainDataArtifact",
    "RerankDataArtifact",
    "RerankModelArtifact",
    "SFTDataArtifact",
    "SplitJsonlDataArtifact",
    "TrackingInfo",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
