"""A path inside an artifact as a path on this machine, which no link takes out of it."""

import os
from collections.abc import Callable
from pathlib import Path

from nemotron.kit.errors import OutsideRootError, PathNotFoundError, RefusedError
from nemotron.kit.names import normalise_inside
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.scan import leaves
from nemotron.kit.store.files import looked_at

# What to do about a reference whose folder is gone.
PUT_BACK = "put it back, or where it was moved, say so with `nemotron kit remap`"


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
        raise PathNotFoundError(
            f"No {path or 'data'} in {record.uri}: looked in {folder}{_why(record, folder)}"
        )
    if leaves(str(found), os.path.realpath(folder)) and not follows(record, path):
        raise OutsideRootError(f"{record.uri}/{path} is a link that leaves the artifact; it is not followed")
    return found


def _why(record: Record, folder: Path) -> str:
    """What happened to what was looked for, if it can only be one thing."""
    if looked_at(str(folder)) is None:
        return f", which is gone: {_lost(record)}"
    return f": {_lost(record)}" if record.scope == "file" else ""


def _lost(record: Record) -> str:
    moved = "its data was moved or deleted"
    return moved if record.is_snapshot else f"{moved}; {PUT_BACK}"


def refuse_unnameable(name: str, entry: str | None) -> None:
    """Refuse to publish as an artifact the file that no reference could name: its manifest could not be read.

    Args:
        name: of the artifact.
        entry: the file that the artifact is, relative to its folder; None for the folder.

    Raises:
        RefusedError: it has control characters, or a path hidden in an encoding.
    """
    try:
        normalise_inside(entry or "")
    except OutsideRootError as error:
        raise RefusedError(
            f"Cannot publish {name}: no reference can name the file {entry!r}. Rename it, or publish the "
            "folder that it is in"
        ) from error
