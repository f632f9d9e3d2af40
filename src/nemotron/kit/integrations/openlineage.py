"""OpenLineage as a tracker: events about runs, and the versions that they make, as they happen.

Beside a store, in a `CompositeTracker`, it is told what the store committed. The events are those that
`nemotron kit export --to openlineage` writes later. They go to a file of JSON lines, or to a server by HTTP
from a thread: a server that is slow or down costs a job a warning and nothing else.
"""

import atexit
import json
import logging
import os
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from nemotron.kit.errors import ArtifactNotFoundError
from nemotron.kit.exporters import openlineage as events
from nemotron.kit.lineage.graph import RUN_SCHEME, Node
from nemotron.kit.names import SCHEME, ArtifactRef, Version
from nemotron.kit.redaction import clean_text
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.stamps import now
from nemotron.kit.tracking.protocol import SaveOptions, empty_record
from nemotron.kit.tracking.run import Run

log = logging.getLogger(__name__)

ENDPOINT = "/api/v1/lineage"
# How long a server may take for one event, and all of them together when the process ends.
TIMEOUT_S = 5.0
PATIENCE_S = 5.0
WAITING_MAX = 1000


class OpenLineageTracker:
    """Tells a file or a server which run made what from what.

    >>> import tempfile
    >>> from nemotron.kit.registry.registry import Registry
    >>> from nemotron.kit.tracking.composite import CompositeTracker
    >>> from nemotron.kit.tracking.file import FileTracker
    >>> folder = tempfile.mkdtemp()
    >>> store = FileTracker(Registry.open(f"{folder}/store"))
    >>> tracker = CompositeTracker([store, OpenLineageTracker(f"{folder}/events.jsonl")])

    Args:
        to: a path, to whose end JSON lines are written; or the URL of a server, `https://host:5000`, with
            a path of its own if it does not listen at `/api/v1/lineage`.
        api_key: is sent to the server as a bearer token, and nowhere else.
        run: gives the run that versions belong to; set by the context for the current tracker.
    """

    def __init__(
        self, to: str | os.PathLike[str], *, api_key: str | None = None, run: Callable[[], Run] | None = None
    ) -> None:
        text = os.fspath(to)
        is_server = text.startswith(("http://", "https://"))
        self._sink = _Server(text, api_key) if is_server else _File(Path(text))
        own = Run()
        self._run: Callable[[], Run] = run or (lambda: own)
        self._begun: dict[str, str] = {}

    def bind_run(self, run: Callable[[], Run]) -> None:
        """Let versions belong to the run that `run()` gives."""
        self._run = run

    def is_active(self) -> bool:
        """Always True."""
        return True

    def follows(self) -> bool:
        """Always True."""
        return True

    def get_run_id(self) -> str | None:
        """None: runs are the store's."""
        return None

    def use_artifact(self, ref: str, artifact_type: str = "artifact") -> Path:
        """It holds nothing.

        Raises:
            ArtifactNotFoundError: always.
        """
        raise ArtifactNotFoundError(
            ref, f"Artifact not found: {ref}. OpenLineage is told of artifacts, and holds none"
        )

    def log_artifact(self, artifact: Any, name: str, used_refs: list[str]) -> dict[str, Any]:
        """Tell of an artifact that is in no store: its name without a version; see `LineageTracker`."""
        self._tell(
            Node(uri=f"{SCHEME}{name}", kind="artifact", type=artifact.type, name=name), used_refs, artifact
        )
        return empty_record(artifact.type)

    def follow(
        self, artifact: Any, name: str, stored: dict[str, Any], options: SaveOptions, registry: Registry
    ) -> dict[str, Any]:
        """Tell of what the store committed; what was there already is no news. See `FollowingTracker`."""
        if stored.get("created") is False:
            return empty_record(artifact.type)
        ref = ArtifactRef.parse(str(stored["artifact_id"]))
        number = ref.selector.number if isinstance(ref.selector, Version) else None
        node = Node(
            uri=ref.uri,
            kind="artifact",
            type=artifact.type,
            name=ref.name.key,
            version=number,
            producer=stored.get("run_id"),
            run=self._run().id,
        )
        self._tell(node, [*(stored.get("used_artifacts") or ()), *options.external_inputs], artifact)
        return empty_record(artifact.type)

    def finish(self, run: Run, error: type[BaseException] | None = None) -> None:
        """Tell of the end of a run that was told of; the second time tells nothing.

        Args:
            run: which.
            error: the type of the exception that ended it.
        """
        name = self._begun.pop(run.id, None)
        if name is not None:
            self._sink.send(_end(run, name, error))

    def flush(self, timeout_s: float = PATIENCE_S) -> bool:
        """Wait until all events are delivered or given up; False if the time ran out."""
        return self._sink.flush(timeout_s)

    def _tell(self, node: Node, used: list[str], artifact: Any) -> None:
        run = self._run()
        if run.id not in self._begun:
            self._begun[run.id] = run.name or node.producer or "run"
            self._sink.send(events.event("START", now(), run.id, self._begun[run.id]))
            run.at_end(self.finish)
        own = Node(uri=f"{RUN_SCHEME}{run.id}", kind="run", type="run", name=self._begun[run.id], run=run.id)
        uris = artifact.get_input_uris() if callable(getattr(artifact, "get_input_uris", None)) else []
        inputs = [_input(uri) for uri in dict.fromkeys((*used, *uris))]
        for event in events.version_events(node, inputs, now(), own):
            self._sink.send(event)


