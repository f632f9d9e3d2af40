"""The lineage tracker over the store at a root; see `nemotron.kit.trackers`."""

from nemotron.kit.tracking.file import ManifestTracker

__all__ = ["ManifestTracker"]
