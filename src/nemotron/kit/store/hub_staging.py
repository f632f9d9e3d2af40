"""Content on its way to the Hugging Face Hub, in the forms that its client uploads best."""

import tempfile
from collections.abc import Callable
from typing import Protocol

from nemotron.kit.store.protocol import Staging
from nemotron.kit.store.system_errors import translate as translate_os


class NamedFile(Protocol):
    """An open temporary file that goes when it is closed."""

    name: str

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Append."""

    def flush(self) -> None:
        """Make it whole under its name."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""

    def truncate(self, size: int | None = None, /) -> int:
        """Cut it off."""

    def close(self) -> None:
        """Let it go."""


class HubStaging(Staging):
    """In memory, then in a named file.

    Args:
        keep: told the key, the content and its size; says whether it is to be uploaded.
        in_memory_max: bytes.
    """

    def __init__(self, keep: Callable[[str, bytes | NamedFile, int], bool], in_memory_max: int) -> None:
        self._keep = keep
        self._in_memory_max = in_memory_max
        self._start = bytearray()
        self._file: NamedFile | None = None
        self._size = 0

    def write(self, chunk: bytes | memoryview) -> None:
        """Append bytes."""
        self._size += len(chunk)
        try:
            if self._file is None and self._size > self._in_memory_max:
                self._file = tempfile.NamedTemporaryFile(prefix="kit-")  # noqa: SIM115 - see abort
                self._file.write(self._start)
                self._start.clear()
            if self._file is None:
                self._start += chunk
            else:
                self._file.write(chunk)
        except OSError as error:
            self.abort()
            raise translate_os(error, "write", tempfile.gettempdir()) from error

    def commit(self, key: str) -> bool:
        """Hand the content over."""
        file, self._file = self._file, None
        if file is not None:
            file.flush()
        kept = self._keep(key, bytes(self._start) if file is None else file, self._size)
        if file is not None and not kept:
            file.close()
        return kept

    def abort(self) -> None:
        """Drop the content."""
        if self._file is not None:
            self._file.close()
            self._file = None
