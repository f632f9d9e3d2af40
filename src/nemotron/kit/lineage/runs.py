"""Runs out of a store: what they were, what became of them, and which artifacts they made."""

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from nemotron.kit.documents.run import (
    Process,
    RunConfig,
    RunEnvironment,
    RunFinish,
    RunRecord,
    RunStart,
    Status,
)
from nemotron.kit.errors import CorruptError, FormatTooNewError, MisuseError, NotFoundError, RefusedError
from nemotron.kit.lineage.graph import RUN_ROLE, RUN_SCHEME, Edge, Graph, Node
from nemotron.kit.lineage.reading import Reader
from nemotron.kit.names import SCHEME
from nemotron.kit.registry import layout
from nemotron.kit.registry.processes import Life, life_of
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.protocol import Store
from nemotron.kit.workers import Workers

log = logging.getLogger(__name__)

D = TypeVar("D", RunStart, RunConfig, RunEnvironment, RunFinish)
T = TypeVar("T")
R = TypeVar("R")

# Of a picture with more runs, the nearest are read; each costs two requests.
RUNS_READ_MAX = 500
# Of ids that begin alike, so many are named.
IDS_SHOWN_MAX = 5
# Of a bucket's answers that are waited for at once.
READERS = 16
_MADE = re.compile(r"(.+)\.(v[1-9][0-9]*)", re.ASCII)
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_STATUS_OF_LIFE: dict[Life, Status] = {"alive": "running", "gone": "killed", "unknown": "unknown"}


def read_run(
    store: Store, run_id: str, *, whole: bool = True, life: Callable[[Process], Life] = life_of
) -> RunRecord | None:
    """The record of a run, or None if there is none, or none that can be read.

    A run that did not say how it ended is `running` or `killed` if its process was on this machine, where
    that can be looked up; of another machine's it is `unknown`, and never `finished`.

    Args:
        store: where to look.
        run_id: the whole id.
        whole: also its code, its packages, what it made, and a config that was told after its start.
        life: tells whether a process is still there.
    """
    if not _ID.fullmatch(run_id):  # of another tool
        return None
    start = _read(store, RunStart, layout.run_start(run_id))
    if start is None:
        return None
    finish = _read(store, RunFinish, layout.run_finish(run_id))
    record = RunRecord(
        start=replace(start, id=run_id),
        finish=finish,
        status=_STATUS_OF_LIFE[life(start.process)] if finish is None else finish.status,
        made=() if finish is None else finish.outputs,
        used=() if finish is None else finish.inputs,
    )
    if not whole:
        return record
    environment = _read(store, RunEnvironment, layout.run_environment(run_id))
    return replace(_with_rest(store, record), environment=environment)


def _with_rest(store: Store, record: RunRecord) -> RunRecord:
    """The run with all that it made, and its config if that was told after its start was recorded."""
    start, key = record.start, layout.run_config(record.id)
    if start.config is None and key.rpartition("/")[2] in store.list(layout.run_folder(record.id)):
        late = _read(store, RunConfig, key)
        start = start if late is None else replace(start, config=late.config)
    return replace(record, start=start, made=tuple(_made(store, record)))


def _made(store: Store, record: RunRecord) -> Iterator[str]:
    """What it said at its end, and what it left hints of: a killed run says nothing."""
    yield from record.made
    for name in sorted(store.list(layout.run_made(record.id))):
        if (match := _MADE.fullmatch(name)) and (uri := f"{SCHEME}{match[1]}:{match[2]}") not in record.made:
            yield uri


def _read(store: Store, kind: type[D], key: str) -> D | None:
    try:
        data = store.read(key)
        return None if data is None else kind.from_bytes(data, f"{store.url}/{key}")
    except (CorruptError, FormatTooNewError, RefusedError) as error:
        log.warning("%s. It is left out", error)
        return None


