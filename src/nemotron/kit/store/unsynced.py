"""Files that were written and are to be durable before something relies on them.

When a disk refuses what it is to write, the system tells so once, forgets it, and takes the pages for clean:
they are read as they should be for as long as they are in memory, and the next sync succeeds. So each failure
has to be heard by all whom it may concern, and what it is about has to be written anew. See
`docs/design/002-snapshots-and-checkouts.md`.
"""

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
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
        # Of files and marks: who comes later has a greater one.
        self._numbers = itertools.count(1)
        # Those that are to be synced, each under its number; what a sync is done with goes. New ones are put
        # into the last of these, and each sync begins another one.
        self._books: dict[int, dict[int, str]] = {}
        self._begin_book()
        self._failed: _Failure | None = None
        # One for all who have a mark: a sync is for the files of each, and has to hear what each would hear.
        self._opened: Callable[[], _Opened | None] = lambda: None
        self._doubtful_until = 0
        self._make_locks()
        _all.add(self)

    def _make_locks(self) -> None:
        # A signal handler may publish where its own thread holds one. The threads that it waits for take
        # none: they only add.
        self._marking = threading.RLock()
        self._turn = threading.RLock()

    def _begin_book(self) -> None:
        book: dict[int, str] = {}
        self._books[next(self._numbers)] = book
        self._paths = book

    def mark(self) -> Mark:
        """A number between those of the files so far and those that are the business of who asks."""
        with self._marking:
            mark, opened = _Mark(next(self._numbers)), self._opened()
            if opened is None or not opened.is_still_there():
                opened = _Opened(self._root)
                self._opened = ref(opened)
            mark.opened = opened
            return mark

    def add(self, path: str) -> None:
        """One file more. Where there are many, all of the file system is synced, and none need be known."""
        self.add_all((path,))

    def add_all(self, paths: Iterable[str]) -> None:
        """More files; those that none need know of are not asked for."""
        for path in paths:
            if not self._added(next(self._numbers), path):
                return

    def _added(self, number: int, path: str) -> bool:
        """Whether to name more of them."""
        while True:
            paths = self._paths
            is_wanted = len(paths) <= SINGLY_MAX or not files.can_sync_file_system()
            if is_wanted:
                paths[number] = path
            # What is left out because there are many goes with those many: not if a sync has them already.
            if paths is self._paths:
                return is_wanted

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
            taken, paths = self._books.copy(), dict[int, str]()
            self._begin_book()
            for book in taken.values():
                paths.update(book)
            failed: dict[int, OSError] = {}
            of_all = False
            try:
                self._sync(paths, failed)
            except OSError as error:  # which may be about any of them
                of_all = isinstance(error, files.LostError)
                left = {number for number in paths if _is_there(failed.get(number))}
                failed[self._number_of(error, paths)] = error
            else:
                left = {number for number in failed if _is_there(failed[number])}
            self._books[next(self._numbers)] = {number: paths[number] for number in left}
            for number in taken:
                self._books.pop(number, None)
            worst = _Failure(max(failed), failed[max(failed)], of_all) if failed else None
            if worst is not None and (self._failed is None or worst.number >= self._failed.number):
                self._failed = worst
            return worst if since is None else self._failed

    def _number_of(self, error: OSError, paths: dict[int, str]) -> int:
        """Of the last file that an error is about, or one that is the business of all who have a mark by now.

        The system tells of a failure once, and it may be about what somebody wrote and has not added yet.
        """
        is_of_these = _is_gone(error) and len(paths) <= SINGLY_MAX
        return max(paths) if is_of_these else next(self._numbers)

    def _sync(self, paths: dict[int, str], failed: dict[int, OSError]) -> None:
        """Sync them; those that can't be, and why, go into `failed`."""
        if not paths or (len(paths) > SINGLY_MAX and self._sync_all()):
            return
        there, lost = [], {}
        for number, path in paths.items():
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
