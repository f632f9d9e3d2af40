"""What is at a path of a snapshot, by its listing: no file is laid out, and no other one looked at.

A listing of a million files takes 190 MB and most of a second to read. So the first look into a large one
goes through its text for the one path, and keeps nothing; whoever looks again gets it kept.
"""

from nemotron.kit.documents import tree_text
from nemotron.kit.documents.look_up import LookUp, Seen
from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import CorruptError
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.trees import read_tree, stored
from nemotron.kit.store.protocol import Store

# Packed bytes; some ten thousand files.
LARGE_SIZE = 1 << 20
# Files of all the listings that are kept, but for the last one, which always is.
KEPT_FILES_MAX = 300_000


class LookUps:
    """The listings that a process looks into, by their digests: which store has them does not matter."""

    def __init__(self) -> None:
        # By the time of the last look. No lock, which a forked child could wait for: two threads that look at
        # the same moment read a listing twice at worst.
        self._kept: dict[str, LookUp] = {}
        self._glanced_at: set[str] = set()

    def at(self, store: Store, record: Record, path: str) -> Seen | None:
        """What is at a path of a snapshot, or None if nothing is.

        Raises:
            CorruptError: the listing is missing or damaged.
            OutsideRootError: a link on the way leads out of the artifact.
        """
        digest = _digest(record)
        if digest is not None and digest not in self._kept and digest not in self._glanced_at:
            pieces, where = stored(store, record.manifest, digest)
            data = b"".join(pieces)
            if len(data) > LARGE_SIZE:
                self._glanced_at.add(digest)
                if entry := tree_text.file_at(data, where, digest, path):
                    return Seen("file", entry)
            return self._keep(digest, Tree.from_bytes(data, where, digest)).at(path)
        return self.listing(store, record).at(path)

    def listing(self, store: Store, record: Record) -> LookUp:
        """All of a snapshot's listing.

        Raises:
            CorruptError: it is missing or damaged.
        """
        digest = _digest(record)
        if digest is not None and (kept := self._kept.pop(digest, None)) is not None:
            self._kept[digest] = kept
            return kept
        tree = read_tree(store, record.manifest)
        if tree is None:
            raise CorruptError(
                f"{record.uri} is a snapshot without a listing; `nemotron kit doctor` tells more"
            )
        return LookUp(tree) if digest is None else self._keep(digest, tree)

    def _keep(self, digest: str, tree: Tree) -> LookUp:
        found = LookUp(tree)
        self._kept[digest] = found
        others = [key for key in [*self._kept] if key != digest]
        files = sum(len(look) for look in [*self._kept.values()])
        for key in others:
            if files <= KEPT_FILES_MAX:
                break
            if (oldest := self._kept.pop(key, None)) is not None:
                files -= len(oldest)
        return found


def _digest(record: Record) -> str | None:
    """Of the listing, where it is an object of its own."""
    content = record.manifest.content
    return content.tree if content is not None and content.listing is None else None
