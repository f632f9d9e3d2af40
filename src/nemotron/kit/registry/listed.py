"""What a far store has, by one listing of many objects instead of a request for each."""

from collections.abc import Collection

from nemotron.kit.errors import MisuseError
from nemotron.kit.registry import layout
from nemotron.kit.store.protocol import Found, Store


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
