"""`resolve`: from a reference to a path. Scripts call it in loops, so it imports little."""

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from nemotron.kit.cli.options import Json, Quiet, Ref, Root, session

if TYPE_CHECKING:
    from nemotron.kit.console.output import Output
    from nemotron.kit.registry.records import Record
    from nemotron.kit.registry.registry import Registry


class Layout(Enum):
    """How a snapshot is laid out as a folder."""

    reflink = "reflink"
    copy = "copy"
    hardlink = "hardlink"


Checkout = Annotated[
    Layout | None,
    typer.Option(
        "--checkout",
        metavar="reflink|copy|hardlink",
        help="How a snapshot is laid out if it is not yet: sharing blocks with the store where the file "
        "system can, else copied; always copied; or as hard links to the store's own read-only files, "
        "through which root can write into the store. Else as $NEMO_CHECKOUT says, else reflink.",
        show_default=False,
    ),
]


def resolve(
    ref: Ref,
    checkout: Checkout = None,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print where an artifact, or a file inside it, lies.

    A snapshot is laid out as a folder first. A path inside follows the version. At what a reference points to
    nobody looks: its path is printed also where the data changed or went away since, which verify tells.

    Example: nemotron kit resolve my-data:v3/train/000.bin

    Example: nemotron kit resolve my-data:v3 --checkout hardlink
    """
    from nemotron.kit.console.path import PathView
    from nemotron.kit.registry.checkout_options import CheckoutOptions

    options = CheckoutOptions(checkout.value if checkout else None)
    registry, output = session(root, as_json, quiet, options)
    output.show(PathView(*where(registry, ref, output)))


def where(registry: "Registry", ref: str, output: "Output") -> "tuple[Record, str, str, str]":
    """The version that a reference means, the folder of its content, the path asked for, and that inside."""
    record, inside = registry.find(ref)
    if record.is_at_url:
        folder = record.folder
        return record, folder, f"{folder}/{inside}" if inside else record.path, inside
    folder = laid_out(registry, record, output)
    return record, folder, str(registry.inside(ref) if inside else registry.location(record)), inside


def laid_out(registry: "Registry", record: "Record", output: "Output") -> str:
    """The folder of a version's content; a person sees how far a snapshot is laid out."""
    with output.progress("Laying out", of_bytes=True) as progress:
        return str(registry.folder(record, progress=progress))
