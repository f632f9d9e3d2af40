"""A path inside an artifact as a path on this machine, which no link takes out of it."""

import os
from collections.abc import Callable
from pathlib import Path

from nemotron.kit.errors import OutsideRootError, PathNotFoundError
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.scan import leaves
from nemotron.kit.store.files import looked_at


def place(record: Record, path: str, folder: Path, follows: Callable[[Record, str], bool]) -> Path:
    """Where something inside a version lies.

    Args:
        record: the version.
        path: relative, without `..`; "" is all of it.
        folder: where its content lies.
        follows: whether a path may lead out of it, as the registry says.

    Raises:
        PathNotFoundError: there is nothing.
        RefusedError, UnavailableError: it can't be looked at.
        OutsideRootError: a link there leads out of the artifact.
    """
    found = folder / path if path else folder
    entry = record.manifest.content.entry if record.manifest.content else None
    if record.scope == "file" and path not in ("", entry):
        raise PathNotFoundError(f"No {path} in {record.uri}: it is the file {entry} alone")
    if looked_at(str(found), follow_links=False) is None:
        where = "" if looked_at(str(folder)) else ", which is gone: its data was moved or deleted"
        raise PathNotFoundError(f"No {path or 'data'} in {record.uri}: looked in {folder}{where}")
    if leaves(str(found), os.path.realpath(folder)) and not follows(record, path):
        raise OutsideRootError(f"{record.uri}/{path} is a link that leaves the artifact; it is not followed")
    return found
