"""`impact`, `why`, `path`, `diff`, `log`: what came of it, how it came to be, and what is different."""

from typing import Annotated

import typer

from nemotron.kit.cli import completion
from nemotron.kit.cli.options import Depth, Json, Limit, Quiet, Ref, Root, limit_of, session
from nemotron.kit.console.output import remark_all

One = Annotated[
    str,
    typer.Argument(
        metavar="A", help="An artifact, or a URI.", autocompletion=completion.refs, show_default=False
    ),
]
Other = Annotated[
    str,
    typer.Argument(
        metavar="B", help="Another artifact, or a URI.", autocompletion=completion.refs, show_default=False
    ),
]


def impact(
    ref: Ref,
    limit: Limit = None,
    depth: Depth = None,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List everything that was made of an artifact, however far down, with its share of it.

    What has aliases comes first, the newest before the others. A share is by tokens: ? where nobody knows,
    0 for what was made with it but holds nothing of it. REF may also be the URI of an external input, such
    as hf://datasets/org/name.

    Of very many the first are shown, and how many more there are is said.
    """
    from nemotron.kit.console.impact import HitsView
    from nemotron.kit.lineage import impact as answers

    registry, output = session(root, as_json, quiet)
    with output.progress("Reading manifests"):
        hits = answers.impact(registry, ref, limit=limit_of(limit, for_person=output.human), depth=depth)
    output.show(HitsView(hits, is_bounded=limit is not None or depth is not None))


def why(ref: Ref, root: Root = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Tell why a version is as it is: what made it, from what, and what changed since the version before.

    Of a path inside it nothing else is known: the answer is for the whole version, and a note says so.
    """
    from nemotron.kit.console.questions import ReasonsView
    from nemotron.kit.lineage import questions

    registry, output = session(root, as_json, quiet)
    found = questions.why(registry, ref)
    output.show(ReasonsView(found))
    remark_all(found.notes)


def path(one: One, other: Other, root: Root = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Show how one was made of the other: the shortest ways, whichever of them is the input.

    From a path inside an artifact lead the ways of what took it, or did not say which files it took.

    Example: nemotron kit path hf://datasets/org/name my-model:production
    """
    from nemotron.kit.console.questions import PathsView
    from nemotron.kit.lineage import questions

    registry, output = session(root, as_json, quiet)
    found = questions.paths(registry, one, other)
    output.show(PathsView(found))
    remark_all(found.notes)


def common(
    one: One,
    other: Other,
    down: Annotated[
        bool, typer.Option("--down/--up", help="What was made of both, instead of what both were made from.")
    ] = False,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what two artifacts have in common: what both were made from, the nearest first.

    A star marks where the two part: nothing that was made of it is shared as well.

    Example: nemotron kit common my-model:v3 my-model:v4
    """
    from nemotron.kit.console.questions import SharedView
    from nemotron.kit.lineage import questions

    registry, output = session(root, as_json, quiet)
    with output.progress("Reading manifests"):
        *graphs, found = questions.common(registry, one, other, direction="down" if down else "up")
    output.show(SharedView(graphs[0].uri, graphs[1].uri, found))
    remark_all(note for graph in graphs for note in graph.notes)


def diff(one: One, other: Other, root: Root = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Show what is different between two versions: inputs and their use, runs, metadata, files.

    Inputs that are other versions of one name are compared as well, and shown first: what they were made
    from is where a difference begins. Of very many the first and the nearest are shown; --json has all.
    No data is read: the listings that were published are compared.
    """
    from nemotron.kit.console.questions import DiffView
    from nemotron.kit.lineage import questions

    registry, output = session(root, as_json, quiet)
    output.show(DiffView(questions.diff(registry, one, other)))


def log(ref: Ref, root: Root = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Show what happened to a name, oldest first: publishes, withdrawals, moves of aliases.

    With a version or an alias, only what concerns that version.
    """
    from nemotron.kit.console.questions import EventsView
    from nemotron.kit.lineage import questions

    registry, output = session(root, as_json, quiet)
    found = questions.log(registry, ref)
    output.show(EventsView(found))
    remark_all(found.notes)
