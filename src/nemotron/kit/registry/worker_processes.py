"""Processes of our own for many small files, where threads of one Python only wait for each other.

Opening, reading, hashing and writing a file of a few KiB are nine calls of a few microseconds each. Between
them two threads of one process hand the interpreter's lock to and fro, and are slower together than one of
them alone. So chunks of small files go to worker processes, one for each core: fresh interpreters that are
told by name what to do, and are spoken to in `marshal` over pipes. They share nothing with this process,
whose threads, devices and `__main__` no fork and no second import can harm. Where there can be none, or one
ends because it met an error or was killed, this process does the chunk itself: so what is wrong is told by
the work, in the usual way.
"""

import logging
import marshal
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from pathlib import Path

from nemotron.kit.documents.columns import Columns
from nemotron.kit.registry import worker_program
from nemotron.kit.registry.work import Told, Work
from nemotron.kit.store.local import LocalStore

log = logging.getLogger(__name__)

# From so many files on they are worth the start of a few interpreters.
FILES_MIN = 2_000
# A file that is larger keeps a thread busy without the interpreter.
SIZE_MAX = 1 << 20
_HERE = str(Path(__file__).parents[3])
# Another kit, which stands first in the import path by now, would not know what is said here.
_PROGRAM = (
    "import sys; _, here, usual, *sys.path[:] = sys.argv; sys.argv[1:] = []; "
    f"import {worker_program.__name__} as found; found.__file__.startswith(here + '/') and found.main(usual)"
)

# Held by who starts one, and by who forks: a child that another thread forks meanwhile, for loading data say,
# gets the ends of pipes that are the new process's alone. Its start would last as long as that child, and the
# end of one that is killed would not be seen.
_starting = threading.RLock()
os.register_at_fork(
    before=_starting.acquire, after_in_parent=_starting.release, after_in_child=_starting.release
)

Order = tuple[str, str, list[object], dict[str, object]]


class NoWorkerError(Exception):
    """A worker process can't be started, or has ended."""


@contextmanager
def standing_by(module: str | None, most: int) -> Iterator[Callable[[int], None]]:
    """Start worker processes while it is still being found out which files they are to work on.

    Args:
        module: where the work is that they will be told of; None if it is not likely that there is any.
        most: how many of them.

    Returns:
        What is told the number of files found so far, now and then.
    """
    standby = Standby(module if _is_python() else None, most)
    token = _standby.set(standby)
    try:
        yield standby.told
    finally:
        _standby.reset(token)
        standby.end()


@contextmanager
def in_processes(work: Work, files: int, most: int) -> Iterator[Work]:
    """How to do a work to a part of a listing: by worker processes, if there are many files and it can be
    told by name.

    Args:
        work: what is done to a chunk of files; a `partial` of a module-level function.
        files: how many there are.
        most: how many processes; more threads than these do it here.
    """
    order = order_of(work) if most > 0 and files >= FILES_MIN and _is_python() else None
    if order is None:
        yield work
        return
    crew = Crew(work, order, most)
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
    return (worker_program.STORE, value.root) if type(value) is LocalStore else value


def _is_python() -> bool:
    """Whether our executable is an interpreter, and not a program that has one in it."""
    name = os.path.basename(os.path.realpath(sys.executable or ""))
    is_one = name.startswith(("python", "pypy")) and not getattr(sys, "frozen", False)
    return is_one and sys.getfilesystemencoding() == "utf-8"


class Standby:
    """Worker processes that start while nobody knows yet what they are to do.

    Args:
        module: they import it meanwhile; None to start none.
        most: how many.
    """

    def __init__(self, module: str | None, most: int) -> None:
        self._module, self._most = module, most
        self._ready: list[WorkerProcess] = []

    def told(self, files: int) -> None:
        """So many files were found."""
        if self._module is not None and files >= FILES_MIN:
            with suppress(NoWorkerError):  # who needs one will say so
                for _ in range(self._most):
                    self._ready.append(WorkerProcess(self._module))
            self._module = None

    def take(self) -> "WorkerProcess | None":
        """One of them, if there is one left."""
        with suppress(IndexError):
            return self._ready.pop()
        return None

    def end(self) -> None:
        """End those that nobody took."""
        _end(self._ready)


_standby: ContextVar[Standby | None] = ContextVar("standby", default=None)


