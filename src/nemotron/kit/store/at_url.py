"""Data at a URL that is no store of the kit's: which objects are there, and by what they can be recognised.

Nothing is written. A server is asked for listings and heads; bytes are read only by `chunks` and `block`.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from nemotron.kit.redaction import Unshown, clean_text

# Whoever publishes does not wait long for a server that only says by what data can be recognised.
TIMEOUT_S = 20
RETRIES_MAX = 2


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as its server speaks of it.

    Attributes:
        path: relative to the URL that was looked at; "" for the object at the URL itself.
        size: bytes; None where the server does not say.
        modified_ns: when it was written, nanoseconds since the epoch by the server's clock; 0 if unknown.
        etag: what the server calls this state of it.
        version: what a server that keeps earlier contents calls this one.
    """

    path: str
    size: int | None
    modified_ns: int = 0
    etag: str | None = None
    version: str | None = None


def as_in_a_listing(seen: Seen) -> Seen:
    """An object of a bucket, told of in one way whatever was asked, and by whichever client.

    Listings of Google's, Ceph's and others tell times to the millisecond, heads to the second. An etag of
    Azure's has quotes in a head, and none in a listing.

    >>> as_in_a_listing(Seen("a", 1, 1_700_000_000_123_000_000, '"0x8DD"'))
    Seen(path='a', size=1, modified_ns=1700000000000000000, etag='0x8DD', version=None)
    """
    etag = seen.etag.strip('"') if seen.etag and seen.etag.startswith('"0x') else seen.etag
    return replace(seen, modified_ns=seen.modified_ns // 1_000_000_000 * 1_000_000_000, etag=etag)


def nanoseconds(moment: datetime) -> int:
    """A moment in nanoseconds since the epoch, exact to the microsecond."""
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


class Objects(ABC):
    """What lies at a URL: one object, or all below a prefix.

    Every method raises `PathNotFoundError` for what is not there, `RefusedError` where permission is missing,
    and `UnavailableError` where the server can't be reached or fails.

    Args:
        url: where, as the user wrote it; it may be signed.
        options: of the client.

    Attributes:
        url: without what only its bearer should know.
        requests: how many were made; what a client repeats by itself counts once.
        is_ordered: whether `below` is in the order of the paths.
        is_complete: whether the last listing was all of it.
    """

    is_ordered = False

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self.url = clean_text(url)
        self.requests = 0
        self.is_complete = False
        self._full_url = Unshown({"url": url})
        self._options = Unshown(dict(options))
        self._lock = threading.Lock()

    @abstractmethod
    def one(self, path: str = "") -> Seen:
        """An object below the URL, or that at the URL itself, by its head.

        Raises:
            PathNotFoundError: there is none.
        """

    @abstractmethod
    def below(self, *, first_page: bool = False) -> Iterator[Seen]:
        """All objects below the URL, taken as a folder; nothing if there are none.

        Args:
            first_page: no more of them than the first request brings.
        """

    @abstractmethod
    def chunks(self, seen: Seen) -> Iterator[bytes]:
        """The bytes of an object, a piece at a time, all of one state.

        Raises:
            ConflictError: it is in another state than the one that was seen.
        """

    @abstractmethod
    def block(self, path: str, start: int, size: int) -> bytes:
        """Some of the bytes of an object."""

    def has_versions(self) -> bool:
        """Whether a head tells more of an object than a listing does: its version."""
        return False

    def where(self, path: str) -> str:
        """The URL of an object, for messages."""
        return f"{self.url.rstrip('/')}/{path}" if path else self.url

    def asked(self) -> None:
        """Count a request, from any thread."""
        with self._lock:
            self.requests += 1

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._full_url.value["url"], self._options.value)
