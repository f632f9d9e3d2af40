"""Commands about data in a bucket, with a real S3 server."""

from pathlib import Path

import obstore
import pytest

from bucket_server import Proxy, new_bucket
from bucket_server.fixtures import proxy, server
from nemotron.kit import Artifact, init
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.bucket_connect import connect_bucket

pytest.importorskip("moto.server")

__all__ = ["proxy", "server"]


@pytest.fixture
def bucket(server: tuple[str, int], proxy: Proxy) -> str:
    name = new_bucket(server)
    for key in ("d/a.bin", "d/b.bin", "x.parquet"):
        obstore.put(connect_bucket("s3", name, {}), key, b"hello")
    return f"s3://{name}"


def keys(bucket: str) -> list[str]:
    pages = obstore.list(connect_bucket("s3", bucket.removeprefix("s3://"), {}))
    return sorted(item["path"] for page in pages for item in page)


def test_show_tells_by_what_objects_are_known(kit, registry: Registry, bucket: str) -> None:
    etag = '"5d41402abc4b2a76b9719d911017c592"'
    assert kit("register", f"{bucket}/x.parquet", "--name", "one").code == 0
    lines = kit("show", "one").out.splitlines()
    assert f"object    etag {etag}" in lines
    assert any("evidence stat (size, time, etag of each object)" in line for line in lines)
    said = kit("show", "one", "--json").json
    assert (said["etag"], said["object_version"], said["data"]) == (etag, None, "remote")
    assert kit("register", f"{bucket}/d", "--name", "some").code == 0
    assert "object  " not in kit("show", "some").out
    assert "(size, time, etag of each object)" in kit("show", "some").out


def test_show_tells_where_a_snapshot_in_a_bucket_lies(
    kit, bucket: str, data: Path, monkeypatch, tmp_path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NEMO_ARTIFACT_ROOT", f"{bucket}/team")
    assert kit("register", str(data), "--name", "m", "--snapshot").code == 0
    assert "path      in the store  laid out when it is resolved" in kit("show", "m").out
    assert kit("show", "m", "--json").json["laid_out"] == []
    folder = kit("resolve", "m").out.strip()
    assert kit("show", "m", "--json").json["laid_out"] == [folder]
    assert folder in kit("show", "m").out.replace("\n", "")


@pytest.mark.parametrize("place", ["nothing/here", "x.parque"])
def test_register_refuses_what_is_not_there(kit, registry: Registry, bucket: str, place: str) -> None:
    said = kit("register", f"{bucket}/{place}", "--name", "m")
    assert (said.code, said.out) == (1, "")
    assert f"Cannot publish m: nothing is there: {bucket}/{place}" in said.err
    assert registry.list() == []


def test_register_refuses_a_bucket_that_is_not_there(kit, registry: Registry, bucket: str) -> None:
    said = kit("register", "s3://no-such-bucket/x", "--name", "m")
    assert (said.code, "there is no such bucket: s3://no-such-bucket/x" in said.err) == (1, True)
    assert registry.list() == []


def test_register_of_what_can_not_be_looked_at_only_warns(
    kit, registry: Registry, bucket: str, proxy: Proxy
) -> None:
    proxy.fault = lambda method, path: "403"
    said = kit("register", f"{bucket}/nothing", "--name", "m")
    assert (said.code, "recorded without evidence" in said.err) == (0, True)


def test_the_record_of_one_object_lies_beside_it(registry: Registry, bucket: str) -> None:
    init(root=registry.root)
    Artifact(path=f"{bucket}/d/a.bin").save("one")
    assert keys(bucket) == ["d/a.bin", "d/b.bin", "d/metadata.json", "x.parquet"]
    assert Artifact.load(f"{bucket}/d/a.bin").uri == "art://one:v1"
    Artifact(path=f"{bucket}/d/b.bin").save("other")  # whose record is in the store alone
    assert Artifact.load(f"{bucket}/d/a.bin").uri == "art://one:v1"
    assert len(keys(bucket)) == 4
    assert Artifact(path=f"{bucket}/d/a.bin").save("one").uri == "art://one:v1"
    Artifact(path=f"{bucket}/new").save("folder")  # which nothing is in yet
    assert "new/metadata.json" in keys(bucket)
