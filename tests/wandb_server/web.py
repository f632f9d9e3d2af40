"""The HTTP side: GraphQL, uploads, downloads and the stream of a run's files, on a free loopback port."""

import base64
import contextlib
import gzip
import json
import re
import socket
import struct
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from wandb_server.graphql import Refused, Session, Unknown
from wandb_server.state import Artifact, Run, State

# Instead of an HTTP status: no reply, and the connection is reset.
RESET = 0
API_KEY = "0123456789abcdef" * 2 + "01234567"
_released = threading.Event()  # never set: it is waited for in steps
# What a run asks by itself while it goes on.
OF_A_RUN = frozenset({"CreateRunFiles", "RunStoppedStatus", "UpsertBucket"})
# The name of an operation; where the client gives it none, the name of its first field.
_OPERATION = re.compile(r"(?:query|mutation)\s+(\w+)|\{\s*(\w+)")


@dataclass
class Fault:
    """A failure that the server was told to have.

    Attributes:
        operation: the GraphQL operation that fails.
        status: its HTTP status; 0 resets the connection.
        times: how often it fails before it works again.
    """

    operation: str
    status: int
    times: int


class WandbServer:
    """A server of one user; use it as a context manager.

    Attributes:
        state: what it knows.
        operations: the names of the GraphQL operations that were asked for, in order.
        requests: every request but those that a run makes by itself, by the clock, as "METHOD what".
        faults: the failures to come.
        crashes: what went wrong in the server itself; a fixture checks that it is empty.
        failing: the HTTP status with which every request fails, RESET, or None.
        hanging: while it is set, no request is answered.
        keys: what was sent to say who asks.
    """

    def __init__(self, entity: str = "test-entity") -> None:
        self.state = State(entity)
        self.operations: list[str] = []
        self.requests: list[str] = []
        self.faults: list[Fault] = []
        self.crashes: list[str] = []
        self.failing: int | None = None
        self.hanging = threading.Event()
        self.keys: set[str] = set()
        self._port = 0
        self._listen()
        self.url = f"http://127.0.0.1:{self._port}"

    def _listen(self) -> None:
        self._http = _Http(("127.0.0.1", self._port), _Handler)
        self._http.wandb = self
        self._port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), name="wandb-server")

    def __enter__(self) -> "WandbServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hanging.clear()
        if self._thread.is_alive():
            self.stop()

    def stop(self) -> None:
        """Be gone, as after a kill: open connections break, new ones are refused. What it knows stays."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self._http.cut()

    def recover(self) -> None:
        """Be well again, whatever the server was told to suffer from."""
        self.failing = None
        self.hanging.clear()
        if not self._thread.is_alive():
            self.restart()

    def restart(self) -> None:
        """Be back at the same address, after `stop`."""
        self._listen()
        self._thread.start()

    def fail(self, operation: str, status: int, times: int = 1) -> None:
        """Let an operation fail the next `times` times."""
        self.faults.append(Fault(operation, status, times))

    def artifact(self, name: str, project: str = "proj") -> Artifact:
        """An artifact by `name:selector` in a project of the server's entity."""
        found = self.state.find(self.state.entity, project, name)
        if found is None:
            raise KeyError(f"{name} is not on the server; there are {sorted(self.names(project))}")
        return found

    def names(self, project: str = "proj") -> list[str]:
        """`name:vN` of every committed version."""
        collections = [c for c in self.state.collections.values() if c.project == project]
        return [version.name for collection in collections for version in collection.versions]

    def only_run(self) -> Run:
        """The run, where there is just one."""
        (run,) = self.state.runs.values()
        return run

    def note(self, method: str, path: str) -> None:
        """Count a request."""
        is_own = path.endswith("/file_stream") or path.rpartition("/")[2] in self.state.run_files
        if not (path == "/graphql" or is_own):
            self.requests.append(f"{method} {path}")

    def due(self, operation: str) -> Fault | None:
        """The fault that this request runs into, if any; it is used up."""
        with self.state.lock:
            self.operations.append(operation)
            if operation not in OF_A_RUN:
                self.requests.append(f"POST {operation}")
            for fault in self.faults:
                if fault.operation == operation and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    # Replaced at once; here for the handler's types.
    wandb: WandbServer

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is no crash; what else goes wrong is noted by the handler."""

    def cut(self) -> None:
        """Break all open connections."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the test's output is the test's."""

    def do_GET(self) -> None:
        self.server.wandb.note("GET", self.path)
        kind, _, file_id = self.path.lstrip("/").partition("/")
        file = self.server.wandb.state.files.get(file_id) if kind == "download" else None
        if file is None or file.data is None:
            self._reply(404, b"not found")
        else:
            self._reply(200, file.data, "application/octet-stream")

    def do_PUT(self) -> None:
        self.server.wandb.note("PUT", self.path)
        kind, _, file_id = self.path.lstrip("/").partition("/")
        data = self._body()
        if self._is_out_of_order():
            return
        file = self.server.wandb.state.files.get(file_id) if kind == "upload" else None
        if file is None:
            self._reply(404, b"not found")
            return
        file.data = data
        self._reply(200, b"")

    def do_POST(self) -> None:
        self.server.wandb.note("POST", self.path)
        body = self._body()
        if self._is_out_of_order():
            return
        if key := self.headers.get("Authorization"):
            self.server.wandb.keys.add(key)
        if key != _basic(API_KEY):
            self._json(401, {"errors": [{"message": "user is not logged in"}]})
        elif self.path == "/graphql":
            self._graphql(json.loads(body))
        elif self.path.endswith("/file_stream"):
            self._file_stream(json.loads(body))
        else:
            self._reply(404, b"not found")

    def _is_out_of_order(self) -> bool:
        """Fail or hang, if the whole server is told to."""
        wandb = self.server.wandb
        while wandb.hanging.is_set():
            if not _released.wait(0.05) and self._is_cut():
                return True
        if wandb.failing == RESET:
            self._reset()
            return True
        if wandb.failing is not None:
            self._json(wandb.failing, {"errors": [{"message": "told to fail"}]})
            return True
        return False

    def _reset(self) -> None:
        """End the connection without a reply, by a reset."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _is_cut(self) -> bool:
        return self.connection.fileno() < 0

    def _graphql(self, request: dict[str, Any]) -> None:
        wandb = self.server.wandb
        match = _OPERATION.search(request["query"])
        operation = request.get("operationName") or (match and (match[1] or match[2])) or "?"
        if (fault := wandb.due(operation)) and fault.status == RESET:
            self._reset()
            return
        if fault:
            self._json(fault.status, {"errors": [{"message": f"told to fail {operation}"}]})
            return
        try:
            data = Session(wandb.state, wandb.url).answer(operation, request.get("variables") or {})
        except Unknown as unknown:
            wandb.crashes.append(str(unknown))
            self._json(400, {"errors": [{"message": str(unknown)}]})
        except Refused as refused:
            self._json(refused.status, {"errors": [{"message": str(refused)}]})
        except (KeyError, TypeError, AssertionError) as error:
            # A client that gets no answer tries again for minutes; the test shall see what went wrong.
            wandb.crashes.append(f"{operation}: {error!r}")
            self._json(400, {"errors": [{"message": f"wandb_server failed: {error!r}"}]})
        else:
            self._json(200, {"data": data})

    def _file_stream(self, request: dict[str, Any]) -> None:
        _, entity, project, name, _ = self.path.lstrip("/").split("/")
        run = self.server.wandb.state.run(entity, project, name)
        if run and request.get("complete"):
            run.exit_code = request.get("exitcode")
            run.state = "finished" if run.exit_code == 0 else "failed"
        self._json(200, {})

    def _body(self) -> bytes:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data

    def _json(self, status: int, document: dict[str, Any]) -> None:
        self._reply(status, json.dumps(document).encode(), "application/json")

    def _reply(self, status: int, data: bytes, content_type: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        if status == 429:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(data)


def _basic(key: str) -> str:
    return "Basic " + base64.b64encode(f"api:{key}".encode()).decode()
