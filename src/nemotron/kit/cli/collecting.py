"""`gc`: free what no version needs any more."""

import shlex
from typing import Annotated

import typer

from nemotron.kit.cli.options import Json, Quiet, Root, session

Apply = Annotated[bool, typer.Option("--apply", help="Do it; else it is only told what would be done.")]
Grace = Annotated[
    str,
    typer.Option(
        "--grace",
        metavar="D",
        help="Leave alone what is younger, and keep in the trash for so long what is set aside: 7d, 12h, …; "
        "an hour at least, 36500d at most.",
    ),
]
Forget = Annotated[
    bool,
    typer.Option(
        "--forget-damaged", help="Go on where a version can't be read; what only it needs is given up."
    ),
]


GRACE = "14d"


def gc(
    apply: Apply = False,
    grace: Grace = GRACE,
    forget_damaged: Forget = False,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Free what no living version needs: contents of withdrawn snapshots, leftovers of killed processes.

    Without --apply nothing is changed. With it, contents go into the trash of the store; a run that comes one
    grace period later deletes them, or puts back what a version needs after all. People may publish and read
    meanwhile. Data outside the store is never touched.

    Example: nemotron kit gc --apply --grace 7d
    """
    from nemotron.kit.console.sweeping import SweepView

    registry, output = session(root, as_json, quiet)
    with output.progress("Collecting") as progress:
        found = registry.gc(apply=apply, grace=grace, forget_damaged=forget_damaged, progress=progress)
    output.show(SweepView(found, _command(grace, root, forget_damaged=forget_damaged)))


def _command(grace: str, root: str | None, *, forget_damaged: bool) -> str:
    """What does the same for good, to be copied: with what was given by hand."""
    from nemotron.kit.console.words import printable
    from nemotron.kit.redaction import clean_text

    said = ["--apply"]
    said += ["--grace", grace] if grace != GRACE else []
    said += ["--forget-damaged"] if forget_damaged else []
    said += ["--root", printable(clean_text(root))] if root is not None else []
    return f"nemotron kit gc {shlex.join(said)}"
