"""Door: artifacts and what recipe scripts need around them.

>>> from nemotron.kit.artifact import ModelArtifact, apply_scale
>>> ModelArtifact(path="/checkpoints", step=apply_scale(1000, "small")).step
100
"""

from nemotron.kit.artifacts.base import Artifact, TrackingInfo
from nemotron.kit.artifacts.data_blends import DataBlendsArtifact
from nemotron.kit.artifacts.embed import EmbedDataArtifact, EmbedModelArtifact
from nemotron.kit.artifacts.energon_webdataset import EnergonWebDatasetArtifact
from nemotron.kit.artifacts.inputs import InputDatasetInfo
from nemotron.kit.artifacts.model import ModelArtifact
from nemotron.kit.artifacts.pretrain_blends import PretrainBlendsArtifact
from nemotron.kit.artifacts.pretrain_data import PretrainDataArtifact
from nemotron.kit.artifacts.recipes import ArtifactInput, apply_scale
from nemotron.kit.artifacts.rerank import RerankDataArtifact, RerankModelArtifact
from nemotron.kit.artifacts.sft_data import SFTDataArtifact
from nemotron.kit.artifacts.split_jsonl import SplitJsonlDataArtifact
from nemotron.kit.console.step import print_step_complete

__all__ = [
    "Artifact",
    "ArtifactInput",
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
    "apply_scale",
    "print_step_complete",
]
