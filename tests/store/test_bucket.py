"""The bucket store against a real S3 server: what it decides, what it costs, what it says."""

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from bucket_server import Proxy, new_bucket
from bucket_server.fixtures import proxy, server
from nemotron.kit.errors import MisuseError, NotFoundError, OutsideRootError, RefusedError, UnavailableError
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.connect import open_store
from nemotron.kit.store.object import BucketStore

pytest.importorskip("obstore")
pytest.importorskip("moto.server")

__all__ = ["proxy", "server"]  # fixtures


@pytest.fixture
def root(server: tuple[str, int], proxy: Proxy) -> str:
    return f"s3://{new_bucket(server)}/team/artifacts"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "part.txt").write_text("hello")
    return folder


# -- what it decides ---------------------------------------------------------------------------------------


def test_create_is_exclusive_and_the_first_content_stays(root: str) -> None:
    store = open_store(root)
    assert [store.create("a/b", b"1"), store.create("a/b", b"2")] == [True, False]
    assert store.read("a/b") == b"1"
    assert (store.list(), store.list("a"), store.list("nothing")) == (["a"], ["b"], [])


def test_what_other_tools_put_there_for_a_folder_is_no_object(root: str, server: tuple[str, int]) -> None:
    """Consoles and Hadoop make an empty object `prefix/` of a folder."""
    import boto3

    store = open_store(root)
    store.create("a/b", b"1")
    host, port = server
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    bucket, _, prefix = root.removeprefix("s3://").partition("/")
    for folder in (f"{prefix}/", f"{prefix}/a/", f"{prefix}/empty/"):
        client.put_object(Bucket=bucket, Key=folder, Body=b"")
    assert (sorted(store.list()), store.list("a"), store.list("empty")) == (["a", "empty"], ["b"], [])
    assert "" not in [found.key for found in store.walk()]
    assert [found.key for found in store.walk("a")] == ["a/b"]


def test_staged_content_of_many_parts(root: str) -> None:
    store = open_store(root)
    content = os.urandom(12 << 20)
    with store.stage() as staging:
        staging.write(content)
        assert staging.commit("big")
    assert b"".join(store.chunks("big")) == content
    with store.open("big") as file:
        file.seek(-5, 2)
        assert file.read() == content[-5:]


def test_a_snapshot_and_a_reference_come_back(root: str, data: Path) -> None:
    registry = Registry.open(root)
    registry.publish(Draft(name="x", source=data, snapshot=True))
    registry.publish(Draft(name="y", source=data, aliases=("good",)))
    (data / "part.txt").write_text("changed")
    again = Registry.open(root)
    assert (again.folder(again.resolve("art://x")) / "part.txt").read_text() == "hello"
    assert again.resolve("art://y:good").path == str(data)
    assert [entry.name for entry in again.list()] == ["x", "y"]


def _write(root: str, data: str, who: int, count: int) -> None:
    registry = Registry.open(root)
    for number in range(count):
        registry.publish(Draft(name="m", source=data, metadata={"who": who, "number": number}))


