"""`adopt`: let what older tools stored have what new versions have."""

from typing import Annotated

import typer

from nemotron.kit.cli.options import Json, Quiet, Root, session
from nemotron.kit.errors import MisuseError

Where = Annotated[
    str | None,
    typer.Argument(
        metavar="ROOT", help="The store: a path or URL; or name it as elsewhere.", show_default=False
    ),
]


def adopt(
    where: Where = None,
    full: Annotated[
        bool, typer.Option("--hash", help="Read every byte for digests, not only size and time of each file.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List the files of versions that older tools made, so that verify and drift checks work for them too.

    A manifest is written beside each, in ROOT/.kit/adopted; what the older tool wrote stays as it is. Stop it
    when you like, and run it again: what is done is done. What can't be adopted is said, and stays as it was.

    Example: nemotron kit adopt /lustre/team/artifacts --dry-run
    """
    from nemotron.kit.cli.listing import refuse_missing
    from nemotron.kit.console.adoptions import AdoptionsView
    from nemotron.kit.registry.adopting import adopt

    if where is not None and root is not None:
        raise MisuseError(f"Which store, {where} or {root}? Name it once")
    registry, output = session(where or root, as_json, quiet)
    refuse_missing(registry)
    with output.progress("Reading" if full else "Looking", of_bytes=full) as progress:
        found = adopt(registry, full=full, dry_run=dry_run, progress=progress)
    output.show(AdoptionsView(registry.root, found, dry_run))
