"""`resolve`: from a reference to a path. Scripts call it in loops, so it imports little."""

from nemotron.kit.cli.options import Json, Quiet, Ref, Root, session


def resolve(ref: Ref, root: Root = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Print where an artifact, or a file inside it, lies.

    A snapshot is laid out as a folder first. A path inside follows the version.

    Example: nemotron kit resolve my-data:v3/train/000.bin
    """
    from nemotron.kit.console.path import PathView

    registry, output = session(root, as_json, quiet)
    record, inside = registry.find(ref)
    if "://" in record.folder:
        folder = record.folder
        path = f"{folder}/{inside}" if inside else record.path
    else:
        folder = str(registry.folder(record))
        path = str(registry.inside(ref) if inside else registry.location(record))
    output.show(PathView(record, folder, path, inside))
