"""Keys of listings that this process has worked out before.

Making the text of a million entries, or unpacking it, takes most of a second; a digest of the columns it is
made of, or of the packed bytes, a twentieth of that. What has the same digest has the same key, whoever asks
and whenever.
"""

from collections import OrderedDict

from nemotron.kit.documents.columns import Columns

KEPT_MAX = 1024
_BLOCK = 10_000


class KnownKeys:
    """The latest keys, by digests of what they are the keys of. Threads may share it.

    Args:
        most: how many are kept, of a hundred bytes each.

    >>> known = KnownKeys(most=2)
    >>> for text in "abc":
    ...     known.put(text.encode(), text)
    >>> known.get(b"a"), known.get(b"c")
    (None, 'c')
    """

    def __init__(self, most: int = KEPT_MAX) -> None:
        self._most = most
        self._keys: OrderedDict[bytes, str] = OrderedDict()

    def get(self, digest: bytes) -> str | None:
        """The key of what has a digest, if it is known."""
        return self._keys.get(digest)

    def put(self, digest: bytes, key: str) -> None:
        """Keep a key."""
        self._keys[digest] = key
        if len(self._keys) > self._most:
            self._keys.popitem(last=False)


def of_packed(data: bytes) -> bytes:
    """The digest of some packed bytes."""
    from blake3 import blake3

    # Not the digest of the bytes alone: they may be anything, also what `of_columns` takes in.
    return blake3(b"packed ").update(data).digest()


def of_columns(columns: Columns) -> bytes:
    """A digest of all that is stored of some entries."""
    from blake3 import blake3

    tags = (columns.etags, columns.object_versions)
    # All lengths that are not seen from what follows are said here.
    hasher = blake3(b"columns %d %d " % (len(columns), len(columns.hashes)))
    for column in (columns.sizes, columns.mtimes_ns, columns.marks, columns.hashes):
        hasher.update(memoryview(column).cast("B"))
    for start in range(0, len(columns), _BLOCK):
        hasher.update(_encoded([*columns.paths[start : start + _BLOCK], ""]))
    for at, target in sorted(columns.targets.items()):
        encoded = _encoded([target])
        hasher.update(b"%d %d " % (at, len(encoded)) + encoded)
    for of_one in tags:
        hasher.update(b"tags %d " % len(of_one))
        for piece in of_one.pieces(1 << 20):
            hasher.update(piece.encode("ascii"))
    return hasher.digest()


def _encoded(texts: list[str]) -> bytes:
    return "\0".join(texts).encode("utf-8", "surrogatepass")  # no path holds a zero byte
