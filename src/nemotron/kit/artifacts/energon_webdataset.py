"""Energon web datasets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from nemotron.kit.artifacts.fields import Count, DataArtifact, Sources
from nemotron.kit.artifacts.paths import to_path

META_FOLDER = ".nv-meta"
_META_FILES = ("dataset.yaml", "split.yaml", ".info.yaml", "index.uuid")


class EnergonWebDatasetArtifact(DataArtifact):
    """A folder of tar shards with `.nv-meta/`.

    >>> EnergonWebDatasetArtifact(path="/data/images", train_samples=90, val_samples=10).total_samples
    100

    Attributes:
        train_samples: samples of the training split.
        val_samples: samples of the validation split.
        test_samples: samples of the test split.
        num_shards: tar files.
        data_format: how the files are to be read.
    """

    train_samples: Count = 0
    val_samples: Count = 0
    test_samples: Count = 0
    num_shards: Count = 0
    data_format: str = "energon-webdataset"

    @property
    def total_samples(self) -> int:
        """Samples of all splits."""
        return self.train_samples + self.val_samples + self.test_samples

    @classmethod
    def from_run(
        cls,
        *,
        dataset_path: str | Path,
        split_sample_counts: Mapping[str, int],
        num_shards: int,
        source_datasets: Sources | None = None,
        elapsed_sec: float = 0.0,
        name: str | None = None,
    ) -> Self:
        """Describe what a conversion made.

        Args:
            dataset_path: the folder.
            split_sample_counts: samples of "train", "val" and "test".
            num_shards: tar files.
            source_datasets: what it was made from.
            elapsed_sec: how long it took.
            name: the name to save under.
        """
        samples: dict[str, Any] = {
            f"{split}_samples": split_sample_counts.get(split, 0) for split in ("train", "val", "test")
        }
        return cls(
            path=to_path(dataset_path),
            num_shards=num_shards,
            source_datasets=source_datasets or [],
            elapsed_sec=elapsed_sec,
            name=name,
            **samples,
        )

    def get_wandb_files(self) -> list[tuple[str, str]]:
        """`metadata.json` and the files of `.nv-meta`."""
        meta = self._files_in(self.path, *(f"{META_FOLDER}/{name}" for name in _META_FILES))
        return [*super().get_wandb_files(), *meta]
