"""Wait for an answer of W&B, but not for ever; and ask again where only that helps."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from nemotron.kit.errors import KitError, UnavailableError
from nemotron.kit.integrations.wandb.errors import is_passing_conflict
from nemotron.kit.tracking.standby import Standby

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

# Of a limit, what is waited: what comes after it takes a moment too.
SHARE = 0.98
# How long to wait before asking again after a conflict, in seconds, each time.
PAUSES_S = (0.1, 0.4, 1.2)

_standby = Standby("nemotron-kit-wandb-ask")


def within(
    limit_s: float,
    ask: Callable[[], Answer],
    *,
    doing: str = "answer",
    may_go_on: Callable[[], bool] = lambda: False,
) -> Answer:
    """What `ask` returns or raises, if it does so in time.

    It runs in another thread, which is left alone when the time is over: a call that hangs must not keep the
    process.

    >>> within(5, lambda: 42)
    42

    Args:
        limit_s: how long to wait, in seconds.
        ask: asks W&B.
        doing: what is asked of it, for the message: "take my-model".
        may_go_on: whether to wait as long once more when the time is over.

    Raises:
        UnavailableError: there was no answer in time.
    """
    answer: Future[Any] = Future()

    def work() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:  # noqa: BLE001 - it is raised below, in the caller's thread
            answer.set_exception(error)

    _standby.get_ready()
    _standby.begin(work)
    while True:
        try:
            return answer.result(timeout=limit_s * SHARE)  # type: ignore[no-any-return]
        except TimeoutError as error:
            if answer.done():  # it came just now; or it is this error
                return answer.result()  # type: ignore[no-any-return]
            if not (may_go_on() or answer.done()):
                raise UnavailableError(f"W&B did not {doing} within {limit_s:g} s") from error


def again_on_conflict(ask: Callable[[], Answer], pauses_s: tuple[float, ...] = PAUSES_S) -> Answer:
    """What `ask` returns; asked again where W&B answered 409: somebody else wrote at the same moment.

    The client itself does not try those again.

    >>> again_on_conflict(lambda: 42)
    42

    Args:
        ask: asks W&B; must be harmless twice.
        pauses_s: how long to wait before each further try.

    Raises:
        ConflictError: it was one each time.
    """
    for pause_s in pauses_s:
        try:
            return ask()
        except KitError as error:
            if not is_passing_conflict(error):
                raise
            log.info("%s; it is tried again", error)
        time.sleep(pause_s)
    return ask()
