"""Fill a W&B artifact before it is logged: files, references, and metadata within W&B's limits."""

import importlib
import importlib.util
import json
import logging
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nemotron.kit.documents.codec import encode, plain
from nemotron.kit.integrations.wandb.errors import translated
from nemotron.kit.integrations.wandb.uris import local_path

log = logging.getLogger(__name__)

METADATA_KEYS_MAX = 100
# What the kit puts into the metadata itself beside the artifact's own.
METADATA_KEYS_RESERVED = 8

METADATA_FILE = "metadata.json"

# The packages by which the client opens references of these schemes.
PACKAGES = {"s3": "boto3", "gs": "google.cloud.storage"}


class References:
    """Adds references to drafts; remembers which schemes it has already warned of."""

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def add(self, draft: Any, uri: str, name: str) -> bool:
        """Add a reference without a checksum: no data is read, and no server is asked.

        A folder on this machine is listed, so that W&B shows its files. Everything else is one entry. The
        client itself would look for cloud credentials first, and would refuse what it can't open from here:
        `s3://` without boto3, `file://` of another machine.

        Returns:
            False where the client can't open the reference for want of a package: the caller keeps the URI
            in the metadata as well; a warning was given.
        """
        scheme = uri.partition("://")[0]
        path = local_path(uri)
        make_entry = _entry_class(draft)
        missing = scheme in PACKAGES and not _is_installed(PACKAGES[scheme])
        if make_entry is not None and not (path is not None and os.path.exists(path)):
            draft.manifest.add_entry(make_entry(path=name, ref=uri, digest=uri))
        elif not missing:
            with translated(f"refer to {uri}"):
                draft.add_reference(uri, name=name, checksum=False)
        if missing and scheme not in self._warned:
            self._warned.add(scheme)
            log.warning(
                "W&B's client can't open %s:// references without %s; they are kept in the metadata as well",
                scheme,
                PACKAGES[scheme],
            )
        return not missing


def _entry_class(draft: Any) -> Any | None:
    """The client's class for manifest entries, or None if the draft is another client's (a test's fake)."""
    if type(draft).__module__ != "wandb.sdk.artifacts.artifact":
        return None
    return importlib.import_module("wandb.sdk.artifacts.artifact_manifest_entry").ArtifactManifestEntry


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        # A parent package is missing, or something put None in its place.
        return False


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
        copy.write_bytes(encode({**document, "tracking": None}))
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
