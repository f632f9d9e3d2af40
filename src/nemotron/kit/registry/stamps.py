"""Ids, times and who: what a record says of the moment it was made."""

import os
import threading
import time

_lock = threading.RLock()
_last = 0


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()  # another thread of the parent may have held it


os.register_at_fork(after_in_child=_after_fork)


def uuid7() -> str:
    """A UUID of version 7 (RFC 9562): sorts by the time it was made, also within one process and millisecond.

    >>> first, second = uuid7(), uuid7()
    >>> len(first), first[14], first < second
    (36, '7', True)
    """
    global _last
    with _lock:
        # 60 bits: milliseconds and a fraction of 1/4096, moved on by one where the clock did not.
        ticks = max((time.time_ns() << 12) // 1_000_000, _last + 1)
        _last = ticks
    tail = int.from_bytes(os.urandom(8)) >> 2 | 1 << 63
    head = (ticks >> 12) << 16 | 7 << 12 | (ticks & 0xFFF)
    digits = f"{head << 64 | tail:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def now() -> str:
    """This moment, ISO 8601 with zone.

    >>> now()[-6:]
    '+00:00'
    """
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat()


def today() -> str:
    """This day in UTC, `yyyy-mm-dd`."""
    return time.strftime("%Y-%m-%d", time.gmtime())


def who() -> str:
    """`user@host`, for the logs that people read."""
    return f"{user()}@{os.uname().nodename}"


def user() -> str:
    """The name of whoever runs this process, or the number of a container's user who has none."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
