"""Trying a store out: what looking alone can't tell."""

import time
from collections.abc import Iterator
from contextlib import suppress

from nemotron.kit.errors import DiskFullError, KitError, MisuseError
from nemotron.kit.registry import stamps
from nemotron.kit.registry.findings import Finding
from nemotron.kit.store.protocol import Store

CLOCK_SKEW_MAX_S = 60.0


def probe(store: Store) -> Iterator[Finding]:
    """Whether small objects can be created, and exclusively, and what the store's clock says.

    What is made for it is taken away again.

    Args:
        store: to be tried.
    """
    key = f".kit/probe/{stamps.uuid7()}"
    try:
        before = time.time()
        first = store.create(key, b"first")
        yield from _clock(store, key, before, time.time())
        second = store.create(key, b"second")
        read = store.read(key)
        store.remove(key)
        store.prune(".kit/probe")
    except DiskFullError as error:
        _tidy(store, key)
        fix = "free some space, or raise the quota or the limit of a file's size (ulimit -f)"
        yield Finding(kind="disk_full", where=store.url, what=str(error), fix=fix)
        return
    except KitError as error:
        fix = "change the owner or mode of the root, or use another one"
        yield Finding(kind="not_writable", where=store.url, what=str(error), fix=fix)
        return
    if (first, second, read) != (True, False, b"first"):
        yield Finding(
            kind="not_exclusive",
            where=store.url,
            what="creating what is there was not refused: two writers may get one version number",
            fix="publish to a root on another file system",
        )


def _tidy(store: Store, key: str) -> None:
    """Take away what was made until something was refused."""
    with suppress(KitError):  # gc does, later
        store.remove(key)
        store.prune(".kit/probe")


def _clock(store: Store, key: str, before: float, after: float) -> Iterator[Finding]:
    """How far the store's clock, by which house-keeping goes, is from ours."""
    try:
        written = next((f.modified for f in store.walk(".kit/probe") if f.key == key), after)
    except MisuseError:
        return  # it does not tell; house-keeping says so
    skew = written - after if written > after else min(written - before, 0)
    if abs(skew) > CLOCK_SKEW_MAX_S:
        yield Finding(
            kind="clock_skew",
            where=store.url,
            what=f"its clock is {abs(skew):,.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's",
            fix="set the clocks by NTP; until then give gc a grace period of days",
            level="note" if abs(skew) < 900 else "problem",
        )