def find_run(store: Store, text: str) -> RunRecord:
    """The run of an id, or of the beginning of one.

    Raises:
        NotFoundError: there is none, or the id is empty.
        MisuseError: several begin so.
    """
    prefix = text.removeprefix(RUN_SCHEME).strip().lower()
    if not prefix:
        raise NotFoundError("The id of the run is empty; `nemotron kit runs` lists ids")
    if _ID.fullmatch(prefix) and (record := read_run(store, prefix)):
        return record
    found = sorted(one for one in store.list(layout.RUNS) if one.startswith(prefix))
    if len(found) > 1:
        raise MisuseError(f"{len(found)} runs begin with {text}: {_newest(found)}. Give more of the id")
    record = read_run(store, found[0]) if found else None
    if record is None:
        raise NotFoundError(f"No run {text} in {store.url}; `nemotron kit runs` lists them")
    return record


def with_all_used(registry: Registry, record: RunRecord) -> RunRecord:
    """The run with what its versions say that they were made from: `save(inputs=[…])` is told to them alone.

    Args:
        registry: where they are.
        record: the run.
    """
    reader = Reader(registry)
    saved = (*record.made, *(record.finish.unchanged if record.finish else ()))
    said = (used for uri in saved for used in reader.read(uri).node.inputs)
    return replace(record, used=tuple(dict.fromkeys((*record.used, *said))))


def _newest(ids: list[str]) -> str:
    """The newest of some ids, the newest first, and how many more there are."""
    more = len(ids) - IDS_SHOWN_MAX
    return ", ".join(ids[: -IDS_SHOWN_MAX - 1 : -1]) + (f", and {more:,} more" if more > 0 else "")


def list_runs(store: Store, *, status: Status | None = None, limit: int | None = None) -> list[RunRecord]:
    """Runs with what they made, the newest first; only as many are read as it takes.

    Args:
        store: where to look.
        status: only those that became so.
        limit: how many to give at most, or None for all.
    """
    found: list[RunRecord] = []
    for run_id in sorted(store.list(layout.RUNS), reverse=True):  # ids begin with the time
        if limit is not None and len(found) >= limit:
            break
        record = read_run(store, run_id, whole=False)
        if record is not None and status in (None, record.status):
            found.append(record)
    return _each(store, lambda record: _with_rest(store, record), found)


def _each(store: Store, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Do it for each; of a bucket, many answers are waited for at once."""
    if store.local_path(layout.RUNS) is not None:
        return [work(item) for item in items]
    with Workers(READERS, "kit-lineage") as pool:
        return list(pool.map(work, items))


def with_runs(store: Store, graph: Graph, *, whole: bool = False) -> Graph:
    """The graph with the runs that made its artifacts, each a node with an edge to each of them.

    Args:
        store: where they are recorded. Runs without a record are left out; so are, with a note, those beyond
            the nearest `RUNS_READ_MAX`.
        graph: as collected.
        whole: leave out none: for what no person looks at, and who reads it takes for all there is.
    """
    made_by = {node.uri: node.run for node in graph if node.kind == "artifact" and node.run}
    ids = list(dict.fromkeys(made_by.values()))
    shown = ids if whole else ids[:RUNS_READ_MAX]
    records = _each(store, lambda run_id: read_run(store, run_id, whole=False), shown)
    runs = {record.id: node_of(record) for record in records if record is not None}
    edges = [Edge(runs[run_id].uri, uri, RUN_ROLE) for uri, run_id in made_by.items() if run_id in runs]
    left_out = len(ids) - len(shown)
    note = f"Runs left out: {left_out}; those of the nearest artifacts are shown, {RUNS_READ_MAX} at most"
    notes = (*graph.notes, *([note] if left_out else []))
    return Graph(graph.uri, (*graph.nodes, *runs.values()), (*graph.edges, *edges), notes)


def node_of(record: RunRecord) -> Node:
    """A run as a node of a graph."""
    start, finish = record.start, record.finish
    said = {
        "status": record.status,
        "error": finish.error if finish else None,
        "exit_code": finish.exit_code if finish else None,
        # An end before the beginning is of another clock, and no tool could make sense of it.
        "ended_at": finish.ended_at if finish and record.took_s is not None else None,
        "command": list(start.command),
        "host": start.process.host,
        "user": start.process.user,
        "experiment": start.experiment,
        "wandb_url": finish.wandb_url if finish else None,
    }
    return Node(
        uri=f"{RUN_SCHEME}{record.id}",
        kind="run",
        type="run",
        name=record.label,
        created_at=start.started_at or None,
        run=record.id,
        metadata={key: value for key, value in said.items() if value},
        inputs=finish.inputs if finish else (),
    )
