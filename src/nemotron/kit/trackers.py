"""Trackers, and the URIs of what artifacts are made from: the names that recipes import.

Each name is looked up when it is used, so that importing this module loads no tracker and no client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nemotron.kit.context import current_tracker as get_lineage_tracker
from nemotron.kit.context import set_tracker as set_lineage_tracker

if TYPE_CHECKING:
    from nemotron.kit.artifacts.inputs import InputDatasetInfo, to_wandb_uri, tokenizer_to_uri
    from nemotron.kit.integrations.openlineage import OpenLineageTracker
    from nemotron.kit.integrations.wandb.tracker import WandbTracker
    from nemotron.kit.tracking.composite import CompositeTracker
    from nemotron.kit.tracking.file import FileTracker, ManifestTracker
    from nemotron.kit.tracking.noop import NoOpTracker
    from nemotron.kit.tracking.protocol import LineageTracker

__all__ = [
    "CompositeTracker",
    "FileTracker",
    "InputDatasetInfo",
    "LineageTracker",
    "ManifestTracker",
    "NoOpTracker",
    "OpenLineageTracker",
    "WandbTracker",
    "get_lineage_tracker",
    "set_lineage_tracker",
    "to_wandb_uri",
    "tokenizer_to_uri",
]

_SOURCES = {
    "CompositeTracker": "nemotron.kit.tracking.composite",
    "FileTracker": "nemotron.kit.tracking.file",
    "InputDatasetInfo": "nemotron.kit.artifacts.inputs",
    "LineageTracker": "nemotron.kit.tracking.protocol",
    "ManifestTracker": "nemotron.kit.tracking.file",
    "NoOpTracker": "nemotron.kit.tracking.noop",
    "OpenLineageTracker": "nemotron.kit.integrations.openlineage",
    "WandbTracker": "nemotron.kit.integrations.wandb.tracker",
    "to_wandb_uri": "nemotron.kit.artifacts.inputs",
    "tokenizer_to_uri": "nemotron.kit.artifacts.inputs",
}


def __getattr__(name: str) -> Any:
    """Look a name up in the module that it comes from (PEP 562)."""
    if name not in _SOURCES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_SOURCES[name]), name)


def __dir__() -> list[str]:
    """All public names."""
    return sorted({*globals(), *__all__})
