"""What storing bytes costs: this kit beside its peers, in interleaved rounds on the same data.

Two sets of data, a few large files and many small ones, are stored for the first time, again unchanged, and
again with one file changed. Prints medians, ranges, and ratios to plain `cp -r`; asserts nothing. MLflow and
DVC take part when they are installed (`pip install mlflow dvc`); `make bench` installs them.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from blake3 import blake3

Store = Callable[[Path], object]
STEPS = ("first", "unchanged", "one changed")
BASE = "cp -r"
FEW_FILES = 100
# How often the data is on the disk at the end of a round.
COPIES_IN_A_ROUND = 30


def walk(folder: Path) -> list[str]:
    """All files below a folder."""
    return [f"{at}/{name}" for at, _, names in os.walk(folder) for name in names]


# -- contestants: given an empty folder of their own, they return the operation that is timed ----------------


def stat_floor(root: Path) -> Store:
    """Walking and `stat`, all that evidence by size and time needs."""
    return lambda data: [os.stat(path) for path in walk(data)]


def hash_floor(root: Path) -> Store:
    """Reading and hashing on all cores."""
    return hash_all


def hash_all(data: Path) -> list[bytes]:
    """The digests of all files, in chunks on threads."""
    paths = walk(data)
    size = max(1, len(paths) // 64)
    with ThreadPoolExecutor() as pool:
        chunks = pool.map(hash_some, [paths[at : at + size] for at in range(0, len(paths), size)])
        return [digest for chunk in chunks for digest in chunk]


def hash_some(paths: list[str]) -> list[bytes]:
    """The digests of some files."""
    found = []
    for path in paths:
        hasher = blake3()
        with open(path, "rb", buffering=0) as file:
            while block := file.read(1 << 20):
                hasher.update(block)
        found.append(hasher.digest())
    return found


def link_floor(root: Path) -> Store:
    """Hard links only; of a copy of the data, because a link changes the time of the inode that it is to."""
    return lambda data: shutil.copytree(root / "data", fresh(root), copy_function=os.link)


def plain_copy(root: Path) -> Store:
    """`cp -r`."""
    return lambda data: subprocess.run(["cp", "-r", str(data), str(fresh(root))], check=True)


def one_copy(root: Path) -> Store:
    """`cp` of the one file that is changed in the last step."""
    return lambda data: subprocess.run(["cp", max(walk(data)), str(fresh(root))], check=True)


def synced_copy(root: Path) -> Store:
    """`cp -r`, and everything on disk before it returns."""

    def store(data: Path) -> None:
        target = fresh(root)
        subprocess.run(["cp", "-r", str(data), str(target)], check=True)
        subprocess.run(["sync", "-f", str(target)], check=True)

    return store


def hashed_copy(root: Path) -> Store:
    """`cp -r`, then a hash of every copy, as `b3sum` would."""

    def store(data: Path) -> None:
        target = fresh(root)
        subprocess.run(["cp", "-r", str(data), str(target)], check=True)
        hash_all(target)

    return store


def copy_registry(root: Path) -> Store:
    """A registry that copies the folder and rewrites one JSON index."""
    import peers

    counter = iter(range(10**6))

    def store(data: Path) -> None:
        peers.copy_registry(root, data)(next(counter))

    return store


def kit(root: Path, *, synced: bool = True, **draft: object) -> Store:
    """This kit."""
    from nemotron.kit.registry.records import Draft
    from nemotron.kit.registry.registry import Registry

    registry = Registry.open(root / "store")
    if not synced:
        registry.store.sync = lambda: None  # type: ignore[method-assign]

    def store(data: Path) -> None:
        os.environ["XDG_CACHE_HOME"] = str(root / "cache")  # digests that others have found don't count
        registry.publish(Draft(name="x", source=data, **draft))  # type: ignore[arg-type]

    return store


def wandb_dir(root: Path, **how: object) -> Store:
    """W&B, offline: `add_dir`."""
    os.environ.update(WANDB_DATA_DIR=str(root), WANDB_CACHE_DIR=str(root), WANDB_SILENT="true")
    import wandb

    return lambda data: wandb.Artifact("x", "data").add_dir(str(data), **how)  # type: ignore[arg-type]


def wandb_reference(root: Path) -> Store:
    """W&B, offline: references to files, with checksums."""
    os.environ.update(WANDB_DATA_DIR=str(root), WANDB_CACHE_DIR=str(root), WANDB_SILENT="true")
    import wandb

    return lambda data: wandb.Artifact("x", "data").add_reference(f"file://{data}", max_objects=10**7)


def mlflow_artifacts(root: Path) -> Store:
    """MLflow: `log_artifacts`."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{root}/mlflow.db")
    experiment = client.create_experiment("x", artifact_location=str(root / "artifacts"))

    def store(data: Path) -> None:
        client.log_artifacts(client.create_run(experiment).info.run_id, str(data))

    return store


