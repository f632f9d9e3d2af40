"""Fill a W&B artifact before it is logged: files, references, and metadata within W&B's limits."""

import json
import logging
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nemotron.kit.documents.codec import plain
from nemotron.kit.integrations.wandb.errors import translate
from nemotron.kit.integrations.wandb.uris import local_path

log = logging.getLogger(__name__)

METADATA_KEYS_MAX = 100
# What the kit puts into the metadata itself beside the artifact's own.
METADATA_KEYS_RESERVED = 8

METADATA_FILE = "metadata.json"

# The packages without which the client refuses even to write down a reference.
PACKAGES = {"s3": "boto3", "gs": "google-cloud-storage", "https": "azure-storage-blob and azure-identity"}


class References:
    """Adds references to drafts; remembers which kinds it has already warned of."""

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def add(self, draft: Any, uri: str, name: str) -> bool:
        """Add a reference without a checksum, so that no data is read.

        Returns:
            False where the client can't: the package for the scheme is missing, or the folder is not on
            this machine. The caller keeps the URI in the metadata; a warning was given.
        """
        path = local_path(uri)
        if path is not None and not os.path.exists(path):
            self._warn(uri, f"{path} is not on this machine")
            return False
        try:
            draft.add_reference(uri, name=name, checksum=False)
        except Exception as error:
            if not _is_missing_package(error):
                raise translate(error, f"refer to {uri}") from error
            scheme = uri.partition("://")[0]
            self._warn(scheme, f"the package for {scheme}:// is missing: {PACKAGES.get(scheme, error)}")
            return False
        return True

    def _warn(self, about: str, why: str) -> None:
        if about not in self._warned:
            self._warned.add(about)
            log.warning("W&B can't hold this as a reference, it is kept in the metadata instead: %s", why)


def _is_missing_package(error: Exception) -> bool:
    return isinstance(error, ImportError) or "pip install" in str(error)


def add_file(draft: Any, path: str | os.PathLike[str], name: str) -> None:
    """Add a file that is uploaded with the artifact.

    The kit's own `metadata.json` goes without its `tracking`, which says where the artifact was recorded the
    last time: with it, saving the same thing again would be another version.
    """
    document = _kit_document(path) if name == METADATA_FILE else None
    if document is None or document.get("tracking") is None:
        draft.add_file(os.fspath(path), name=name)
        return
    with tempfile.TemporaryDirectory(prefix="nemotron-kit-") as folder:
        copy = Path(folder) / METADATA_FILE
        copy.write_text(json.dumps({**document, "tracking": None}, indent=2), encoding="utf-8")
        draft.add_file(str(copy), name=name)


def _kit_document(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """A `metadata.json` that the kit wrote, or None for a user's own."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError:
        return None
    keys = {"type", "path", "created_at", "producer", "tracking"}
    return document if isinstance(document, dict) and keys <= document.keys() else None


def fit_metadata(own: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata that W&B takes: JSON values, at most 100 keys.

    Args:
        own: the artifact's metadata; what does not fit is only in the uploaded `metadata.json`.
        added: the kit's keys, which always fit.
    """
    room = METADATA_KEYS_MAX - METADATA_KEYS_RESERVED
    kept = dict(list(own.items())[:room])
    result = {**added, **{str(key): _json(value, str(key)) for key, value in kept.items()}}
    if len(own) > room:
        result["metadata_keys_left_out"] = len(own) - room
    return result


def _json(value: Any, where: str) -> Any:
    return _finite(plain(value, where))


def _finite(value: Any) -> Any:
    """NaN and infinity as text: the client would make them null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
