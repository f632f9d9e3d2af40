"""Data that is uploaded with an artifact: known by its bytes, and sent only if they are still the same.

A description may be sent much later than it was made, and names the data by its path. The kit's own
`metadata.json` does not count: it is written again after each save, and goes out as it was described.
"""

import os
from typing import Any

from nemotron.kit.errors import DriftError
from nemotron.kit.integrations.wandb.description import METADATA_FILE, Upload
from nemotron.kit.registry.content import hashed
from nemotron.kit.registry.scan import is_kit_metadata, scan_file, scan_folder


def content_digest(path: str) -> str:
    """The identity of what is in a folder or file; files that were read before are not read again.

    Raises:
        PathNotFoundError: it is gone.
        ConflictError: a file keeps changing while it is read.
    """
    if os.path.isdir(path):
        return hashed(path, scan_folder(path)).digest or ""
    return hashed(os.path.dirname(path), scan_file(path), alone=True).digest or ""


def add_upload(made: Any, upload: Upload) -> str | None:
    """Let the client take the data.

    Args:
        made: the client's artifact.
        upload: the data.

    Returns:
        The name in the artifact of the kit's `metadata.json` of the data, if there is one: it was left out.

    Raises:
        DriftError: it is not what was described.
        PathNotFoundError: it is gone.
    """
    if upload.digest and content_digest(upload.path) != upload.digest:
        raise DriftError(
            f"{upload.path} is not uploaded: its files have changed since it was saved. If the present ones "
            "are meant, save it again"
        )
    if os.path.isfile(upload.path):
        made.add_file(upload.path, name=upload.name)
        return None
    made.add_dir(upload.path, name=upload.name or None)
    if not upload.digest or not is_kit_metadata(os.path.join(upload.path, METADATA_FILE)):
        return None
    own = f"{upload.name}/{METADATA_FILE}" if upload.name else METADATA_FILE
    made.remove(own)
    return own
