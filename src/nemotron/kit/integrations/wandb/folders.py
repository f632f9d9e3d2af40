"""Where the data of a W&B artifact lies: the folder that it refers to, else a download."""

from pathlib import Path
from typing import Any

from nemotron.kit.errors import PathNotFoundError
from nemotron.kit.integrations.wandb.description import METADATA_FILE
from nemotron.kit.integrations.wandb.errors import translated
from nemotron.kit.integrations.wandb.uris import local_path

OUTPUT = "output"


def folder_of(artifact: Any) -> Path:
    """Where the artifact's data lies, or a download of it.

    Raises:
        PathNotFoundError: it refers to a folder that this machine does not have.
    """
    entries = getattr(getattr(artifact, "manifest", None), "entries", None)
    references = {} if not isinstance(entries, dict) else {p: e.ref for p, e in entries.items() if e.ref}
    folders = [referenced_folder(path, ref) for path, ref in references.items() if local_path(ref)]
    for folder in folders:
        if folder.is_dir():
            return folder
    if folders and len(folders) == len(references):
        raise PathNotFoundError(
            f"The data of {artifact.name} lies in {folders[0]}, which is not on this machine"
        )
    with translated(f"download {artifact.name}"):
        root = Path(artifact.download())
    # Data that was uploaded with the artifact keeps the name that its reference would have.
    inner = root / OUTPUT
    return inner if (inner / METADATA_FILE).is_file() else root


def referenced_folder(entry: str, uri: str) -> Path:
    """The folder that was referred to, from one line of it: `output/a/b.bin` and `file:///data/a/b.bin`."""
    path, inside = Path(local_path(uri) or "/"), Path(entry)
    if path.is_dir() or (len(inside.parts) == 1 and inside.name != path.name and not path.is_file()):
        return path  # one line for the whole folder, which may be on another machine
    same = 0
    for mine, theirs in zip(reversed(path.parts), reversed(inside.parts[1:]), strict=False):
        if mine != theirs:
            break
        same += 1
    return path.parents[max(same, 1) - 1]
