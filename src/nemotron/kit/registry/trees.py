"""Listings in the store: inline in the manifest while small, else an object of their own."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from io import BytesIO

from nemotron.kit.documents import tree_text
from nemotron.kit.documents.columns import Columns
from nemotron.kit.documents.manifest import Content, Manifest
from nemotron.kit.documents.tree import INLINE_SIZE_MAX, Tree, is_packed
from nemotron.kit.errors import CorruptError, FormatTooNewError
from nemotron.kit.registry import layout, objects
from nemotron.kit.store.protocol import Store
from nemotron.kit.workers import Workers

log = logging.getLogger(__name__)

# From so many rows on packing them takes longer than having a thread do it.
ROWS_MEANWHILE = 4_000
INLINE_ROWS_MAX = INLINE_SIZE_MAX // len('[0, "a", 0, 0, null]')


def read_tree(store: Store, manifest: Manifest, like: Tree | None = None) -> Tree | None:
    """The listing of a version, or None if it has none.

    Args:
        store: of the version.
        manifest: of the version.
        like: a listing of much the same files, whose texts are then shared.

    Raises:
        CorruptError: it is missing or is not what its digest says.
    """
    content = manifest.content
    if content is None or content.tree is None:
        return content.listing if content else None
    pieces, where = stored(store, manifest, content.tree)
    return Tree.from_pieces(pieces, where, content.tree, like=like)


def stored(store: Store, manifest: Manifest, digest: str) -> tuple[Iterator[bytes], str]:
    """The stored form of a large listing, and where it was found.

    Raises:
        CorruptError: it is missing.
    """
    key = layout.tree(digest)
    pieces, where = objects.pieces(store, key), f"{store.url}/{key}"
    if pieces is None:
        raise CorruptError(f"The listing of {manifest.uri} is missing: no {where}")
    return pieces, where


def is_listed(store: Store, manifest: Manifest, tree: Tree) -> bool:
    """Whether a version has this very listing, times included, and the store has it whole.

    Finding that out takes a quarter of the time of reading it.
    """
    content = manifest.content
    if content is not None and content.listing is not None:
        return content.listing == tree
    if content is None or content.tree is None or content.tree != tree.key:
        return False
    data = store.read(layout.tree(content.tree))
    return data is not None and is_packed(data, content.tree)


def readable_tree(store: Store, manifest: Manifest, like: Tree | None = None) -> Tree | None:
    """The listing of an earlier version, or None: a damaged one does not keep the next from being made."""
    try:
        return read_tree(store, manifest, like)
    except FormatTooNewError:
        raise
    except CorruptError as error:
        log.warning("%s. %s can't be compared with; run `nemotron kit doctor`", error, manifest.uri)
        return None


class Listed:
    """The listing of a version, which is read only if a look at its digest does not settle the matter.

    Args:
        store: of the version.
        manifest: of the version.
    """

    def __init__(self, store: Store, manifest: Manifest) -> None:
        self._store, self._manifest = store, manifest

    @property
    def uri(self) -> str:
        """The version, for messages."""
        return self._manifest.uri

    def is_listed(self, tree: Tree) -> bool:
        """Whether it is made of just these files, times included."""
        return is_listed(self._store, self._manifest, tree)

    def parts(self) -> Iterator[Columns]:
        """The listing, some entries after others; worth nothing if this raises in the end.

        Raises:
            CorruptError: it is missing or is not what its digest says.
            FormatTooNewError: a newer kit wrote it.
        """
        content = self._manifest.content
        if content is not None and content.tree is not None:
            pieces, where = stored(self._store, self._manifest, content.tree)
            yield from tree_text.parts(pieces, where, content.tree)
        elif content is not None and content.listing is not None:
            yield content.listing.columns


def join(pieces: Iterable[bytes]) -> bytes:
    """All pieces as one; unlike `b"".join` it never holds them twice."""
    whole = BytesIO()
    for piece in pieces:
        whole.write(piece)
    return whole.getvalue()


def meanwhile(work: Callable[[bytes], bytes], items: Iterable[bytes]) -> Iterator[bytes]:
    """`map` by another thread, while the next item is made."""
    with Workers(1, "kit-listing") as other:
        running = None
        for item in items:
            if running is not None:
                yield running.result()
            running = other.submit(work, item)
        if running is not None:
            yield running.result()


def with_tree(content: Content, tree: Tree) -> tuple[Content, tuple[str, bytes] | None]:
    """A content with its listing; what `create_listing` is to be given before, if that is large."""
    packed = None
    if len(tree.entries) > INLINE_ROWS_MAX or len(tree.lines()) >= INLINE_SIZE_MAX:
        packed = tree.packed(join, meanwhile if len(tree.entries) > ROWS_MEANWHILE else map)
    content = replace(content, files=tree.files, size=tree.size, digest=tree.digest)
    if packed is None:
        return replace(content, listing=tree), None
    digest, data = packed
    return replace(content, tree=digest), (digest, data)


def create_listing(store: Store, digest: str, data: bytes) -> None:
    """Bring a large listing into the store before the commit.

    One of newer stats has its name before it is on disk: it may not be there yet, or be cut short by a power
    loss.
    """
    key = layout.tree(digest)
    if store.create(key, data):
        return
    if is_packed(store.read(key) or b"", digest):
        with store.mark() as mark:
            store.rely_on(key)
            store.sync_since(mark)
        return
    store.remove(key)
    store.create(key, data)
