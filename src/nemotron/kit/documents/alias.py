"""One move of an alias, and the withdrawal of a version: entries of append-only logs."""

from dataclasses import dataclass
from typing import Self, TypeVar

from nemotron.kit.documents import codec
from nemotron.kit.errors import CorruptError

LOG_FORMAT = 1
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMove:
    """Who moved an alias, when, from where to where, and why.

    Attributes:
        sequence: 1 for the first move of this alias; the highest is in force.
        version: where it points from now on.
        previous: where it pointed before, or None.
        moved_at: ISO 8601 with zone.
        moved_by: user and host.
        why: the reason, if one was given.
        write_id: unique to one attempt.
        protected: whether only who insists may move it from now on. Kits that know no protection don't see
            it, and move the alias all the same.
        undoes: the sequence of the move that this one takes back, or None.
    """

    sequence: int
    version: int
    previous: int | None = None
    moved_at: str = ""
    moved_by: str = ""
    why: str | None = None
    write_id: str = ""
    protected: bool = False
    undoes: int | None = None

    def to_bytes(self) -> bytes:
        """The stored form; what only some moves say is left out of the others."""
        unsaid = {"protected": False, "undoes": None}
        document = {name: getattr(self, name) for name in self.__slots__}
        document = {name: said for name, said in document.items() if said != unsaid.get(name, ...)}
        return codec.encode({"format_version": LOG_FORMAT, **document})

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Self:
        """Read the stored form.

        Raises:
            CorruptError: it is damaged.
        """
        move = _read(cls, data, where)
        if move.sequence < 1 or move.version < 0:
            raise CorruptError(f"{where} is damaged: it is move {move.sequence}, to v{move.version}")
        return move


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """Why a version is withdrawn. Its number is never used again, its lineage stays.

    Attributes:
        reason: what a user of the version must know.
        withdrawn_at: ISO 8601 with zone.
        withdrawn_by: user and host.
        write_id: unique to one attempt.
    """

    reason: str
    withdrawn_at: str = ""
    withdrawn_by: str = ""
    write_id: str = ""

    def to_bytes(self) -> bytes:
        """The stored form."""
        document = {name: getattr(self, name) for name in self.__slots__}
        return codec.encode({"format_version": LOG_FORMAT, **document})

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Self:
        """Read the stored form.

        Raises:
            CorruptError: it is damaged.
        """
        return _read(cls, data, where)


def _read(cls: type[T], data: bytes, where: str) -> T:
    document = codec.decode(data, where)
    codec.format_of(document, where, "log", LOG_FORMAT, unsaid=LOG_FORMAT)
    return codec.read(cls, document, where)
