"""`runs` and `run`: what was run, what became of it, and what it made."""

from typing import Annotated, get_args

import typer

from nemotron.kit.cli.options import Json, Quiet, Root, session
from nemotron.kit.errors import MisuseError


def runs(
    status: Annotated[
        str | None,
        typer.Option(
            "--status",
            metavar="STATUS",
            help="Only those that are running, finished, exited, failed, killed or unknown.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("-n", "--limit", metavar="N", min=0, help="How many to show at most; 0 for all.")
    ] = 20,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List the runs that saved something here, the newest first.

    A run that did not say how it ended is running, or was killed if its process is gone from this machine;
    of a run on another machine nobody here knows. A script without `kit.run` has exited when it is over: an
    exception that ended it is recorded, an exit code is not.

    Example: nemotron kit runs --status failed
    """
    from nemotron.kit.console.runs import RunsView
    from nemotron.kit.documents.run import Status
    from nemotron.kit.lineage.runs import list_runs

    if status not in (None, *get_args(Status)):
        raise MisuseError(f"Unknown status: {status!r}. Must be one of: {', '.join(get_args(Status))}")
    registry, output = session(root, as_json, quiet)
    with output.progress("Reading runs"):
        found = list_runs(registry.store, status=status, limit=limit or None)  # type: ignore[arg-type]
    output.show(RunsView(found))


def run(
    run_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="The id of a run, or the beginning of one.", show_default=False),
    ],
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show one run: how it ended, what it made, from what, with which code, config and packages.

    Example: nemotron kit run 01890a5d-ac96
    """
    from nemotron.kit.console.runs import RunView
    from nemotron.kit.lineage.runs import find_run, with_all_used

    registry, output = session(root, as_json, quiet)
    output.show(RunView(with_all_used(registry, find_run(registry.store, run_id))))
