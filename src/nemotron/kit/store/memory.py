"""A store in memory, for tests and as the plainest example of a backend."""

import io
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO

from nemotron.kit.errors import PathNotFoundError
from nemotron.kit.store.protocol import Found, Staging, Store, check_key


class MemoryStore(Store):
    """Objects in a dict, behind a lock.

    >>> store = MemoryStore()
    >>> store.create("a/b", b"1"), store.create("a/b", b"2"), store.read("a/b")
    (True, False, b'1')
    """

    def __init__(self, url: str = "memory://") -> None:
        self.url = url
        self._objects: dict[str, bytes] = {}
        self._modified: dict[str, float] = {}
        self._lock = threading.RLock()

    def read(self, key: str) -> bytes | None:
        """All bytes of an object, or None."""
        return self._objects.get(check_key(key))

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        return check_key(key) in self._objects

    def create(self, key: str, data: bytes, *, durable: bool = True) -> bool:
        """Create an object if it is absent."""
        with self._lock:
            if check_key(key) in self._objects:
                return False
            self._write(key, data)
            return True

    def replace(self, key: str, data: bytes) -> None:
        """Write a hint."""
        with self._lock:
            self._write(check_key(key), data)

    def _write(self, key: str, data: bytes) -> None:
        self._objects[key] = bytes(data)
        self._modified[key] = time.time()

    def remove(self, key: str) -> None:
        """Take an object away."""
        with self._lock:
            self._objects.pop(check_key(key), None)

    def list(self, prefix: str = "") -> list[str]:
        """Names right under a prefix."""
        start = f"{check_key(prefix)}/" if prefix else ""
        with self._lock:
            return list(
                {key[len(start) :].partition("/")[0] for key in self._objects if key.startswith(start)}
            )

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading."""
        data = self.read(key)
        if data is None:
            raise PathNotFoundError(f"Not in the store: {key} (in {self.url})")
        return io.BytesIO(data)

    def walk(self, prefix: str = "") -> Iterator[Found]:
        """All objects below a prefix."""
        start = f"{check_key(prefix)}/" if prefix else ""
        with self._lock:
            inside = [(key, data) for key, data in self._objects.items() if key.startswith(start)]
            found = [Found(key, len(data), self._modified[key]) for key, data in inside]
        return iter(found)

    def move(self, source: str, target: str) -> bool:
        """Give an object another key."""
        with self._lock:
            if check_key(source) not in self._objects:
                return False
            self._write(check_key(target), self._objects.pop(source))
            return True

    def stage(self) -> Staging:
        """Begin content."""
        return _MemoryStaging(self)

    def sync(self) -> None:
        """Nothing to do: memory is as durable as it gets."""


class _MemoryStaging(Staging):
    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._data = bytearray()

    def write(self, chunk: bytes | memoryview) -> None:
        self._data += chunk

    def commit(self, key: str) -> bool:
        return self._store.create(key, bytes(self._data))

    def abort(self) -> None:
        self._data = bytearray()
