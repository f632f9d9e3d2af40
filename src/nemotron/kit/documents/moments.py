"""Moments as documents hold them, ISO 8601 with zone, and as people are shown them: one way for all."""

from datetime import UTC, datetime


def read(moment: str | None) -> datetime | None:
    """A moment in UTC, of which it is if it names no zone; None for none, or for another tool's spelling.

    >>> read("2025-01-01T10:00:00").isoformat(), read("yesterday"), read(None)
    ('2025-01-01T10:00:00+00:00', None, None)
    """
    try:
        then = datetime.fromisoformat(moment or "")
        return then.astimezone(UTC) if then.tzinfo else then.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # the latter: the first day or the last, in another zone
        return None


def shown(moment: str) -> str:
    """A moment as messages and tables show it: in UTC, to the second; another tool's spelling as it is.

    >>> shown("2025-01-01T12:00:00.123456+02:00"), shown("yesterday")
    ('2025-01-01T10:00:00Z', 'yesterday')
    """
    then = read(moment)
    return moment if then is None else then.isoformat(timespec="seconds").replace("+00:00", "Z")


def seconds_between(began: str | None, ended: str | None) -> float | None:
    """How long something took; None where nobody knows.

    Where it ended before it began, two clocks disagree, or one was set back: then neither tells.

    >>> seconds_between("2025-01-01T10:00:00+00:00", "2025-01-01T10:00:02.5+00:00")
    2.5
    >>> seconds_between("2025-01-01T10:00:01+00:00", "2025-01-01T10:00:00+00:00")
    >>> seconds_between("2025-01-01T10:00:00+00:00", None)
    """
    first, last = read(began), read(ended)
    if first is None or last is None or last < first:
        return None
    return (last - first).total_seconds()
