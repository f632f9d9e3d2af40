"""Saying where data has moved to: the next entry of a store's log of remaps; see `remaps`."""

import os
import re
from collections.abc import Callable
from urllib.parse import unquote

from nemotron.kit.documents.remap import Remap, RemapLog, moved
from nemotron.kit.errors import MisuseError, NotFoundError, UnavailableError
from nemotron.kit.redaction import clean
from nemotron.kit.registry import stamps
from nemotron.kit.registry.founding import prepare
from nemotron.kit.registry.remaps import Remaps, by_prefix

ATTEMPTS_MAX = 1000
# Azure: container@account.
_WITH_CONTAINER = ("az", "abfs", "abfss")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)(/.*)?", re.DOTALL)


def remap(remaps: Remaps, old: str, new: str | None, why: str | None = None) -> None:
    """See `Registry.remap`."""
    prepare(remaps.store)
    if new is None:
        _remove(remaps, old)
    else:
        _add(remaps, old, new, why)


def _add(remaps: Remaps, old: str, new: str, why: str | None) -> None:
    wanted = Remap(
        old=_checked(old),
        new=_checked(new),
        set_at=stamps.now(),
        set_by=stamps.who(),
        why=clean(why),
    )
    root = remaps.store.url
    if wanted.old == root or wanted.old.startswith(f"{root}/"):
        raise MisuseError(f"Cannot remap {wanted.old}: paths inside {root} move with it, nothing to do")

    def added(before: tuple[Remap, ...]) -> tuple[Remap, ...]:
        there = next((one for one in before if one.old == wanted.old), None)
        if there is not None and there.new == wanted.new:
            return before
        after = (*(one for one in before if one.old != wanted.old), wanted)
        prefixes = by_prefix(after)
        if circle := next((one for one in after if moved(one.old, prefixes) is None), None):
            raise MisuseError(
                f"Cannot remap {wanted.old} to {wanted.new}: {circle.old} would be led in a circle"
            )
        return after

    _change(remaps, wanted.old, added)


def _remove(remaps: Remaps, old: str) -> None:
    prefix = _checked(old)

    def without(before: tuple[Remap, ...]) -> tuple[Remap, ...]:
        after = tuple(one for one in before if one.old != prefix)
        if len(after) == len(before):
            known = ", ".join(sorted(one.old for one in before)) or "nothing"
            raise NotFoundError(f"{prefix} is not remapped in {remaps.store.url}; {known} is")
        return after

    _change(remaps, prefix, without)


def _change(remaps: Remaps, prefix: str, change: Callable[[tuple[Remap, ...]], tuple[Remap, ...]]) -> None:
    write_id, taken = stamps.uuid7(), 0
    for _ in range(ATTEMPTS_MAX):
        last, highest = remaps.log.last(taken, patient=True)
        before = last.remaps if last else ()
        after = change(before)
        if after != before:
            entry = RemapLog(sequence=highest + 1, changed=prefix, remaps=after, write_id=write_id)
            if not remaps.log.append(entry):
                taken = entry.sequence
                continue
        remaps.know(after)
        return
    raise UnavailableError(f"The remaps of {remaps.store.url} are changed by others all the time; try again")


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
