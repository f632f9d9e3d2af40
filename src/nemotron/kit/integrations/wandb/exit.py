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
from dataclasses import dataclass
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


def watch_run(run: Any) -> None:
    """Watch over the end of this process, in which the client sends what this run has left.

    Args:
        run: the client's run, online; the second call for a process does nothing.
    """
    global _watched
    server = getattr(getattr(run, "settings", None), "base_url", None)
    if _watched == os.getpid() or not isinstance(server, str):
        return
    _watched = os.getpid()
    folder = str(getattr(run.settings, "sync_dir", ""))
    threading.Thread(target=_watch, args=(server, folder), daemon=True, name="nemotron-kit-exit").start()


_watched: int | None = None


@contextlib.contextmanager
def guarded(run: Any) -> Iterator[Callable[[], list[int]]]:
    """Let what waits for the client's service come to an end although the server has gone.

    Args:
        run: the client's run, online; None for none.

    Yields:
        Ends the guard, and says which services it had to end.
    """
    ended: list[int] = []
    server = getattr(getattr(run, "settings", None), "base_url", None)
    if run is None or not isinstance(server, str):
        yield lambda: ended
        return
    folder = str(getattr(run.settings, "sync_dir", ""))
    done = threading.Event()

    def guard() -> None:
        ended.extend(end_service(server, folder, sleep=done.wait, grace_s=GRACE_S, is_done=done.is_set))

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


def _watch(server: str, folder: str) -> None:
    # It returns when the interpreter begins to end, before anybody waits for threads or exit hooks run.
    threading.main_thread().join()
    end_service(server, folder, sleep=time.sleep, grace_s=GRACE_S)


def end_service(
    server: str,
    folder: str,
    *,
    sleep: Callable[[float], object],
    clock: Callable[[], float] = time.monotonic,
    is_answering: Callable[[str], bool] = answers,
    grace_s: float = GRACE_S,
    is_done: Callable[[], bool] = lambda: False,
) -> list[int]:
    """Wait until the client's service has ended by itself, or end it when the server has failed for too long.

    Args:
        server: the address of the server that the client talks to.
        folder: where the run's transaction log is, for the message.
        sleep: waits for seconds.
        clock: seconds that never go back.
        is_answering: looks whether the server answers.
        grace_s: how long it may fail without a break.
        is_done: whether there is nothing to wait for any more.

    Returns:
        The services that were ended.
    """
    watch = Watch(grace_s, failing_since=clock())
    # A healthy end takes a moment; nobody is asked in it.
    for _ in range(int(min(HEALTHY_END_S, grace_s / 2) / STEP_S)):
        if is_done() or not service.services_of(os.getpid()):
            return []
        sleep(STEP_S)
    while not is_done() and (pids := service.services_of(os.getpid())):
        if watch.is_over(clock(), failing=not is_answering(server)) and not is_done():
            ended = [pid for pid in pids if service.kill(pid)]
            _tell(server, grace_s, folder)
            return ended
        sleep(PROBE_EVERY_S)
    return []


def _tell(server: str, grace_s: float, folder: str) -> None:
    with contextlib.suppress(ValueError):  # the stream of a handler may be closed by now
        log.warning(
            "%s has not answered for %g s, so W&B's client was ended to let the job end. Nothing is "
            "lost: `wandb sync %s` sends what it has written down, `nemotron kit sync` what the outbox holds",
            urlsplit(server).hostname,
            grace_s,
            folder,
        )