class Crew:
    """A work that is done by worker processes.

    Args:
        work: what is done to a chunk.
        order: the same, as a worker process is told of it.
        most: how many processes; who asks while all are at work does it itself.
    """

    def __init__(self, work: Work, order: Order, most: int) -> None:
        self._work, self._order = work, order
        self._idle: list[WorkerProcess] = []
        self._to_start = [_standby.get()] * most
        self._can_start = True

    def __call__(self, part: Columns, threads: int = 1, told: Told | None = None) -> Columns:
        """Do it to a part: small files in a process, large ones here."""
        done = None
        if self._can_start and max(part.sizes) <= SIZE_MAX:
            try:
                done = self._in_process(part)
            except NoWorkerError as error:
                log.info("%s; this process goes on with %s", error, part.paths[0])
        if done is None:
            return self._work(part, threads, told)
        if told is not None:
            told(sum(part.sizes))
        return done

    def _in_process(self, part: Columns) -> Columns | None:
        """Have a process do it, if one is free."""
        worker, standby = None, None
        try:
            worker = self._idle.pop()
        except IndexError:
            try:
                standby = self._to_start.pop()
            except IndexError:
                return None
        is_new = worker is None
        try:
            if worker is None:
                worker = (standby and standby.take()) or WorkerProcess(self._order[0])
                worker.say(self._order)
            done = worker.do(part)
        except NoWorkerError:
            if is_new:  # it can't work here, say: so would end the next, and one for each chunk
                self._can_start = False
            else:
                self._to_start.append(None)
            raise
        self._idle.append(worker)
        return done

    def end(self) -> None:
        """End all of them; none is at work any more."""
        _end(self._idle)


class _Process(subprocess.Popen[bytes]):
    """One that ends when nobody holds it: an interrupt may come before it has a name."""

    def __del__(self) -> None:
        # What Popen does is to keep it, and its pipes open. Without a number it was never started.
        if getattr(self, "pid", None) is not None and self.returncode is None:
            self.end()

    def end(self) -> None:
        """End it; it is not at work."""
        self.kill()
        self.wait()
        for pipe in (self.stdin, self.stdout):
            with suppress(OSError):  # what was not sent has no reader any more
                pipe.close()  # type: ignore[union-attr]


class WorkerProcess:
    """A process that does one kind of work, once it has been told which.

    Args:
        module: it imports this first.

    Raises:
        NoWorkerError: it can't be started.
    """

    def __init__(self, module: str) -> None:
        # Nothing that an environment or a site has Python do when it starts, and nothing beside the code.
        command = [sys.executable, "-I", "-S", "-B", "-X", "utf8", "-c", _PROGRAM]
        pipe = subprocess.PIPE
        command += [_HERE, module, *import_path(), _HERE]
        try:
            with _starting:
                self._process = _Process(
                    command,
                    stdin=pipe,
                    stdout=pipe,
                    stderr=subprocess.DEVNULL,
                    process_group=0,  # Ctrl-C is for us, who end them
                )
        except (OSError, RuntimeError) as error:  # the latter when Python ends
            raise NoWorkerError(f"No worker process can be started ({error})") from error

    def do(self, part: Columns) -> Columns:
        """Have it do a part of a listing.

        Raises:
            NoWorkerError: it has ended.
        """
        self.say([part.paths, *worker_program.told(part)])
        try:
            return worker_program.meant(part.paths, worker_program.hear(self._process.stdout))  # type: ignore[arg-type]
        except EOFError as error:
            raise self._ended() from error

    def say(self, what: object) -> None:
        """Tell it something: first its order, then one part after another.

        Raises:
            NoWorkerError: it has ended.
        """
        try:
            worker_program.say(self._process.stdin, what)  # type: ignore[arg-type]
        except OSError as error:
            raise self._ended() from error

    def _ended(self) -> NoWorkerError:
        self.end()
        return NoWorkerError("A worker process has ended")

    def end(self) -> None:
        """End it. It is not at work, so nothing is left half done."""
        self._process.end()


def _end(workers: Iterable[WorkerProcess]) -> None:
    """End all of them, also if an interrupt comes while one is waited for."""
    with ExitStack() as stack:
        for worker in workers:
            stack.callback(worker.end)


def import_path() -> list[str]:
    """Where this process imports from, for one that knows no current folder; what is no text is left out,
    as by imports, and so is a current folder that was deleted.
    """
    here = ""
    with suppress(OSError):
        here = os.getcwd()
    named: list[object] = [here if path == "" else path for path in sys.path]
    return [path for path in named if isinstance(path, str) and path]
