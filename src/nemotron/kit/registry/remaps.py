"""Data that moved: what versions recorded stays as it is, and is looked for where it is now.

An append-only log in the store, `.kit/remaps/<sequence>.json`, whose last entry holds all remaps in force: so
a process needs one listing, and one read where there are any.
"""

import logging
import os
import re
from collections.abc import Callable
from urllib.parse import unquote

from nemotron.kit.documents.remap import Remap, RemapLog, moved
from nemotron.kit.errors import (
    MisuseError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from nemotron.kit.redaction import clean
from nemotron.kit.registry import layout, stamps
from nemotron.kit.registry.numbered_log import NumberedLog
from nemotron.kit.store.protocol import Store

log = logging.getLogger(__name__)

ATTEMPTS_MAX = 1000
# Azure: container@account.
_WITH_CONTAINER = ("az", "abfs", "abfss")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)(/.*)?", re.DOTALL)


class Remaps:
    """Reads and changes the remaps of a store. They are read once, when the first path asks.

    Args:
        store: where they are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._log = NumberedLog(store, layout.REMAPS, RemapLog.from_bytes, layout.remap)
        self._prefixes: dict[str, str] | None = None

    def moved(self, path: str) -> str:
        """Where a recorded path lies now.

        Raises:
            RefusedError: the remaps lead it in a circle.
        """
        prefixes = self._prefixes
        if prefixes is None:
            last = self._log.last()[0]
            self._prefixes = prefixes = _prefixes(last.remaps if last else ())
        if not prefixes or path.startswith(f"{self._store.url}/"):
            return path
        now = moved(path, prefixes)
        if now is None:
            raise RefusedError(
                f"{path} is remapped in a circle; see `nemotron kit remap --list`, and take one away"
            )
        return now

    def warn_of(self, uri: str, path: str) -> None:
        """Say so if a path that was recorded just now will be looked for elsewhere; costs no request."""
        now = moved(path, self._prefixes) if self._prefixes else path
        if now is not None and now != path:
            log.warning("%s lies at %s and will be looked for at %s: that is remapped", uri, path, now)

    def all(self) -> tuple[Remap, ...]:
        """Those in force now, by prefix."""
        last, _ = self._log.last()
        return tuple(sorted(last.remaps if last else (), key=lambda remap: remap.old))

    def set(self, old: str, new: str, why: str | None = None) -> Remap:
        """From now on look for what was recorded under `old` under `new`.

        Raises:
            MisuseError: it is no absolute path or URL, would lead in a circle, or lies in the store, whose
                paths move with it.
        """
        remap = Remap(
            old=_checked(old),
            new=_checked(new),
            set_at=stamps.now(),
            set_by=stamps.who(),
            why=clean(why),
        )
        root = self._store.url
        if remap.old == root or remap.old.startswith(f"{root}/"):
            raise MisuseError(f"Cannot remap {remap.old}: paths inside {root} move with it, nothing to do")

        def added(remaps: tuple[Remap, ...]) -> tuple[Remap, ...]:
            there = next((one for one in remaps if one.old == remap.old), None)
            if there is not None and there.new == remap.new:
                return remaps
            after = (*(one for one in remaps if one.old != remap.old), remap)
            prefixes = _prefixes(after)
            if circle := next((one for one in after if moved(one.old, prefixes) is None), None):
                raise MisuseError(
                    f"Cannot remap {remap.old} to {remap.new}: {circle.old} would be led in a circle"
                )
            return after

        self._change(remap.old, added)
        return remap

    def remove(self, old: str) -> None:
        """Take a remap away: what was recorded under `old` is looked for there again.

        Raises:
            NotFoundError: there is none of that prefix.
        """
        prefix = _checked(old)

        def without(remaps: tuple[Remap, ...]) -> tuple[Remap, ...]:
            after = tuple(one for one in remaps if one.old != prefix)
            if len(after) == len(remaps):
                known = ", ".join(sorted(one.old for one in remaps)) or "nothing"
                raise NotFoundError(f"{prefix} is not remapped in {self._store.url}; {known} is")
            return after

        self._change(prefix, without)

    def _change(self, prefix: str, change: Callable[[tuple[Remap, ...]], tuple[Remap, ...]]) -> None:
        write_id, taken = stamps.uuid7(), 0
        for _ in range(ATTEMPTS_MAX):
            last, highest = self._log.last(taken, patient=True)
            before = last.remaps if last else ()
            after = change(before)
            if after != before:
                entry = RemapLog(sequence=highest + 1, changed=prefix, remaps=after, write_id=write_id)
                if not self._log.append(entry):
                    taken = entry.sequence
                    continue
            self._prefixes = _prefixes(after)
            return
        raise UnavailableError(
            f"The remaps of {self._store.url} are changed by others all the time; try again"
        )


def _prefixes(remaps: tuple[Remap, ...]) -> dict[str, str]:
    return {remap.old: remap.new for remap in remaps}


def _checked(text: str) -> str:
    """A prefix as it is written down.

    Raises:
        MisuseError: it is none.
    """
    shown = f"{text[:80]!r}"
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise MisuseError(f"Cannot remap {shown}: it has control characters")
    if match := _URL.fullmatch(text):
        scheme, host, path = match[1].lower(), match[2], match[3] or ""
        # What is written down here, everybody who reads the store can read.
        has_user = "@" in host and scheme not in _WITH_CONTAINER
        if has_user or "?" in text or clean(text) != text:
            raise MisuseError("Cannot remap a URL with credentials or a query; write the plain location")
        if scheme == "file":
            return _checked(unquote(path))
        if scheme == "art" or not host:
            raise MisuseError(f"Cannot remap {shown}: expected a folder, or a URL such as s3://bucket/folder")
        return f"{scheme}://{host}{path}".rstrip("/")
    path = os.path.normpath(os.path.expanduser(text))
    if not path.startswith("/") or path.strip("/") == "":
        raise MisuseError(f"Cannot remap {shown}: write the folder absolute, such as /lustre/team, or a URL")
    return "/" + path.lstrip("/")
