"""From errors to messages and exit codes."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from nemotron.kit.console import output
from nemotron.kit.errors import KitError, MisuseError

FAILED = 1
USAGE = 2
INTERRUPTED = 130


class _Warnings(logging.Handler):
    """Shows what the library warns of."""

    def emit(self, record: logging.LogRecord) -> None:
        output.warn(record.getMessage())


@contextmanager
def told() -> Iterator[None]:
    """Inside, an error of the kit is a message on standard error and an exit code, and warnings are shown.

    Raises:
        typer.Exit: 1, or 2 where the command line itself was wrong.
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
        raise typer.Exit(INTERRUPTED) from None
    finally:
        log.removeHandler(handler)
        log.propagate = propagate
