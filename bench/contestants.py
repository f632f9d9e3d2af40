"""Who stores bytes beside this kit: the floors, the peers, and the kit in its own ways.

Each is given an empty folder of its own and returns the operation that is timed. It is called three times or
more: with the data for the first time, unchanged, and with one file changed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import peers
from blake3 import blake3

if TYPE_CHECKING:
    import wandb

Store = Callable[[Path], object]
BASE = "cp -r"
# Files of at most so many bytes are read in one call.
SMALL = 1 << 20


@dataclass(frozen=True)
class Contestant:
    """One that takes part.

    Attributes:
        make: given an empty folder, returns the operation.
        kind: floor, kit, rival or peer; peers, whose bars are far away if they have any, take part in fewer
            rounds.
        writes: whether it writes data: `always`, what is `news` only, or `never`.
        own_data: whether it needs the data in its own folder, as `data`.
        is_close: whether its bar for one changed file is close, beside how much the figures scatter, so that
            more of them are taken.
        package: what has to be installed for it.
    """

    make: Callable[[Path], Store]
    kind: str = "peer"
    writes: Literal["always", "news", "never"] = "always"
    own_data: bool = False
    is_close: bool = False
    package: str = ""

    @property
    def is_missing(self) -> bool:
        """Whether its package is not here."""
        return bool(self.package) and find_spec(self.package) is None

    def does_write(self, step: str) -> bool:
        """Whether it writes data in a step."""
        return self.writes == "always" or (self.writes == "news" and step != "unchanged")


def walk(folder: Path) -> list[str]:
    """All files below a folder."""
    return [f"{at}/{name}" for at, _, names in os.walk(folder) for name in names]


# -- contestants: given an empty folder of their own, they return the operation that is timed ----------------


def stat_floor(root: Path) -> Store:
    """Walking and `stat`, all that evidence by size and time needs."""
    return lambda data: [os.stat(path) for path in walk(data)]


def commit_floor(root: Path) -> Store:
    """The same, and one small file in a new folder, synced: what a durable version takes at least."""
    publish, numbers = peers.synced_file(root / "commits", root), iter(range(10**6))

    def store(data: Path) -> None:
        for path in walk(data):
            os.stat(path)
        publish(next(numbers))

    return store


def hash_floor(root: Path) -> Store:
    """Reading and hashing: large files on all cores, small ones in a plain loop."""
    return hash_all


def one_hash(root: Path) -> Store:
    """Reading and hashing the one file that is changed in the last step, as the floor of all files does."""
    return lambda data: hash_in_blocks(max(walk(data)))


def one_mapped_hash(root: Path) -> Store:
    """The same on all cores, of the page cache itself: whoever cuts the file meanwhile kills the process."""
    return lambda data: blake3(max_threads=blake3.AUTO).update_mmap(max(walk(data)))


def hash_all(data: Path) -> list[bytes]:
    """The digests of all files, in the way that is fastest for files of their size.

    Over small ones threads would fight for the interpreter: a plain loop is faster than any number of them,
    and two processes would gain a tenth at most where a copy comes first.
    """
    paths = walk(data)
    if os.stat(paths[0]).st_size <= SMALL:
        return [blake3(read_at_once(path)).digest() for path in paths]
    if len(paths) == 1:
        return [blake3(max_threads=blake3.AUTO).update_mmap(paths[0]).digest()]
    with ThreadPoolExecutor() as pool:
        return list(pool.map(hash_in_blocks, paths))


def read_at_once(path: str) -> bytes:
    """All of a small file, by as few calls as there can be."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def hash_in_blocks(path: str) -> bytes:
    """The digest of a large file; the interpreter is free while a block is read, and while it is hashed."""
    hasher = blake3()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.digest()


def link_floor(root: Path) -> Store:
    """Hard links only; of a copy of the data, because a link changes the time of the inode that it is to."""
    return lambda data: shutil.copytree(root / "data", fresh(root), copy_function=os.link)


def plain_copy(root: Path) -> Store:
    """`cp -r`."""
    return lambda data: subprocess.run(["cp", "-r", str(data), str(fresh(root))], check=True)


def one_copy(root: Path, *, synced: bool = False) -> Store:
    """`cp` of the one file that is changed in the last step."""

    def store(data: Path) -> None:
        target = fresh(root)
        subprocess.run(["cp", max(walk(data)), str(target)], check=True)
        if synced:
            subprocess.run(["sync", str(target), str(target.parent)], check=True)

    return store


def synced_copy(root: Path) -> Store:
    """`cp -r`, and the whole file system on disk before it returns."""

    def store(data: Path) -> None:
        target = fresh(root)
        subprocess.run(["cp", "-r", str(data), str(target)], check=True)
        subprocess.run(["sync", "-f", str(target)], check=True)

    return store


