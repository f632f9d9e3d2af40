"""Data and models for embedding."""

from nemotron.kit.artifacts.base import Artifact
from nemotron.kit.artifacts.fields import Count


class RetrievalDataArtifact(Artifact):
    """A folder of training examples with mined negatives, for embedding or reranking.

    Attributes:
        training_examples: how many.
        eval_queries: queries set aside for evaluation.
        hard_negatives_per_query: mined for each query.
        base_model: the model that mined them.
        quality_threshold: examples below it were dropped.
    """

    training_examples: Count
    eval_queries: Count
    hard_negatives_per_query: Count
    base_model: str
    quality_threshold: float


class RetrievalModelArtifact(Artifact):
    """A fine-tuned model, for embedding or reranking.

    Attributes:
        base_model: what it was fine-tuned from.
        training_examples: how many.
        num_epochs: times over them.
        global_batch_size: examples of a step, over all devices.
        learning_rate: the peak.
    """

    base_model: str
    training_examples: Count
    num_epochs: Count
    global_batch_size: Count
    learning_rate: float


class EmbedDataArtifact(RetrievalDataArtifact):
    """Training data of an embedding model; see `RetrievalDataArtifact`."""


class EmbedModelArtifact(RetrievalModelArtifact):
    """An embedding model.

    Attributes:
        temperature: of the contrastive loss.
    """

    temperature: float
