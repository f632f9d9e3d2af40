"""`lineage`: what an artifact comes from, and what came of it."""

from typing import TYPE_CHECKING, Annotated

import typer

from nemotron.kit.cli.options import Json, Quiet, Ref, Root, session
from nemotron.kit.errors import MisuseError

if TYPE_CHECKING:
    from nemotron.kit.lineage.collect import Direction


def lineage(
    ref: Ref,
    down: Annotated[
        bool, typer.Option("--down/--up", help="What was made of it, instead of what it was made from.")
    ] = False,
    depth: Annotated[
        int | None,
        typer.Option("--depth", metavar="N", min=0, help="How many steps to go.", show_default="all"),
    ] = None,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what an artifact was made from, back to the external inputs.

    With --down, REF may also be the URI of an external input: what was made of this dataset?

    Example: nemotron kit lineage --down hf://datasets/org/name
    """
    from nemotron.kit.console.lineage import LineageView
    from nemotron.kit.lineage.collect import collect

    registry, output = session(root, as_json, quiet)
    direction: Direction = "down" if down else "up"
    with output.progress("Reading manifests"):
        graph = collect(registry, ref, direction=direction, depth=depth)
    if graph.root.kind == "external" and not down:
        raise MisuseError(
            f"{ref} is no artifact: nobody knows what it was made from. Ask with --down what came of it"
        )
    output.show(LineageView(graph, direction))
