"""OpenLineage as a tracker: events about runs, and the versions that they make, as they happen.

Beside a store, in a `CompositeTracker`, it is told what the store committed. The events are those that
`nemotron kit export --to openlineage` writes later. They go to a file of JSON lines, or to a server by HTTP
from a thread: a server that is slow or down costs a job a warning and nothing else.
"""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nemotron.kit.errors import ArtifactNotFoundError, MisuseError
from nemotron.kit.exporters import openlineage as events
from nemotron.kit.integrations.openlineage_sinks import PATIENCE_S, FileSink, ServerSink, Sink
from nemotron.kit.lineage.graph import RUN_SCHEME, Node
from nemotron.kit.names import SCHEME, ArtifactRef, Version
from nemotron.kit.redaction import clean_text
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.stamps import now
from nemotron.kit.tracking import exit_code
from nemotron.kit.tracking.protocol import SaveOptions, empty_record
from nemotron.kit.tracking.run import Run

log = logging.getLogger(__name__)


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

    Raises:
        MisuseError: it is the URL of something else.
    """

    def __init__(
        self, to: str | os.PathLike[str], *, api_key: str | None = None, run: Callable[[], Run] | None = None
    ) -> None:
        text = os.fspath(to)
        is_server = text.startswith(("http://", "https://"))
        if not is_server and "://" in text:
            raise MisuseError(f"Neither a path nor http(s)://…: {clean_text(text)}")
        self._sink: Sink = ServerSink(text, api_key) if is_server else FileSink(Path(text))
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
        if name is None:
            return
        try:
            self._sink.send(_end(run, name, error))
        except Exception as failure:  # noqa: BLE001 - whatever it is, it must not end the job that ends
            log.warning("The end of run %s is not told to OpenLineage: %s", run.id, failure)

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


def from_environment(environment: Mapping[str, str]) -> OpenLineageTracker | None:
    """The tracker that OpenLineage's own variables ask for; None if they ask for none, or for nothing usable.

    `OPENLINEAGE_URL`, `OPENLINEAGE_ENDPOINT` and `OPENLINEAGE_API_KEY` are read as OpenLineage's client reads
    them, and `OPENLINEAGE_DISABLED` overrules them.

    Args:
        environment: as of the process.

    >>> from_environment({"OPENLINEAGE_URL": "http://host", "OPENLINEAGE_DISABLED": "true"})
    """
    url = environment.get("OPENLINEAGE_URL", "").strip()
    if not url or environment.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return None
    if not url.startswith(("http://", "https://")):
        log.warning("OPENLINEAGE_URL is no http(s) URL, and nothing is told to it: %s", clean_text(url))
        return None
    if endpoint := environment.get("OPENLINEAGE_ENDPOINT", "").strip().strip("/"):
        url = f"{url.rstrip('/')}/{endpoint}"
    return OpenLineageTracker(url, api_key=environment.get("OPENLINEAGE_API_KEY") or None)


def _end(run: Run, name: str, error: type[BaseException] | None) -> dict[str, Any]:
    if error is None:
        return events.event("COMPLETE", now(), run.id, name)
    facets = {"errorMessage": events.error_facet(error.__name__)}  # its text may hold what nobody should see
    inputs = events.datasets(map(_input, run.used))
    code = exit_code.seen() if issubclass(error, SystemExit) else None
    kind = events.end_of("failed", code) or "FAIL"
    return events.event(kind, now(), run.id, name, inputs=inputs, facets=facets)


def _input(uri: str) -> Node:
    """A node for `name:vN`, `art://name:vN` or the URI of something that is no artifact."""
    if "://" in uri.replace(SCHEME, "", 1) or uri.startswith((f"{SCHEME}/", "/")):
        plain = clean_text(uri)  # a signed URL, a password: nothing for a server to know
        return Node(uri=plain, kind="external", type="external", name=plain)
    ref = ArtifactRef.parse(uri)
    number = ref.selector.number if isinstance(ref.selector, Version) else None
    return Node(uri=ref.uri, kind="artifact", type="artifact", name=ref.name.key, version=number)