def hashed_copy(root: Path) -> Store:
    """`cp -r`, then a hash of every copy, as `b3sum` would, as fast as Python can."""

    def store(data: Path) -> None:
        target = fresh(root)
        subprocess.run(["cp", "-r", str(data), str(target)], check=True)
        hash_all(target)

    return store


def copy_registry(root: Path) -> Store:
    """A registry that copies the folder and rewrites one JSON index."""
    counter = iter(range(10**6))

    def store(data: Path) -> None:
        peers.copy_registry(root, data)(next(counter))

    return store


@contextmanager
def unsynced() -> Iterator[None]:
    """Nothing of this process is brought to the disk, not even its commits: as `cp` does it."""
    from nemotron.kit.store import file_copy, files

    before = os.fsync, files.sync_file_system, file_copy.start_write_back
    os.fsync = lambda descriptor: None
    files.sync_file_system = lambda folder: True
    file_copy.start_write_back = lambda descriptor, start, size: None
    try:
        yield
    finally:
        os.fsync, files.sync_file_system, file_copy.start_write_back = before


def kit(root: Path, *, synced: bool = True, **draft: object) -> Store:
    """This kit; what is unchanged must not be stored again."""
    from nemotron.kit.registry.records import Draft
    from nemotron.kit.registry.registry import Registry

    registry = Registry.open(root / "store")
    small = root / "small"
    small.mkdir()
    (small / "small.bin").write_bytes(b"x")
    (small / "large.bin").write_bytes(bytes(4 << 20))
    # Others set up their places before they are timed as well, and imports don't count.
    registry.publish(Draft(name="warm", source=small, **draft))  # type: ignore[arg-type]
    expected = chain((True, False), repeat(True))

    def store(data: Path) -> None:
        os.environ["XDG_CACHE_HOME"] = str(root / "cache")  # digests that others have found don't count
        with nullcontext() if synced else unsynced():
            done = registry.publish(Draft(name="x", source=data, **draft))  # type: ignore[arg-type]
        if done.created != next(expected):
            raise AssertionError(f"created {done.created}")

    return store


def wandb_artifact(root: Path, add: Callable[["wandb.Artifact", Path], object]) -> Store:
    """W&B, offline, up to the manifest; nothing is uploaded."""
    import wandb

    def store(data: Path) -> None:
        os.environ.update(WANDB_DATA_DIR=str(root), WANDB_CACHE_DIR=str(root), WANDB_SILENT="true")
        add(wandb.Artifact("x", "data"), data)

    return store


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


def contestants() -> dict[str, Contestant]:
    """Who takes part: the floors, the peers, the kit."""
    floor, ours = partial(Contestant, kind="floor"), partial(Contestant, kind="kit")
    of_wandb = partial(Contestant, package="wandb")
    add_dir = lambda artifact, data, **how: artifact.add_dir(str(data), **how)  # noqa: E731
    by_reference = lambda artifact, data: artifact.add_reference(f"file://{data}", max_objects=10**7)  # noqa: E731
    # Who is compared stands side by side, so that both meet the disk and the memory in the same state.
    return {
        "floor: walk and stat": floor(stat_floor, writes="never"),
        "floor: walk, stat and one commit": floor(commit_floor, writes="never"),
        "kit: reference, stat": ours(kit, writes="never"),
        "kit: reference, sampled": ours(partial(kit, evidence="sampled"), writes="never"),
        "floor: hash": floor(hash_floor, writes="never"),
        "floor: hash of one file": floor(one_hash, writes="never"),
        "floor: hash of one file, mapped": floor(one_mapped_hash, writes="never"),
        "kit: reference, full": ours(partial(kit, evidence="full"), writes="never"),
        "floor: hard links": Contestant(link_floor, own_data=True, writes="never"),
        BASE: floor(plain_copy),
        "kit: snapshot, not synced": ours(
            partial(kit, snapshot=True, synced=False), writes="news", is_close=True
        ),
        "floor: cp of one file": floor(one_copy, is_close=True),
        "cp -r, synced": floor(synced_copy),
        "kit: snapshot": ours(partial(kit, snapshot=True), writes="news"),
        "floor: cp of one file, synced": floor(partial(one_copy, synced=True)),
        "cp -r, then hash": Contestant(hashed_copy, kind="rival"),
        "copy registry": Contestant(copy_registry),
        "wandb add_dir": of_wandb(partial(wandb_artifact, add=add_dir)),
        "wandb add_dir, immutable": of_wandb(
            partial(wandb_artifact, add=partial(add_dir, policy="immutable"))
        ),
        "wandb file references": of_wandb(partial(wandb_artifact, add=by_reference), writes="never"),
        "MLflow log_artifacts": Contestant(mlflow_artifacts, package="mlflow"),
        "DVC add (command)": Contestant(dvc_add, package="dvc", own_data=True, writes="news"),
    }
