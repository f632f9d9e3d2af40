"""Processes of our own for many small files, where threads of one Python only wait for each other.

Opening, reading, hashing and writing a file of a few KiB are nine calls of a few microseconds each. Between
them two threads of one process hand the interpreter's lock to and fro, and are slower together than one of
them alone. So chunks of small files go to worker processes, one for each core: fresh interpreters that are
told by name what to do, and are spoken to in `marshal` over pipes. They share nothing with this process,
whose threads, devices and `__main__` no fork and no second import can harm. Where there can be none, or one
ends because it met an error or was killed, this process does the chunk itself: so what is wrong is told by
the work, in the usual way.
"""

import importlib
import json
import logging
import marshal
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from nemotron.kit.documents.tree import Entry
from nemotron.kit.store.local import LocalStore

log = logging.getLogger(__name__)

# From so many files on they are worth the start of a few interpreters.
FILES_MIN = 2_000
# A file that is larger keeps a thread busy without the interpreter.
SIZE_MAX = 1 << 20
_STORE = "store"
_SIZE_BYTES = 8
# What says that it is larger is no message, but a line that some program printed.
MESSAGE_SIZE_MAX = 1 << 30
_HERE = str(Path(__file__).parents[3])
# Another kit, which stands first in the import path by now, would not know what is said here.
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    f"import {__name__} as found; found._HERE == sys.argv[2] and found.main()"
)

Work = Callable[..., list[Entry]]
Order = tuple[str, str, list[object], dict[str, object]]


class NoWorkerError(Exception):
    """A worker process can't be started, or has ended."""


@contextmanager
def in_processes(work: Work, files: int) -> Iterator[Work]:
    """A work, done by worker processes if there are many files and it can be told by name.

    Args:
        work: what is done to a chunk of files; a `partial` of a module-level function.
        files: how many there are.
    """
    order = order_of(work) if files >= FILES_MIN and _is_python() else None
    if order is None:
        yield work
        return
    crew = Crew(work, order)
    try:
        yield crew
    finally:
        crew.end()


def order_of(work: Work) -> Order | None:
    """A work as a worker process is told of it; None if that takes more than plain values and local stores.

    >>> from nemotron.kit.registry import reading
    >>> order_of(reading.hashing("/data"))
    ('nemotron.kit.registry.reading', 'hash_chunk', ['/data'], {})
    """
    if not isinstance(work, partial):
        return None
    function, arguments = work.func, [_told(value) for value in work.args]
    order = (function.__module__, function.__qualname__, arguments, dict(work.keywords))
    try:
        marshal.dumps(order)
    except ValueError:
        return None
    return order


def _told(value: object) -> object:
    return (_STORE, value.root) if type(value) is LocalStore else value


def _meant(value: object) -> object:
    return LocalStore(value[1]) if isinstance(value, tuple) and value[:1] == (_STORE,) else value


def _is_python() -> bool:
    """Whether our executable is an interpreter, and not a program that has one in it."""
    name = os.path.basename(os.path.realpath(sys.executable or ""))
    is_one = name.startswith(("python", "pypy")) and not getattr(sys, "frozen", False)
    return is_one and sys.getfilesystemencoding() == "utf-8"


class Crew:
    """A work that is done by as many worker processes as threads ask for it at once.

    Args:
        work: what is done to a chunk.
        order: the same, as a worker process is told of it.
    """

    def __init__(self, work: Work, order: Order) -> None:
        self._work, self._order = work, order
        self._idle: list[WorkerProcess] = []
        self._can_start = True

    def __call__(
        self, entries: Sequence[Entry], threads: int = 1, told: Callable[[int], object] | None = None
    ) -> list[Entry]:
        """Do it to a chunk: small files in a process, large ones here."""
        if self._can_start and max(entry.size for entry in entries) <= SIZE_MAX:
            try:
                done = self._in_process(entries)
            except NoWorkerError as error:
                log.info("%s; this process goes on with %s", error, entries[0].path)
            else:
                if told is not None:
                    told(sum(entry.size for entry in done))
                return done
        return self._work(entries, threads, told)

    def _in_process(self, entries: Sequence[Entry]) -> list[Entry]:
        worker = None
        with suppress(IndexError):  # all are at work: one more thread asks for the first time
            worker = self._idle.pop()
        is_new = worker is None
        if worker is None:
            try:
                worker = WorkerProcess(self._order)
            except NoWorkerError:
                self._can_start = False
                raise
        try:
            done = worker.do(entries)
        except NoWorkerError:
            if is_new:  # it can't work here, say: so would end the next, and one for each chunk
                self._can_start = False
            raise
        self._idle.append(worker)
        return done

    def end(self) -> None:
        """End all of them; none is at work any more."""
        for worker in self._idle:
            worker.end()