def dvc_add(root: Path) -> Store:
    """DVC: `dvc add`, which takes its data in its own folder; bringing it there is not timed."""
    os.environ["DVC_NO_ANALYTICS"] = "1"
    subprocess.run(
        [sys.executable, "-m", "dvc", "init", "--no-scm"], cwd=root, check=True, capture_output=True
    )

    def store(data: Path) -> None:
        subprocess.run(
            [sys.executable, "-m", "dvc", "add", "data"], cwd=root, check=True, capture_output=True
        )

    return store


def fresh(root: Path) -> Path:
    """A folder that is not there yet."""
    return Path(tempfile.mkdtemp(dir=root), "copy")


def contestants() -> dict[str, Callable[[Path], Store]]:
    """Who takes part: the floors, the peers, the kit."""
    found: dict[str, Callable[[Path], Store]] = {
        "floor: walk and stat": stat_floor,
        "floor: hash": hash_floor,
        "floor: hard links": link_floor,
        "floor: cp of one file": one_copy,
        BASE: plain_copy,
        "cp -r, synced": synced_copy,
        "cp -r, then hash": hashed_copy,
        "copy registry": copy_registry,
        "kit: reference, stat": kit,
        "kit: reference, sampled": lambda root: kit(root, evidence="sampled"),
        "kit: reference, full": lambda root: kit(root, evidence="full"),
        "kit: snapshot, not synced": lambda root: kit(root, snapshot=True, synced=False),
        "kit: snapshot": lambda root: kit(root, snapshot=True),
    }
    if find_spec("wandb"):
        found["wandb add_dir"] = wandb_dir
        found["wandb add_dir, immutable"] = lambda root: wandb_dir(root, policy="immutable")
        found["wandb file references"] = wandb_reference
    if find_spec("mlflow"):
        found["MLflow log_artifacts"] = mlflow_artifacts
    if find_spec("dvc"):
        found["DVC add (command)"] = dvc_add
    return found


# -- rounds ------------------------------------------------------------------------------------------------


def make(folder: Path, files: int, size: int) -> Path:
    """Random data, 500 files a folder."""
    for number in range(files):
        path = folder / f"{number // 500:04}" / f"{number:06}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            for at in range(0, size, 1 << 20):
                file.write(os.urandom(min(size - at, 1 << 20)))
    return folder


def change(data: Path) -> None:
    """Rewrite one file, and wait until its time is believed."""
    path = Path(max(walk(data)))
    path.write_bytes(os.urandom(1024) + path.read_bytes()[1024:])
    time.sleep(2.1)


def settle(scratch: Path, size: int) -> None:
    """Get memory back that a virtual machine took away, and have nothing left to be written."""
    file = scratch / "settle"
    with open(file, "wb") as out:
        for _ in range(size >> 20):
            out.write(bytes(1 << 20))
    file.unlink()
    subprocess.run(["sync", "-f", str(scratch)], check=True)


