"""A circuit breaker: a server that does not answer costs a job its patience once, not at every save."""

import threading
import time
from collections.abc import Callable

REST_S = 30.0


class Breaker:
    """Says whether a server is worth asking.

    Closed, everybody asks and waits for the answer. A failure opens it: nobody asks. After a rest it is half
    open: one may try, and nobody waits for it. A success closes it again.

    >>> now = [0.0]
    >>> breaker = Breaker(clock=lambda: now[0], rest_s=30)
    >>> was_closed = breaker.failed("no answer")
    >>> breaker.is_closed, breaker.may_try()
    (False, False)
    >>> now[0] = 31
    >>> breaker.may_try(), breaker.may_try()
    (True, False)
    >>> was_open = breaker.succeeded()
    >>> breaker.is_closed
    True

    Args:
        clock: seconds that never go back.
        rest_s: how long a server that failed is left alone.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, rest_s: float = REST_S) -> None:
        self._clock = clock
        self._rest_s = rest_s
        self._lock = threading.RLock()
        self._why: str | None = None
        self._rests_until = 0.0

    @property
    def is_closed(self) -> bool:
        """Whether the last answer was a good one, or nobody has asked."""
        return self._why is None

    @property
    def why(self) -> str | None:
        """Why it is open."""
        return self._why

    def may_try(self) -> bool:
        """Whether the caller may ask now; in a half-open circuit one may, until it has rested again."""
        with self._lock:
            if self._why is None:
                return True
            if self._clock() < self._rests_until:
                return False
            self._rests_until = self._clock() + self._rest_s
            return True

    def failed(self, why: str) -> bool:
        """Open it, for another rest.

        Returns:
            Whether it was closed before: the one moment that is worth a warning.
        """
        with self._lock:
            was_closed, self._why = self._why is None, why
            self._rests_until = self._clock() + self._rest_s
            return was_closed

    def succeeded(self) -> bool:
        """Close it.

        Returns:
            Whether it was open before.
        """
        with self._lock:
            was_open, self._why = self._why is not None, None
            return was_open