def _end(run: Run, name: str, error: type[BaseException] | None) -> dict[str, Any]:
    if error is None:
        return events.event("COMPLETE", now(), run.id, name)
    facets = {"errorMessage": events.error_facet(error.__name__)}  # its text may hold what nobody should see
    inputs = events.datasets(map(_input, run.used))
    return events.event("FAIL", now(), run.id, name, inputs=inputs, facets=facets)


def _input(uri: str) -> Node:
    """A node for `name:vN`, `art://name:vN` or the URI of something that is no artifact."""
    if "://" in uri.replace(SCHEME, "", 1) or uri.startswith((f"{SCHEME}/", "/")):
        plain = clean_text(uri)  # a signed URL, a password: nothing for a server to know
        return Node(uri=plain, kind="external", type="external", name=plain)
    ref = ArtifactRef.parse(uri)
    number = ref.selector.number if isinstance(ref.selector, Version) else None
    return Node(uri=ref.uri, kind="artifact", type="artifact", name=ref.name.key, version=number)


class _File:
    """JSON lines at the end of a file; writers of one file don't mix lines."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._is_told = False

    def send(self, event: Mapping[str, Any]) -> None:
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
        return True


class _Server:
    """One event a request, in order, from a thread that begins with the first."""

    def __init__(self, url: str, api_key: str | None) -> None:
        parts = urlsplit(url)
        self._url = urlunsplit(parts._replace(path=parts.path if parts.path.strip("/") else ENDPOINT))
        self._where = f"{parts.scheme}://{parts.hostname}"  # of a URL that may hold a password
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._waiting: queue.Queue[bytes] = queue.Queue(WAITING_MAX)
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._lost = 0
        # Now, because what is registered first is called last: a run may end with the process.
        atexit.register(self._at_exit)

    def send(self, event: Mapping[str, Any]) -> None:
        if self._pid != os.getpid():  # a forked child has the queue and not the thread
            self._pid, self._thread, self._waiting = os.getpid(), None, queue.Queue(WAITING_MAX)
        if self._thread is None:
            self._thread = threading.Thread(target=self._deliver, name="openlineage", daemon=True)
            self._thread.start()
        try:
            self._waiting.put_nowait(json.dumps(event).encode())
        except queue.Full:
            self._lose("it is too slow")

    def flush(self, timeout_s: float) -> bool:
        waiting = self._waiting
        with waiting.all_tasks_done:
            return waiting.all_tasks_done.wait_for(lambda: not waiting.unfinished_tasks, timeout_s)

    def _at_exit(self) -> None:
        if not self.flush(PATIENCE_S):
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
            except (OSError, ValueError) as error:  # URLError and HTTPError are OSErrors
                self._lose(str(error))
            finally:
                self._waiting.task_done()

    def _post(self, data: bytes) -> None:
        request = urllib.request.Request(self._url, data=data, headers=self._headers, method="POST")
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            answer.read()

    def _lose(self, why: str) -> None:
        self._lost += 1
        if self._lost & (self._lost - 1) == 0:  # the 1st, 2nd, 4th, 8th …: an outage is no flood
            log.warning("%s did not take %d OpenLineage events so far: %s", self._where, self._lost, why)
