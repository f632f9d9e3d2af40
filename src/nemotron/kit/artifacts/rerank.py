"""Data and models for reranking."""

from nemotron.kit.artifacts.embed import RetrievalDataArtifact, RetrievalModelArtifact
from nemotron.kit.artifacts.fields import Positive


class RerankDataArtifact(RetrievalDataArtifact):
    """Training data of a reranker; see `RetrievalDataArtifact`."""


class RerankModelArtifact(RetrievalModelArtifact):
    """A reranker.

    Attributes:
        num_labels: outputs of the head.
    """

    num_labels: Positive
