"""Threads for work that waits; where Python starts none any more, who asks for the work does it.

What `atexit` calls, and a thread that outlives the main one, may publish and ask like any other code. But by
then Python refuses a pool: it can't be imported ("can't register atexit after shutdown"), takes no work
("cannot schedule new futures after interpreter shutdown"), or gets no thread (from 3.12, "can't create new
thread at interpreter shutdown"). A machine's own limit on threads looks the same. Nor can a signal handler
have a thread where the signal came while its thread was about to start one.
"""

import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any, ParamSpec, TypeVar

# Of a thread of ours that hardly ever does anything: the one that shows how far work is.
IDLE_NAME = "kit-progress"
P = ParamSpec("P")
T = TypeVar("T")
_THREADS = threading.Thread.start.__code__.co_filename
_POOL = "concurrent/futures/thread.py"
# What Python's own code on threads may be doing further up, and has no lock of its own while it does.
_HARMLESS = frozenset(
    {"_bootstrap", "_bootstrap_inner", "run", "_worker", "wait", "wait_for", "join", "_wait_for_tstate_lock"}
)


def is_interrupting() -> bool:
    """Whether this runs in a signal handler, and the signal came while Python had a lock on all threads.

    That is so for a moment whenever one is started or counted. The lock is given back when the handler is
    over, and until then no pool takes work.

    >>> is_interrupting()
    False
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        code = frame.f_code
        is_of_threads = code.co_filename == _THREADS or code.co_filename.endswith(_POOL)
        if is_of_threads and code.co_name not in _HARMLESS:
            return True
        frame = frame.f_back
    return False


def is_alone() -> bool:
    """Whether this process has one thread only; those that hardly ever do anything don't count."""
    idle = sum(thread.name == IDLE_NAME for thread in threading.enumerate())
    return threading.active_count() - idle == 1


class Workers(Executor):
    """An executor of threads of this process that always gets the work done.

    Args:
        most: how many threads there are at most.
        name: what their names begin with.

    >>> with Workers(2, "kit-example") as pool:
    ...     list(pool.map(str.upper, ["a", "b"]))
    ['A', 'B']
    """

    def __init__(self, most: int, name: str) -> None:
        self._pool: Executor | None = None
        self._undone: set[Future[Any]] = set()
        if is_interrupting():
            return
        with suppress(RuntimeError):  # Python ends: the import of the pool is refused
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(most, thread_name_prefix=name)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a thread do it; where none can be had, it is done when this returns.

        So it must not wait for what its caller does next.

        Raises:
            BaseException: what the work raised, where it was done here; else the future's `result()` does.
        """
        task = _Task(partial(fn, *args, **kwargs))
        if self._pool is not None:
            self._undone.add(task.future)
            task.future.add_done_callback(self._undone.discard)
            with suppress(RuntimeError):  # Python ends: it takes no more work, or has it lie
                self._pool.submit(task)
                return task.future
        task()
        return task.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for what runs; what waits is done too, or left."""
        if self._pool is not None:
            self._pool.shutdown(wait, cancel_futures=cancel_futures)
            # A pool neither knows nor waits for the thread that it was starting when an interrupt came.
            for future in [*self._undone] if wait else ():
                if not future.cancel():
                    future.exception()


class _Task:
    """Work that is done once: a pool that could start no thread may have kept it all the same."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.future: Future[Any] = Future()
        self._work = work
        self._begun = threading.Lock()

    def __call__(self) -> None:
        if not self._begun.acquire(blocking=False) or not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self._work())
        except BaseException as error:
            self.future.set_exception(error)
            del self  # else the error's traceback holds what holds the error
            raise
