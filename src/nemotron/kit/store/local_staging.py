"""Large files on their way into a store in a folder."""

import os
from collections.abc import Callable

from nemotron.kit.store import file_copy, files
from nemotron.kit.store.blocks import Seen
from nemotron.kit.store.protocol import Staging
from nemotron.kit.store.system_errors import translate


class LocalStaging(Staging):
    """A temporary file that becomes an object, and is durable after `LocalStore.sync`.

    Args:
        path: the file, which is made.
        take: given the path and a key, makes the one the other; False if there is such an object.

    Raises:
        OSError: it can't be made.
    """

    def __init__(self, path: str, take: Callable[[str, str], bool]) -> None:
        self.path, self._take = path, take
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, files.READ_ONLY)

    def write(self, chunk: bytes | memoryview) -> None:
        """Append bytes."""
        try:
            files.write_all(self._descriptor, chunk)
        except OSError as error:
            self.abort()
            raise translate(error, "write", self.path) from error

    def fill(self, source: int, seen: Seen, buffer_size: int, *, ahead: bool = False) -> int:
        """Copy a file, in the way that is cheapest here; `seen` is told what the store now holds."""
        shown = self._telling(seen)
        try:
            return file_copy.copy(source, self._descriptor, shown, buffer_size, write_back=True, ahead=ahead)
        except OSError as error:
            self.abort()
            raise translate(error, "copy into", self.path) from error

    def commit(self, key: str) -> bool:
        """Give the file its name."""
        try:
            return self._take(self.path, key)
        finally:
            self.abort()

    def abort(self) -> None:
        """Drop the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            files.unlink(self.path)
