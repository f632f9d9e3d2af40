"""Make the description of an artifact: look at its files, ask nobody.

    description = describe(artifact, "nano3/pretrain/data", used_refs, options)

No run and no client are needed for it. See `description.py` for what comes out, `sending.py` for what next.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nemotron.kit.documents.codec import encode, plain
from nemotron.kit.errors import PathNotFoundError
from nemotron.kit.integrations.wandb.description import (
    METADATA_FILE,
    Description,
    Draft,
    File,
    Upload,
    kit_document,
)
from nemotron.kit.integrations.wandb.drafts import fit_metadata, refer, unopened
from nemotron.kit.integrations.wandb.inputs import sources_of
from nemotron.kit.integrations.wandb.run import unique
from nemotron.kit.integrations.wandb.secrets import cleaned
from nemotron.kit.integrations.wandb.uploads import content_digest
from nemotron.kit.integrations.wandb.uris import alias, artifact_name, artifact_type, is_reference, local_path
from nemotron.kit.tracking.protocol import SaveOptions


def describe(artifact: Any, name: str, used_refs: list[str], options: SaveOptions) -> Description:
    """Describe an artifact for W&B.

    Args:
        artifact: see `Trackable`.
        name: its name; slashes become dashes.
        used_refs: what it was made from; paths and other URIs among them are left out.
        options: `aliases` and `external_inputs` are used; with `snapshot` the data is uploaded.

    Raises:
        InvalidNameError: it is no name.
        PathNotFoundError: a file that is to be uploaded is gone.
        ConflictError: one keeps changing.
    """
    experiment = os.environ.get("NEMO_EXPERIMENT_ID")
    aliases = ["latest", *([experiment] if experiment else []), *options.aliases]
    draft = _draft(artifact, artifact_name(name), options)
    description = Description(
        draft=draft,
        aliases=tuple(unique(map(alias, aliases))),
        used=tuple(unique(ref for ref in used_refs if is_reference(ref))),
        sources=tuple(sources_of(artifact, options.external_inputs)),
        summary=_summary(artifact, draft.name),
    )
    return cleaned(description)


def _draft(artifact: Any, name: str, options: SaveOptions) -> Draft:
    files = {entry: _file(path, entry) for path, entry in artifact.get_wandb_files()}
    metadata = fit_metadata(artifact.metadata, {"created_at": artifact.created_at})
    if "metadata_keys_left_out" in metadata and METADATA_FILE not in files:
        files[METADATA_FILE] = File(METADATA_FILE, encode({"metadata": plain(artifact.metadata, "metadata")}))
    references, uploads = [], []
    for uri, entry in artifact.get_wandb_references():
        path = local_path(uri)
        if options.snapshot and path is not None:
            uploads.append(Upload(path, entry, content_digest(path)))
        else:
            references.append(refer(uri, entry, evidence=True))
    return Draft(
        name=name,
        type=artifact_type(artifact.type),
        metadata={**metadata, **unopened(references)},
        files=tuple(files.values()),
        references=tuple(references),
        uploads=tuple(uploads),
    )


def _summary(artifact: Any, name: str) -> dict[str, float]:
    """The artifact's numbers, under its name: those of a run's own metrics are not touched."""
    metrics = getattr(artifact, "metrics", None)
    if not isinstance(metrics, Mapping):
        return {}
    return {f"{name}/{key}": value for key, value in metrics.items() if math.isfinite(value)}


# -- files -------------------------------------------------------------------------------------------------


def _file(path: str, name: str) -> File:
    """A file that is uploaded with the artifact.

    The kit's own `metadata.json` goes without its `tracking`, which says where the artifact was recorded the
    last time: with it, saving the same thing again would be another version.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise PathNotFoundError(f"{path} is to be uploaded to W&B, and is not there") from error
    document = kit_document(data) if name == METADATA_FILE else None
    if document is None or document.get("tracking") is None:
        return File(name, data, os.fspath(path))
    return File(name, encode({**document, "tracking": None}))
