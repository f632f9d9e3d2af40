"""Fields that several kinds have, and how data kinds name what they were made from."""

import os
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field

from nemotron.kit.artifacts.base import Artifact
from nemotron.kit.artifacts.inputs import InputDatasetInfo, to_wandb_uri, tokenizer_to_uri

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=0)]
Sources = list[InputDatasetInfo | str]


class DataArtifact(Artifact):
    """What data artifacts have in common: their sources.

    Attributes:
        elapsed_sec: how long it took to make; no part of what the artifact is.
        source_datasets: what it was made from, kept as given.
    """

    elapsed_sec: Seconds = 0.0
    source_datasets: Sources = Field(default_factory=list)

    def get_input_uris(self) -> list[str]:
        """The URI of each source dataset, then of the tokenizer."""
        uris = [source if isinstance(source, str) else source.uri for source in self.source_datasets]
        tokenizer = getattr(self, "tokenizer_uri", None)
        return [*uris, tokenizer] if tokenizer else uris


class TokenizedArtifact(DataArtifact):
    """Data that a tokenizer made. Every count is optional.

    Attributes:
        total_tokens: tokens in all.
        total_sequences: sequences in all.
        tokenizer_uri: where the tokenizer is.
    """

    total_tokens: Count | None = None
    total_sequences: Count | None = None
    tokenizer_uri: str | None = None


def sources_of(blend: Any, text_field_default: str) -> list[InputDatasetInfo | str]:
    """The source datasets of a blend, as a data-prep recipe has it.

    Args:
        blend: has `datasets`, each with a `path`, perhaps `name`, `weight`, `split`, `subset`, `text_field`.
        text_field_default: the text field of a dataset that names none.
    """
    datasets: Iterable[Any] = getattr(blend, "datasets", None) or ()
    return [_source(dataset, text_field_default) for dataset in datasets]


def _source(dataset: Any, text_field_default: str) -> InputDatasetInfo:
    weight = getattr(dataset, "weight", None)
    return InputDatasetInfo(
        uri=to_wandb_uri(dataset.path),
        name=getattr(dataset, "name", None),
        weight=1.0 if weight is None else weight,
        split=getattr(dataset, "split", None),
        subset=getattr(dataset, "subset", None),
        text_field=getattr(dataset, "text_field", None) or text_field_default,
    )


def counts_of(format_result: Any) -> dict[str, Any]:
    """The counts of a data-prep result, by the names of the fields; those it does not have are left out."""
    names = ("total_tokens", "total_sequences", "num_shards")
    counts = {name: getattr(format_result, name, None) for name in names}
    return {name: count for name, count in counts.items() if count is not None}


def tokenizer_of(model: str | os.PathLike[str] | None) -> str | None:
    """The URI of a tokenizer, or None if there is none."""
    return tokenizer_to_uri(model) if model else None
