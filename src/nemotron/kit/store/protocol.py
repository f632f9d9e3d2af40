"""What the kit asks of a place that holds a store.

Everything rests on one primitive, `Store.create`: create a small object if it is absent, and be told truly
whether it was. Nothing is updated in place but hints (`Store.replace`), which may be lost or stale.

A backend is right when the suite in `nemotron.kit.testing.store_suite` passes.
"""

import builtins
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar

from nemotron.kit.errors import MisuseError, OutsideRootError
from nemotron.kit.store import blocks
from nemotron.kit.store.blocks import Seen
from nemotron.kit.workers import Workers

_KEY = re.compile(r"(?:[^/\x00-\x1f\x7f]+/)*[^/\x00-\x1f\x7f]+")
_DOTS = re.compile(r"(?:^|/)\.{1,2}(?:/|$)")
CHUNK_SIZE = 1 << 20
# The time of a mark of a failed sync that is void, which is not removed: it may be renewed just then.
DOUBT_VOID = ".kit/doubtful.void"
T = TypeVar("T")


def check_key(key: str) -> str:
    """The key, if it names something below the root.

    Raises:
        OutsideRootError: it is empty, absolute, or has empty, `.` or `..` parts or control characters.
    """
    if not _KEY.fullmatch(key) or _DOTS.search(key):
        raise OutsideRootError(
            f"Not a key of a store: {key[:80]!r}; expected parts joined by '/', none of them '.' or '..'"
        )
    return key


@dataclass(frozen=True, slots=True)
class Found:
    """An object, as a walk over a store finds it.

    Attributes:
        key: where it is.
        size: bytes.
        modified: when it was written, in seconds since the epoch, by the store's own clock.
    """

    key: str
    size: int
    modified: float


