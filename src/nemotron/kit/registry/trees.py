"""Listings in the store: inline in the manifest while small, else an object of their own."""

from dataclasses import replace

from nemotron.kit.documents.digest import digest_of
from nemotron.kit.documents.manifest import Content, Manifest
from nemotron.kit.documents.tree import INLINE_SIZE_MAX, Tree
from nemotron.kit.errors import CorruptError
from nemotron.kit.registry import layout
from nemotron.kit.store.protocol import Store


def read_tree(store: Store, manifest: Manifest) -> Tree | None:
    """The listing of a version, or None if it has none.

    Raises:
        CorruptError: it is missing or is not what its digest says.
    """
    content = manifest.content
    if content is None or content.listing is not None:
        return content.listing if content else None
    if content.tree is None:
        return None
    key = layout.tree(content.tree)
    data = store.read(key)
    where = f"{store.url}/{key}"
    if data is None:
        raise CorruptError(f"The listing of {manifest.uri} is missing: no {where}")
    tree = Tree.from_bytes(data, where)
    if digest_of(tree.lines()) != content.tree:
        raise CorruptError(f"{where} is damaged: its content is not what its name says")
    return tree


def with_tree(content: Content, tree: Tree) -> tuple[Content, tuple[str, bytes] | None]:
    """A content with its listing, and the object to create first if the listing is large."""
    content = replace(content, files=tree.files, size=tree.size, digest=tree.digest)
    lines = tree.lines()
    if len(lines) < INLINE_SIZE_MAX:
        return replace(content, listing=tree), None
    digest = digest_of(lines)
    return replace(content, tree=digest), (layout.tree(digest), tree.to_bytes())
