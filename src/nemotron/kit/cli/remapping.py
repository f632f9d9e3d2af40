"""`remap`: say where data is now, without rewriting what was recorded."""

from typing import Annotated

import typer

from nemotron.kit.cli.options import Json, Quiet, Root, Why, session
from nemotron.kit.errors import MisuseError

Old = Annotated[
    str | None,
    typer.Argument(
        metavar="OLD", help="A folder or URL under which versions recorded data.", show_default=False
    ),
]
New = Annotated[str | None, typer.Argument(metavar="NEW", help="Where that is now.", show_default=False)]


def remap(
    old: Old = None,
    new: New = None,
    listed: Annotated[bool, typer.Option("--list", help="Show the remaps in force.")] = False,
    remove: Annotated[
        str | None,
        typer.Option("--remove", metavar="OLD", help="Take a remap away.", show_default=False),
    ] = None,
    why: Why = None,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Look for data that was recorded under OLD under NEW: it was moved, or is mounted elsewhere.

    Everything sees through it: resolve, load, verify, art:// and lineage. No version is rewritten. Of several
    prefixes the longest counts. What lies inside the store moves with it and needs no remap.

    Example: nemotron kit remap /lustre/old-team s3://team/archive -m "Lustre was retired"
    """
    from nemotron.kit.cli.listing import refuse_missing
    from nemotron.kit.console.remaps import RemapsView

    if [listed, remove is not None, new is not None].count(True) != 1 or (old is not None and new is None):
        raise MisuseError(
            "Missing or contradicting arguments: remap OLD NEW, remap --remove OLD, or remap --list"
        )
    registry, output = session(root, as_json, quiet)
    refuse_missing(registry)
    said = ""
    if remove is not None:
        registry.remap(remove, None)
        said = f"{remove} is not remapped any more"
    elif old is not None:
        registry.remap(old, new, why=why)
    output.show(RemapsView(registry.root, registry.remaps(), said))