class Staging(ABC):
    """Content on its way into the store, whose key is known only when all of it was seen.

    Used as a context manager; what was not committed is dropped.

    Attributes:
        told: hears of the bytes of a file that have arrived: while it is read where that is all there is to
            do, and while it is sent where that is what takes time. What it raises stops the work.
    """

    told: Callable[[int], object] | None = None

    @abstractmethod
    def write(self, chunk: bytes | memoryview) -> None:
        """Append bytes.

        Raises:
            DiskFullError: no space is left; nothing stays behind.
        """

    def fill(self, source: int, seen: Seen, buffer_size: int, *, ahead: bool = False) -> int:
        """Write all that a file holds, and show every block of it as it was written, in order.

        Args:
            source: a descriptor of the file.
            seen: told of each block; what it raises stops the copying.
            buffer_size: bytes at a time.
            ahead: another thread may write a block while the one before it is shown.

        Returns:
            The number of bytes.
        """

        def copy_block(buffer: memoryview, at: int) -> int:
            if count := os.preadv(source, [buffer], at):
                self.write(buffer[:count])
            return count

        return blocks.pass_on(copy_block, self._telling(seen), buffer_size, ahead=ahead)

    def _telling(self, seen: Seen, *, have_arrived: bool = True) -> Seen:
        """Show blocks, and tell of them."""
        told = self.told
        if told is None:
            return seen

        def both(block: memoryview) -> None:
            seen(block)
            told(len(block) if have_arrived else 0)

        return both

    @abstractmethod
    def commit(self, key: str) -> bool:
        """Create `key` with what was written; False, dropping it, if that is there already."""

    @abstractmethod
    def abort(self) -> None:
        """Drop what was written; harmless after `commit`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.abort()


class Mark(int):
    """A moment in what a store is given: from then on, who has it hears of what can't be made durable."""

    def __enter__(self) -> "Mark":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hear no more of it; `sync_since` has done so."""


class Store(ABC):
    """A flat space of small immutable objects under keys such as `name/v1/manifest.json`.

    Every method raises `OutsideRootError` for a key that is none, `RefusedError` where permission is
    missing, and `UnavailableError` where the store can't be reached.

    Attributes:
        url: the root, an absolute path or a URL.
        at_once: how many calls are made at the same time by `together`; 1 where a call takes no round trip.
        reads_parts: whether of what `open` gives no more is fetched than is read.
        walks_in_pages: whether each object is a round trip to look for, and `walk` asks for about a thousand
            in one, and for no more of them than are taken.
    """

    url: str
    at_once: int = 1
    reads_parts: bool = False
    walks_in_pages: bool = False

    @abstractmethod
    def read(self, key: str) -> bytes | None:
        """All bytes of an object, or None if there is none."""

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether there is such an object."""

    @abstractmethod
    def create(self, key: str, data: bytes, *, durable: bool = True) -> bool:
        """Create an object if it is absent: the only way anything is decided.

        Of any number of callers, in any processes, exactly one is told True. A reader sees all of the object
        or nothing. After a crash of the caller it is there whole or not at all.

        Args:
            key: where.
            data: all of it; small.
            durable: whether it must survive a power loss once this returns.

        Returns:
            True if this call created it, False if it was there. A backend that repeats a request whose reply
            was lost may answer False about its own object: put a nonce into `data` and read it back.
        """

    @abstractmethod
    def replace(self, key: str, data: bytes) -> None:
        """Write a hint: whole, but neither durable nor exclusive."""

    def replace_all(self, hints: Mapping[str, bytes]) -> None:
        """Write several hints, in order; in one step where each is dear."""
        for key, data in hints.items():
            self.replace(key, data)

    @abstractmethod
    def remove(self, key: str) -> None:
        """Take an object away; nothing happens if there is none."""

    @abstractmethod
    def list(self, prefix: str = "") -> list[str]:
        """Names of the objects and folders right under a prefix, in no order; [] if there is nothing.

        A listing is a hint: it may be stale on shared file systems.
        """

    @abstractmethod
    def stage(self) -> Staging:
        """Begin content of any size; see `Staging`."""

    def put(self, key: str, data: bytes) -> bool:
        """Store content that is small under the key of its digest; durable after `sync`.

        Returns:
            True if this call created it, False if it was there.
        """
        with self.stage() as staging:
            staging.write(data)
            return staging.commit(key)

    @abstractmethod
    def open(self, key: str) -> BinaryIO:
        """Open an object for reading.

        Raises:
            PathNotFoundError: there is none.
        """

    def probe(self) -> None:  # noqa: B027 - most backends leave no doubt
        """See whether create-if-absent holds here; called once, before a store is founded.

        Raises:
            RefusedError: it does not, and nothing may be published here.
        """

    def rely_on(self, key: str) -> None:  # noqa: B027 - most backends have nothing to do
        """Let `sync` make an object durable that is there already: who wrote it may have been killed."""

    def rely_on_all(self, keys: Iterable[str]) -> None:
        """`rely_on` many; not all of them need be asked for, where all of a file system is synced."""
        for key in keys:
            self.rely_on(key)

    @abstractmethod
    def sync(self) -> None:
        """Make durable, in one go, what `stage` and `put` committed."""

    def mark(self) -> Mark:
        """A mark for `sync_since`, made before anything is stored or relied on, and to be closed."""
        return Mark(0)

    def sync_since(self, mark: int) -> None:
        """`sync` for one of several who use this store: for what was stored or relied on since a mark.

        Raises:
            ConflictError: some of it was removed before it was on disk.
        """
        self.sync()

    def doubtful_until(self) -> int:
        """Until when content was written that may be lost though it is there, because a sync failed.

        What a version names is not meant: it was on disk before that was committed.

        Returns:
            Nanoseconds since the epoch; 0 if no sync has failed.
        """
        return 0

    def end_doubt(self, until_ns: int) -> None:
        """Say that nothing is left of what was in doubt; a sync that failed since is told as before.

        Who finds that out, and why it is certain, is in `docs/design/009-house-keeping.md`.

        Args:
            until_ns: what `doubtful_until` said.
        """
        self.replace(DOUBT_VOID, str(until_ns).encode())

    def _unless_void(self, until_ns: int) -> int:
        return 0 if until_ns and self.read(DOUBT_VOID) == str(until_ns).encode() else until_ns

    def walk(self, prefix: str = "") -> Iterator[Found]:
        """All objects below a prefix, at any depth and in no order; temporary files of killed writers too.

        Raises:
            MisuseError: the store does not tell how old its objects are, so nothing can be collected there.
        """
        raise MisuseError(f"{self.url} does not tell how old its objects are, so nothing is collected there")

    def move(self, source: str, target: str) -> bool:
        """Give an object another key. At every moment it is under one of them, or under both.

        Returns:
            False if there was no such object, or somebody else moved it.
        """
        raise MisuseError(f"Objects of {self.url} can't be moved")

    def prune(self, prefix: str) -> None:  # noqa: B027 - most backends have no folders
        """Take away the empty folders below a prefix, and itself, where folders are things of their own."""

    def together(self, calls: Sequence[Callable[[], T]]) -> builtins.list[T]:
        """Make calls that do not depend on each other: at the same time, where each is a round trip.

        Args:
            calls: each on this store; of several that fail, the first one's error is raised.

        Returns:
            What each said, in order.
        """
        if self.at_once == 1 or len(calls) < 2:
            return [call() for call in calls]
        with Workers(min(self.at_once, len(calls)), "kit-store") as pool:
            return [*pool.map(lambda call: call(), calls)]

    def local_path(self, key: str) -> Path | None:
        """The file or folder behind a key where the store is on a file system, else None."""
        return None

    def chunks(self, key: str, start: int = 0) -> Iterator[bytes]:
        """The bytes of an object, a piece at a time, from one of them on.

        Raises:
            PathNotFoundError: there is none.
        """
        with self.open(key) as file:
            if start:
                file.seek(start)
            while chunk := file.read(CHUNK_SIZE):
                yield chunk

    def __reduce__(self) -> tuple[Any, ...]:
        raise MisuseError(
            f"{self.url} can't be used by other processes; leave out executor=, or pass a ThreadPoolExecutor"
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"
