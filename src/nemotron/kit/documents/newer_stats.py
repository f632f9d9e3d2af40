"""Newer times and etags of a version's files, whose bytes are known to be those that were published.

A manifest is never altered; this lies beside it, and only saves looking at the bytes again.
"""

from dataclasses import dataclass
from typing import Any

from nemotron.kit.documents import codec
from nemotron.kit.documents.digest import is_digest
from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import CorruptError

STATS_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class NewerStats:
    """What was seen of the files of a version that were written again with the same bytes.

    Attributes:
        name: the key.
        version: the number.
        seen_at: ISO 8601 with zone.
        tree: digest of the listing of these files, where it is not inline.
        listing: the listing itself, where it is small.
    """

    name: str
    version: int
    seen_at: str
    tree: str | None = None
    listing: Tree | None = None

    def to_bytes(self) -> bytes:
        """The stored form."""
        document: dict[str, Any] = {
            "format_version": STATS_FORMAT,
            "name": self.name,
            "version": self.version,
            "seen_at": self.seen_at,
        }
        if self.tree is not None:
            document["tree"] = self.tree
        if self.listing is not None:
            document |= {"listing": self.listing.rows(), **self.listing.tags()}
        return codec.encode(document)

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> "NewerStats":
        """Read `to_bytes()` back.

        Raises:
            CorruptError: it is damaged; `where` is named.
            FormatTooNewError: a newer kit wrote it.
        """
        document = codec.decode(data, where)
        codec.format_of(document, where, "stats", STATS_FORMAT)
        name, version, seen_at, tree = (document.get(key) for key in ("name", "version", "seen_at", "tree"))
        if not (isinstance(name, str) and type(version) is int and isinstance(seen_at, str)):
            raise CorruptError(f"{where} is damaged: name {name!r}, version {version!r}, seen {seen_at!r}")
        rows = document.get("listing")
        if (tree is None and rows is None) or not (tree is None or is_digest(tree)):
            raise CorruptError(f"{where} is damaged: it has no listing; its tree is {tree!r}")
        listing = None if rows is None else Tree.from_rows(rows, where, document)
        return cls(name=name, version=version, seen_at=seen_at, tree=tree, listing=listing)
