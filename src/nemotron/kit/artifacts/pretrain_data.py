"""Tokenized pretraining data without blends."""

from nemotron.kit.artifacts.fields import Positive, TokenizedArtifact


class PretrainDataArtifact(TokenizedArtifact):
    """A folder of Megatron `.bin`/`.idx` shards.

    >>> PretrainDataArtifact(path="/output/data", num_shards=4).total_tokens is None
    True

    Attributes:
        num_shards: pairs of `.bin` and `.idx`.
    """

    num_shards: Positive | None = None
