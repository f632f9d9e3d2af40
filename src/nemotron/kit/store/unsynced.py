"""Files that were written and are to be durable before something relies on them.

When a disk refuses what it is to write, the system tells so once, forgets it, and takes the pages for clean:
they are read as they should be for as long as they are in memory, and the next sync succeeds. So each failure
has to be heard by all whom it may concern, and what it is about has to be written anew. See
`docs/design/002-snapshots-and-checkouts.md`.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import NamedTuple
from weakref import WeakSet, ref

from nemotron.kit.errors import ConflictError
from nemotron.kit.store import files
from nemotron.kit.store.protocol import Mark

log = logging.getLogger(__name__)

SINGLY_MAX = 16
# It is as old as what it is about: all that was written before it, and that no version names.
_DOUBTFUL = ".kit/doubtful"
# A batch of the trash, as `registry.layout` has them; readers look into those of gc first, which come behind.
_LOST = ".kit/trash/00-lost"
_CONTENT = (".kit/blobs/", ".kit/trees/")
_all: "WeakSet[Unsynced]" = WeakSet()


class _Opened:
    """A folder that is held open: of what fails from now on, the system tells its descriptor.

    It is open for as long as somebody has this; an interrupt may come wherever that would be counted.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.descriptor = -1
        # If it is not there yet, or there are no more descriptors, the sync opens it, and says what is wrong.
        try:
            self.descriptor = files.open_folder(folder)
        except OSError as error:
            log.debug("%s is not held open: %s", folder, error)

    def is_still_there(self) -> bool:
        """Whether it is what now lies there, and not a folder that was removed, or mounted over."""
        try:
            return os.path.samestat(os.fstat(self.descriptor), os.stat(self._folder))
        except OSError:
            return False

    def close(self) -> None:
        """Close it; once, wherever another thread forks."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    __del__ = close


class _Mark(Mark):
    """How many files were added so far; the root is open until this is closed, or gone."""

    opened: _Opened | None = None

    def close(self) -> None:
        self.opened = None


class _Failure(NamedTuple):
    """A sync that failed.

    Args:
        number: of the file added last of those that it is about.
        why: what the system said.
        is_of_all: whether any file may be lost, and not just that one.
    """

    number: int
    why: OSError
    is_of_all: bool


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
        self._failed: _Failure | None = None
        # One for all who have a mark: a sync is for the files of each, and has to hear what each would hear.
        self._opened: Callable[[], _Opened | None] = lambda: None
        self._doubtful_until = 0
        self._make_locks()
        _all.add(self)

    def _make_locks(self) -> None:
        # Of the paths: what is left out because there are many goes with those many, and not with a few that
        # another thread's sync has left of them.
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def mark(self) -> Mark:
        """How many files were added so far; those that follow are the business of who asks."""
        with self._lock:
            mark, opened = _Mark(self._added), self._opened()
            if opened is None or not opened.is_still_there():
                opened = _Opened(self._root)
                self._opened = ref(opened)
            mark.opened = opened
            return mark

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
        try:
            blamed = self._synced(since)
        finally:
            if isinstance(since, Mark):
                since.close()
        if blamed is None or blamed.number <= (since or 0):
            return
        if blamed.is_of_all:  # in another's sync, perhaps: what was written since may be lost as well
            self._doubt_all()
        why = blamed.why.with_traceback(None)
        if _is_gone(why):
            raise ConflictError(
                f"{why.filename} was removed from the store before it was on disk. Nothing was "
                "committed; do the same again"
            ) from why
        raise why

    def _synced(self, since: int | None) -> _Failure | None:
        """Sync; what went wrong that may be the business of who asks."""
        # Who finds its files taken by another thread's sync waits until that is done.
        with self._turn:
            paths: list[tuple[int, str]] = []
            failed: dict[int, OSError] = {}
            added, of_all = 0, False
            try:
                with self._lock:
                    paths, self._paths, added = self._paths, [], self._added
                self._sync(paths, failed)
            except OSError as error:  # which may be about any of them
                of_all = isinstance(error, files.LostError)
                self._put_back([one for one in paths if _is_there(failed.get(one[0]))])
                failed[added if _is_gone(error) else self._number()] = error
            except BaseException:  # an interrupt among them: who waits here must not take them for durable
                self._put_back(paths)
                raise
            else:
                self._put_back([one for one in paths if one[0] in failed and _is_there(failed[one[0]])])
            worst = _Failure(max(failed), failed[max(failed)], of_all) if failed else None
            if worst is not None and (self._failed is None or worst.number >= self._failed.number):
                self._failed = worst
            return worst if since is None else self._failed

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
        if not paths or (len(paths) > SINGLY_MAX and self._sync_all()):
            return
        there, lost = [], {}
        for number, path in paths:
            try:
                files.sync_path(path)
                there.append(path)
            except files.LostError as error:
                failed[number] = lost[path] = error
                self._set_aside(path, error)
            except OSError as error:
                failed[number] = lost.get(path, error)
        folders = {os.path.dirname(path) for path in there}
        above = {os.path.dirname(folder) for folder in folders}
        for path in (*folders, *above, *((f"{self._root}/.kit", self._root) if there else ())):
            files.sync_path(path)

    def _sync_all(self) -> bool:
        opened = self._opened()  # which stays open until this is done
        descriptor = -1 if opened is None else opened.descriptor
        try:
            return files.sync_file_system(descriptor if descriptor >= 0 else self._root)
        finally:
            del opened  # who keeps the error keeps all that is here

    # -- what may be lost ----------------------------------------------------------------------------------

    def doubtful_until(self) -> int:
        """See `Store.doubtful_until`. Other processes are told by a file, whose time is the disk's own."""
        found = files.looked_at(f"{self._root}/{_DOUBTFUL}")
        return max(self._doubtful_until, found.st_mtime_ns if found is not None else 0)

    def _set_aside(self, path: str, why: OSError) -> None:
        """Put a file whose sync failed into the trash: who relies on it now will miss it, and a version that
        names it has it from there.

        Raises:
            LostError: it is where it was, and who finds it there must doubt it.
        """
        key = os.path.relpath(path, self._root)
        if not key.startswith(_CONTENT):
            raise why
        aside = f"{self._root}/{_LOST}-{time.time_ns()}/{key.removeprefix('.kit/')}"
        try:
            os.makedirs(os.path.dirname(aside))
            os.rename(path, aside)
            for folder in (os.path.dirname(path), os.path.dirname(aside)):
                files.sync_path(folder)
        except OSError as error:
            log.warning("%s can't be put into the trash: %s", path, error)
            raise why from error

    def _doubt_all(self) -> None:
        """Have all that was written until now and that no version names taken again by whoever needs it."""
        mark = f"{self._root}/{_DOUBTFUL}"
        temporary = f"{self._root}/.kit/.tmp-{os.urandom(8).hex()}"
        try:
            files.create_exclusive(temporary, b"", durable=True)
            os.replace(temporary, mark)
            files.sync_path(os.path.dirname(mark))
        except OSError as error:
            log.warning("%s could not be written (%s), so that other processes don't know", mark, error)
            self._doubtful_until = time.time_ns()


def _is_gone(error: OSError | None) -> bool:
    return isinstance(error, FileNotFoundError)


def _is_there(error: OSError | None) -> bool:
    return not isinstance(error, (FileNotFoundError, files.LostError))


def _after_fork() -> None:
    """Another thread of the parent may have held a lock, for a sync of minutes; it is not in the child.

    Nor is the root held open for it: what the child is told by that descriptor, its parent is not.
    """
    for each in _all:
        each._make_locks()
        if (opened := each._opened()) is not None:
            opened.close()


os.register_at_fork(after_in_child=_after_fork)
