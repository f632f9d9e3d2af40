"""Tokenized pretraining data with the blends to train on."""

import os
from pathlib import Path
from typing import Any, Self

from nemotron.kit.artifacts.fields import (
    Count,
    Positive,
    TokenizedArtifact,
    counts_of,
    sources_of,
    tokenizer_of,
)
from nemotron.kit.artifacts.paths import is_url, to_path

BLEND_FILE = "blend.json"


class PretrainBlendsArtifact(TokenizedArtifact):
    """A folder of Megatron `.bin`/`.idx` shards with a `blend.json`.

    >>> from pathlib import Path
    >>> PretrainBlendsArtifact(path=Path("/output/data"), total_tokens=25_000_000_000)
    PretrainBlendsArtifact(path='/output/data', total_tokens=25000000000)

    Attributes:
        num_shards: pairs of `.bin` and `.idx`.
        blend_path: the `blend.json`.
        train_tokens: tokens of the training split.
        valid_tokens: tokens of the validation split.
        test_tokens: tokens of the test split.
    """

    num_shards: Positive | None = None
    blend_path: str | None = None
    train_tokens: Count | None = None
    valid_tokens: Count | None = None
    test_tokens: Count | None = None

    @classmethod
    def from_result(
        cls,
        format_result: Any,
        blend: Any,
        tokenizer_model: str | os.PathLike[str] | None,
        blend_json_path: str | os.PathLike[str] | None,
        *,
        text_field_default: str = "text",
        elapsed_sec: float = 0.0,
        name: str | None = None,
    ) -> Self:
        """Describe what a data-prep step made.

        Args:
            format_result: has `output_dir` and perhaps `total_tokens`, `total_sequences`, `num_shards`.
            blend: has `datasets`, each with `path`, `name`, `weight`, `split`, `subset`, `text_field`.
            tokenizer_model: a repository, a path or a URI.
            blend_json_path: the `blend.json` that was written.
            text_field_default: the text field of a dataset that names none.
            elapsed_sec: how long it took.
            name: the name to save under.
        """
        return cls(
            path=to_path(format_result.output_dir),
            blend_path=None if blend_json_path is None else str(blend_json_path),
            source_datasets=sources_of(blend, text_field_default),
            tokenizer_uri=tokenizer_of(tokenizer_model),
            elapsed_sec=elapsed_sec,
            name=name,
            **counts_of(format_result),
        )

    def get_wandb_files(self) -> list[tuple[str, str]]:
        """`blend.json` and `metadata.json`."""
        if self.blend_path is None or is_url(self.blend_path):
            blend = self._files_in(self.path, BLEND_FILE)
        else:
            blend = [(path, BLEND_FILE) for path, _ in self._files_in(Path(), self.blend_path)]
        return [*blend, *super().get_wandb_files()]
