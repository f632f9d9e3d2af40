"""Files that were written and are to be durable before something relies on them."""

import os
import threading
from collections.abc import Iterable
from itertools import islice
from weakref import WeakSet

from nemotron.kit.store import files

SINGLY_MAX = 16
_all: "WeakSet[Unsynced]" = WeakSet()


class Unsynced:
    """What a process wrote below a folder, or relies on there, and has not synced.

    Args:
        root: the folder, which is there by the time of the first sync.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._paths: list[str] = []
        self._make_locks()
        _all.add(self)

    def _make_locks(self) -> None:
        # Of the paths: what is left out because there are many goes with those many, and not with a few that
        # another thread's sync has left of them.
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def add(self, path: str) -> None:
        """One file more. Where there are many, all of the file system is synced, and none need be known."""
        with self._lock:
            if len(self._paths) <= SINGLY_MAX or not files.can_sync_file_system():
                self._paths.append(path)

    def add_all(self, paths: Iterable[str]) -> None:
        """More files; those that none need know of are not asked for."""
        with self._lock:
            most = max(0, SINGLY_MAX + 1 - len(self._paths)) if files.can_sync_file_system() else None
            self._paths.extend(islice(paths, most))

    def sync(self) -> None:
        """Make them durable, with the folders that they are in: a few one by one, many by one `syncfs`."""
        # Who finds its files taken by another thread's sync waits until that is done.
        with self._turn:
            with self._lock:
                paths, self._paths = self._paths, []
            try:
                self._sync(paths)
            except BaseException:  # an interrupt among them: who waits here must not take them for durable
                with self._lock:
                    self._paths += paths
                raise

    def _sync(self, paths: list[str]) -> None:
        if not paths or (len(paths) > SINGLY_MAX and files.sync_file_system(self._root)):
            return
        folders = {os.path.dirname(path) for path in paths}
        above = {os.path.dirname(folder) for folder in folders}
        for path in (*paths, *folders, *above, f"{self._root}/.kit", self._root):
            files.sync_path(path)


def _after_fork() -> None:
    """Another thread of the parent may have held a lock, for a sync of minutes; it is not in the child."""
    for each in _all:
        each._make_locks()


os.register_at_fork(after_in_child=_after_fork)
