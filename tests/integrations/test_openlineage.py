"""The tracker beside a store: what a file or a server is told, and that neither can stop a job."""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exporters.test_openlineage import judge
from nemotron import kit
from nemotron.kit import context
from nemotron.kit.errors import MisuseError
from nemotron.kit.exporters import openlineage
from nemotron.kit.integrations import openlineage_sinks
from nemotron.kit.integrations.openlineage import OpenLineageTracker
from nemotron.kit.lineage.collect import collect
from nemotron.kit.lineage.runs import with_runs
from nemotron.kit.registry.registry import Registry
from nemotron.kit.tracking.composite import CompositeTracker
from nemotron.kit.tracking.file import FileTracker
from nemotron.kit.tracking.protocol import FollowingTracker


class Server:
    """Takes events, or fails as it is told."""

    def __init__(self) -> None:
        self.took: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.status = 201
        self.location: str | None = None
        self.is_garbled = False
        self.open = threading.Event()
        self.open.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.took.append((self.path, dict(self.headers), {}))

            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                outer.open.wait(10)
                outer.took.append((self.path, dict(self.headers), json.loads(data)))
                if outer.is_garbled:
                    self.wfile.write(b"no status line of HTTP\r\n\r\n")
                    return
                self.send_response(outer.status)
                if outer.location:
                    self.send_header("Location", outer.location)
                self.end_headers()

            def log_message(self, *arguments: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.open.set()
    made.close()


@pytest.fixture
def store(tmp_path: Path) -> FileTracker:
    kit.init(root=tmp_path / "store")
    tracker = context.current_tracker()
    assert isinstance(tracker, FileTracker)
    return tracker


def follow(store: FileTracker, to: str) -> OpenLineageTracker:
    tracker = OpenLineageTracker(to)
    assert isinstance(tracker, FollowingTracker)
    kit.set_lineage_tracker(CompositeTracker([store, tracker]))
    return tracker


def work(tmp_path: Path) -> None:
    """data v1 (of hf://web) → model v1, in a run."""
    for name in ("data", "model"):
        (tmp_path / name).mkdir(exist_ok=True)
    with kit.run("sft"):
        data = kit.PretrainDataArtifact(
            path=tmp_path / "data", total_tokens=7, source_datasets=["hf://datasets/org/web"]
        ).save(name="data")
        kit.Artifact.from_uri(str(data.uri))
        kit.ModelArtifact(path=tmp_path / "model", step=1).save(
            name="model", inputs=[str(data.uri), "s3://b/x"]
        )


def test_a_file_holds_what_the_export_says_later(store: FileTracker, tmp_path: Path) -> None:
    follow(store, str(tmp_path / "logs" / "events.jsonl"))
    work(tmp_path)
    events = [json.loads(line) for line in (tmp_path / "logs" / "events.jsonl").read_text().splitlines()]
    for event in events:
        judge(event)
    kinds = [(event["eventType"], event["job"]["name"]) for event in events]
    assert kinds == [
        ("START", "sft"),
        *(("START", "data"), ("COMPLETE", "data")),
        *(("START", "model"), ("COMPLETE", "model")),
        ("COMPLETE", "sft"),
    ]
    later = openlineage.events(collect(store.registry, "model"))
    of_versions = [event for event in later if event["outputs"]]
    assert [
        (event["run"]["runId"], event["inputs"], event["outputs"]) for event in events if event["outputs"]
    ] == [(event["run"]["runId"], event["inputs"], event["outputs"]) for event in of_versions]


def test_what_was_there_already_is_no_news(store: FileTracker, tmp_path: Path) -> None:
    follow(store, str(tmp_path / "events.jsonl"))
    work(tmp_path)
    before = (tmp_path / "events.jsonl").read_text()
    work(tmp_path)
    assert (tmp_path / "events.jsonl").read_text() == before


def test_what_a_url_holds_of_secrets_is_not_sent(store: FileTracker, tmp_path: Path) -> None:
    follow(store, str(tmp_path / "events.jsonl"))
    (tmp_path / "data").mkdir()
    sources = ["https://me:hunter2@host/x", "https://host/y?part=1&token=hunter2"]
    kit.PretrainDataArtifact(path=tmp_path / "data", source_datasets=sources).save(name="data")
    said = (tmp_path / "events.jsonl").read_text()
    assert "host" in said
    assert "hunter2" not in said


def test_a_run_that_fails_says_by_which_type_and_not_by_which_text(
    store: FileTracker, tmp_path: Path
) -> None:
    follow(store, str(tmp_path / "events.jsonl"))
    (tmp_path / "data").mkdir()

    def fail() -> None:
        with kit.run("rl"):
            kit.Artifact(path=tmp_path / "data").save(name="data")
            raise ValueError("secret")

    with pytest.raises(ValueError, match="secret"):
        fail()
    *_, last = map(json.loads, (tmp_path / "events.jsonl").read_text().splitlines())
    judge(last)
    assert (last["eventType"], last["job"]["name"]) == ("FAIL", "rl")
    assert last["run"]["facets"]["errorMessage"]["message"] == "ValueError"
    assert "secret" not in (tmp_path / "events.jsonl").read_text()


def test_a_server_gets_the_events_in_order(store: FileTracker, tmp_path: Path, server: Server) -> None:
    tracker = OpenLineageTracker(server.url, api_key="token")
    kit.set_lineage_tracker(CompositeTracker([store, tracker]))
    work(tmp_path)
    assert tracker.flush(10)
    kinds = [event["eventType"] for _, _, event in server.took]
    assert kinds == ["START", "START", "COMPLETE", "START", "COMPLETE", "COMPLETE"]
    assert {path for path, _, _ in server.took} == {"/api/v1/lineage"}
    assert {headers["Authorization"] for _, headers, _ in server.took} == {"Bearer token"}
    other = OpenLineageTracker(f"{server.url}/own/place")
    other.log_artifact(kit.Artifact(path=tmp_path / "data"), "alone", [])
    assert other.flush(10)
    assert server.took[-1][0] == "/own/place"
    assert server.took[-1][2]["outputs"][0]["facets"] == {}


def test_a_server_that_refuses_costs_a_warning_and_no_version(
    store: FileTracker, tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.status = 500
    tracker = follow(store, server.url)
    with caplog.at_level(logging.WARNING):
        work(tmp_path)
        assert tracker.flush(10)
    assert store.registry.resolve("model").version == 1
    warnings = [record.getMessage() for record in caplog.records if "OpenLineage" in record.getMessage()]
    assert len(warnings) == 3  # of the 1st, the 2nd and the 4th event
    assert "HTTP Error 500" in warnings[0]


@pytest.mark.parametrize("without_a_thread", [False, True])
def test_a_server_that_sends_elsewhere_gets_its_key_alone(
    tmp_path: Path,
    server: Server,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    without_a_thread: bool,
) -> None:
    if without_a_thread:
        monkeypatch.setattr(openlineage_sinks.ServerSink, "_has_thread", lambda self: False)
    other = Server()
    try:
        server.status, server.location = 302, f"{other.url}/elsewhere"
        tracker = OpenLineageTracker(server.url, api_key="token")
        tracker.log_artifact(kit.Artifact(path=tmp_path), "alone", [])
        assert tracker.flush(10)
        assert other.took == []
        assert "HTTP Error 302" in caplog.text
    finally:
        other.close()


def test_an_answer_that_is_no_http_loses_one_event_and_not_the_next(
    tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = OpenLineageTracker(server.url)
    server.is_garbled = True
    tracker.log_artifact(kit.Artifact(path=tmp_path), "one", [])
    assert tracker.flush(10)
    server.is_garbled = False
    before = len(server.took)
    tracker.log_artifact(kit.Artifact(path=tmp_path), "two", [])
    assert tracker.flush(10)
    assert len(server.took) > before
    assert "did not take 1 OpenLineage events" in caplog.text


def test_a_user_in_the_url_says_who_asks(
    tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = OpenLineageTracker(server.url.replace("://", "://me:p%40ss@"))
    tracker.log_artifact(kit.Artifact(path=tmp_path), "alone", [])
    assert tracker.flush(10)
    assert {headers["Authorization"] for _, headers, _ in server.took} == {"Basic bWU6cEBzcw=="}
    assert "ss@" not in caplog.text


def test_a_server_that_is_down_or_hangs_stops_nothing(
    store: FileTracker, tmp_path: Path, server: Server
) -> None:
    server.open.clear()
    tracker = follow(store, server.url)
    work(tmp_path)
    assert not tracker.flush(0)
    server.open.set()
    assert tracker.flush(10)
    closed = Server()
    closed.close()
    tracker = follow(store, closed.url)
    (tmp_path / "other").mkdir()
    assert kit.Artifact(path=tmp_path / "other").save(name="other").uri == "art://other:v1"
    kit.shutdown()
    assert tracker.flush(10)


def test_a_file_that_can_not_be_written_is_a_warning(
    store: FileTracker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    follow(store, str(tmp_path / "file" / "events.jsonl"))
    with caplog.at_level(logging.WARNING):
        work(tmp_path)
    assert [record.getMessage()[:40] for record in caplog.records] == [
        "OpenLineage events can't be written to /"
    ]


def test_too_many_events_are_dropped_and_counted(
    store: FileTracker, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nemotron.kit.integrations.openlineage_sinks.WAITING_MAX", 2)
    server.open.clear()
    tracker = follow(store, server.url)
    work(tmp_path)
    server.open.set()
    assert tracker.flush(10)
    assert 2 <= len(server.took) <= 3


SCRIPT = """
import atexit, sys
from pathlib import Path
from nemotron import kit
from nemotron.kit import context
from nemotron.kit.integrations.openlineage import OpenLineageTracker
from nemotron.kit.tracking.composite import CompositeTracker

kit.init(root=sys.argv[1])
kit.set_lineage_tracker(CompositeTracker([context.current_tracker(), OpenLineageTracker(sys.argv[2])]))
data = Path(sys.argv[1]).parent / "data"
data.mkdir()
kit.Artifact(path=data).save(name="data")
exec(sys.argv[3])
"""


@pytest.mark.parametrize(
    ("last", "code", "end"),
    [
        ("", 0, "COMPLETE"),
        ("raise RuntimeError('secret')", 1, "FAIL"),
        ("sys.exit()", 0, "COMPLETE"),
        ("sys.exit(3)", 3, "FAIL"),
        ("sys.exit('no data: secret')", 1, "FAIL"),
        ("sys.exit(128 + 15)", 143, "ABORT"),
        # What nobody can see is what the standard calls concluded.
        ("raise SystemExit(1)", 1, "COMPLETE"),
    ],
)
def test_a_run_that_nobody_ended_ends_with_the_process(
    tmp_path: Path, server: Server, last: str, code: int, end: str
) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "store"), server.url, last]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done.stderr
    events = [event for _, _, event in server.took]
    assert [event["eventType"] for event in events] == ["START", "START", "COMPLETE", end]
    for event in events:
        judge(event)
    assert events[0]["run"]["runId"] == events[-1]["run"]["runId"]
    assert "secret" not in json.dumps(events)
    registry = Registry.open(tmp_path / "store")
    later = openlineage.events(with_runs(registry.store, collect(registry, "data")))
    assert (later[-1]["eventType"], later[-1]["run"]) == (end, {**events[-1]["run"], "facets": {}})


LATE = """
def late():
    other = Path(sys.argv[1]).parent / "other"
    other.mkdir()
    kit.Artifact(path=other).save(name="other")
atexit.register(late)
"""


def test_what_is_saved_while_python_shuts_down_is_told_all_the_same(tmp_path: Path, server: Server) -> None:
    """Python 3.12 and later start no thread then."""
    body = SCRIPT.replace("kit.init(", f"{LATE}\nkit.init(")
    early = body.replace(
        'kit.Artifact(path=data).save(name="data")', "from nemotron.kit.registry import founding, publishing"
    )
    for script, more in ((body, 2), (early, 0)):
        server.took.clear()
        folder = tmp_path / str(more)
        folder.mkdir()
        command = [sys.executable, "-c", script, str(folder / "store"), server.url, ""]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        names = [event["job"]["name"] for _, _, event in server.took]
        assert names.count("other") == 2, done.stderr
        assert names.count("data") == more


class NoThread:
    """A thread that can't begin."""

    def __init__(self, **arguments: Any) -> None: ...

    def start(self) -> None:
        raise RuntimeError("can't start new thread at interpreter shutdown")


def test_without_a_thread_a_child_sends_and_its_time_is_limited(
    store: FileTracker,
    tmp_path: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tracker = OpenLineageTracker(server.url, api_key="token")
    artifact = kit.Artifact(path=tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(openlineage_sinks, "threading", SimpleNamespace(Thread=NoThread))
        tracker.log_artifact(artifact, "alone", [])
    assert [event["eventType"] for _, _, event in server.took] == ["START", "START", "COMPLETE"]
    assert {headers["Authorization"] for _, headers, _ in server.took} == {"Bearer token"}
    server.took.clear()
    server.open.clear()
    sent: list[float] = []
    run = subprocess.run

    def counted(*arguments: Any, **more: Any) -> Any:
        sent.append(more["timeout"])
        return run(*arguments, **more)

    monkeypatch.setattr(openlineage_sinks, "PATIENCE_S", 0.3)
    child = SimpleNamespace(run=counted, SubprocessError=subprocess.SubprocessError)
    monkeypatch.setattr(openlineage_sinks, "subprocess", child)
    monkeypatch.setattr(openlineage_sinks, "threading", SimpleNamespace(Thread=NoThread))
    hanging = OpenLineageTracker(server.url)
    for number in range(20):
        hanging.log_artifact(artifact, f"number-{number}", [])
    assert len(sent) == 1  # its time is everybody's
    assert sent[0] <= 0.3
    assert any("did not take 32 OpenLineage events" in one.getMessage() for one in caplog.records)


def test_init_and_the_environment_name_the_server(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def trackers(**arguments: Any) -> list[OpenLineageTracker]:
        kit.init(root=tmp_path / "store", **arguments)
        current = context.current_tracker()
        mine = current.trackers if isinstance(current, CompositeTracker) else (current,)
        return [one for one in mine if isinstance(one, OpenLineageTracker)]

    for name in ("URL", "API_KEY", "ENDPOINT", "DISABLED"):
        monkeypatch.delenv(f"OPENLINEAGE_{name}", raising=False)
    assert trackers() == []
    assert trackers(openlineage=False) == []
    with pytest.raises(MisuseError, match="OPENLINEAGE_URL names no server"):
        trackers(openlineage=True)
    with pytest.raises(MisuseError, match=r"Neither a path nor http\(s\)"):
        trackers(openlineage="kafka://host")
    assert len(trackers(openlineage=tmp_path / "events.jsonl")) == 1
    work(tmp_path)
    assert len((tmp_path / "events.jsonl").read_text().splitlines()) == 6

    monkeypatch.setenv("OPENLINEAGE_URL", server.url)
    monkeypatch.setenv("OPENLINEAGE_ENDPOINT", "/own/place")
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "token")
    assert trackers(openlineage=False) == []
    (tracker,) = trackers()
    tracker.log_artifact(kit.Artifact(path=tmp_path), "alone", [])
    assert tracker.flush(10)
    assert {(path, headers["Authorization"]) for path, headers, _ in server.took} == {
        ("/own/place", "Bearer token")
    }
    server.took.clear()
    (tracker,) = trackers(openlineage=f"{server.url}/other")
    tracker.log_artifact(kit.Artifact(path=tmp_path), "alone", [])
    assert tracker.flush(10)
    assert not any("Authorization" in headers for _, headers, _ in server.took)  # another server's key
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "True")
    assert trackers() == []
    monkeypatch.delenv("OPENLINEAGE_DISABLED")
    monkeypatch.setenv("OPENLINEAGE_URL", "kafka://host")
    assert trackers() == []
    assert "is no http(s) URL" in caplog.text
