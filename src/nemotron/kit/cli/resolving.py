"""`resolve`: from a reference to a path. Scripts call it in loops, so it imports little."""

from typing import TYPE_CHECKING

from nemotron.kit.cli.options import Json, Quiet, Ref, Root, session

if TYPE_CHECKING:
    from nemotron.kit.registry.records import Record
    from nemotron.kit.registry.registry import Registry


def resolve(ref: Ref, root: Root = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Print where an artifact, or a file inside it, lies.

    A snapshot is laid out as a folder first. A path inside follows the version.

    Example: nemotron kit resolve my-data:v3/train/000.bin
    """
    from nemotron.kit.console.path import PathView

    registry, output = session(root, as_json, quiet)
    output.show(PathView(*where(registry, ref)))


def where(registry: "Registry", ref: str) -> "tuple[Record, str, str, str]":
    """The version that a reference means, the folder of its content, the path asked for, and that inside."""
    record, inside = registry.find(ref)
    if record.is_at_url:
        folder = record.folder
        return record, folder, f"{folder}/{inside}" if inside else record.path, inside
    folder = str(registry.folder(record))
    return record, folder, str(registry.inside(ref) if inside else registry.location(record)), inside
