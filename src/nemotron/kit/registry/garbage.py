"""What house-keeping decides, from what it has seen: nothing here looks at a store.

The rules, and why two runs and a grace period make them safe beside publishers, are in
`docs/design/009-house-keeping.md`. In short: what a run sets aside, no run deletes before a grace period has
passed; whoever relied on it has committed by then, and it is put back.
"""

import re
import shlex
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from nemotron.kit.errors import MisuseError
from nemotron.kit.redaction import clean_text
from nemotron.kit.registry import layout
from nemotron.kit.store.protocol import Found

GRACE_DEFAULT = timedelta(days=14)
# Publishers look again after half of this; see `publishing.OBJECTS_TRUSTED_S`.
GRACE_MIN = timedelta(hours=1)
# Beyond that there is no year for what is to come a grace period from now, and nobody to wait for it.
GRACE_MAX = timedelta(days=36_500)
# Hints for lineage indexes: one that has not looked for an hour goes over all names by itself.
JOURNAL_KEPT = timedelta(days=30)
_OBJECT = re.compile(r"\.kit/(?:blobs|trees)/([0-9a-f]{2})/\1[0-9a-f]{62}")
_MOST = f"{GRACE_MAX.days}d"
_UNITS = {
    "W": timedelta(weeks=1),
    "D": timedelta(days=1),
    "H": timedelta(hours=1),
    "M": timedelta(minutes=1),
    "S": timedelta(seconds=1),
}
# More are too long in any unit.
_DIGITS_MAX = 15
_TEMPORARY = re.compile(r"\.tmp-[0-9a-f]{16}")

What = Literal["blobs", "trees", "temporary", "resolutions", "checkouts", "journal", "stats", "doubt"]
Action = Literal["set aside", "put back", "deleted", "waiting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of what a run did, or would do.

    Attributes:
        what: which kind of thing.
        action: `set aside`, into the trash; `put back`, out of it, because a version names it; `deleted`, for
            good; `waiting`, in the trash for less than a grace period.
        count: how many.
        size: bytes of them.
    """

    what: What
    action: Action
    count: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What a run of gc did, or would do.

    Attributes:
        root: of the store.
        applied: False for a dry run, which changes nothing.
        grace: how long what is set aside stays in the trash at least.
        items: line by line.
        next_at: when the oldest of what waits in the trash can be deleted, in seconds since the epoch.
        unfinished: why something was left to the next run, or None.
    """

    root: str
    applied: bool
    grace: timedelta
    items: tuple[Item, ...]
    next_at: float | None = None
    unfinished: str | None = None

    @property
    def size_deleted(self) -> int:
        """Bytes that are free again."""
        return sum(item.size for item in self.items if item.action == "deleted")


@dataclass(frozen=True, slots=True)
class Settled:
    """What becomes of a batch of the trash whose time is over.

    Attributes:
        put_back: keys in the trash of what a version names.
        deleted: keys in the trash of what none names.
    """

    put_back: tuple[Found, ...]
    deleted: tuple[Found, ...]


def command(root: str, *, soon: bool = True) -> str:
    """What a person is told to run, to free what nobody needs.

    Args:
        root: of the store.
        soon: with the shortest grace period there is; else with the default.

    >>> command("/data/a store"), command("s3://b/store", soon=False)
    ("`nemotron kit gc --apply --grace 1h --root '/data/a store'`", '`nemotron kit gc --apply --root s3://b/store`')
    """
    return f"`nemotron kit gc --apply{' --grace 1h' if soon else ''} --root {shlex.quote(clean_text(root))}`"


def is_over(modified: float, now: float, age: timedelta) -> bool:
    """Whether something is as old as that. What seems to be from the future is young: clocks differ.

    >>> is_over(100.0, 160.0, timedelta(minutes=1)), is_over(200.0, 160.0, timedelta(0))
    (True, False)
    """
    return now >= modified and now - modified >= age.total_seconds()


def is_object(key: str) -> bool:
    """Whether a key is that of a blob or a tree; what else lies between them is not the kit's to judge."""
    return _OBJECT.fullmatch(key) is not None


def is_temporary(file_name: str) -> bool:
    """Whether a file name is one that the kit gives to what is not finished."""
    return _TEMPORARY.fullmatch(file_name) is not None


def candidates(objects: Iterable[Found], now: float, grace: timedelta) -> list[Found]:
    """The objects that are old enough to be set aside, if no version names them."""
    return [found for found in objects if is_object(found.key) and is_over(found.modified, now, grace)]


def unnamed(old: Iterable[Found], named: Collection[str]) -> list[Found]:
    """Those of some objects that no version names."""
    return [found for found in old if found.key not in named]


def settle(batch: Iterable[Found], named: Collection[str]) -> Settled:
    """What becomes of what a batch of the trash holds."""
    put_back: list[Found] = []
    deleted: list[Found] = []
    for found in batch:
        key = layout.put_back(found.key)
        if key is not None and is_object(key):
            (put_back if key in named else deleted).append(found)
    return Settled(tuple(put_back), tuple(deleted))


def parse_grace(text: str | timedelta | None) -> timedelta:
    """A grace period, as people write it.

    Args:
        text: `7d`, `12h`, `90m`, `2w`, or ISO 8601 such as `P1DT12H`; None for the default of 14 days.

    Raises:
        MisuseError: it is none, or shorter than an hour or longer than 100 years; the bounds are named.

    >>> parse_grace("7d"), parse_grace("12h")
    (datetime.timedelta(days=7), datetime.timedelta(seconds=43200))
    """
    grace = _duration(text) if isinstance(text, str) else GRACE_DEFAULT if text is None else text
    if grace is None or grace < GRACE_MIN:
        raise MisuseError(
            f"Invalid grace period: {str(text)!r}; expected at least an hour (1h), at most {_MOST}, such "
            "as 7d, 12h or P1DT12H: what is being published is there before a version names it, and must not "
            "be taken for garbage"
        )
    if grace > GRACE_MAX:
        raise MisuseError(
            f"Invalid grace period: {str(text)!r}; expected at most {_MOST} (100 years), such as 7d, 12h or "
            "P1DT12H: what is set aside is deleted when it is over"
        )
    return grace


def _duration(text: str) -> timedelta | None:
    from pydantic import TypeAdapter, ValidationError

    spelt = text.strip().upper()
    if plain := re.fullmatch(r"0*([0-9]+)([WDHMS])", spelt):
        count, unit = plain[1], _UNITS[plain[2]]
        return timedelta.max if len(count) > _DIGITS_MAX else min(int(count), timedelta.max // unit) * unit
    try:
        return TypeAdapter(timedelta).validate_python(spelt)
    except ValidationError:
        return None
