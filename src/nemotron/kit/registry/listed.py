"""What a far store has, by one listing of many objects instead of a request for each."""

import logging
from collections.abc import Collection, Iterable

from nemotron.kit.errors import MisuseError, RefusedError
from nemotron.kit.registry import layout
from nemotron.kit.registry.garbage import is_object
from nemotron.kit.store.protocol import Found, Store

log = logging.getLogger(__name__)

PAGE = 1000
# A page comes after the one before it and takes about four times as long as looking for one object, of which
# sixteen are looked for at the same time. S3 charges twelve times as much for it.
LOOKS_A_PAGE = 64


def sizes_of(store: Store, wanted: Iterable[bytes]) -> dict[bytes, int]:
    """The sizes of some contents, as far as listing all of a far store costs less than looking for each.

    How many contents a store has nobody knows, but digests lie evenly among them: the listing goes on for as
    long as its pages show so many of the wanted ones that looking for these would take longer. So all in all
    it takes at most one page more than without. What it does not show is to be looked for.

    Args:
        store: where to look; nothing is listed on a file system.
        wanted: the digests, 32 bytes each.

    Raises:
        UnavailableError: the store can't be reached.
    """
    left = set(wanted) if store.walks_in_pages else set()
    found: dict[bytes, int] = {}
    if len(left) <= LOOKS_A_PAGE:
        return found
    try:
        for seen, item in enumerate(store.walk(layout.BLOBS), 1):
            if is_object(item.key) and (raw := bytes.fromhex(item.key.rpartition("/")[2])) in left:
                found[raw] = item.size
            if len(found) == len(left):
                break
            if seen % PAGE == 0 and len(found) * PAGE < LOOKS_A_PAGE * seen:
                log.debug("%s has so many contents that %d are looked for", store.url, len(left) - len(found))
                break
    except RefusedError as error:  # it need not let everybody list who may read
        log.debug("%s", error)
    return found


class Listed:
    """The objects below some folders of a store, each listed once, when it is first asked for.

    What it has not got may have come since, or lie in the trash: that is to be asked for. On a file system
    nothing is listed, since a look at a file costs no more than its place in a listing.

    Args:
        store: what to list.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._is_far = store.local_path(layout.BLOBS) is None
        self._folders: dict[str, dict[str, Found]] = {}

    def find(self, folder: str, key: str) -> Found | None:
        """An object, if it was listed.

        Args:
            folder: the prefix to list, `.kit/blobs` or `.kit/trees`.
            key: of the object, below it.

        Raises:
            RefusedError, UnavailableError: the folder can't be listed just now.
        """
        if not self._is_far:
            return None
        try:
            return self._all(folder).get(key)
        except MisuseError:
            self._is_far = False  # it lists nothing: each object is asked for
            return None

    def below(self, folder: str) -> Collection[Found]:
        """All objects below a folder.

        Raises:
            MisuseError: the store can't list them.
            RefusedError, UnavailableError: the folder can't be listed just now.
        """
        return self._all(folder).values()

    def _all(self, folder: str) -> dict[str, Found]:
        if folder not in self._folders:
            self._folders[folder] = {found.key: found for found in self._store.walk(folder)}
        return self._folders[folder]
