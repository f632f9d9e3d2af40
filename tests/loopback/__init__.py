"""HTTP on loopback: what the servers of the tests share. They differ in what they answer."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import SplitResult, urlsplit


@dataclass(frozen=True)
class Request:
    """One that came whole.

    Attributes:
        target: its path, with its query.
    """

    method: str
    target: str
    headers: Message
    body: bytes

    @property
    def url(self) -> SplitResult:
        """The parts of the target."""
        return urlsplit(self.target)


@dataclass(frozen=True)
class Reply:
    """What is sent back; to a HEAD all but the content.

    Attributes:
        headers: with a Content-Length only where that is not the content's.
        says_length: whether there is a Content-Length; without it the connection ends behind the content.
        is_cut: only half of the content is sent, and the connection ends.
    """

    status: int
    content: bytes = b""
    headers: Iterable[tuple[str, str]] = ()
    says_length: bool = True
    is_cut: bool = False


class HttpServer:
    """A server on a free port, from the beginning until it is closed.

    Attributes:
        address: host and port.
        url: of its root.
    """

    def __init__(self) -> None:
        self._http = _Http(self.answer)
        self.address = ("127.0.0.1", self._http.server_address[1])
        self.url = f"http://127.0.0.1:{self.address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def answer(self, request: Request) -> Reply | None:
        """The reply to a request, or None to end the connection without one; many threads ask at once."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop serving."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    # A client has more connections than the usual 5; each one too many is tried again after a second or more.
    request_queue_size = 128

    def __init__(self, answer: Callable[[Request], Reply | None]) -> None:
        self.answer = answer
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Http

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        # Of a sender that was killed meanwhile there is half a request. No server does that half.
        is_whole = len(body) == length
        reply = self.server.answer(Request(self.command, self.path, self.headers, body)) if is_whole else None
        if reply is None:
            self.close_connection = True
            return
        headers = [*reply.headers]
        if reply.says_length and all(name.lower() != "content-length" for name, _ in headers):
            headers.append(("Content-Length", str(len(reply.content))))
        self.send_response_only(reply.status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.content[: len(reply.content) // 2] if reply.is_cut else reply.content)
        self.close_connection = self.close_connection or reply.is_cut or not reply.says_length

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve

    def log_message(self, *args: object) -> None:
        """Say nothing."""
