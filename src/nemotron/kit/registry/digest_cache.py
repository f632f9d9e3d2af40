"""Digests of files that were read before, so that what has not changed is not read again.

There is one small file a folder in the user's cache, keyed by path, inode, size and the times of the last
change of content and of inode. The last can't be set by anybody, so a file that was changed and had its time
put back is read again. A file that changed shortly before it was read is not remembered: it could change
once more within the clock's granularity and look the same.

The cache is safe to delete, and safe beside other processes: each replaces the file whole, and what one of
them forgets of the other's is only read again.
"""

import json
import logging
import os
import secrets
import time
import zlib
from pathlib import Path

from nemotron.kit.documents.digest import digest_of, hex_of, is_digest
from nemotron.kit.documents.tree import Entry, Tree

log = logging.getLogger(__name__)

FORMAT = 1
SETTLED_NS = 2_000_000_000  # coarser than any clock of a file system in use (FAT, NFS, some object gateways)

_Key = tuple[int, int, int, int]


class DigestCache:
    """The digests known of one folder's files.

    Args:
        folder: an absolute path.
    """

    def __init__(self, folder: str) -> None:
        self._place = _place(os.path.realpath(folder))
        self._known = _read(self._place)

    @property
    def files(self) -> int:
        """Of how many files a digest is known."""
        return len(self._known)

    def get(self, entry: Entry) -> str | None:
        """The digest of a file that has not changed since it was read, or None."""
        known = self._known.get(entry.path)
        return known[1] if known is not None and known[0] == _key(entry) else None

    def fill(self, tree: Tree) -> Tree:
        """The same tree, with the digests that are known."""
        if not self._known:
            return tree
        return Tree(
            tuple(
                [
                    entry.read(digest)
                    if entry.digest is None and entry.is_file and (digest := self.get(entry))
                    else entry
                    for entry in tree.entries
                ]
            )
        )

    def remember(self, tree: Tree, looked_at_ns: int) -> None:
        """Keep the digests of a tree whose reading began at a time, and forget files that are gone.

        Args:
            tree: with digests.
            looked_at_ns: nanoseconds since the epoch, before the first file was read.
        """
        settled = looked_at_ns - SETTLED_NS
        fresh = {
            entry.path: (_key(entry), entry.digest)
            for entry in tree.entries
            if entry.digest and entry.inode and entry.mtime_ns < settled and entry.ctime_ns < settled
        }
        if fresh != self._known:
            self._known = fresh
            _write(self._place, fresh)


def now_ns() -> int:
    """The time as files have it, nanoseconds since the epoch."""
    return time.time_ns()


def _key(entry: Entry) -> _Key:
    return entry.inode, entry.size, entry.mtime_ns, entry.ctime_ns


def _place(folder: str) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    name = hex_of(digest_of(os.fsencode(folder)))
    return Path(cache, "nemotron-kit", "digests", name[:2], name)


def _read(place: Path) -> dict[str, tuple[_Key, str]]:
    try:
        head, *rows = json.loads(zlib.decompress(place.read_bytes()))
        if head != FORMAT:
            return {}
        return {
            path: ((inode, size, mtime_ns, ctime_ns), digest)
            for path, inode, size, mtime_ns, ctime_ns, digest in rows
            if is_digest(digest)
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, zlib.error) as error:
        log.debug("the digest cache %s can't be read (%s); files are read instead", place, error)
        return {}


def _write(place: Path, known: dict[str, tuple[_Key, str]]) -> None:
    rows = [FORMAT, *([path, *key, digest] for path, (key, digest) in known.items())]
    temporary = place.with_name(f"{place.name}.{secrets.token_hex(4)}.tmp")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(zlib.compress(json.dumps(rows).encode(), 1))
        os.replace(temporary, place)
    except OSError as error:
        log.debug("the digest cache %s can't be written (%s)", place, error)
        temporary.unlink(missing_ok=True)
