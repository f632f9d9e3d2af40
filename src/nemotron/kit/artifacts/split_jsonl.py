"""JSONL files by split."""

from typing import ClassVar

from nemotron.kit.artifacts.fields import Count, DataArtifact


class SplitJsonlDataArtifact(DataArtifact):
    """A `manifest.json` that names the JSONL file of each split, with the folder around it as content.

    >>> SplitJsonlDataArtifact(path="/output/manifest.json", train="train.jsonl").train
    'train.jsonl'

    Attributes:
        total_sequences: lines in all.
        train: the training split.
        val: the validation split.
        test: the test split.
    """

    _is_file: ClassVar[bool] = True

    total_sequences: Count | None = None
    train: str | None = None
    val: str | None = None
    test: str | None = None
