"""The arguments and options that commands share, and what they lead to."""

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from nemotron.kit.cli import completion
from nemotron.kit.console.output import Output, choose

if TYPE_CHECKING:
    from nemotron.kit.registry.checkout_options import CheckoutOptions
    from nemotron.kit.registry.registry import Registry

Ref = Annotated[
    str,
    typer.Argument(
        metavar="REF",
        help="An artifact: NAME, NAME:v3, NAME:ALIAS, with or without art:// in front.",
        autocompletion=completion.refs,
        show_default=False,
    ),
]
Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The artifact.", autocompletion=completion.names, show_default=False),
]
AliasName = Annotated[
    str,
    typer.Argument(
        metavar="ALIAS",
        help="A name for a version, such as production.",
        autocompletion=completion.aliases,
        show_default=False,
    ),
]
Why = Annotated[
    str | None,
    typer.Option("-m", "--why", metavar="WHY", help="The reason, for the log.", show_default=False),
]
Root = Annotated[
    str | None,
    typer.Option(
        "--root",
        metavar="ROOT",
        help="The artifact store: a path or URL. Else $NEMO_ARTIFACT_ROOT, "
        "else artifacts.manifest.root in the nearest env.toml.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Bare values only, one a line.")]

# So many rows of a table are shown to a person who did not say how many; of a tree some screens, and no more.
ROWS_SHOWN = 50
NODES_SHOWN = 200


def _limit(said: str) -> Any:
    return typer.Option("-n", "--limit", metavar="N", min=0, help=said, show_default=False)


Limit = Annotated[
    int | None,
    _limit(f"How many to show at most; 0 for all. Not given: {ROWS_SHOWN}, and with --json or --quiet all."),
]
NodesLimit = Annotated[
    int | None,
    _limit(
        f"How many to show at most, the nearest; 0 for all. Not given: {NODES_SHOWN} in the tree, else all."
    ),
]
ExportLimit = Annotated[
    int | None, _limit("How many artifacts to write at most, the nearest; 0, or not given, for all.")
]
Depth = Annotated[
    int | None,
    typer.Option("--depth", metavar="N", min=0, help="How many steps to go.", show_default="all"),
]


class Session(NamedTuple):
    """What a command works with: the store, and the way to speak."""

    registry: "Registry"
    output: Output


def limit_of(asked: int | None, *, for_person: bool, usual: int = ROWS_SHOWN) -> int | None:
    """How many to give, or None for all: what was asked for, else few to a person and all to a program."""
    if asked is None:
        return usual if for_person else None
    return asked or None


def session(
    root: str | None, as_json: bool, quiet: bool, checkouts: "CheckoutOptions | None" = None
) -> Session:
    """Open the store that the options name.

    Args:
        root: the option.
        as_json: the option.
        quiet: the option.
        checkouts: how snapshots are laid out, where a command lays some out.

    Raises:
        MisuseError: they name none.
        KitError: it can't be opened.
    """
    from nemotron.kit.cli.roots import find_root
    from nemotron.kit.registry.registry import Registry

    return Session(Registry.open(find_root(root), checkouts=checkouts), choose(as_json=as_json, quiet=quiet))
