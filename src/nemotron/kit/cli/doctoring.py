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
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Repair what is derived or can be had elsewhere; no version is touched."
        ),
    ] = False,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Look a store over: damaged or missing files, data that is gone or has changed, leftovers.

    Contents that no version uses are told too, with their number and size: gc frees them.
    Without --repair nothing is changed, and no data is read. Of data outside the store sizes and times tell;
    of contents in it the size alone: `verify NAME --evidence full` reads them. With --repair, what is derived
    is written anew, temporary files are deleted that nobody has written to for two days, and contents that
    the store lost are brought back from its trash, from where they were taken, or from a folder they were
    laid out in. Exit code 1 means that a problem is left; notes alone do not count.
    """
    from nemotron.kit.console.findings import FindingsView
    from nemotron.kit.registry.doctor import examine

    registry, output = session(root, as_json, quiet)
    with output.progress("Looking") as progress:
        view = FindingsView(registry.root, examine(registry, probe=probe, repair=repair, progress=progress))
    output.show(view)
    if not view.ok:
        raise typer.Exit(FAILED)