def race(
    scratch: Path,
    data: Path,
    rounds: int,
    only: str,
    seconds: float = float("inf"),
    told: Callable[[dict[str, dict[str, list[float]]]], object] = lambda taken: None,
) -> dict[str, dict[str, list[float]]]:
    """Seconds of each step of each contestant; they take turns, so that drift hits all alike.

    Another round begins only if it will likely be over within `seconds`; there is always one. After each,
    `told` hears what was taken so far.
    """
    began = time.perf_counter()
    chosen = {name: make for name, make in contestants().items() if only in name or name == BASE}
    taken: dict[str, dict[str, list[float]]] = {name: {step: [] for step in STEPS} for name in chosen}
    size = sum(os.stat(path).st_size for path in walk(data))
    are_few = len(walk(data)) <= FEW_FILES
    for turn in range(rounds):
        spent = time.perf_counter() - began
        if turn and spent * (turn + 1) / turn > seconds:
            break
        stores, roots = {}, []
        for name, make_one in chosen.items():
            root = Path(tempfile.mkdtemp(dir=scratch))
            roots.append(root)
            stores[name] = make_one(root)
            if name.startswith(("DVC", "floor: hard links")):
                shutil.copytree(data, root / "data")
        for step in STEPS:
            if step == "one changed":
                change(data)
            for name, store in stores.items():
                settle(scratch, size)
                start = time.perf_counter()
                store(data)
                taken[name][step].append(time.perf_counter() - start)
        told(taken)
        if are_few:  # they are large, and the disk is not; many small ones stay until the end
            for root in roots:
                shutil.rmtree(root)
    return taken


def affordable(scratch: Path, files: int, size: int) -> int:
    """The size for each of some files at which a round fits on the disk, in bytes."""
    free = shutil.disk_usage(scratch).free
    return min(size, max(1 << 20, free // (COPIES_IN_A_ROUND * files) >> 20 << 20))


def show(title: str, taken: dict[str, dict[str, list[float]]]) -> None:
    """Print medians, ranges, and ratios to `cp -r` in the same step."""
    print(f"\n{title}: seconds, median (least to most) ratio to {BASE}")
    print("  " + "".join(f"{cell:<34}" for cell in ("", *STEPS)).rstrip())
    for name, steps in taken.items():
        cells = [name]
        for step, seconds in steps.items():
            median, base = statistics.median(seconds), statistics.median(taken[BASE][step])
            spread = f"({min(seconds):.3f} to {max(seconds):.3f})"
            cells.append(f"{median:.3f} {spread} {median / base:.2f}")
        print("  " + "".join(f"{cell:<34}" for cell in cells).rstrip())


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", type=int, default=8, help="how many large files")
    parser.add_argument("--large-mib", type=int, default=64, help="MiB of each")
    parser.add_argument("--small", type=int, default=5000, help="how many files of 4 KiB")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for each set of data, about")
    parser.add_argument("--json", type=Path, help="also write the seconds of all rounds to this file")
    parser.add_argument("--only", default="", help="contestants whose name has this in it")
    parser.add_argument("--keep", action="store_true", help="keep the scratch folder")
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="kit-bench-"))
    os.environ["XDG_CACHE_HOME"] = str(scratch / "cache")
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, scratch in {scratch.parent}")
    large = affordable(scratch, max(1, arguments.large), arguments.large_mib << 20)
    sets = (
        (f"{arguments.large} files of {large >> 20} MiB", arguments.large, large),
        (f"{arguments.small} files of 4 KiB", arguments.small, 4096),
    )
    results = {}
    for title, files, size in sets:
        if files:
            data = make(scratch / f"data-{files}", files, size)
            time.sleep(2.1)  # what was written a moment ago is not believed to be as it was looked at

            def keep(taken: dict[str, dict[str, list[float]]], title: str = title) -> None:
                results[title] = taken
                if arguments.json:
                    arguments.json.write_text(json.dumps(results, indent=1))

            show(title, race(scratch, data, arguments.rounds, arguments.only, arguments.seconds, keep))
    if not arguments.keep:
        shutil.rmtree(scratch)  # last: ext4 is slow for a while after a mass deletion


if __name__ == "__main__":
    main()
