"""A file behind `https://` or `http://`, as far as its server says by what it can be recognised."""

import base64
import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from nemotron.kit.errors import (
    ConflictError,
    KitError,
    MisuseError,
    PathNotFoundError,
    RefusedError,
    UnavailableError,
)
from nemotron.kit.redaction import one_line
from nemotron.kit.store.at_url import TIMEOUT_S, Objects, Seen
from nemotron.kit.store.protocol import CHUNK_SIZE

_NOT_ALLOWED = (401, 403, 407)
_NOT_THERE = (404, 410)
# Servers that know no HEAD say so, and nothing else.
_NO_HEAD = (405, 501)
# What another host may see of a request: any other header of the user's may be a token.
_FOR_ANY_HOST = ("User-agent", "Accept-encoding", "Range")


class HttpObjects(Objects):
    """The file at an `http(s)://` URL; servers list nothing that could be relied on."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        super().__init__(url, options)
        parts = urlsplit(url)
        client = options.get("client_kwargs") or {}
        headers = {**(client.get("headers") or {}), **(options.get("headers") or {})}
        user, mark, host = parts.netloc.rpartition("@")
        if mark:
            token = base64.b64encode(unquote(user).encode()).decode()
            headers["Authorization"] = f"Basic {token}"
        if not host:
            raise MisuseError(f"{self.url} names no server")
        self._place = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
        self._headers = headers

    def one(self, path: str = "") -> Seen:
        """The file, by a HEAD request; all that its server does not say is unknown."""
        with self._reply("HEAD", "look at", path) as reply:
            headers = reply.headers
        length = headers.get("Content-Length", "")
        # A length of what was compressed on the way says nothing of the file.
        is_plain = headers.get("Content-Encoding", "identity") == "identity"
        return Seen(
            path,
            int(length) if length.isdecimal() and is_plain else None,
            _moment_ns(headers.get("Last-Modified")),
            headers.get("ETag"),
        )

    def below(self, *, first_page: bool = False) -> Iterator[Seen]:
        """Nothing: a server of files has no listing."""
        return iter(())

    def chunks(self, seen: Seen) -> Iterator[bytes]:
        """The bytes, by one GET request."""
        with self._reply("GET", "read", seen.path) as reply:
            etag = reply.headers.get("ETag")
            if None not in (etag, seen.etag) and etag != seen.etag:  # some tell it in one of both alone
                raise ConflictError(f"{self.where(seen.path)} changes while it is read; save it later")
            expected, done = reply.headers.get("Content-Length"), 0
            while chunk := reply.read(CHUNK_SIZE):
                done += len(chunk)
                yield chunk
            if expected is not None and done != int(expected):
                raise UnavailableError(f"Cannot read {self.where(seen.path)}: the connection broke off")

    def block(self, path: str, start: int, size: int) -> bytes:
        """Some of the bytes, by a GET request of a range."""
        with self._reply("GET", "read", path, {"Range": f"bytes={start}-{start + size - 1}"}) as reply:
            if reply.status != http.HTTPStatus.PARTIAL_CONTENT and start:
                raise MisuseError(
                    f"Cannot read a part of {self.where(path)}: its server sends whole files only; "
                    "use evidence='full' or 'stat' (--evidence full, --evidence stat)"
                )
            return bytes(reply.read(size))

    @contextmanager
    def _reply(
        self, method: str, doing: str, path: str, more: Mapping[str, str] | None = None
    ) -> Iterator[Any]:
        self.asked()
        if path:
            raise PathNotFoundError(f"Cannot {doing} {self.where(path)}: {self.url} is no folder")
        headers = {
            "User-Agent": "nemotron-kit",
            "Accept-Encoding": "identity",
            **self._headers,
            **(more or {}),
        }
        request = urllib.request.Request(self._place, method=method, headers=headers)
        try:
            with _opener().open(request, timeout=TIMEOUT_S) as reply:
                yield reply
        except KitError:
            raise
        except urllib.error.HTTPError as error:
            with error:  # it is the reply, too
                raise _of_status(error.code, doing, self.url) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            said = one_line(str(error) or type(error).__name__)
            raise UnavailableError(
                f"Cannot {doing} {self.url}: {said}. Check the URL and the network, then try again"
            ) from error


def _of_status(status: int, doing: str, url: str) -> KitError:
    said = f"Cannot {doing} {url}: the server answers {status}"
    if status in _NOT_THERE:
        return PathNotFoundError(f"{said}. Check the URL")
    if status in _NOT_ALLOWED:
        return RefusedError(f"{said}. Check what may be read there, and with which credentials")
    if status in _NO_HEAD:
        return MisuseError(f"{said}: it does not say by what a file can be recognised")
    return UnavailableError(f"{said}. Try again later")


def _opener() -> urllib.request.OpenerDirector:
    """HTTP and nothing else: no redirect leads to a local file."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


class _Redirects(urllib.request.HTTPRedirectHandler):
    """A HEAD stays a HEAD, and nobody else gets or reads what was meant for the first host."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        again = super().redirect_request(req, fp, code, msg, headers, newurl)
        if again is not None:
            again.method = req.get_method()
            before, after = urlsplit(req.full_url), urlsplit(newurl)
            if before.netloc != after.netloc or (before.scheme, after.scheme) == ("https", "http"):
                again.headers = {name: again.headers[name] for name in _FOR_ANY_HOST if name in again.headers}
        return again


def _moment_ns(text: str | None) -> int:
    try:
        moment: datetime | None = parsedate_to_datetime(text) if text else None
    except ValueError:
        return 0
    return int(moment.timestamp()) * 1_000_000_000 if moment else 0
