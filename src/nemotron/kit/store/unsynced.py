"""Files that were written and are to be durable before something relies on them."""

import os
import threading
from collections.abc import Iterable
from itertools import islice
from weakref import WeakSet

from nemotron.kit.errors import ConflictError
from nemotron.kit.store import files

SINGLY_MAX = 16
_all: "WeakSet[Unsynced]" = WeakSet()


class Unsynced:
    """What a process wrote below a folder, or relies on there, and has not synced.

    Several who write share it. Each is told of what goes wrong with files that were added since its own mark,
    whoever's sync found that out; what others left behind before, it need not care for.

    Args:
        root: the folder, which is there by the time of the first sync.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        # With the number that each was added as.
        self._paths: list[tuple[int, str]] = []
        self._added = 0
        # The file added last of those that could not be synced, and why.
        self._failed: tuple[int, OSError] | None = None
        self._make_locks()
        _all.add(self)

    def _make_locks(self) -> None:
        # Of the paths: what is left out because there are many goes with those many, and not with a few that
        # another thread's sync has left of them.
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def mark(self) -> int:
        """How many files were added so far; those that follow are the business of who asks."""
        with self._lock:
            return self._added

    def add(self, path: str) -> None:
        """One file more. Where there are many, all of the file system is synced, and none need be known."""
        with self._lock:
            self._added += 1
            if len(self._paths) <= SINGLY_MAX or not files.can_sync_file_system():
                self._paths.append((self._added, path))

    def add_all(self, paths: Iterable[str]) -> None:
        """More files; those that none need know of are not asked for."""
        with self._lock:
            self._added += 1  # for those that are not asked for
            most = max(0, SINGLY_MAX + 1 - len(self._paths)) if files.can_sync_file_system() else None
            for path in islice(paths, most):
                self._added += 1
                self._paths.append((self._added, path))

    def sync(self, since: int | None = None) -> None:
        """Make them durable, with the folders that they are in: a few one by one, many by one `syncfs`.

        Args:
            since: a mark; None for what this sync itself finds.

        Raises:
            OSError: a file that was added since could not be synced, in this sync or in another's.
            ConflictError: it is gone; it is not tried again.
        """
        # Who finds its files taken by another thread's sync waits until that is done.
        with self._turn:
            paths: list[tuple[int, str]] = []
            failed: dict[int, OSError] = {}
            added = 0
            try:
                with self._lock:
                    paths, self._paths, added = self._paths, [], self._added
                self._sync(paths, failed)
            except OSError as error:  # which may be about any of them
                self._put_back([one for one in paths if not _is_gone(failed.get(one[0]))])
                failed[added if _is_gone(error) else self._number()] = error
            except BaseException:  # an interrupt among them: who waits here must not take them for durable
                self._put_back(paths)
                raise
            else:
                self._put_back([one for one in paths if one[0] in failed and not _is_gone(failed[one[0]])])
            worst = max(failed.items(), key=lambda one: one[0], default=None)
            if worst is not None and (self._failed is None or worst[0] >= self._failed[0]):
                self._failed = worst
            blamed = worst if since is None else self._failed
        if blamed is not None and blamed[0] > (since or 0):
            why = blamed[1].with_traceback(None)
            if _is_gone(why):
                raise ConflictError(
                    f"{why.filename} was removed from the store before it was on disk. Nothing was "
                    "committed; do the same again"
                ) from why
            raise why

    def _number(self) -> int:
        """One that is the business of all who have a mark by now.

        The system tells of a failure once, and it may be about what somebody wrote and has not added yet.
        """
        with self._lock:
            self._added += 1
            return self._added

    def _put_back(self, paths: list[tuple[int, str]]) -> None:
        with self._lock:
            self._paths += paths

    def _sync(self, paths: list[tuple[int, str]], failed: dict[int, OSError]) -> None:
        """Sync them; those that can't be, and why, go into `failed`."""
        if not paths or (len(paths) > SINGLY_MAX and files.sync_file_system(self._root)):
            return
        there = []
        for number, path in paths:
            try:
                files.sync_path(path)
                there.append(path)
            except OSError as error:
                failed[number] = error
        folders = {os.path.dirname(path) for path in there}
        above = {os.path.dirname(folder) for folder in folders}
        for path in (*folders, *above, *((f"{self._root}/.kit", self._root) if there else ())):
            files.sync_path(path)


def _is_gone(error: OSError | None) -> bool:
    return isinstance(error, FileNotFoundError)


def _after_fork() -> None:
    """Another thread of the parent may have held a lock, for a sync of minutes; it is not in the child."""
    for each in _all:
        each._make_locks()


os.register_at_fork(after_in_child=_after_fork)
