"""A lineage graph in ml-metadata: building it, and all ancestors of its last version.

`bench/lineage.py` runs it with a folder that holds `graph.json`, `{version: [inputs]}` in order of making; it
prints one JSON object. It needs ml-metadata and nothing of the kit.
"""

import json
import sys
import time
from pathlib import Path

import ml_metadata
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

BATCH = 1000


def main() -> None:
    """Print what it took."""
    folder = Path(sys.argv[1])
    made_from: dict[str, list[str]] = json.loads((folder / "graph.json").read_text())
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = str(folder / "ml-metadata.sqlite")
    config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    store = metadata_store.MetadataStore(config)

    start = time.perf_counter()
    kind = store.put_artifact_type(pb.ArtifactType(name="Version"))
    step = store.put_execution_type(pb.ExecutionType(name="Run"))
    uris = list(dict.fromkeys([uri for ends in made_from.items() for uri in (ends[0], *ends[1])]))
    ids: dict[str, int] = {}
    for at in range(0, len(uris), BATCH):
        few = uris[at : at + BATCH]
        ids |= zip(few, store.put_artifacts([pb.Artifact(type_id=kind, uri=uri) for uri in few]), strict=True)
    made = list(made_from)
    for at in range(0, len(made), BATCH):
        few = made[at : at + BATCH]
        runs = store.put_executions([pb.Execution(type_id=step) for _ in few])
        store.put_events(
            [
                pb.Event(artifact_id=ids[uri], execution_id=run, type=which)
                for one, run in zip(few, runs, strict=True)
                for which, ends in ((pb.Event.INPUT, made_from[one]), (pb.Event.OUTPUT, [one]))
                for uri in ends
            ]
        )
    build_s = time.perf_counter() - start

    start = time.perf_counter()
    seen = at_now = {ids[made[-1]]}
    while at_now:
        runs = {
            event.execution_id
            for event in store.get_events_by_artifact_ids(list(at_now))
            if event.type == pb.Event.OUTPUT
        }
        events = store.get_events_by_execution_ids(list(runs)) if runs else []
        at_now = {event.artifact_id for event in events if event.type == pb.Event.INPUT} - seen
        seen = seen | at_now
    ask_s = time.perf_counter() - start
    said = {"version": ml_metadata.__version__, "build_s": build_s, "ask_s": ask_s, "found": len(seen) - 1}
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
