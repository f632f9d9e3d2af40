"""A store that fails on purpose: at the n-th call, before or after its effect, with or without a reply.

SQLite's anomaly tests are the model: do something once to count its calls, then do it again once for every
call with that one failing, and look each time at what is left.

>>> from nemotron.kit.store.memory import MemoryStore
>>> store = FaultyStore(MemoryStore(), Fault("before", call=2))
>>> store.create("a", b"1")
True
>>> store.read("a")
Traceback (most recent call last):
...
nemotron.kit.errors.UnavailableError: Injected fault: before read(a), call 2
>>> store.read("a"), store.calls
(b'1', [('create', 'a'), ('read', 'a'), ('read', 'a')])
"""

import builtins
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

from nemotron.kit.errors import UnavailableError
from nemotron.kit.store.protocol import Found, Mark, Staging, Store

When = Literal["before", "after", "lost", "torn"]
WRITES = frozenset({"create", "replace", "remove", "put", "commit", "move"})
T = TypeVar("T")


def failing(
    call: Callable[..., T],
    number: int,
    *,
    after: bool = False,
    only: Callable[[tuple[Any, ...]], bool] | None = None,
) -> Callable[..., T]:
    """A system call that fails, to be put in the place of the real one.

    Args:
        call: the real one, such as `os.link`.
        number: the error, such as `errno.ENOSPC`.
        after: whether it does its work first.
        only: told the arguments, says whether this call fails.

    >>> import errno
    >>> failing(os.link, errno.EPERM)("a", "b")
    Traceback (most recent call last):
    ...
    PermissionError: [Errno 1] Operation not permitted: 'a'
    """

    def fail(*arguments: Any, **named: Any) -> T:
        if only is not None and not only(arguments):
            return call(*arguments, **named)
        if after:
            call(*arguments, **named)
        raise OSError(number, os.strerror(number), str(arguments[0]))

    return fail


class Crashed(BaseException):
    """The process is as good as dead: no handler of `Exception` sees this, and its store answers no more."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, and when.

    Attributes:
        when: `before`, nothing was done and an error says so. `after`, it was done and an error says that it
            was not. `lost`, it was done, the reply was lost, and the client did it again by itself and
            reports what came of the second time. `torn`, half of the object was written and then came the
            error (what a crash leaves where there are no hard links).
        call: which call it is, counted from 1.
        methods: which methods count; empty for all.
        error: what is raised. After `Crashed`, the store answers nothing any more.
    """

    when: When
    call: int
    methods: frozenset[str] = frozenset()
    error: type[BaseException] = UnavailableError


