"""The suite and the races against real servers: Ceph's S3 gateway, Azurite, moto; and one not to be trusted.

They take minutes and programs of their own: `make test-stores` brings them and runs this.
"""

import functools
import multiprocessing
import os

import pytest

import bucket_server
from bucket_server import Proxy
from nemotron.kit.errors import RefusedError
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.connect import open_store
from nemotron.kit.testing.store_suite import StoreSuite
from store_servers import missing, node
from store_servers.clouds import NEEDS, started

pytest.importorskip("obstore")
pytestmark = pytest.mark.skipif(
    not os.environ.get("TEST_STORES"), reason="takes minutes and servers of its own; run `make test-stores`"
)

PUBLISHES = 25


@pytest.fixture(scope="module", params=[*NEEDS])
def server(request):
    if absent := missing(*NEEDS[request.param]):
        pytest.skip(absent)
    if request.param == "moto":
        pytest.importorskip("moto.server")
    with started(request.param) as server:
        yield server


@pytest.fixture
def endpoint(server, monkeypatch):
    """The server itself, or what makes moto's writes atomic."""
    proxy = None if server.is_atomic else Proxy(server.target)
    url = proxy.url if proxy else "http://{}:{}".format(*server.target)
    for key, value in server.environment(url).items():
        monkeypatch.setenv(key, value)
    yield url
    if proxy:
        proxy.close()


@pytest.fixture
def faults(server, monkeypatch):
    """A proxy in front of the server."""
    proxy = Proxy(server.target, serialize=not server.is_atomic)
    for key, value in server.environment(proxy.url).items():
        monkeypatch.setenv(key, value)
    yield proxy
    proxy.close()


class TestServers(StoreSuite):
    @pytest.fixture(autouse=True)
    def _odd(self, server):
        self.refused_keys = ("a\\b",) if server.name == "azurite" else ()

    reads_min = 200
    writes_min = 40
    race_keys = 25

    @pytest.fixture
    def opener(self, server, endpoint):
        return functools.partial(open_store, server.new_root())


# -- one number, once ----------------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "part.txt").write_text("hello")
    return folder


def _publish(root, data, who):
    registry = Registry.open(root)
    for number in range(PUBLISHES):
        published = registry.publish(Draft(name="m", source=data, metadata={"who": who, "number": number}))
        assert published.created


def race(root, data, writers):
    """Publish from many processes; returns the versions there are, and who made each."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_publish, args=(root, str(data), who)) for who in range(writers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * writers
    records = Registry.open(root).versions("m")
    assert [record.version for record in records] == list(range(1, writers * PUBLISHES + 1))
    said = [(record.metadata["who"], record.metadata["number"]) for record in records]
    assert sorted(said) == [(who, number) for who in range(writers) for number in range(PUBLISHES)]
    for who in range(writers):  # each writer's own are in the order in which it made them
        assert [number for by, number in said if by == who] == list(range(PUBLISHES))


@pytest.mark.parametrize("writers", [8, 16])
def test_each_number_is_given_out_once(server, endpoint, data, writers):
    race(server.new_root(), data, writers)


FAULTS = {
    7: "drop",  # the reply to a claim that held is lost
    11: "409",
    13: "503",
    17: "500",
    18: "refuse",  # the connection ends before anything was done
}


def test_each_number_is_given_out_once_through_faults(server, faults, data):
    # All that is written goes through this process; sixteen are for the server that takes least of it.
    writers = 16 if server.name == "radosgw" else 8
    claims = iter(range(10**9))

    def fault(method, path):
        return FAULTS.get(next(claims) % 20) if method == "PUT" and path.endswith("manifest.json") else None

    faults.fault = fault
    race(server.new_root(), data, writers)


@pytest.mark.parametrize("kind", ["drop", "refuse", "409", "500", "503"])
def test_the_only_writer_is_never_told_that_it_lost(server, faults, data, kind):
    root = server.new_root()
    Registry.open(root).publish(Draft(name="m", source=data))
    for lost in range(1, 7):
        puts = iter(range(1, 10**9))
        faults.fault = lambda method, path, puts=puts, lost=lost: (
            kind if method == "PUT" and next(puts) == lost else None
        )
        published = Registry.open(root).publish(Draft(name="m", source=data, metadata={"lost": lost}))
        assert published.created
        assert published.record.version == lost + 1


def test_requests_do_not_grow_with_the_number_of_versions(server, faults, data):
    root = server.new_root()
    registry = Registry.open(root)
    for number in range(30):
        registry.publish(Draft(name="m", source=data, metadata={"i": number}))
    registry.alias("m", "good", 2)

    def cost(work):
        faults.seen.clear()
        work()
        return len([path for _, path in faults.seen if not path.endswith("/.kit/format.json")])

    assert cost(lambda: Registry.open(root).resolve("art://m")) <= 4
    assert cost(lambda: Registry.open(root).resolve("art://m:v2")) <= 2
    assert cost(lambda: Registry.open(root).resolve("art://m:good")) <= 4
    assert cost(lambda: Registry.open(root).publish(Draft(name="m", source=data, metadata={"n": 1}))) <= 8


# -- one that can't be trusted -------------------------------------------------------------------------------


def test_a_server_that_ignores_conditions_is_refused(tmp_path, data, monkeypatch):
    if absent := missing("node", "s3rver"):
        pytest.skip(absent)
    with node.s3rver(tmp_path, "bucket") as target:
        environment = bucket_server.environment("http://{}:{}".format(*target))
        environment |= {"AWS_ACCESS_KEY_ID": "S3RVER", "AWS_SECRET_ACCESS_KEY": "S3RVER"}
        for key, value in environment.items():
            monkeypatch.setenv(key, value)
        registry = Registry.open("s3://bucket/root")
        with pytest.raises(RefusedError, match="ignores conditional writes"):
            registry.publish(Draft(name="m", source=data))
        assert registry.list() == []
        assert registry.store.list() == []
