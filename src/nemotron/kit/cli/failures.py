"""From errors to messages and exit codes."""

import logging
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import typer

from nemotron.kit.console import output
from nemotron.kit.errors import KitError, MisuseError
from nemotron.kit.workers import IDLE_NAME

FAILED = 1
USAGE = 2
INTERRUPTED = 130
TERMINATED = 143
# What tidying up may take, in seconds: a thread may be reading a block from far away.
PATIENCE_S = 10.0
NOTHING_LEFT = "nothing half done is left"
# What an interrupt leaves of a command that changes something, or hands out bytes one after the other.
_LEFT = {
    **dict.fromkeys(
        ("register", "adopt", "sync", "gc"),
        f"{NOTHING_LEFT}, and the next try goes on from what is done",
    ),
    **dict.fromkeys(("resolve", "open"), f"{NOTHING_LEFT}; the next try may begin anew"),
    "cp": "the files copied so far are whole and stay; the same again copies the rest",
    "rm": "the version may be withdrawn by now, and some of what --delete-data names deleted; "
    "the same again does the rest",
    "cat": "what was written is not all of it",
}


class _Warnings(logging.Handler):
    """Shows what the library warns of."""

    def emit(self, record: logging.LogRecord) -> None:
        output.warn(record.getMessage())


class Terminated(KeyboardInterrupt):
    """SIGTERM came, as from a scheduler: what an interrupt tidies up is to be tidied up as well."""


@contextmanager
def _ending_tidily() -> Iterator[None]:
    """Inside, a SIGTERM is an interrupt; another one, or a while, ends the process whatever it is at.

    The interpreter sees a signal once the call returns that it is in, which a server that never answers may
    hold up for minutes. So a thread hears of it too.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated

    is_ours = threading.current_thread() is threading.main_thread()
    if not is_ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    heard, told_to = os.pipe()
    os.set_blocking(told_to, False)
    before = signal.set_wakeup_fd(told_to, warn_on_full_buffer=False)
    threading.Thread(target=_see_to_the_end, args=(heard,), name=IDLE_NAME, daemon=True).start()
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.set_wakeup_fd(before)
        os.close(told_to)


def _see_to_the_end(heard: int) -> None:
    """End the process a while after a SIGTERM, or at the second one."""
    while number := os.read(heard, 1):
        if number[0] == signal.SIGTERM:
            is_more = select.select([heard], [], [], PATIENCE_S)[0]
            if not is_more or os.read(heard, 1):
                os._exit(TERMINATED)
            break
    os.close(heard)


@contextmanager
def told(command: Callable[[], str | None] = lambda: None) -> Iterator[None]:
    """Inside, an error of the kit is a message on standard error and an exit code, and warnings are shown.

    Args:
        command: tells which one was interrupted, if one was.

    Raises:
        typer.Exit: 1; 2 where the command line itself was wrong; 130 after an interrupt, 143 after SIGTERM.
    """
    handler = _Warnings(logging.WARNING)
    log = logging.getLogger("nemotron")
    log.addHandler(handler)
    propagate, log.propagate = log.propagate, False
    try:
        with _ending_tidily():
            yield
    except KitError as error:
        output.error(str(error))
        raise typer.Exit(USAGE if isinstance(error, MisuseError) else FAILED) from None
    except KeyboardInterrupt as error:
        is_told = isinstance(error, Terminated)
        left = _LEFT.get(command() or "", NOTHING_LEFT)
        output.interrupted(left, "terminated" if is_told else "interrupted")
        raise typer.Exit(TERMINATED if is_told else INTERRUPTED) from None
    finally:
        log.removeHandler(handler)
        log.propagate = propagate
