"""Where OpenLineage events go: the end of a file, or a server that may be slow, down or hanging.

A server is told from a thread. Where none can begin, which is so while Python 3.12 and later shut down, a
child process sends the event and is killed when its time is over: a limit of a socket is one for each piece
of an answer, and none for a name server.
"""

import atexit
import http.client
import json
import logging
import os
import queue
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

log = logging.getLogger(__name__)

ENDPOINT = "/api/v1/lineage"
# How long a server may take for one event, and all of them together when the process ends.
TIMEOUT_S = 5.0
PATIENCE_S = 5.0
WAITING_MAX = 1000
# Reads what to send from its standard input, where no other user of the machine sees the key.
_CHILD = """
import http.client, json, sys, urllib.request
class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *told):
        return None
said = json.load(sys.stdin)
request = urllib.request.Request(
    said["url"], data=said["data"].encode(), headers=said["headers"], method="POST"
)
try:
    urllib.request.build_opener(Stay).open(request, timeout=said["timeout"]).read()
except (OSError, ValueError, http.client.HTTPException) as error:
    sys.exit(str(error))
"""


class Sink(Protocol):
    """Takes events, in order, and never fails."""

    def send(self, event: Mapping[str, Any]) -> None:
        """Take an event."""

    def flush(self, timeout_s: float) -> bool:
        """Wait until all are delivered or given up; False if the time ran out."""


class FileSink:
    """JSON lines at the end of a file; writers of one file don't mix lines."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._is_told = False

    def send(self, event: Mapping[str, Any]) -> None:
        """Write a line."""
        line = f"{json.dumps(event)}\n".encode()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            place = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                os.write(place, line)
            finally:
                os.close(place)
        except OSError as error:
            if not self._is_told:
                log.warning("OpenLineage events can't be written to %s: %s", self._path, error)
            self._is_told = True

    def flush(self, timeout_s: float) -> bool:
        """Always True."""
        return True


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows nobody elsewhere: the key is for one server, and an event that is asked for again is lost."""

    def redirect_request(self, *told: Any) -> None:
        return None


class ServerSink:
    """One event a request, in order, from a thread that begins with the first."""

    def __init__(self, url: str, api_key: str | None) -> None:
        parts = urlsplit(url)
        user, _, host = parts.netloc.rpartition("@")
        path = parts.path if parts.path.strip("/") else ENDPOINT
        self._url = urlunsplit(parts._replace(netloc=host, path=path))
        self._where = f"{parts.scheme}://{parts.hostname}"  # of a URL that may hold a password
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        elif user:
            self._headers["Authorization"] = f"Basic {b64encode(unquote(user).encode()).decode()}"
        self._waiting: queue.Queue[bytes] = queue.Queue(WAITING_MAX)
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._lost = 0
        self._is_over = False
        self._left_s = PATIENCE_S
        # Now, because what is registered first is called last: a run may end with the process.
        atexit.register(self._at_exit)

    def send(self, event: Mapping[str, Any]) -> None:
        """Let the thread send it; or send it now, where there is none."""
        data = json.dumps(event).encode()
        if self._pid != os.getpid():  # a forked child has the queue and not the thread
            self._pid, self._thread, self._waiting = os.getpid(), None, queue.Queue(WAITING_MAX)
        if not self._has_thread():
            self._send_by_child(data)
            return
        try:
            self._waiting.put_nowait(data)
        except queue.Full:
            self._lose("it is too slow")
        if self._is_over:  # whoever makes something in an exit handler that is called after ours
            began = time.monotonic()
            self.flush(self._left_s)
            self._left_s -= time.monotonic() - began

    def _has_thread(self) -> bool:
        if self._thread is None:
            thread = threading.Thread(target=self._deliver, name="openlineage", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is going down, or there are too many threads
                return False
            self._thread = thread
        return True

    def _send_by_child(self, data: bytes) -> None:
        """Send an event without a thread; all such events together take no more than `PATIENCE_S`."""
        if self._left_s <= 0:
            self._lose("no thread can be started for it, and the time for going without one is over")
            return
        said = {"url": self._url, "data": data.decode(), "headers": self._headers, "timeout": TIMEOUT_S}
        began = time.monotonic()
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-c", _CHILD],
                input=json.dumps(said),
                capture_output=True,
                text=True,
                check=False,
                timeout=self._left_s,
            )
        except (OSError, subprocess.SubprocessError, RuntimeError) as error:
            self._lose(type(error).__name__)
        else:
            if done.returncode:
                self._lose(done.stderr.strip())
        self._left_s -= time.monotonic() - began

    def flush(self, timeout_s: float) -> bool:
        """Wait until all are delivered or given up; False if the time ran out."""
        waiting = self._waiting
        with waiting.all_tasks_done:
            return waiting.all_tasks_done.wait_for(lambda: not waiting.unfinished_tasks, timeout_s)

    def _at_exit(self) -> None:
        began = time.monotonic()
        delivered = self.flush(self._left_s)
        self._is_over, self._left_s = True, self._left_s - (time.monotonic() - began)
        if not delivered:
            log.warning(
                "%d OpenLineage events are not delivered: %s does not answer",
                self._waiting.unfinished_tasks,
                self._where,
            )

    def _deliver(self) -> None:
        while True:
            data = self._waiting.get()
            try:
                self._post(data)
            except (OSError, ValueError, http.client.HTTPException) as error:  # HTTPError is an OSError
                self._lose(str(error) or type(error).__name__)
            finally:
                self._waiting.task_done()

    def _post(self, data: bytes) -> None:
        request = urllib.request.Request(self._url, data=data, headers=self._headers, method="POST")
        with urllib.request.build_opener(_Stay).open(request, timeout=TIMEOUT_S) as answer:
            answer.read()

    def _lose(self, why: str) -> None:
        self._lost += 1
        if self._lost & (self._lost - 1) == 0:  # the 1st, 2nd, 4th, 8th …: an outage is no flood
            log.warning("%s did not take %d OpenLineage events so far: %s", self._where, self._lost, why)
