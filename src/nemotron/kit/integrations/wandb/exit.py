"""Let a process end although W&B does not answer.

At exit the client waits until its service has sent everything, which against a server that is gone or
failing takes many minutes: a finished job that holds its nodes. Its settings don't help: limits of retries
don't cover a server that hangs, and a limit of time would cut a slow upload to a healthy one. So a thread
watches from the moment the main thread is done. Only while the server is seen to fail, without a break, its
service is given `GRACE_S` and is then ended. Its transaction log is whole by then (it is flushed every 15 s).
"""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from nemotron.kit.integrations.wandb import service
from nemotron.kit.integrations.wandb.probing import answers

log = logging.getLogger(__name__)

GRACE_S = 20.0
PROBE_EVERY_S = 2.0
HEALTHY_END_S = 4.0
STEP_S = 0.25


@dataclass
class Watch:
    """How long a server has been failing.

    >>> watch = Watch(grace_s=20)
    >>> seen = [(0, True), (15, False), (20, True), (39, True), (40, True)]
    >>> [watch.is_over(now, failing) for now, failing in seen]
    [False, False, False, False, True]

    Attributes:
        grace_s: how long it may fail without a break.
    """

    grace_s: float = GRACE_S
    failing_since: float | None = None

    def is_over(self, now: float, failing: bool) -> bool:
        """Note what was seen; whether it has lasted too long."""
        if not failing:
            self.failing_since = None
            return False
        if self.failing_since is None:
            self.failing_since = now
        return now - self.failing_since >= self.grace_s


@dataclass
class _AtEnd:
    """The watch over the end of one process.

    Attributes:
        pid: the process.
        server: the address of the server that the client talks to.
        folder: where the transaction log of its last run is; empty for none.
        ended: the services that it had to end.
        is_over: set when they are.
    """

    pid: int
    server: str
    folder: str
    ended: list[int] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def seen(self) -> list[int]:
        """The services that it had to end, by the time that somebody has missed one."""
        self.is_over.wait(PROBE_EVERY_S)
        return self.ended


_at_end: _AtEnd | None = None


def watch_run(run: Any) -> None:
    """Watch over the end of this process, in which the client sends what this run has left.

    Args:
        run: the client's run, online.
    """
    server = server_of(run)
    if server is not None:
        watch(server, log_folder(run))


def watch(server: str, folder: str = "") -> None:
    """Watch over the end of this process; it has one watch, whose server and folder are the last ones given.

    Args:
        server: the address of the server that the client talks to.
        folder: where the transaction log of the run is.
    """
    global _at_end
    if _at_end is not None and _at_end.pid == os.getpid():
        _at_end.server, _at_end.folder = server, folder
        return
    _at_end = _AtEnd(os.getpid(), server, folder)
    thread = threading.Thread(target=_watch, args=(_at_end,), daemon=True, name="nemotron-kit-exit")
    with contextlib.suppress(RuntimeError):  # the process ends already, and begins no threads
        thread.start()


def server_of(run: Any) -> str | None:
    """The address of the server that a run talks to."""
    server = getattr(getattr(run, "settings", None), "base_url", None)
    return server if isinstance(server, str) and server else None


def log_folder(run: Any) -> str:
    """Where a run's transaction log is; empty for nowhere."""
    return str(getattr(getattr(run, "settings", None), "sync_dir", None) or "")


@contextlib.contextmanager
def guarded(server: str | None, folder: str = "", *, more_s: float = 0) -> Iterator[Callable[[], list[int]]]:
    """Let what waits for the client's service come to an end although the server has gone.

    Args:
        server: the address of the server that the client talks to; None for nothing to guard.
        folder: where the run's transaction log is; empty for none.
        more_s: how long the server may fail without a break, beyond `GRACE_S`.

    Yields:
        Ends the guard, and says which services had to be ended.
    """
    ended: list[int] = []
    if server is None:
        yield lambda: ended
        return
    if not threading.main_thread().is_alive():
        # The watch over the end of the process is at it, and from Python 3.12 on no thread begins any more.
        yield _at_end.seen if _at_end is not None and _at_end.pid == os.getpid() else lambda: ended
        return
    done = threading.Event()

    def guard() -> None:
        grace_s = GRACE_S + more_s
        ended.extend(end_service(server, folder, sleep=done.wait, grace_s=grace_s, is_done=done.is_set))

    thread = threading.Thread(target=guard, daemon=True, name="nemotron-kit-finish")
    thread.start()

    def stop() -> list[int]:
        # The client notices the end of its service before the guard has said that it was it.
        done.set()
        thread.join()
        return ended

    try:
        yield stop
    finally:
        done.set()


def _watch(end: _AtEnd) -> None:
    # It returns when the interpreter begins to end, before anybody waits for threads or exit hooks run.
    threading.main_thread().join()
    end.ended = end_service(end.server, end.folder, sleep=time.sleep, grace_s=GRACE_S)
    end.is_over.set()


def end_service(
    server: str,
    folder: str,
    *,
    sleep: Callable[[float], object],
    clock: Callable[[], float] = time.monotonic,
    is_answering: Callable[[str], bool] = answers,
    grace_s: float = GRACE_S,
    is_done: Callable[[], bool] = lambda: not service.services_of(os.getpid()),
) -> list[int]:
    """Wait until the client's service is done, or end it when the server has failed for too long.

    Args:
        server: the address of the server that the client talks to.
        folder: where the run's transaction log is, for the message.
        sleep: waits for seconds.
        clock: seconds that never go back.
        is_answering: looks whether the server answers.
        grace_s: how long it may fail without a break.
        is_done: whether there is nothing to wait for any more; by default, that the service has ended.

    Returns:
        The services that were ended.
    """
    watch = Watch(grace_s, failing_since=clock())
    # A healthy end takes a moment; nobody is asked in it.
    for _ in range(int(min(HEALTHY_END_S, grace_s / 2) / STEP_S)):
        if is_done():
            return []
        sleep(STEP_S)
    while not is_done():
        is_over = watch.is_over(clock(), failing=not is_answering(server)) and not is_done()
        if is_over and (pids := service.services_of(os.getpid())):
            # Said before: what waits for the service, such as the end of the process, goes on at once.
            _tell(server, grace_s, folder)
            return [pid for pid in pids if service.kill(pid)]
        sleep(PROBE_EVERY_S)
    return []


def _tell(server: str, grace_s: float, folder: str) -> None:
    kept = "`nemotron kit sync` sends what the outbox holds"
    if folder:
        kept = f"Nothing is lost: `wandb sync {folder}` sends what it has written down, {kept}"
    with contextlib.suppress(ValueError):  # the stream of a handler may be closed by now
        log.warning(
            "%s has not answered for %g s, so W&B's client is ended to let the job go on. %s",
            urlsplit(server).hostname,
            grace_s,
            kept,
        )
