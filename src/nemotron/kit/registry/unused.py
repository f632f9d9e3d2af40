"""Contents that no version uses: how many there are, and when gc takes them.

A snapshot that breaks off leaves what it has copied for the next try, and a withdrawn one what only it had.
Looking for them costs little beside what the doctor does anyway, which looks at each content that a version
uses: on a disk their names are listed, and only what no version uses is looked at, up to a limit; of a bucket
the doctor has listed them already, a thousand in one request.
"""

import os
import stat
from collections.abc import Container, Iterator
from datetime import UTC, datetime
from itertools import islice

from nemotron.kit.documents.digest import ALGORITHM
from nemotron.kit.documents.sizes import size as spelt
from nemotron.kit.errors import MisuseError
from nemotron.kit.registry import census, layout
from nemotron.kit.registry.findings import Finding
from nemotron.kit.registry.garbage import GRACE_DEFAULT, command, is_object
from nemotron.kit.registry.listed import Listed
from nemotron.kit.store.protocol import Found, Store
from nemotron.kit.store.system_errors import translating

# Whoever has more of them need not know how many.
COUNTED_MAX = 100_000


def findings(store: Store, used: Container[str], listed: Listed) -> Iterator[Finding]:
    """What to say of contents that no version uses; nothing if there are none.

    Args:
        store: where to look.
        used: the digests that versions name, all of them. What `.kit/adopted` names is looked up here.
        listed: what a far store has.

    Raises:
        RefusedError, UnavailableError: they can't be listed.
    """
    count, size, newest = 0, 0, 0.0
    try:
        for found in islice(_unused(store, used, listed), COUNTED_MAX):
            count, size, newest = count + 1, size + found.size, max(newest, found.modified)
    except MisuseError:
        return  # a store that can't list them, where gc takes nothing either
    if count:
        yield _said(store.url, count, size, newest)


def _unused(store: Store, used: Container[str], listed: Listed) -> Iterator[Found]:
    """Contents that neither a version nor an adopted one names, as gc sees it."""
    adopted: set[str] | None = None
    for found in _unnamed(store, used, listed):
        if adopted is None:  # only where there is something to ask
            adopted = census.adopted(store)
        if _digest(found.key) not in adopted:
            yield found


def _unnamed(store: Store, used: Container[str], listed: Listed) -> Iterator[Found]:
    if store.local_path(layout.BLOBS) is None:
        for found in listed.below(layout.BLOBS):
            if is_object(found.key) and _digest(found.key) not in used:
                yield found
        return
    for folder in store.list(layout.BLOBS):
        path = store.local_path(f"{layout.BLOBS}/{folder}")
        keys = (f"{layout.BLOBS}/{folder}/{name}" for name in store.list(f"{layout.BLOBS}/{folder}"))
        for key in keys:
            if not is_object(key) or _digest(key) in used:
                continue
            with translating("look at", f"{store.url}/{key}"):
                try:
                    info = os.lstat(f"{path}/{key.rpartition('/')[2]}")
                except FileNotFoundError:
                    continue  # gc took it just now
            if stat.S_ISREG(info.st_mode):
                yield Found(key, info.st_size, info.st_mtime)


def _digest(key: str) -> str:
    return f"{ALGORITHM}:{key.rpartition('/')[2]}"


def _said(root: str, count: int, size: int, newest: float) -> Finding:
    least = "at least " if count == COUNTED_MAX else ""
    days, last = GRACE_DEFAULT.days, datetime.fromtimestamp(newest, UTC) + GRACE_DEFAULT
    return Finding(
        kind="unused",
        where=f"{root}/{layout.BLOBS}",
        what=f"{least}{count:,} content{'' if count == 1 else 's'} that no version uses, {spelt(size)}: a "
        "snapshot broke off or is being taken, or versions were withdrawn",
        fix=f"nothing: a snapshot that is tried again goes on with them. To free them: {command(root)} sets "
        "aside what is older than an hour, and deletes it when it is run again an hour later. Without "
        f"`--grace 1h` both are {days} days: all of it can be set aside from {last:%Y-%m-%d} on",
        level="note",
        count=count,
        size=size,
    )
