"""`inspect`: what is this? It needs no store."""

import os
from typing import Annotated

import typer

from nemotron.kit.cli.options import Json, Quiet, Root, session
from nemotron.kit.cli.resolving import where
from nemotron.kit.console.output import choose
from nemotron.kit.errors import InvalidReferenceError, OutsideRootError, PathNotFoundError
from nemotron.kit.names import ArtifactRef

Place = Annotated[
    str,
    typer.Argument(
        metavar="PATH",
        help="A file, a folder, the URL of one, or an artifact as art://NAME.",
        show_default=False,
    ),
]


LossShare = Annotated[
    bool,
    typer.Option("--loss-share", help="Of packed SFT data, read the column loss_mask as well (pyarrow)."),
]


def inspect(
    path: Place,
    loss_share: LossShare = False,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what a file or folder is, and what its bytes say: tokens, sequences, rows, parameters.

    Heads and footers are read, of what lies at a URL in ranges; of JSON lines, all bytes. No store is needed,
    but for art://. What can't be read is listed as unreadable, with the reason. What contradicts itself is an
    error that names the file.

    Example: nemotron kit inspect ./out
    """
    from nemotron.kit.console.inspected import InspectedView
    from nemotron.kit.formats.detect import detect
    from nemotron.kit.formats.reading import LOCAL

    place, output = path, choose(as_json=as_json, quiet=quiet)
    if path.startswith("art://"):
        registry = session(root, as_json, quiet).registry
        place = where(registry, path, output)[2]
    elif "://" not in path and not os.path.lexists(path):
        raise PathNotFoundError(f"Nothing is at {path}. {_artifact_meant(path)}")
    files = LOCAL
    if "://" in place:
        from nemotron.kit.artifacts.paths import files_of, to_path

        files = files_of(remote := to_path(place))
        place = str(remote)
    with output.progress("Reading"):
        detected = detect(place, files, loss_share=loss_share)
    output.show(InspectedView(detected, detected.path if "://" in place else os.path.abspath(detected.path)))


def _artifact_meant(path: str) -> str:
    """What to do about a path that is not there: it may have been meant as the name of an artifact."""
    try:
        ArtifactRef.parse(path)
    except (InvalidReferenceError, OutsideRootError):
        return "Check the path"
    return f"Check the path, or write art://{path} for an artifact of the store"