class FaultyStore(Store):
    """Any store, with faults.

    Args:
        inner: the store that does the work.
        faults: what goes wrong.
        on_call: told the method and the key before each call; it may wait, which makes the store slow.

    Attributes:
        calls: the method and key of every call so far.
    """

    def __init__(
        self, inner: Store, *faults: Fault, on_call: Callable[[str, str], object] | None = None
    ) -> None:
        self.inner = inner
        self.url = inner.url
        self.calls: list[tuple[str, str]] = []
        self._faults = faults
        self._on_call = on_call
        self._counts = [0] * len(faults)
        self._crashed = False
        self._lock = threading.Lock()

    # -- the protocol --------------------------------------------------------------------------------------

    def read(self, key: str) -> bytes | None:
        """As the inner store, unless it fails."""
        return self._do("read", key, lambda: self.inner.read(key))

    def exists(self, key: str) -> bool:
        """As the inner store, unless it fails."""
        return self._do("exists", key, lambda: self.inner.exists(key))

    def create(self, key: str, data: bytes, *, durable: bool = True) -> bool:
        """As the inner store, unless it fails."""
        return self._do(
            "create",
            key,
            lambda: self.inner.create(key, data, durable=durable),
            lambda: self.inner.create(key, data[: len(data) // 2], durable=durable),
        )

    def replace(self, key: str, data: bytes) -> None:
        """As the inner store, unless it fails."""
        self._do(
            "replace",
            key,
            lambda: self.inner.replace(key, data),
            lambda: self.inner.replace(key, data[: len(data) // 2]),
        )

    def remove(self, key: str) -> None:
        """As the inner store, unless it fails."""
        self._do("remove", key, lambda: self.inner.remove(key))

    def list(self, prefix: str = "") -> list[str]:
        """As the inner store, unless it fails."""
        return self._do("list", prefix, lambda: self.inner.list(prefix))

    def open(self, key: str) -> BinaryIO:
        """As the inner store, unless it fails."""
        return self._do("open", key, lambda: self.inner.open(key))

    def stage(self) -> Staging:
        """As the inner store, unless it fails; writing and committing count as calls of their own."""
        return _FaultyStaging(self, self._do("stage", "", self.inner.stage))

    def put(self, key: str, data: bytes) -> bool:
        """As the inner store, unless it fails."""
        return self._do("put", key, lambda: self.inner.put(key, data))

    def walk(self, prefix: str = "") -> Iterator[Found]:
        """As the inner store, unless it fails; one call, however much is found."""
        return iter(self._do("walk", prefix, lambda: [*self.inner.walk(prefix)]))

    def move(self, source: str, target: str) -> bool:
        """As the inner store, unless it fails."""
        return self._do("move", source, lambda: self.inner.move(source, target))

    def prune(self, prefix: str) -> None:
        """As the inner store, unless it fails."""
        self._do("prune", prefix, lambda: self.inner.prune(prefix))

    def probe(self) -> None:
        """As the inner store, unless it fails."""
        self._do("probe", "", self.inner.probe)

    def sync(self) -> None:
        """As the inner store, unless it fails."""
        self._do("sync", "", self.inner.sync)

    def mark(self) -> Mark:
        """As the inner store; it is no request."""
        return self.inner.mark()

    def sync_since(self, mark: int) -> None:
        """As the inner store, unless it fails."""
        self._do("sync", "", lambda: self.inner.sync_since(mark))

    def doubtful_until(self) -> int:
        """As the inner store; it is no request."""
        return self.inner.doubtful_until()

    def rely_on(self, key: str) -> None:
        """As the inner store; it is no request."""
        self.inner.rely_on(key)

    def local_path(self, key: str) -> Path | None:
        """As the inner store; it is no request."""
        return self.inner.local_path(key)

    # -- faults --------------------------------------------------------------------------------------------

    def _do(
        self, method: str, key: str, effect: Callable[[], T], half: Callable[[], object] | None = None
    ) -> T:
        fault = self._count(method, key)
        if self._on_call is not None:
            self._on_call(method, key)
        if fault is None:
            return effect()
        if fault.when == "lost":
            effect()
            return effect()
        if fault.when == "torn" and half is not None:
            half()
        elif fault.when == "after":
            effect()
        self._crashed = issubclass(fault.error, Crashed)
        raise fault.error(f"Injected fault: {fault.when} {method}({key}), call {fault.call}")

    def _count(self, method: str, key: str) -> Fault | None:
        """The fault that this call meets, if any."""
        with self._lock:
            if self._crashed:
                raise Crashed(f"{method}({key}) of a process that is dead")
            self.calls.append((method, key))
            met = None
            for i, fault in enumerate(self._faults):
                if not fault.methods or method in fault.methods:
                    self._counts[i] += 1
                    met = fault if self._counts[i] == fault.call else met
            return met

    @contextmanager
    def counting(self) -> Iterator[builtins.list[tuple[str, str]]]:
        """The calls made inside the block.

        >>> from nemotron.kit.store.memory import MemoryStore
        >>> store = FaultyStore(MemoryStore())
        >>> with store.counting() as calls:
        ...     _ = store.exists("a")
        >>> calls
        [('exists', 'a')]
        """
        made: builtins.list[tuple[str, str]] = []
        start = len(self.calls)
        try:
            yield made
        finally:
            made += self.calls[start:]


class _FaultyStaging(Staging):
    def __init__(self, store: FaultyStore, inner: Staging) -> None:
        self._store = store
        self._inner = inner
        self._committed = False

    def write(self, chunk: bytes | memoryview) -> None:
        self._store._do("write", "", lambda: self._inner.write(chunk))

    def commit(self, key: str) -> bool:
        # A staged file can be committed once; the client's own second try finds it there.
        return self._store._do("commit", key, lambda: self._commit(key))

    def _commit(self, key: str) -> bool:
        if self._committed:
            return False
        self._committed = True
        return self._inner.commit(key)

    def abort(self) -> None:
        self._inner.abort()