class WorkerProcess:
    """A process that does one kind of work.

    Args:
        order: which.

    Raises:
        NoWorkerError: it can't be started.
    """

    def __init__(self, order: Order) -> None:
        import subprocess  # a worker process has no use for it

        paths = json.dumps([*import_path(), _HERE])
        # Nothing that an environment or a site has Python do when it starts, and nothing beside the code.
        command = [sys.executable, "-I", "-S", "-B", "-X", "utf8", "-c", _PROGRAM, paths, _HERE]
        pipe = subprocess.PIPE
        try:
            self._process = subprocess.Popen(
                command,
                stdin=pipe,
                stdout=pipe,
                stderr=subprocess.DEVNULL,
                process_group=0,  # Ctrl-C is for us, who end them
            )
        except (OSError, RuntimeError) as error:  # the latter when Python ends
            raise NoWorkerError(f"No worker process can be started ({error})") from error
        self._say(order)

    def do(self, entries: Sequence[Entry]) -> list[Entry]:
        """Have it do a chunk.

        Raises:
            NoWorkerError: it has ended.
        """
        self._say(list(map(tuple, entries)))
        try:
            return list(map(Entry._make, hear(self._process.stdout)))  # type: ignore[arg-type]
        except EOFError as error:
            raise self._ended() from error

    def _say(self, what: object) -> None:
        try:
            say(self._process.stdin, what)  # type: ignore[arg-type]
        except OSError as error:
            raise self._ended() from error

    def _ended(self) -> NoWorkerError:
        self.end()
        return NoWorkerError("A worker process has ended")

    def end(self) -> None:
        """End it. It is not at work, so nothing is left half done."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # what was not sent has no reader any more
                pipe.close()  # type: ignore[union-attr]


def import_path() -> list[str]:
    """Where this process imports from, for one that knows no current folder; what is no text is left out,
    as by imports, and so is a current folder that was deleted.
    """
    here = ""
    with suppress(OSError):
        here = os.getcwd()
    named: list[object] = [here if path == "" else path for path in sys.path]
    return [path for path in named if isinstance(path, str) and path]


def say(pipe: IO[bytes], what: Any) -> None:
    """Send a value."""
    data = marshal.dumps(what)
    pipe.write(len(data).to_bytes(_SIZE_BYTES, "big") + data)
    pipe.flush()


def hear(pipe: IO[bytes]) -> Any:
    """Receive a value.

    Raises:
        EOFError: the other side has ended, or is none of ours.
    """
    size = int.from_bytes(pipe.read(_SIZE_BYTES), "big")
    if not 0 < size <= MESSAGE_SIZE_MAX or len(data := pipe.read(size)) < size:
        raise EOFError
    return marshal.loads(data)


def main() -> None:
    """What a worker process does: one chunk after another, until nobody gives it any or it meets an error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):
        os.dup2(nowhere, standard)  # what code prints is no answer
    module, name, arguments, keywords = hear(source)
    function: Work = getattr(importlib.import_module(module), name)
    work = partial(function, *map(_meant, arguments), **keywords)
    with suppress(EOFError, BrokenPipeError):
        while True:
            say(target, list(map(tuple, work(list(map(Entry._make, hear(source)))))))
