"""A store in memory, for tests and as the plainest example of a backend."""

import io
import time
from collections.abc import Iterator
from typing import BinaryIO

from nemotron.kit.errors import PathNotFoundError
from nemotron.kit.store.protocol import Found, Staging, Store, check_key


class MemoryStore(Store):
    """Objects in a dict, each written by one step of the interpreter.

    >>> store = MemoryStore()
    >>> store.create("a/b", b"1"), store.create("a/b", b"2"), store.read("a/b")
    (True, False, b'1')
    """

    def __init__(self, url: str = "memory://") -> None:
        self.url = url
        # With the time at which each was written.
        self._objects: dict[str, tuple[bytes, float]] = {}

    def read(self, key: str) -> bytes | None:
        """All bytes of an object, or None."""
        found = self._objects.get(check_key(key))
        return None if found is None else found[0]

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        return check_key(key) in self._objects

    def create(self, key: str, data: bytes, *, durable: bool = True) -> bool:
        """Create an object if it is absent."""
        mine = bytes(data), time.time()
        return self._objects.setdefault(check_key(key), mine) is mine

    def replace(self, key: str, data: bytes) -> None:
        """Write a hint."""
        self._objects[check_key(key)] = bytes(data), time.time()

    def remove(self, key: str) -> None:
        """Take an object away."""
        self._objects.pop(check_key(key), None)

    def list(self, prefix: str = "") -> list[str]:
        """Names right under a prefix."""
        start = f"{check_key(prefix)}/" if prefix else ""
        keys = self._objects.copy()
        return list({key[len(start) :].partition("/")[0] for key in keys if key.startswith(start)})

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading."""
        data = self.read(key)
        if data is None:
            raise PathNotFoundError(f"Not in the store: {key} (in {self.url})")
        return io.BytesIO(data)

    def walk(self, prefix: str = "") -> Iterator[Found]:
        """All objects below a prefix."""
        start = f"{check_key(prefix)}/" if prefix else ""
        found = self._objects.copy().items()
        return iter([Found(key, len(data), at) for key, (data, at) in found if key.startswith(start)])

    def move(self, source: str, target: str) -> bool:
        """Give an object another key."""
        if (data := self.read(source)) is None:
            return False
        self.replace(target, data)  # first, so that it is never in neither place
        return self._objects.pop(source, None) is not None

    def age(self, key: str, seconds: float) -> None:
        """Have an object look as if it had been written so much sooner."""
        data, modified = self._objects[key]
        self._objects[key] = data, modified - seconds

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
