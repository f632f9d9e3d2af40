"""Files that a copy puts into a folder, and how they are taken back if it turns out that they must not stay.

A file is written under a temporary name and then renamed: a file that has its name is whole. One that
replaces another waits for its name until all are there. So a copy that is taken back leaves what was there
before as it was. Only a copy that is killed leaves temporary files behind (`.….kit-part`). They say in their
names whose they are (`registry/parts.py`): the next copy into that folder, on the same machine, removes those
of dead processes, and nobody publishes one.
"""

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import BinaryIO

from nemotron.kit.documents.digest import digest_of, hex_of
from nemotron.kit.errors import MisuseError
from nemotron.kit.registry.parts import Owner, owner_of
from nemotron.kit.registry.processes import life_of, this_process
from nemotron.kit.store.system_errors import translate


class Arrivals:
    """What one copy has made so far."""

    def __init__(self) -> None:
        self._process = this_process()
        where = (self._process.host, self._process.machine, self._process.boot, self._process.pid_namespace)
        self._me = Owner(
            hex_of(digest_of(repr(where).encode()))[:16],
            self._process.pid or 0,
            self._process.pid_started or 0,
        )
        self._folders: list[str] = []
        # Each with the device and inode of what was put there: what somebody else put there since is theirs.
        self._placed: list[tuple[str, tuple[int, int]]] = []
        self._waiting: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    def make(self, folder: str) -> None:
        """Make a folder, and those above it. From one that is there is removed what killed copies left in it.

        Raises:
            MisuseError: something there, or above it, is no folder.
            RefusedError, DiskFullError: it can't be made.
        """
        missing = []
        while not os.path.lexists(folder) and os.path.dirname(folder) != folder:
            missing.append(folder)
            folder = os.path.dirname(folder)
        if not os.path.isdir(folder):
            raise MisuseError(f"Cannot copy into {folder}: it is a file, or something above it is")
        if not missing:
            self._remove_left(folder)
        for path in reversed(missing):
            try:
                os.mkdir(path)
            except FileExistsError:
                continue  # somebody else makes it too
            except OSError as error:
                raise translate(error, "make the folder", path) from error
            self._folders.append(path)

    @contextmanager
    def file(self, to: str, *, replaces: bool, mtime: float | None = None) -> Iterator[BinaryIO]:
        """An empty file to read and write, which then gets its name.

        Args:
            to: its name; the folder is there.
            replaces: whether something has that name, which stays until `finish`.
            mtime: its time, in seconds since the epoch; now, if None.

        Raises:
            RefusedError, DiskFullError: it can't be written.
        """
        part = self._part(to)
        try:
            try:
                with open(part, "x+b") as file:
                    yield file
                    info = os.fstat(file.fileno())
                if mtime is not None:
                    os.utime(part, (mtime, mtime))
                if not replaces:
                    os.replace(part, to)
            except OSError as error:
                raise translate(error, "write", to) from error
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(part)
            raise
        with self._lock:
            if replaces:
                self._waiting.append((part, to))
            else:
                self._placed.append((to, (info.st_dev, info.st_ino)))

    def link(self, to: str, target: str) -> None:
        """Make a link, in place of what has that name.

        Raises:
            RefusedError, DiskFullError: it can't be made.
        """
        part = self._part(to)
        try:
            os.symlink(target, part)
            os.replace(part, to)
        except OSError as error:
            raise translate(error, "write", to) from error
        finally:
            with suppress(FileNotFoundError):
                os.unlink(part)

    def can_link(self, folder: str) -> bool:
        """Whether a folder that is there can hold links."""
        probe = self._part(os.path.join(folder, "link"))
        try:
            os.symlink("nowhere", probe)
            os.unlink(probe)
        except OSError:
            return False
        return True

    def finish(self) -> None:
        """Give their names to those that replace what is there.

        Raises:
            RefusedError, DiskFullError: one can't be renamed.
        """
        while self._waiting:
            part, to = self._waiting[-1]
            try:
                os.replace(part, to)
            except OSError as error:
                self._forget_waiting()
                raise translate(error, "write", to) from error
            self._waiting.pop()

    def take_back(self) -> None:
        """Remove all that was put there; what can't be removed stays."""
        self._forget_waiting()
        for path, identity in self._placed:
            with suppress(OSError):
                info = os.lstat(path)
                if (info.st_dev, info.st_ino) == identity:
                    os.unlink(path)
        for folder in reversed(self._folders):
            with suppress(OSError):  # somebody put something into it
                os.rmdir(folder)

    def _forget_waiting(self) -> None:
        for part, _ in self._waiting:
            with suppress(OSError):
                os.unlink(part)
        self._waiting.clear()

    def _remove_left(self, folder: str) -> None:
        with suppress(OSError), os.scandir(folder) as found:
            for entry in found:
                if (owner := owner_of(entry.name)) and self._is_gone(owner):
                    with suppress(OSError):
                        os.unlink(entry.path)

    def _is_gone(self, owner: Owner) -> bool:
        if owner.where != self._me.where or self._process.boot is None:
            return False  # nothing is known of processes elsewhere
        its = replace(self._process, pid=owner.pid, pid_started=owner.started or None)
        return life_of(its) == "gone"

    def _part(self, to: str) -> str:
        return self._me.part(to, secrets.token_hex(4))
