"""The tracker that records nothing."""

from pathlib import Path
from typing import Any

from nemotron.kit.tracking.protocol import empty_record


class NoOpTracker:
    """Inactive: saves go to `metadata.json` alone, and nothing can be loaded by reference."""

    def is_active(self) -> bool:
        """Always False."""
        return False

    def use_artifact(self, ref: str, artifact_type: str) -> Path:
        """Always refused: there is nowhere to load from.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("NoOpTracker cannot load artifacts")

    def log_artifact(self, artifact: Any, name: str, used_refs: list[str]) -> dict[str, Any]:
        """Record nothing; the record says so."""
        return empty_record(getattr(artifact, "type", None))

    def get_run_id(self) -> str | None:
        """Always None."""
        return None
