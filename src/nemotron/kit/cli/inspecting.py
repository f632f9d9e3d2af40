"""`inspect`: what is this? It needs no store."""

import os
from typing import Annotated

import typer

from nemotron.kit.cli.options import Json, Quiet, Root, session
from nemotron.kit.console.output import choose

Place = Annotated[
    str,
    typer.Argument(
        metavar="PATH", help="A file, a folder, or an artifact as art://NAME.", show_default=False
    ),
]


def inspect(path: Place, root: Root = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Say what a file or folder is, and what its bytes say: tokens, sequences, rows, parameters.

    Heads and footers are read; of JSON lines, all bytes. No store is needed, but for art://. What can't be
    read is listed as unreadable, with the reason. What contradicts itself is an error that names the file.

    Example: nemotron kit inspect ./out
    """
    from nemotron.kit.console.inspected import InspectedView
    from nemotron.kit.formats.detect import detect

    place, output = path, choose(as_json=as_json, quiet=quiet)
    if path.startswith("art://"):
        registry = session(root, as_json, quiet).registry
        record, inside = registry.find(path)
        place = str(registry.inside(path) if inside else registry.location(record))
    with output.progress("Reading"):
        detected = detect(place)
    output.show(InspectedView(detected, os.path.abspath(detected.path)))
