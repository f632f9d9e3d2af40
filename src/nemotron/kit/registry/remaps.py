"""Data that moved: what versions recorded stays as it is, and is looked for where it is now.

An append-only log in the store, `.kit/remaps/<sequence>.json`, whose last entry holds all remaps in force: so
a process needs one listing, and one read where there are any. `remapping` changes them.
"""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from nemotron.kit.errors import RefusedError
from nemotron.kit.registry import layout
from nemotron.kit.registry.numbered_log import NumberedLog
from nemotron.kit.store.protocol import Store

if TYPE_CHECKING:
    from nemotron.kit.documents.remap import Remap, RemapLog

log = logging.getLogger(__name__)


class Remaps:
    """Reads the remaps of a store. They are read once, when the first path asks.

    Args:
        store: where they are.

    Attributes:
        log: the entries; see `remapping`.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.log: NumberedLog[RemapLog] = NumberedLog(store, layout.REMAPS, _read, layout.remap)
        self._prefixes: dict[str, str] | None = None

    def moved(self, path: str) -> str:
        """Where a recorded path lies now.

        Raises:
            RefusedError: the remaps lead it in a circle.
        """
        prefixes = self._prefixes
        if prefixes is None:
            last = self.log.last()[0]
            self._prefixes = prefixes = by_prefix(last.remaps if last else ())
        if not prefixes or path.startswith(f"{self.store.url}/"):
            return path
        from nemotron.kit.documents.remap import moved

        now = moved(path, prefixes)
        if now is None:
            raise RefusedError(
                f"{path} is remapped in a circle; see `nemotron kit remap --list`, and take one away"
            )
        return now

    def warn_of(self, uri: str, path: str) -> None:
        """Say so if a path that was recorded just now will be looked for elsewhere; costs no request."""
        if not self._prefixes:
            return
        from nemotron.kit.documents.remap import moved

        now = moved(path, self._prefixes)
        if now is not None and now != path:
            log.warning("%s lies at %s and will be looked for at %s: that is remapped", uri, path, now)

    def all(self) -> "tuple[Remap, ...]":
        """Those in force now, by prefix."""
        last, _ = self.log.last()
        return tuple(sorted(last.remaps if last else (), key=lambda remap: remap.old))

    def know(self, remaps: "Iterable[Remap]") -> None:
        """Know those in force, which were changed just now, without asking for them."""
        self._prefixes = by_prefix(remaps)


def by_prefix(remaps: "Iterable[Remap]") -> dict[str, str]:
    """Where each prefix leads."""
    return {remap.old: remap.new for remap in remaps}


def _read(data: bytes, where: str) -> "RemapLog":
    from nemotron.kit.documents.remap import RemapLog

    return RemapLog.from_bytes(data, where)
