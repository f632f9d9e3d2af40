"""A thread that is begun while one can be begun, for what a process has to do when it ends.

What is left to exit hooks may hang: a file system, a server. Nobody can interrupt it, but a daemon thread can
be left behind. From Python 3.12 on a process that ends begins no threads, though, from the moment its main
thread is done: so the thread waits from earlier on.
"""

import logging
import os
import queue
import threading
from collections.abc import Callable

from nemotron.kit.errors import KitError

log = logging.getLogger(__name__)

Work = Callable[[], object]


class Standby:
    """Does work in the background, also while the process ends.

    >>> standby = Standby("example")
    >>> standby.get_ready()
    >>> standby.begin(lambda: None).wait(timeout=60)
    True

    Args:
        name: of its threads.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._todo: queue.SimpleQueue[Work] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def get_ready(self) -> None:
        """Have a thread wait for the end of the process; a process has one of each standby.

        Without a lock, which a fork or the exception of a signal handler could leave locked: of two threads
        that come here at once each may have one begin, and the second merely waits as well.
        """
        if self._pid != os.getpid():  # a forked child has none of its parent's threads
            self._begin_anew()
        if self._thread is None:
            self._thread = _started(self._wait, self._name)

    def begin(self, work: Work) -> threading.Event:
        """Begin some work: in a thread of its own, or else in the one that waits, after what that has to do.

        Where there is neither it is done at once, however long it takes.

        Args:
            work: what to do.

        Returns:
            Is set when it is done.
        """
        done = threading.Event()

        def run() -> None:
            try:
                work()
            finally:
                done.set()

        if _started(run, self._name) is not None:
            return done
        waiting = self._thread if self._pid == os.getpid() else None
        # Work of its own thread is waited for already, and by somebody with a limit.
        if waiting is None or waiting is threading.current_thread() or not waiting.is_alive():
            run()
        else:
            self._todo.put(run)
        return done

    def _wait(self) -> None:
        while True:
            try:
                self._todo.get()()
            except (KitError, OSError) as error:  # what it was to do is not done; the next goes on
                log.warning("%s: %s: %s", self._name, type(error).__name__, error)


def _started(work: Work, name: str) -> threading.Thread | None:
    """A daemon that does it; None where the process ends and begins no threads."""
    thread = threading.Thread(target=work, daemon=True, name=name)
    try:
        thread.start()
    except RuntimeError:
        return None
    return thread
