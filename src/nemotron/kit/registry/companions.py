"""Files beside a version for readers that know no manifests; what they say, the manifest says."""

import logging
from typing import Any

from nemotron.kit.documents import codec
from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.errors import KitError
from nemotron.kit.registry import layout
from nemotron.kit.registry.records import Record
from nemotron.kit.store.protocol import Store

log = logging.getLogger(__name__)


def write(store: Store, manifest: Manifest) -> None:
    """Files for other readers, and the hint; the version is safe without them."""
    record = Record(manifest, store.url)
    try:
        store.replace_all(
            {
                layout.metadata(manifest.name, manifest.version): codec.encode(
                    companion(record, record.folder)
                ),
                layout.latest(manifest.name): f"v{manifest.version}".encode(),
            }
        )
    except KitError as error:
        log.warning(
            "%s is published; files beside it are not: %s. Run `nemotron kit doctor`", manifest.uri, error
        )


def companion(record: Record, folder: str) -> dict[str, Any]:
    """The `metadata.json` of a version whose content lies in `folder`."""
    manifest = record.manifest
    entry = manifest.content.entry if manifest.content else None
    metadata = record.metadata_in(folder)
    document = {
        "path": f"{folder}/{entry}" if entry else folder,
        "type": manifest.type,
        "metadata": metadata,
        "created_at": manifest.created_at,
        "producer": manifest.producer,
        "tracking": {
            "artifact_id": f"{manifest.name}:v{manifest.version}",
            "artifact_type": manifest.type,
            "run_id": manifest.producer,
            "url": None,
            "used_artifacts": list(manifest.used_artifacts),
        },
        "name": manifest.semantic_name,
    }
    return document | {key: value for key, value in metadata.items() if key not in document}
