"""Checkpoints."""

from collections.abc import Mapping
from typing import Any, ClassVar

from nemotron.kit.artifacts.base import Artifact
from nemotron.kit.artifacts.fields import Count


class ModelArtifact(Artifact):
    """A checkpoint folder.

    >>> ModelArtifact(path="/checkpoints/iter_0000500", step=500, loss=2.31).final_loss
    2.31

    Attributes:
        step: the training step.
        final_loss: the loss there; `loss=` is another spelling. NaN is kept: it is a fact.
    """

    _spellings: ClassVar[Mapping[str, str]] = {"loss": "final_loss"}

    step: Count
    final_loss: float | None = None

    @classmethod
    def _take_fields(cls, data: dict[str, Any], metadata: Mapping[str, Any]) -> None:
        super()._take_fields(data, metadata)
        if "step" not in data and "iteration" in metadata:
            data["step"] = metadata["iteration"]  # what training frameworks' own hooks call it
