"""What a worker process runs, and how it is spoken to: `marshal` over pipes, a length before each message.

It loads what its work needs and little else: who is started for one publish should be at work soon.
"""

import marshal
import os
import signal
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import IO, Any

from nemotron.kit.documents.columns import Columns

STORE = "store"
_SIZE_BYTES = 8
# What says that it is larger is no message, but a line that some program printed.
MESSAGE_SIZE_MAX = 1 << 30
# The columns that are told, and what makes one of its bytes.
_TOLD: dict[str, Callable[[bytes], Any]] = {
    "marks": bytearray,
    "hashes": bytearray,
    "sizes": partial(array, "q"),
    "mtimes_ns": partial(array, "q"),
    "inodes": partial(array, "Q"),
    "ctimes_ns": partial(array, "q"),
}


def told(part: Columns) -> list[object]:
    """A part of a listing in plain values, but for the paths, which who hears it knows."""
    return [getattr(part, name) for name in _TOLD]


def meant(paths: list[str], said: Sequence[bytes]) -> Columns:
    """Such a part."""
    part = Columns()
    part.paths = paths
    for (name, made), data in zip(_TOLD.items(), said, strict=True):
        setattr(part, name, made(data))
    return part


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


def main(usual: str) -> None:
    """One part after another, until nobody gives it any or it meets an error.

    Args:
        usual: the module of the work that it is most likely told of; that is loaded meanwhile.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, target = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):
        os.dup2(nowhere, standard)  # what code prints is no answer
    import_module(usual)
    with suppress(EOFError, BrokenPipeError):
        module, name, arguments, keywords = hear(source)
        function: Callable[..., Columns] = getattr(import_module(module), name)
        work = partial(function, *map(_meant, arguments), **keywords)
        while True:
            paths, *said = hear(source)
            say(target, told(work(meant(paths, said))))


def _meant(value: object) -> object:
    if isinstance(value, tuple) and value[:1] == (STORE,):
        from nemotron.kit.store.local import LocalStore  # not every work needs one

        return LocalStore(value[1])
    return value
