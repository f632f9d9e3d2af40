"""A bucket on loopback: a real S3 server (moto), and a proxy in front of it that misbehaves on request."""

import http.client
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from store_servers import free_port, running, wait_for

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test-secret", "AWS_REGION": "us-east-1"}

Fault = Callable[[str, str], str | None]
"""Given a method and a path: what to do to this request, or None to pass it on.

`drop` passes it on and loses the reply; `refuse` ends the connection without passing it on; `cut` sends half
of the reply; `409`, `500`, `503` … answer with that status instead; `overwrite` takes the condition off and
passes it on.
"""


class Proxy:
    """Passes requests on, counts them, and does what `fault` says.

    Attributes:
        url: where clients connect.
        seen: each request that came whole, as (method, path without its query).
        fault: what to do to a request.
    """

    def __init__(self, target: tuple[str, int], serialize: bool = True) -> None:
        self.seen: list[tuple[str, str]] = []
        self.fault: Fault = lambda method, path: None
        self._target = target
        # moto looks whether a key is there and then writes it, on several threads at once: two conditional
        # PUTs may both win. S3 itself does not do that.
        self._serialize = serialize
        self._writing = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any, bytes]:
        """Ask the real server."""
        with self._writing if self._serialize and method == "PUT" else nullcontext():
            connection = http.client.HTTPConnection(*self._target)
            try:
                connection.request(method, path, body=body, headers=headers)
                reply = connection.getresponse()
                content = reply.read()
                if reply.status == 500 and "uploadId=" in path:
                    # moto trips over a part that comes after its upload was given up, and a client tries a
                    # 500 again for minutes. S3 says what is wrong.
                    return 404, [], b"<Error><Code>NoSuchUpload</Code></Error>"
                return reply.status, reply.getheaders(), content
            finally:
                connection.close()


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            if len(body) < length:
                # Its sender was killed. The real server would wait for the rest, and all writes for it.
                self.close_connection = True
                return
            path = self.path.partition("?")[0]
            proxy.seen.append((self.command, path))
            fault = proxy.fault(self.command, path)
            if fault and fault.isdigit():
                self._answer(int(fault), [], f"<Error><Code>Injected{fault}</Code></Error>".encode())
                return
            if fault == "refuse":
                self.close_connection = True
                return
            headers = dict(self.headers.items())
            if fault == "overwrite":
                headers = {key: value for key, value in headers.items() if key.lower() != "if-none-match"}
            status, reply_headers, content = proxy.forward(self.command, self.path, headers, body)
            if fault == "drop":
                self.close_connection = True
                return
            if fault == "cut" and self.command != "HEAD":
                self.close_connection = True
                length = [("Content-Length", str(len(content)))]
                reply_headers = [
                    item for item in reply_headers if item[0].lower() != "content-length"
                ] + length
                content = content[: len(content) // 2]
            self._answer(status, reply_headers, content, whole=fault != "cut")

        def _answer(
            self, status: int, headers: list[tuple[str, str]], content: bytes, whole: bool = True
        ) -> None:
            self.send_response_only(status)
            length = next(
                (value for key, value in headers if key.lower() == "content-length"), str(len(content))
            )
            for key, value in headers:
                if key.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(key, value)
            self.send_header(
                "Content-Length", str(len(content)) if whole and self.command != "HEAD" else length
            )
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def serving() -> Iterator[tuple[str, int]]:
    """A moto server on a free port."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield server.get_host_and_port()
    finally:
        server.stop()


@contextmanager
def serving_apart(folder: Path) -> Iterator[tuple[str, int]]:
    """A moto server in a process of its own, for tests that keep it busy; what it says goes to the folder."""
    port, log = free_port(), folder / "moto.out"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, log) as process:
        wait_for(port, process, log)
        yield "127.0.0.1", port


def new_bucket(target: tuple[str, int]) -> str:
    """Make a bucket with a fresh name; returns the name."""
    name = f"b{uuid.uuid4().hex[:12]}"
    connection = http.client.HTTPConnection(*target)
    connection.request(
        "PUT",
        f"/{name}",
        headers={"Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request"},
    )
    status = connection.getresponse().status
    connection.close()
    assert status == 200, status
    return name


def environment(endpoint: str) -> dict[str, str]:
    """What a client needs to reach an endpoint."""
    return {**CREDENTIALS, "AWS_ENDPOINT_URL": endpoint}
