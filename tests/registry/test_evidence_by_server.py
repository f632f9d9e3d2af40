"""Evidence of data in buckets, by a server of each kind: a listing and a head may say the same in two ways.

And a snapshot there and back. Azurite and Ceph are programs of their own: `make test-stores` brings them and
runs this with them.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import obstore
import pytest

from bucket_server import Proxy
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.bucket_connect import connect_bucket
from store_servers import missing
from store_servers.clouds import NEEDS, Server, started

pytest.importorskip("moto.server")

FILES = {"a.bin": b"aaaa", "sub/b.bin": b"bbbbbb", "sub/deep/c.bin": b"c", "ü +&%.bin": b"odd"}


class Bucket:
    """A bucket of somebody's, written to behind the kit's back."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._store = connect_bucket(urlsplit(url).scheme, urlsplit(url).netloc, {})

    def put(self, key: str, data: bytes) -> None:
        obstore.put(self._store, key, data)

    def remove(self, key: str) -> None:
        obstore.delete(self._store, key)


@pytest.fixture(scope="module", params=["google", *NEEDS])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of each kind that is here."""
    needs = NEEDS.get(request.param, ())
    if needs and not os.environ.get("TEST_STORES"):
        pytest.skip("a server of its own; run `make test-stores`")
    if absent := missing(*needs):
        pytest.skip(absent)
    with started(request.param) as server:
        yield server


@pytest.fixture
def proxy(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Counts what a server is asked."""
    proxy = Proxy(server.target, serialize=not server.is_atomic)
    for key, value in server.environment(proxy.url).items():
        monkeypatch.setenv(key, value)
    yield proxy
    proxy.close()


@pytest.fixture
def bucket(server: Server, proxy: Proxy) -> Bucket:
    bucket = Bucket(server.new_bucket())
    for key, data in FILES.items():
        bucket.put(f"data/{key}", data)
    return bucket


def publish(registry: Registry, url: str, **more: str):
    return registry.publish(Draft(**{"name": "d", "source": url, "at_url": {}, **more})).record


def said(found) -> list[tuple[str, str, bool]]:
    return [(item.path, item.verdict, item.is_sure) for item in found.files]


@pytest.mark.parametrize("evidence", ["stat", "sampled", "full"])
@pytest.mark.parametrize("place", ["data", "data/a.bin"])
def test_what_nobody_wrote_to_is_the_same(
    registry: Registry, bucket: Bucket, place: str, evidence: str
) -> None:
    record = publish(registry, f"{bucket.url}/{place}", evidence=evidence)
    entries = registry.tree(record).entries
    assert {entry.path for entry in entries} == (set(FILES) if place == "data" else {"a.bin"})
    assert all(entry.etag and entry.mtime_ns > 1e18 for entry in entries)
    assert all((entry.digest is not None) == (evidence != "stat") for entry in entries)
    assert said(registry.verify("d")) == []
    assert said(registry.verify("d", "stat")) == []
    assert registry.check(record) == []
    assert not registry.publish(
        Draft(name="d", source=f"{bucket.url}/{place}", at_url={}, evidence=evidence)
    ).created


def test_verdicts_cost_a_listing_and_no_byte(
    registry: Registry, bucket: Bucket, server: Server, proxy: Proxy
) -> None:
    record = publish(registry, f"{bucket.url}/data")
    keeps_versions = server.name == "google"  # always: as generations
    assert all(
        (entry.object_version is not None) == keeps_versions for entry in registry.tree(record).entries
    )
    bucket.put("data/a.bin", b"AAAA")
    bucket.put("data/sub/b.bin", b"longer than before")
    bucket.remove("data/sub/deep/c.bin")
    bucket.put("data/new.bin", b"new")
    proxy.seen.clear()
    found = registry.verify("d")
    assert said(found) == [
        ("a.bin", "changed", False),
        ("new.bin", "extra", True),
        ("sub/b.bin", "changed", True),
        ("sub/deep/c.bin", "missing", True),
    ]
    assert (found.ok, found.bytes_read, found.requests) == (False, 0, 1)
    assert [method for method, _ in proxy.seen] == ["GET"]  # of a listing
    assert not any("a.bin" in path for _, path in proxy.seen)


def test_bytes_settle_what_an_etag_leaves_open(registry: Registry, bucket: Bucket) -> None:
    publish(registry, f"{bucket.url}/data", evidence="full")
    bucket.put("data/a.bin", FILES["a.bin"])
    bucket.put("data/sub/b.bin", b"BBBBBB")
    assert dict(item[:2] for item in said(registry.verify("d", "stat"))).get("sub/b.bin") == "changed"
    found = said(registry.verify("d", "full"))
    assert [item for item in found if item[1] != "touched"] == [("sub/b.bin", "changed", True)]


def test_one_that_is_gone(registry: Registry, bucket: Bucket) -> None:
    publish(registry, f"{bucket.url}/data/a.bin")
    bucket.remove("data/a.bin")
    assert said(registry.verify("d")) == [("a.bin", "missing", True)]


def test_a_snapshot_goes_there_and_back_in_parts(
    server: Server, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = tmp_path / "data"
    data.mkdir()
    (data / "large.bin").write_bytes(os.urandom((12 << 20) + 1))
    (data / "small.txt").write_text("small")
    registry = Registry.open(server.new_root())
    record = registry.publish(Draft(name="m", source=data, snapshot=True)).record
    assert registry.verify("m", "full").ok
    folder = registry.folder(record)
    assert (folder / "large.bin").read_bytes() == (data / "large.bin").read_bytes()
    assert (folder / "small.txt").read_text() == "small"
