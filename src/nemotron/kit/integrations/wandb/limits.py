"""Wait for an answer of W&B, but not for ever."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from nemotron.kit.errors import UnavailableError

Answer = TypeVar("Answer")

# Of a limit, what is waited: what comes after it takes a moment too.
SHARE = 0.98


def within(limit_s: float, ask: Callable[[], Answer]) -> Answer:
    """What `ask` returns or raises, if it does so in time.

    It runs in a thread of its own, which is left alone when the time is over: a call that hangs must not keep
    the process.

    >>> within(5, lambda: 42)
    42

    Args:
        limit_s: how long to wait, in seconds.
        ask: asks W&B.

    Raises:
        UnavailableError: there was no answer in time.
    """
    answer: Future[Any] = Future()

    def work() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - it is raised below, in the caller's thread
            answer.set_exception(error)

    threading.Thread(target=work, daemon=True, name="nemotron-kit-wandb-ask").start()
    try:
        return answer.result(timeout=limit_s * SHARE)  # type: ignore[no-any-return]
    except TimeoutError as error:
        if answer.done():
            raise
        raise UnavailableError(f"W&B did not answer within {limit_s:g} s") from error
