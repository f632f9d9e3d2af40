"""From errors to messages and exit codes."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from nemotron.kit.console import output
from nemotron.kit.errors import KitError, MisuseError

FAILED = 1
USAGE = 2
INTERRUPTED = 130
NOTHING_LEFT = "nothing half done is left"
# What an interrupt leaves of a command that changes something, or hands out bytes one after the other.
_LEFT = {
    **dict.fromkeys(
        ("register", "adopt", "sync", "gc", "cp", "resolve", "open"),
        f"{NOTHING_LEFT}, and the next try goes on from what is done",
    ),
    "rm": "the version may be withdrawn by now, and some of what --delete-data names deleted; "
    "the same again does the rest",
    "cat": "what was written is not all of it",
}


class _Warnings(logging.Handler):
    """Shows what the library warns of."""

    def emit(self, record: logging.LogRecord) -> None:
        output.warn(record.getMessage())


@contextmanager
def told(command: Callable[[], str | None] = lambda: None) -> Iterator[None]:
    """Inside, an error of the kit is a message on standard error and an exit code, and warnings are shown.

    Args:
        command: tells which one was interrupted, if one was.

    Raises:
        typer.Exit: 1; 2 where the command line itself was wrong; 130 after an interrupt.
    """
    handler = _Warnings(logging.WARNING)
    log = logging.getLogger("nemotron")
    log.addHandler(handler)
    propagate, log.propagate = log.propagate, False
    try:
        yield
    except KitError as error:
        output.error(str(error))
        raise typer.Exit(USAGE if isinstance(error, MisuseError) else FAILED) from None
    except KeyboardInterrupt:
        output.interrupted(_LEFT.get(command() or "", NOTHING_LEFT))
        raise typer.Exit(INTERRUPTED) from None
    finally:
        log.removeHandler(handler)
        log.propagate = propagate
