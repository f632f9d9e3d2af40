"""One table from the client's exceptions to the kit's.

The client raises ValueError for whatever went wrong on the server and hides the HTTP status in the text, so
the text is read first, and the class decides only where the text says nothing.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from nemotron.kit.errors import (
    ConflictError,
    KitError,
    MisuseError,
    NotFoundError,
    PathNotFoundError,
    RefusedError,
    UnavailableError,
)
from nemotron.kit.integrations.wandb.secrets import redacted

# What the HTTP status means; other 4xx are requests that the server refuses.
STATUSES: dict[int, type[KitError]] = {
    401: RefusedError,
    403: RefusedError,
    404: NotFoundError,
    408: UnavailableError,
    409: ConflictError,
    425: UnavailableError,
    429: UnavailableError,
}

# What the text means, first match wins. Outages come first: in an outage the client also says that it could
# not verify the credentials, or that something was not found.
TEXTS: tuple[tuple[re.Pattern[str], type[KitError]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), error)
    for pattern, error in (
        (
            r"did not respond|timed? ?out|timeout|giving up after|connection (refused|reset|aborted|error)"
            r"|no such host|name resolution|network is unreachable|broken pipe"
            r"|service process is not running|run \([^)]*\) is finished|offline mode",
            UnavailableError,
        ),
        (r"already exists with type", ConflictError),
        (r"specified but this artifact is of type|does not match type", MisuseError),
        (r"not found|does not exist|no such artifact", NotFoundError),
        (
            r"not logged in|no api[_ ]key|api[_ ]key (not |must )|invalid credentials|verify credentials"
            r"|permission denied|unauthori[sz]ed|forbidden",
            RefusedError,
        ),
    )
)

# What the class means where neither status nor text tells, by its name, since the client's modules move
# between its versions. Every exception that a client from 0.22 to 0.31 defines is here by its own name.
CLASSES: dict[str, type[KitError]] = {
    # Python's own, as the client raises them
    "FileNotFoundError": PathNotFoundError,
    "PermissionError": RefusedError,
    "TimeoutError": UnavailableError,
    "ConnectionError": UnavailableError,
    "OSError": UnavailableError,
    "ValueError": MisuseError,
    # the server, the network, and who is asking
    "AuthenticationError": RefusedError,
    "CommError": UnavailableError,
    "Error": UnavailableError,
    "RetryCancelledError": UnavailableError,
    "RunNotFoundError": NotFoundError,
    "ServerResponseError": UnavailableError,
    "TransientError": UnavailableError,
    "WaitTimeoutError": UnavailableError,
    "WandbApiFailedError": UnavailableError,
    "WriteNetrcError": RefusedError,
    # the client's service process: not started, gone after teardown, or a fork's parent's
    "AlreadyJoinedError": UnavailableError,
    "ForkedError": UnavailableError,
    "HandleAbandonedError": UnavailableError,
    "MailboxClosedError": UnavailableError,
    "RunCancelledError": UnavailableError,
    "RunnerCancelledError": UnavailableError,
    "ServicePollForTokenError": UnavailableError,
    "WandbAttachFailedError": UnavailableError,
    "WandbCoreNotAvailableError": UnavailableError,
    "WandbServiceConnectionError": UnavailableError,
    # what was asked
    "ArtifactFinalizedError": MisuseError,
    "ArtifactNotLoggedError": MisuseError,
    "ArtifactStatusError": MisuseError,
    "ConfigError": MisuseError,
    "TooFewItemsError": NotFoundError,
    "TooManyItemsError": ConflictError,
    "UnsupportedError": RefusedError,
    "UsageError": MisuseError,
    # this machine
    "CannotCaptureConsoleError": MisuseError,
    "GitCommandError": UnavailableError,
    "NotATerminalError": MisuseError,
    "SaveSettingsError": RefusedError,
}

_STATUS_IN_TEXT = re.compile(r"(?:returned error|HTTP|status(?: code)?:?) ([1-5][0-9][0-9])\b")


def translate(error: Exception, doing: str) -> Exception:
    """The kit's error for one of the client's.

    Args:
        error: what the client raised.
        doing: what was asked of it, for the message: "log my-model".

    Returns:
        A `KitError`, or `error` itself where it is none of the client's but a mistake in a program.
    """
    kind = classify(error)
    if kind is None or isinstance(error, KitError):
        return error
    return kind(f"W&B could not {doing}: {redacted(str(error) or type(error).__name__)}")


def classify(error: Exception) -> type[KitError] | None:
    """Which of the kit's errors it is, or None if it is not the client's."""
    names = [cls.__name__ for cls in type(error).__mro__]
    by_class = next((CLASSES[name] for name in names if name in CLASSES), None)
    if isinstance(error, FileNotFoundError | PermissionError):
        return by_class
    if status := http_status(error):
        return STATUSES.get(status, UnavailableError if status >= 500 else RefusedError)
    by_text = next((kind for pattern, kind in TEXTS if pattern.search(str(error))), None)
    return by_text or by_class


def http_status(error: BaseException) -> int | None:
    """The HTTP status behind an exception, if it or what caused it tells."""
    seen: BaseException | None = error
    while seen is not None:
        response = getattr(seen, "response", None)
        for name in ("http_status", "status_code"):
            status = getattr(response, name, None)
            if isinstance(status, int) and 400 <= status < 600:
                return status
        if match := _STATUS_IN_TEXT.search(str(seen)):
            return int(match[1]) if int(match[1]) >= 400 else None
        seen = seen.__cause__
    return None


def is_passing_conflict(error: BaseException) -> bool:
    """Whether two wrote at one moment (409), so that trying again helps; a name of another type stays one."""
    return isinstance(error, ConflictError) and http_status(error) == 409


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise the kit's errors for the client's.

    >>> with translated("find model:v7"):
    ...     raise ValueError("'model:v7' not found in 'me/proj'")
    Traceback (most recent call last):
    nemotron.kit.errors.NotFoundError: W&B could not find model:v7: 'model:v7' not found in 'me/proj'
    """
    try:
        yield
    except Exception as error:
        mapped = translate(error, doing)
        if mapped is error:
            raise
        raise mapped from error
