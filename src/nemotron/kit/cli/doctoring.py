"""`doctor`: is the store all right?"""

from typing import Annotated

import typer

from nemotron.kit.cli.failures import FAILED
from nemotron.kit.cli.options import Json, Quiet, Root, session


def doctor(
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Also create a small object, to see whether publishing works here."),
    ] = False,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Look a store over: damaged or missing files, data that is gone or has changed, leftovers.

    Nothing is changed, and no data is read: sizes and times tell. Exit code 1 means that there is a problem;
    notes alone do not count.
    """
    from nemotron.kit.console.findings import FindingsView
    from nemotron.kit.registry.doctor import examine

    registry, output = session(root, as_json, quiet)
    with output.progress("Looking") as progress:
        view = FindingsView(registry.root, examine(registry, probe=probe, progress=progress))
    output.show(view)
    if not view.ok:
        raise typer.Exit(FAILED)
