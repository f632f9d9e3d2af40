"""The one way out: what a command has to say, to a person, to a program, or in as few words as possible.

A command makes a `View` and hands it to an `Output`; neither the commands nor the library below them write.
Results go to standard output, everything else to standard error.
"""

import os
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from nemotron.kit.errors import RefusedError
from nemotron.kit.workers import IDLE_NAME

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress as RichProgress
    from rich.progress import ProgressColumn

# No wrapping when nobody looks: a line of a table stays a line for grep and awk.
PIPE_WIDTH = 10_000
PATIENCE_S = 1.0
REFRESH_S = 0.1
# Characters that are written at once.
PIECE_SIZE = 1 << 20


class Rows(Sequence[Any]):
    """A list in an object of a document that may be very long: its items are made as they are written.

    >>> rows = Rows(range(3), lambda number: {"number": number})
    >>> rows[1], len(rows), rows == [{"number": 0}, {"number": 1}, {"number": 2}]
    ({'number': 1}, 3, True)

    Args:
        things: what it is made from.
        make: makes an item of one.
    """

    def __init__(self, things: Sequence[Any], make: Callable[[Any], Any]) -> None:
        self._things, self._make = things, make

    def __len__(self) -> int:
        return len(self._things)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return Rows(self._things[at], self._make)
        return self._make(self._things[at])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rows | list) and list(self) == list(other)

    def __hash__(self) -> int:
        return hash(tuple(self._things))


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
        return Progress(what, visible=self.human and is_seen(sys.stderr), of_bytes=of_bytes)


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
        for piece in _in_pieces(chain(_spelt_document(view.document()), "\n")):
            write(piece)


def _spelt_document(document: Any, margin: str = "") -> Iterator[str]:
    """A document as JSON, in pieces, of which none is longer than an item of a long list."""
    inner = f"{margin}  "
    if isinstance(document, Rows) and document:
        for at, row in enumerate(document):
            yield f"{',' if at else '['}\n{inner}{_spelt(row, inner)}"
        yield f"\n{margin}]"
    elif isinstance(document, dict) and _has_rows(document):
        for at, (key, value) in enumerate(document.items()):
            yield f"{',' if at else '{'}\n{inner}{_spelt(key)}: "
            yield from _spelt_document(value, inner)
        yield f"\n{margin}}}"
    else:
        yield _spelt([] if isinstance(document, Rows) else document, margin)


def _has_rows(value: Any) -> bool:
    return isinstance(value, Rows) or (isinstance(value, dict) and any(map(_has_rows, value.values())))


def _spelt(value: Any, margin: str = "") -> str:
    import json

    from nemotron.kit.documents import codec

    plain = codec.strict(codec.plain(value, "result"))
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode((sys.stdout and sys.stdout.encoding) or "utf-8")
    except UnicodeEncodeError:  # a file name that is no UTF-8, or an old terminal: JSON's own escapes
        text = json.dumps(plain, indent=2, allow_nan=False)
    return text.replace("\n", f"\n{margin}")  # within a text it is an escape


def _in_pieces(texts: Iterable[str]) -> Iterator[str]:
    """The texts joined, many at a time."""
    waiting, size = [], 0
    for text in texts:
        waiting.append(text)
        size += len(text)
        if size >= PIECE_SIZE:
            yield "".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield "".join(waiting)


class QuietOutput(Output):
    """Bare values, for scripts without a JSON reader."""

    def show(self, view: View) -> None:
        """Write the view's lines."""
        for piece in _in_pieces(f"{line}\n" for line in view.lines()):
            write(piece)


def choose(*, as_json: bool, quiet: bool) -> Output:
    """The output that the options of a command ask for; JSON wins."""
    return JsonOutput() if as_json else QuietOutput() if quiet else HumanOutput()


def warn(text: str) -> None:
    """Tell of something that is not right but did not stop the work."""
    _tell(text, "warning: ", "33")


def error(text: str) -> None:
    """Tell why nothing was done."""
    _tell(text, "error: ", "1;31")


def remark_all(texts: Iterable[str]) -> None:
    """Say once each what is to be known of a result, also where a program reads that."""
    for text in dict.fromkeys(texts):
        _tell(text, "note: ", "2")


def interrupted(text: str, how: str = "interrupted") -> None:
    """Tell what an interrupt has left; a terminal has just shown `^C`, where the next line begins."""
    _tell(text, f"\n{how}: " if is_seen(sys.stderr) else f"{how}: ", "33")


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


def is_seen(stream: TextIO | None) -> bool:
    """Whether what is written to a stream appears on a terminal.

    A program may have put anything in the place of a standard one.

    >>> is_seen(None)
    False
    """
    try:
        return stream is not None and stream.isatty()
    except (AttributeError, ValueError):  # an object with `write` alone; a stream that was closed
        return False


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
        # Not that one: a terminal that takes nothing for a while must not keep the work waiting.
        self._drawing = threading.Lock()
        self._over = threading.Event()
        # One from the beginning to the end, and not rich's own, whose name says nothing.
        self._thread = threading.Thread(target=self._show, name=IDLE_NAME, daemon=True) if visible else None

    def __call__(self, done: int, total: int) -> None:
        """Say how far it is."""
        with self._lock:
            is_first = bool(total) and not self._total
            self._done, self._total = done, total
            if self._bar is not None:
                if is_first:  # what came before, such as looking at many files, took longer than patience
                    self._bar.columns = self._columns()
                self._bar.update(self._bar.task_ids[0], completed=done, total=total)

    def _show(self) -> None:
        if self._over.wait(PATIENCE_S) or (bar := self._begin()) is None:
            return
        with suppress(OSError, ValueError):  # the terminal is gone
            while not self._over.wait(REFRESH_S):
                with self._drawing:
                    if not self._over.is_set():
                        bar.refresh()

    def _begin(self) -> "RichProgress | None":
        from rich.progress import Progress as RichProgress

        console = _console(sys.stderr)
        bar = RichProgress(*self._columns(), console=console, transient=True, auto_refresh=False)
        with self._lock:
            if self._over.is_set():
                return None  # it was done in this very moment
            bar.columns = self._columns()
            bar.add_task(self._what, completed=self._done, total=self._total or None)
            bar.start()
            self._bar = bar
        return bar

    def _columns(self) -> "tuple[ProgressColumn, ...]":
        """What is shown; a bar and a count once there is something to count."""
        from rich import progress

        named = progress.SpinnerColumn(), progress.TextColumn("{task.description}")
        time = progress.TimeElapsedColumn()
        if not self._total:
            return *named, time
        if self._of_bytes:  # in the units of what is said when it is done
            return *named, progress.BarColumn(), progress.DownloadColumn(binary_units=True), time
        return *named, progress.BarColumn(), progress.MofNCompleteColumn(), time

    def __enter__(self) -> Self:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._over.set()
        with self._lock, self._drawing:
            if self._bar is not None:
                with suppress(OSError, ValueError):  # the terminal is gone by now, and the work is done
                    self._bar.stop()