@pytest.mark.slow
def test_writers_in_many_processes_get_each_number_once(root: str, data: Path, proxy: Proxy) -> None:
    # Each twentieth reply to a claim is lost: the client asks again, and is told that its own object exists.
    claims = iter(range(10**9))
    proxy.fault = lambda method, path: (
        "drop" if method == "PUT" and path.endswith("/manifest.json") and next(claims) % 20 == 7 else None
    )
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write, args=(root, str(data), who, 6)) for who in range(5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 5
    records = Registry.open(root).versions("m")
    assert [record.version for record in records] == list(range(1, 31))
    said = {(record.metadata["who"], record.metadata["number"]) for record in records}
    assert said == {(who, number) for who in range(5) for number in range(6)}


@pytest.mark.parametrize("lost", range(1, 9))
def test_the_only_writer_is_never_told_that_it_lost(root: str, data: Path, proxy: Proxy, lost: int) -> None:
    Registry.open(root).publish(Draft(name="other", source=data))  # founds the store
    puts = iter(range(1, 10**9))
    proxy.fault = lambda method, path: "drop" if method == "PUT" and next(puts) == lost else None
    published = Registry.open(root).publish(Draft(name="m", source=data))
    assert published.created
    assert published.record.version == 1
    assert Registry.open(root).versions("m") == [published.record]


@pytest.mark.parametrize("status", ["500", "503", "409", "429"])
def test_a_server_that_fails_once_is_asked_again(root: str, data: Path, proxy: Proxy, status: str) -> None:
    Registry.open(root).publish(Draft(name="m", source=data))
    failed: set[str] = set()

    def fault(method: str, path: str) -> str | None:
        if method != "PUT" or path in failed or not path.endswith("manifest.json"):
            return None
        failed.add(path)
        return status

    proxy.fault = fault
    assert Registry.open(root).publish(Draft(name="m", source=data, metadata={"i": 1})).record.version == 2
    assert failed


# -- a server that can't be trusted ------------------------------------------------------------------------


def test_a_server_that_ignores_conditions_is_refused_and_can_be_read(
    root: str, data: Path, proxy: Proxy
) -> None:
    proxy.fault = lambda method, path: "overwrite"
    registry = Registry.open(root)
    with pytest.raises(RefusedError, match="ignores conditional writes"):
        registry.publish(Draft(name="m", source=data))
    assert registry.list() == []
    assert registry.store.list(".kit/probe") == []


def test_the_probe_runs_once_per_root(root: str, data: Path, proxy: Proxy) -> None:
    Registry.open(root).publish(Draft(name="m", source=data))
    proxy.seen.clear()
    Registry.open(root).publish(Draft(name="m", source=data, metadata={"i": 1}))
    assert not [path for _, path in proxy.seen if "/probe/" in path]


# -- what it costs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("versions", [3, 40])
def test_requests_do_not_grow_with_the_number_of_versions(
    root: str, data: Path, proxy: Proxy, versions: int
) -> None:
    registry = Registry.open(root)
    for number in range(versions):
        registry.publish(Draft(name="m", source=data, metadata={"i": number}))
    registry.alias("m", "good", 2)

    def cost(work: object) -> int:
        proxy.seen.clear()
        assert callable(work)
        work()
        return len([path for _, path in proxy.seen if not path.endswith("/.kit/format.json")])

    assert cost(lambda: Registry.open(root).resolve("art://m")) <= 4
    assert cost(lambda: Registry.open(root).resolve("art://m:v2")) <= 2
    assert cost(lambda: Registry.open(root).resolve("art://m:good")) <= 4
    assert cost(lambda: Registry.open(root).publish(Draft(name="m", source=data, metadata={"new": 1}))) <= 8


# -- what it says ------------------------------------------------------------------------------------------


def test_no_such_bucket(proxy: Proxy, data: Path) -> None:
    registry = Registry.open("s3://no-such-bucket-here/root")
    with pytest.raises(NotFoundError, match="no such bucket"):
        registry.resolve("art://m")
    with pytest.raises(NotFoundError, match="no such bucket"):
        registry.publish(Draft(name="m", source=data))


def test_not_allowed(root: str, proxy: Proxy) -> None:
    proxy.fault = lambda method, path: "403"
    with pytest.raises(RefusedError, match="credentials"):
        open_store(root).read("x")


def test_unavailable(root: str, proxy: Proxy) -> None:
    proxy.fault = lambda method, path: "503"
    store = open_store(root, {"client_options": {"timeout": "2s"}, "retry_config": {"max_retries": 1}})
    with pytest.raises(UnavailableError, match="try again"):
        store.read("x")


@pytest.mark.parametrize(
    "bad",
    [
        "s3://",
        "s3://user:secret@bucket/x",
        "s3://user:top/secret@bucket/x",
        "s3://secret@bucket/x",
        "gs://user:secret@bucket/x",
        "az://user:secret@account/x",
        "s3://bucket/x?token=secret",
    ],
)
def test_a_root_that_is_none(bad: str) -> None:
    with pytest.raises(MisuseError) as caught:
        open_store(bad)
    assert "secret" not in str(caught.value)


def test_a_prefix_that_leaves(proxy: Proxy) -> None:
    with pytest.raises(OutsideRootError):
        open_store("s3://bucket/a/../../b")


def test_an_unknown_option_is_named(proxy: Proxy) -> None:
    with pytest.raises(MisuseError, match="no_such_option"):
        open_store("s3://bucket/x", {"no_such_option": "1"})


def test_options_as_s3fs_users_write_them(server: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = new_bucket(server)
    endpoint = "http://{}:{}".format(*server)
    options = {"key": "test", "secret": "test", "endpoint_url": endpoint, "region": "us-east-1"}
    store = open_store(f"s3://{bucket}/x", options)
    assert store.create("k", b"1")
    assert "test" not in repr(store)


def test_importing_the_kit_does_not_load_the_client() -> None:
    import subprocess
    import sys

    code = (
        "import sys, json, nemotron.kit.store.connect as c; c.open_store('x'); "
        "print(json.dumps([m for m in sys.modules if 'obstore' in m]))"
    )
    assert json.loads(subprocess.check_output([sys.executable, "-c", code])) == []


def test_missing_client_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ImportError, match=r"nemotron-kit\[s3\]"):
        BucketStore("s3://bucket/x")
