"""Data blends: the blend.json that a training run reads."""

from typing import ClassVar

from nemotron.kit.artifacts.fields import Count, TokenizedArtifact


class DataBlendsArtifact(TokenizedArtifact):
    """A `blend.json` file, with the folder around it as content.

    >>> DataBlendsArtifact(path="/output/blend.json", train_tokens=9).metadata["train_tokens"]
    9

    Attributes:
        train_tokens: tokens of the training split.
        valid_tokens: tokens of the validation split.
        test_tokens: tokens of the test split.
    """

    _is_file: ClassVar[bool] = True

    train_tokens: Count | None = None
    valid_tokens: Count | None = None
    test_tokens: Count | None = None

    def get_wandb_files(self) -> list[tuple[str, str]]:
        """`blend.json` and `metadata.json`."""
        return [*self._files_in(self.path.parent, self.path.name), *super().get_wandb_files()]
