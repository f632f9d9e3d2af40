"""The one way out: what a command has to say, to a person, to a program, or in as few words as possible.

A command makes a `View` and hands it to an `Output`; neither the commands nor the library below them write.
Results go to standard output, everything else to standard error.
"""

import os
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from nemotron.kit.errors import RefusedError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress as RichProgress

# No wrapping when nobody looks: a line of a table stays a line for grep and awk.
PIPE_WIDTH = 10_000
PATIENCE_S = 1.0


class View(ABC):
    """One result in its three forms."""

    @abstractmethod
    def document(self) -> Any:
        """For `--json`: what JSON can hold."""

    @abstractmethod
    def lines(self) -> Iterable[str]:
        """For `--quiet`: the bare values, one a line."""

    @abstractmethod
    def render(self) -> "str | RenderableType":
        """For a person: text, or something that rich can draw. Import rich in here."""


class Output(ABC):
    """Where views go."""

    human = False

    @abstractmethod
    def show(self, view: View) -> None:
        """Write the result of the command."""

    def note(self, text: str) -> None:
        """Say something beside the result, on standard error, if a person listens."""
        if self.human:
            _tell(text)

    def progress(self, what: str, *, of_bytes: bool = False) -> "Progress":
        """Show that something goes on, if it takes long and a person looks; what is counted may be bytes."""
        return Progress(
            what, visible=self.human and sys.stderr is not None and sys.stderr.isatty(), of_bytes=of_bytes
        )


class HumanOutput(Output):
    """Tables and trees; colour on a terminal only (`NO_COLOR` and `FORCE_COLOR` are honoured)."""

    human = True

    def show(self, view: View) -> None:
        """Draw the view."""
        drawn = view.render()
        write(f"{drawn}\n" if isinstance(drawn, str) else _drawn(drawn))


class JsonOutput(Output):
    """One JSON document, strict: NaN and infinity are spelt as text."""

    def show(self, view: View) -> None:
        """Write the view's document."""
        import json

        from nemotron.kit.documents import codec

        document = codec.strict(codec.plain(view.document(), "result"))
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
        try:
            text.encode((sys.stdout and sys.stdout.encoding) or "utf-8")
        except UnicodeEncodeError:  # a file name that is no UTF-8, or an old terminal: JSON's own escapes
            text = json.dumps(document, indent=2, allow_nan=False)
        write(f"{text}\n")


class QuietOutput(Output):
    """Bare values, for scripts without a JSON reader."""

    def show(self, view: View) -> None:
        """Write the view's lines."""
        write("".join(f"{line}\n" for line in view.lines()))


def choose(*, as_json: bool, quiet: bool) -> Output:
    """The output that the options of a command ask for; JSON wins."""
    return JsonOutput() if as_json else QuietOutput() if quiet else HumanOutput()


def warn(text: str) -> None:
    """Tell of something that is not right but did not stop the work."""
    _tell(text, "warning: ", "33")


def error(text: str) -> None:
    """Tell why nothing was done."""
    _tell(text, "error: ", "1;31")


def write(text: str) -> None:
    """Write to standard output, now: a closed pipe must be noticed here, not when Python exits.

    Raises:
        DiskFullError, UnavailableError, …: a file that it goes to takes nothing more.
    """
    with _reaching_stdout():
        try:
            sys.stdout.write(text)
        except UnicodeEncodeError:
            encoding = sys.stdout.encoding or "ascii"
            # A path goes out as the bytes that it is on disk; what no bytes can spell, as an escape.
            how = "surrogateescape" if _escapes(text, encoding) else "backslashreplace"
            sys.stdout.flush()
            sys.stdout.buffer.write(text.encode(encoding, how))
        sys.stdout.flush()


def write_bytes(data: bytes) -> None:
    """Write bytes to standard output as they are, now; raises what `write` does."""
    with _reaching_stdout():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


@contextmanager
def _reaching_stdout() -> Iterator[None]:
    """Inside, what the system says of standard output becomes an error of the kit, but for a closed pipe."""
    if sys.stdout is None:  # as Python finds it with `>&-`
        raise RefusedError("Cannot write standard output: it is closed")
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        from nemotron.kit.store.system_errors import translate

        # What is still in the buffer would fail once more, without a word that helps, when Python exits.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise translate(error, "write", "standard output") from error


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def _escapes(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding, "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _tell(text: str, label: str = "", colour: str = "") -> None:
    from nemotron.kit.console.words import printable

    stream = sys.stderr
    if stream is None:  # closed: the exit code tells
        return
    shown = "\n".join(printable(line) for line in text.splitlines())
    if label and _colourful(stream):
        label = f"\x1b[{colour}m{label}\x1b[0m"
    encoding = stream.encoding or "ascii"
    stream.write(f"{label}{shown}\n".encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def _colourful(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")


def _drawn(renderable: "RenderableType") -> str:
    """What rich makes of it, for the standard output as it is now."""
    with _reaching_stdout():
        console = _console(sys.stdout)
        with console.capture() as capture:
            console.print(renderable, crop=False)  # what is not to be folded goes on in the next line, whole
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def _console(stream: TextIO) -> "Console":
    from rich.console import Console

    width = None if stream.isatty() else PIPE_WIDTH
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False)


class Progress:
    """Work that may take long: shown on standard error once it does, gone when it is done.

    >>> with Progress("Looking", visible=False) as step:
    ...     step(1, 2)

    Args:
        what: what is being done.
        visible: whether somebody looks.
        of_bytes: whether bytes are counted.
    """

    def __init__(self, what: str, *, visible: bool, of_bytes: bool = False) -> None:
        self._what = what
        self._of_bytes = of_bytes
        self._done, self._total = 0, 0
        self._bar: RichProgress | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(PATIENCE_S, self._begin) if visible else None

    def __call__(self, done: int, total: int) -> None:
        """Say how far it is."""
        with self._lock:
            self._done, self._total = done, total
            if self._bar is not None:
                self._bar.update(self._bar.task_ids[0], completed=done, total=total)

    def _begin(self) -> None:
        from rich import progress
        from rich.progress import Progress as RichProgress
        from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

        count = progress.DownloadColumn() if self._of_bytes else progress.MofNCompleteColumn()
        counted = (progress.BarColumn(), count) if self._total else ()
        columns = (SpinnerColumn(), TextColumn("{task.description}"), *counted, TimeElapsedColumn())
        bar = RichProgress(*columns, console=_console(sys.stderr), transient=True)
        with self._lock:
            if self._timer is None:
                return  # it was done in this very moment
            bar.add_task(self._what, completed=self._done, total=self._total or None)
            bar.start()
            self._bar = bar

    def __enter__(self) -> Self:
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        with self._lock:
            timer, self._timer = self._timer, None
            if timer is not None:
                timer.cancel()
            if self._bar is not None:
                self._bar.stop()
