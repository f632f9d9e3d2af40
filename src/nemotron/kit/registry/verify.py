"""Whether the files of a reference are still those that were published."""

import os

from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import PathNotFoundError
from nemotron.kit.registry import changes
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.scan import scan_file, scan_folder


def check(record: Record, tree: Tree, root: str) -> list[changes.Difference]:
    """Compare a reference's files with its listing, by size and time alone.

    Args:
        record: a reference to local data.
        tree: its listing.
        root: of the store, which is never part of the data.
    """
    follow_links = not any(entry.kind == "link" for entry in tree.entries)
    try:
        if record.scope == "file":
            now = scan_file(record.path)
        else:
            now = scan_folder(os.path.abspath(record.folder), follow_links=follow_links, skip=root)
    except PathNotFoundError:
        now = Tree(())
    return changes.compare(tree, now)
