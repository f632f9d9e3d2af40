"""Where data has moved to: entries of a store's log of remaps. The last one holds all that are in force."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nemotron.kit.documents import codec
from nemotron.kit.errors import CorruptError

REMAP_FORMAT = 1
# A path that moved more often than this is a circle.
STEPS_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Remap:
    """A prefix of recorded paths, and where what was there is now.

    Attributes:
        old: a folder or URL, as versions recorded it.
        new: where it is now.
        set_at: ISO 8601 with zone.
        set_by: user and host.
        why: the reason, if one was given.
    """

    old: str
    new: str
    set_at: str = ""
    set_by: str = ""
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemapLog:
    """One entry: what was changed, and what is in force from then on.

    Attributes:
        sequence: 1 for the first entry; the highest is in force.
        changed: the prefix that was set or taken away.
        remaps: all that are in force.
        write_id: unique to one attempt.
    """

    sequence: int
    changed: str
    remaps: tuple[Remap, ...]
    write_id: str = ""

    def to_bytes(self) -> bytes:
        """The stored form."""
        return codec.encode(
            {
                "format_version": REMAP_FORMAT,
                "sequence": self.sequence,
                "changed": self.changed,
                "remaps": [asdict(remap) for remap in self.remaps],
                "write_id": self.write_id,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> "RemapLog":
        """Read the stored form.

        Raises:
            CorruptError: it is damaged.
            FormatTooNewError: a newer kit wrote it.
        """
        document = codec.decode(data, where)
        codec.format_of(document, where, "remap", REMAP_FORMAT)
        sequence, remaps = document.get("sequence"), document.get("remaps")
        if type(sequence) is not int or sequence < 1:
            raise CorruptError(f"{where} is damaged: sequence is {sequence!r}")
        if not isinstance(remaps, list):
            raise CorruptError(f"{where} is damaged: 'remaps' is no list")
        return cls(
            sequence=sequence,
            changed=str(document.get("changed", "")),
            remaps=tuple(_remap(item, where) for item in remaps),
            write_id=str(document.get("write_id", "")),
        )


def _remap(item: Any, where: str) -> Remap:
    fields = item if isinstance(item, dict) else {}
    old, new, why = (fields.get(key) for key in ("old", "new", "why"))
    if not isinstance(old, str) or not isinstance(new, str) or not old or not new:
        raise CorruptError(f"{where} is damaged: {item!r} is no remap")
    return Remap(
        old=old,
        new=new,
        set_at=str(fields.get("set_at") or ""),
        set_by=str(fields.get("set_by") or ""),
        why=None if why is None else str(why),
    )


def moved(path: str, prefixes: Mapping[str, str]) -> str | None:
    """Where a recorded path lies now: the longest prefix counts, again and again until none fits.

    What moved up into a folder above its own, as `/data/old` to `/data`, moved once: a path that is still
    under the old prefix by then is one that had its name twice.

    >>> moved("/data/x/1", {"/data": "s3://b", "/data/x": "/fast"}), moved("/database", {"/data": "/d"})
    ('/fast/1', '/database')
    >>> moved("/data/old/old/1", {"/data/old": "/data"})
    '/data/old/1'

    Args:
        path: absolute, or a URL.
        prefixes: old to new, without a slash at the end.

    Returns:
        The path, or None if it is led in a circle.
    """
    just_moved_up = ""
    for _ in range(STEPS_MAX):
        old = path
        while old and (old not in prefixes or old == just_moved_up):
            old = old.rpartition("/")[0]
        if not old:
            return path
        new = prefixes[old]
        path = new + path[len(old) :]
        just_moved_up = old if old.startswith(f"{new}/") else ""
    return None
