"""A bucket on loopback: a real S3 server (moto), and a proxy in front of it that misbehaves on request."""

import http.client
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from loopback import HttpServer, Reply, Request
from store_servers import free_port, running, wait_for

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test-secret", "AWS_REGION": "us-east-1"}

Fault = Callable[[str, str], str | None]
"""Given a method and a path: what to do to this request, or None to pass it on.

`drop` passes it on and loses the reply; `refuse` ends the connection without passing it on; `cut` sends half
of the reply; `409`, `500`, `503` … answer with that status instead; `overwrite` takes the condition off and
passes it on.
"""


class Proxy(HttpServer):
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
        super().__init__()

    def answer(self, request: Request) -> Reply | None:
        """What the real server says, but for the fault."""
        self.seen.append((request.method, request.url.path))
        fault = self.fault(request.method, request.url.path)
        if fault and fault.isdigit():
            return Reply(int(fault), f"<Error><Code>Injected{fault}</Code></Error>".encode())
        if fault == "refuse":
            return None
        headers = dict(request.headers.items())
        if fault == "overwrite":
            headers = {name: value for name, value in headers.items() if name.lower() != "if-none-match"}
        reply = self.forward(request.method, request.target, headers, request.body)
        return None if fault == "drop" else replace(reply, is_cut=fault == "cut")

    def forward(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Reply:
        """Ask the real server."""
        with self._writing if self._serialize and method == "PUT" else nullcontext():
            connection = http.client.HTTPConnection(*self._target)
            try:
                connection.request(method, target, body=body, headers=headers)
                reply = connection.getresponse()
                content = reply.read()
            finally:
                connection.close()
        if reply.status == 500 and "uploadId=" in target:
            # moto trips over a part that comes after its upload was given up, and a client tries a 500 again
            # for minutes. S3 says what is wrong.
            return Reply(404, b"<Error><Code>NoSuchUpload</Code></Error>")
        of_the_way = ("transfer-encoding", "connection")
        said = [(name, value) for name, value in reply.getheaders() if name.lower() not in of_the_way]
        return Reply(reply.status, content, said)


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
