"""Files are read, hashed and copied by real local clusters of Ray and Dask (`make test-executors`)."""

import os
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import pytest

from nemotron.kit.errors import CorruptError, MisuseError, PathNotFoundError
from nemotron.kit.integrations.executors import RayExecutor, dask_executor
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.start import using
from nemotron.kit.store.memory import MemoryStore

# Their own background threads leave sockets and warnings of newer Pythons behind.
pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.slow,
]
FILES = 600


def needs(package: str) -> pytest.MarkDecorator:
    """Skips where a package is not installed."""
    return pytest.mark.skipif(
        find_spec(package) is None, reason=f"{package} is not installed: make test-executors brings it"
    )


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[Executor]:
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    with RayExecutor(num_cpus=0.5) as executor:
        yield executor
    ray.shutdown()


@pytest.fixture(scope="module")
def dask_cluster() -> Iterator[Executor]:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield dask_executor(client)


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.fixture(
    params=[
        pytest.param("ray_cluster", marks=needs("ray")),
        pytest.param("dask_cluster", marks=needs("distributed")),
        "processes",
    ]
)
def executor(request: pytest.FixtureRequest) -> Executor:
    found: Executor = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number}.txt").write_text(str(number) * (number % 5))
    (folder / "large.bin").write_bytes(os.urandom((3 << 20) + 1))
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry.open(tmp_path / "store")


@pytest.mark.parametrize("how", [{"evidence": "full"}, {"evidence": "sampled"}, {"snapshot": True}], ids=str)
def test_it_finds_what_threads_find(
    executor: Executor, registry: Registry, tmp_path: Path, data: Path, how: dict[str, object]
) -> None:
    other = Registry.open(tmp_path / "other")
    draft = Draft(name="x", source=data, **how)  # type: ignore[arg-type]
    told: list[int] = []
    record = registry.publish(draft, executor=executor, progress=lambda done, total: told.append(done)).record
    assert registry.tree(record) == other.tree(other.publish(draft).record)
    assert told == sorted(told)
    if how != {"evidence": "sampled"}:
        assert registry.verify("x", "full", executor=executor) == other.verify("x", "full")
    assert registry.verify("x", executor=executor).ok


def test_damage_is_found_by_workers_too(executor: Executor, registry: Registry, data: Path) -> None:
    registry.publish(Draft(name="x", source=data, snapshot=True), executor=executor)
    blob = max(Path(registry.root, ".kit/blobs").rglob("*"), key=lambda path: path.stat().st_size)
    blob.chmod(0o644)
    blob.write_bytes(b"x" + blob.read_bytes()[1:])
    found = registry.verify("x", "full", executor=executor)
    assert [(file.path, file.verdict, file.place) for file in found.files] == [
        ("large.bin", "changed", "store")
    ]
    with pytest.raises(CorruptError, match=r"large\.bin is damaged"):
        registry.folder(registry.resolve("x"))


def test_an_error_of_a_worker_is_the_one_that_was_raised(
    executor: Executor, registry: Registry, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nemotron.kit.registry import scan

    real = scan.scan_folder

    def then_gone(folder: str, **options: object) -> object:
        found = real(folder, **options)  # type: ignore[arg-type]
        (data / "large.bin").unlink()
        return found

    monkeypatch.setattr(scan, "scan_folder", then_gone)
    with pytest.raises(PathNotFoundError, match=r"large\.bin"):
        registry.publish(Draft(name="x", source=data, snapshot=True), executor=executor)
    assert registry.list() == []


def test_save_and_verify_of_an_artifact_take_it(executor: Executor, tmp_path: Path, data: Path) -> None:
    from nemotron.kit.artifact import Artifact

    with using(root=tmp_path / "store"):
        artifact = Artifact(path=data).save("x", snapshot=True, executor=executor)
        assert artifact.verify(executor=executor).ok


@needs("ray")
def test_ray_keeps_the_promises_of_an_executor(ray_cluster: RayExecutor) -> None:
    with RayExecutor() as executor:
        assert list(executor.map(pow, [2, 3], [4, 5])) == [16, 243]
        with pytest.raises(ZeroDivisionError):
            executor.submit(divmod, 1, 0).result()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(pow, 1, 1)


@needs("ray")
def test_a_cancelled_future_is_cancelled_in_ray(ray_cluster: RayExecutor) -> None:
    import time

    with RayExecutor(num_cpus=2) as executor:
        first, second = (executor.submit(time.sleep, seconds) for seconds in (0.2, 600))
        assert second.cancel()
        assert second.cancelled()
        first.result()


def test_a_store_in_memory_stays_in_its_process(data: Path) -> None:
    registry = Registry(MemoryStore("memory://x"))
    draft = Draft(name="x", source=data, snapshot=True)
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
        pytest.raises(MisuseError, match="ThreadPool"),
    ):
        registry.publish(draft, executor=pool)
    with ThreadPoolExecutor(2) as threads:
        assert registry.publish(draft, executor=threads).created
