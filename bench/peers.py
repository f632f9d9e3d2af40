"""What others do, reduced to the operation that is timed.

The floors and the two small registries are written here, in the way such things are commonly written; MLflow
and DVC are the real packages, used when they are installed (`pip install mlflow dvc`).
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

Publish = Callable[[int], None]


def small_file(root: Path, data: Path) -> Publish:
    """Floor: one small file, not synced."""
    root.mkdir(parents=True)

    def publish(number: int) -> None:
        (root / f"{number}.json").write_text(json.dumps({"path": str(data), "number": number}))

    return publish


def synced_file(root: Path, data: Path) -> Publish:
    """Floor: one small file in a new folder, both synced: the least that survives a power loss."""
    root.mkdir(parents=True)

    def publish(number: int) -> None:
        folder = root / str(number)
        folder.mkdir()
        with open(folder / "manifest.json", "w") as file:
            json.dump({"path": str(data), "number": number}, file)
            file.flush()
            os.fsync(file.fileno())
        for place in (folder, root):
            descriptor = os.open(place, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)

    return publish


def sqlite_row(root: Path, data: Path, synchronous: str) -> Publish:
    """Floor: one row in SQLite."""
    root.mkdir(parents=True)
    database = sqlite3.connect(root / "registry.db")
    database.execute(f"PRAGMA synchronous={synchronous}")
    database.execute("CREATE TABLE versions (number INTEGER PRIMARY KEY, path TEXT)")

    def publish(number: int) -> None:
        with database:
            database.execute("INSERT INTO versions VALUES (?, ?)", (number, str(data)))

    return publish


def manifest_tracker(root: Path, data: Path) -> Publish:
    """Two JSON files a version, the next number found by listing."""

    def publish(number: int) -> None:
        base = root / "x"
        base.mkdir(parents=True, exist_ok=True)
        taken = [int(name[1:]) for name in os.listdir(base) if name.startswith("v")]
        folder = base / f"v{max(taken, default=0) + 1}"
        folder.mkdir()
        manifest = {"name": "x", "path": str(data), "metadata": {"i": number}}
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=2))
        (folder / "metadata.json").write_text(json.dumps(manifest["metadata"], indent=2))
        (base / "latest").write_text(folder.name)

    return publish


def copy_registry(root: Path, data: Path) -> Publish:
    """Copies the folder and rewrites one JSON index."""

    def publish(number: int) -> None:
        root.mkdir(parents=True, exist_ok=True)
        index_path = root / "index.json"
        index = json.loads(index_path.read_text()) if index_path.exists() else {"versions": []}
        target = root / "x" / f"v{len(index['versions']) + 1}"
        shutil.copytree(data, target)
        index["versions"].append({"path": str(target), "metadata": {"i": number}})
        index_path.write_text(json.dumps(index, indent=2))

    return publish


def mlflow_registry(root: Path, data: Path) -> Publish:
    """MLflow's model registry on SQLite."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow import MlflowClient

    root.mkdir(parents=True)
    address = f"sqlite:///{root}/mlflow.db"
    client = MlflowClient(tracking_uri=address, registry_uri=address)
    client.create_registered_model("x")

    def publish(number: int) -> None:
        client.create_model_version("x", source=str(data), tags={"i": str(number)})

    return publish


def dvc_command(root: Path, data: Path) -> Publish:
    """`dvc add` as a command."""
    root.mkdir(parents=True)
    shutil.copytree(data, root / "data")
    quiet = {"cwd": root, "check": True, "capture_output": True}
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm"], env=environment, **quiet)

    def publish(number: int) -> None:
        (root / "data" / "a.txt").write_text(str(uuid.uuid4()))
        subprocess.run([sys.executable, "-m", "dvc", "add", "data"], env=environment, **quiet)

    return publish


def kit(root: Path, data: Path) -> Publish:
    """This kit, by reference, durable."""
    from nemotron.kit.registry.records import Draft
    from nemotron.kit.registry.registry import Registry

    registry = Registry.open(root)

    def publish(number: int) -> None:
        registry.publish(Draft(name="x", source=data, metadata={"i": number}))

    return publish


def kit_save(root: Path, data: Path) -> Publish:
    """This kit through `Artifact.save`, which also writes metadata.json beside the data."""
    from nemotron.kit import artifact, context, start

    start.init(root=root)
    tracker = context.current_tracker()

    def publish(number: int) -> None:
        context.set_tracker(tracker)  # another store may have been asked for since
        artifact.Artifact(path=data, metadata={"i": number}).save(name="y")

    return publish
