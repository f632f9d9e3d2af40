"""Packed data for supervised fine-tuning."""

import os
from typing import Any, Self

from nemotron.kit.artifacts.fields import Positive, TokenizedArtifact, counts_of, sources_of, tokenizer_of
from nemotron.kit.artifacts.paths import split_paths, to_path


class SFTDataArtifact(TokenizedArtifact):
    """A folder of packed Parquet files.

    >>> SFTDataArtifact(path="/output/splits", pack_size=4096).data_format
    'packed_sft_parquet'

    Attributes:
        pack_size: tokens of a packed sequence.
        training_path: the training split.
        validation_path: the validation split.
        test_path: the test split.
        metadata_path: further facts on the packing.
        blend_path: the `blend.json`.
        num_shards: Parquet files.
        data_format: how the files are to be read.
    """

    pack_size: Positive | None = None
    training_path: str | None = None
    validation_path: str | None = None
    test_path: str | None = None
    metadata_path: str | None = None
    blend_path: str | None = None
    num_shards: Positive | None = None
    data_format: str = "packed_sft_parquet"

    @classmethod
    def from_result(
        cls,
        format_result: Any,
        blend: Any,
        tokenizer_model: str | os.PathLike[str] | None,
        blend_json_path: str | os.PathLike[str] | None,
        pack_size: int,
        *,
        messages_field_default: str = "messages",
        elapsed_sec: float = 0.0,
        name: str | None = None,
    ) -> Self:
        """Describe what a packing step made; it lies in `splits` in the output folder.

        Args:
            format_result: has `output_dir` and perhaps `total_tokens`, `total_sequences`, `num_shards`.
            blend: has `datasets`, each with `path`, `name`, `weight`, `split`, `subset`, `text_field`.
            tokenizer_model: a repository, a path or a URI.
            blend_json_path: the `blend.json` that was written.
            pack_size: tokens of a packed sequence.
            messages_field_default: the text field of a dataset that names none.
            elapsed_sec: how long it took.
            name: the name to save under.
        """
        splits = to_path(format_result.output_dir) / "splits"
        return cls(
            path=splits,
            pack_size=pack_size,
            blend_path=None if blend_json_path is None else str(blend_json_path),
            source_datasets=sources_of(blend, messages_field_default),
            tokenizer_uri=tokenizer_of(tokenizer_model),
            elapsed_sec=elapsed_sec,
            name=name,
            **counts_of(format_result),
            **split_paths(splits),
        )
