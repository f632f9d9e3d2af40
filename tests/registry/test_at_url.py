"""References to data in a bucket: what is recorded of the objects, and what checks say of them later."""

import http.client
import json
import logging
import socket
from pathlib import Path

import obstore
import pytest

from bucket_server import Proxy, new_bucket
from bucket_server.fixtures import proxy, server
from nemotron.kit import start
from nemotron.kit.artifacts.base import Artifact
from nemotron.kit.artifacts.data_blends import DataBlendsArtifact
from nemotron.kit.documents.digest import digest_of
from nemotron.kit.errors import DriftError, MisuseError, RefusedError, UnavailableError
from nemotron.kit.lineage.diff import difference
from nemotron.kit.lineage.graph import Node
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.bucket_connect import connect_bucket

__all__ = ["proxy", "server"]

FILES = {"a.bin": b"aaaa", "sub/b.bin": b"bbbbbb", "sub/deep/c.bin": b"c"}


class Bucket:
    """A bucket of somebody's, written to behind the kit's back."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._store = connect_bucket("s3", name, {})

    def put(self, key: str, data: bytes, **how: object) -> None:
        obstore.put(self._store, key, data, **how)  # type: ignore[arg-type]

    def remove(self, key: str) -> None:
        obstore.delete(self._store, key)


@pytest.fixture
def bucket(server: tuple[str, int], proxy: Proxy) -> Bucket:
    bucket = Bucket(new_bucket(server))
    for key, data in FILES.items():
        bucket.put(f"data/{key}", data)
    return bucket


@pytest.fixture
def draft(bucket: Bucket):
    def draft(**changed):
        return Draft(**{"name": "d", "source": f"s3://{bucket.name}/data", "at_url": {}, **changed})

    return draft


def said(found) -> list[tuple[str, str, bool]]:
    return [(item.path, item.verdict, item.is_sure) for item in found.files]


def test_each_object_is_recorded_as_the_store_tells_of_it(registry: Registry, draft, proxy: Proxy) -> None:
    proxy.seen.clear()
    record = registry.publish(draft()).record
    assert [method for method, _ in proxy.seen] == ["GET", "HEAD"]  # a page of a listing; are there versions?
    tree = registry.tree(record)
    assert [(entry.path, entry.size, entry.digest) for entry in tree.entries] == [
        ("a.bin", 4, None),
        ("sub/b.bin", 6, None),
        ("sub/deep/c.bin", 1, None),
    ]
    assert all(
        entry.etag and entry.mtime_ns > 1e18 and entry.object_version is None for entry in tree.entries
    )
    content = record.manifest.content
    assert (content.evidence, content.files, content.size, content.entry) == ("stat", 3, 11, None)
    # And another process reads the same.
    assert Registry.open(registry.root).tree(record) == tree


def test_a_check_asks_for_a_listing_and_reads_nothing(registry: Registry, draft, proxy: Proxy) -> None:
    registry.publish(draft())
    proxy.seen.clear()
    found = registry.verify("d")
    assert (found.ok, found.evidence, found.bytes_read, found.requests, found.files) == (
        True,
        "stat",
        0,
        1,
        (),
    )
    assert [method for method, _ in proxy.seen] == ["GET"]


def test_verdicts(registry: Registry, draft, bucket: Bucket) -> None:
    registry.publish(draft())
    bucket.put("data/a.bin", b"AAAA")
    bucket.put("data/sub/b.bin", b"longer than before")
    bucket.remove("data/sub/deep/c.bin")
    bucket.put("data/new.bin", b"new")
    found = registry.verify("d")
    # An etag says that it was written, not with which bytes.
    assert said(found) == [
        ("a.bin", "changed", False),
        ("new.bin", "extra", True),
        ("sub/b.bin", "changed", True),
        ("sub/deep/c.bin", "missing", True),
    ]
    assert not found.ok


def test_everything_gone_is_missing(registry: Registry, draft, bucket: Bucket) -> None:
    registry.publish(draft())
    for key in FILES:
        bucket.remove(f"data/{key}")
    assert {verdict for _, verdict, _ in said(registry.verify("d"))} == {"missing"}


def test_full_evidence_reads_and_settles_another_etag(
    registry: Registry, draft, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    content = registry.publish(draft(evidence="full")).record.manifest.content
    assert content.evidence == "full"
    assert content.digest is not None
    # The same bytes, sent in parts: another etag.
    bucket.put("data/a.bin", FILES["a.bin"], use_multipart=True, chunk_size=5 << 20)
    listed = registry.verify("d", "stat")
    assert (said(listed), listed.bytes_read, listed.ok) == ([("a.bin", "changed", False)], 0, False)
    found = registry.verify("d")
    assert (said(found), found.bytes_read, found.ok) == ([("a.bin", "touched", True)], 11, True)
    # What reading has shown is known from now on, to other processes too.
    again = Registry.open(registry.root)
    assert again.check(again.resolve("d")) == []
    assert (said(again.verify("d", "stat")), again.verify("d", "stat").ok) == (
        [("a.bin", "touched", True)],
        True,
    )
    # And other bytes are other bytes.
    bucket.put("data/a.bin", b"XXXX")
    assert said(again.verify("d")) == [("a.bin", "changed", True)]
    assert [item.verdict for item in again.check(again.resolve("d"))] == ["changed"]


def test_sampled_evidence_of_small_and_large_objects(registry: Registry, draft, bucket: Bucket) -> None:
    large = bytes(range(256)) * 4096
    bucket.put("data/large.bin", large)
    tree = registry.tree(registry.publish(draft(evidence="sampled")).record)
    assert [bool(entry.digest) for entry in tree.entries] == [True, False, True, True]
    assert tree.entries[1].sample is not None
    bucket.put("data/large.bin", b"x" + large[1:])
    assert said(registry.verify("d")) == [("large.bin", "changed", True)]
    assert registry.verify("d").evidence == "sampled"


def test_the_same_bytes_written_again_are_the_same_version(
    registry: Registry, draft, bucket: Bucket, root: Path
) -> None:
    """S3 gives the same etag to the same bytes, and another time."""
    first = registry.publish(draft())
    tree = registry.tree(first.record)
    older = tree.with_entries(
        (at, _earlier(entry)) for at, entry in enumerate(tree.entries) if entry.path == "a.bin"
    )
    manifest = root / "d/v1/manifest.json"
    document = json.loads(manifest.read_bytes())
    document["content"]["listing"] = older.rows()
    manifest.write_text(json.dumps(document))
    registry = Registry.open(root)
    assert [item.verdict for item in registry.check(registry.resolve("d"))] == ["touched"]
    before = manifest.read_bytes()
    assert registry.publish(draft()).created is False
    assert manifest.read_bytes() == before
    assert [path.name for path in (root / ".kit/stats/d/v1").iterdir()] == ["00000001.json"]
    assert registry.check(registry.resolve("d")) == []
    # Once is enough.
    assert registry.publish(draft()).created is False
    assert registry.verify("d").ok
    assert [path.name for path in (root / ".kit/stats/d/v1").iterdir()] == ["00000001.json"]


def _earlier(entry):

    return entry._replace(mtime_ns=entry.mtime_ns - 1_000_000_000)


def test_other_etags_are_a_new_version_and_diff_names_them(registry: Registry, draft, bucket: Bucket) -> None:
    registry.publish(draft())
    bucket.put("data/a.bin", b"AAAA")
    bucket.put("data/d.bin", b"d")
    assert registry.publish(draft()).record.version == 2
    nodes = [Node(uri=f"art://d:v{n}", kind="artifact", type="T", name="d") for n in (1, 2)]
    trees = tuple(registry.tree(registry.resolve(f"d:v{n}")) for n in (1, 2))
    files = difference(*nodes, trees).files  # type: ignore[arg-type]
    assert [(file.path, file.verdict) for file in files] == [("a.bin", "changed"), ("d.bin", "added")]


def test_one_object(registry: Registry, draft, bucket: Bucket, proxy: Proxy) -> None:
    record = registry.publish(draft(source=f"s3://{bucket.name}/data/a.bin")).record
    assert (record.scope, record.path) == ("file", f"s3://{bucket.name}/data/a.bin")
    proxy.seen.clear()
    assert registry.check(record) == []
    assert [method for method, _ in proxy.seen] == ["HEAD"]
    bucket.put("data/a.bin", b"other")
    assert said(registry.verify("d")) == [("a.bin", "changed", True)]
    bucket.remove("data/a.bin")
    assert said(registry.verify("d")) == [("a.bin", "missing", True)]


def test_versions_are_recorded_where_the_store_has_them(
    registry: Registry, draft, bucket: Bucket, server: tuple[str, int]
) -> None:
    connection = http.client.HTTPConnection(*server)
    body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    key = {"Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request"}
    connection.request("PUT", f"/{bucket.name}?versioning", body, key)
    assert connection.getresponse().status == 200
    connection.close()
    for name, data in FILES.items():
        bucket.put(f"data/{name}", data)
    tree = registry.tree(registry.publish(draft()).record)
    assert len({entry.object_version for entry in tree.entries}) == 3
    assert None not in {entry.object_version for entry in tree.entries}
    assert registry.verify("d").files == ()


def _load(uri: str = "art://d:v1") -> Artifact:
    from nemotron.kit.artifacts import drift

    drift._looked_at.clear()  # as another process
    return Artifact.from_uri(uri)


def test_loading_makes_one_request_and_warns(
    bucket: Bucket, proxy: Proxy, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with start.using(root=root):
        Artifact(path=f"s3://{bucket.name}/data").save("d")
        proxy.seen.clear()
        artifact = _load()
        assert [method for method, _ in proxy.seen] == ["GET"]
        assert caplog.messages == []
        assert artifact.verify().ok
        bucket.put("data/a.bin", b"AAAA")
        _load()
        assert "art://d:v1 is no longer what was published: a.bin changed" in caplog.text
    with start.using(root=root, on_drift="error"), pytest.raises(DriftError, match=r"a\.bin changed"):
        _load()


def test_the_kits_own_files_are_no_content_and_the_users_are(bucket: Bucket, root: Path) -> None:
    with start.using(root=root):
        saved = Artifact(path=f"s3://{bucket.name}/data").save("d")  # writes metadata.json there
        again = Artifact(path=f"s3://{bucket.name}/data").save("d")
        assert (saved.uri, again.uri) == ("art://d:v1", "art://d:v1")
        assert again.verify().ok
        bucket.put("own/metadata.json", b'{"mine": 1}')
        bucket.put("own/x.bin", b"x")
        Artifact(path=f"s3://{bucket.name}/own").save("own")
        registry = Registry.open(root)
        tree = registry.tree(registry.resolve("own"))
        assert [entry.path for entry in tree.entries] == ["metadata.json", "x.bin"]


def test_an_artifact_that_is_a_file_has_its_folder_as_content(bucket: Bucket, root: Path) -> None:
    bucket.put("data/blend.json", b'{"data": []}')
    with start.using(root=root, on_mismatch="ignore"):
        DataBlendsArtifact(path=f"s3://{bucket.name}/data/blend.json").save("d")
    registry = Registry.open(root)
    record = registry.resolve("d")
    assert (record.path, record.folder) == (
        f"s3://{bucket.name}/data/blend.json",
        f"s3://{bucket.name}/data",
    )
    assert [entry.path for entry in registry.tree(record).entries] == [
        "a.bin",
        "blend.json",
        *list(FILES)[1:],
    ]
    assert registry.verify("d").ok


@pytest.mark.parametrize("fault", ["403", "500", "refuse", "cut"])
def test_what_does_not_answer_is_published_without_evidence(
    registry: Registry, draft, proxy: Proxy, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.fault = lambda method, path: fault
    record = registry.publish(draft(evidence="full")).record
    assert (record.version, record.manifest.content) == (1, None)
    assert [line.levelno for line in caplog.records if "recorded without evidence" in line.message] == [
        logging.WARNING
    ]
    with pytest.raises(MisuseError, match="no listing of its files was recorded"):
        registry.verify("d")
    # Once it answers, its objects are known, which is more than was known of v1.
    proxy.fault = lambda method, path: None
    assert registry.publish(draft()).record.version == 2


def test_nothing_there_yet(
    registry: Registry, draft, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    record = registry.publish(draft(source=f"s3://{bucket.name}/later")).record
    assert record.manifest.content is None
    assert "recorded without evidence" in caplog.text


def test_a_page_that_is_lost_is_no_missing_object(
    registry: Registry, draft, bucket: Bucket, proxy: Proxy
) -> None:
    registry.publish(draft())
    for fault, error in (("500", UnavailableError), ("403", RefusedError), ("cut", UnavailableError)):
        proxy.fault = lambda method, path, fault=fault: fault
        with pytest.raises(error):
            registry.verify("d")


def test_who_may_read_one_object_needs_no_listing(
    registry: Registry, draft, bucket: Bucket, proxy: Proxy
) -> None:
    proxy.fault = lambda method, path: "403" if method == "GET" else None
    record = registry.publish(draft(source=f"s3://{bucket.name}/data/a.bin")).record
    assert record.manifest.content.files == 1
    assert registry.verify("d").ok


def test_nothing_secret_is_recorded(bucket: Bucket, root: Path, proxy: Proxy, monkeypatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    registry = Registry.open(root)
    # As a path has them, what is fsspec's own among them.
    options = {"key": "test", "secret": "Xs3cr3tX", "endpoint_url": proxy.url, "use_listings_cache": False}
    draft = Draft(name="d", source=f"s3://{bucket.name}/data", at_url=options)
    assert registry.publish(draft).record.manifest.content is not None
    assert "Xs3cr3tX" not in repr(draft)
    assert registry.verify("d", storage_options=options).ok
    for path in root.rglob("*"):
        assert path.is_dir() or b"Xs3cr3tX" not in path.read_bytes()


def test_a_large_object_is_read_in_parts_of_one_state(
    registry: Registry, draft, bucket: Bucket, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    large = b"0123456789abcdef" * (9 << 16)
    bucket.put("data/large.bin", large, use_multipart=False)
    record = registry.publish(draft(evidence="full")).record
    (entry,) = [entry for entry in registry.tree(record).entries if entry.path == "large.bin"]
    assert entry.digest == digest_of(large)
    reads = 0

    def overwrite(method: str, path: str) -> None:
        nonlocal reads
        if path.endswith("large.bin") and method == "GET":
            reads += 1
            if reads == 2:
                proxy.fault = lambda method, path: None
                bucket.put("data/large.bin", large[::-1], use_multipart=False)

    proxy.fault = overwrite
    assert registry.publish(draft(name="e", evidence="full")).record.manifest.content is None
    assert "large.bin changes while it is read" in caplog.text


def test_a_server_that_never_answers_keeps_nobody_waiting_for_ever(
    registry: Registry, draft, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = {
            "endpoint": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "client_options": {"timeout": "100ms"},
            "retry_config": {"max_retries": 0},
        }
        record = registry.publish(draft(at_url=options)).record
    assert record.manifest.content is None
    assert "Check the endpoint and the network" in caplog.text


def test_a_listing_of_many_pages(registry: Registry, draft, bucket: Bucket, proxy: Proxy) -> None:
    """More objects than heads are asked for, in a listing of its own beside the manifest."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: bucket.put(f"many/{n:04}", b"x"), range(1005)))
    proxy.seen.clear()
    record = registry.publish(draft(source=f"s3://{bucket.name}/many")).record
    assert [method for method, _ in proxy.seen] == ["GET", "GET"]
    assert record.manifest.content.tree is not None
    proxy.seen.clear()
    assert registry.check(record) == []
    assert len(proxy.seen) == 1
    bucket.remove("many/0500")
    bucket.remove("many/1003")
    bucket.put("many/0003", b"y")
    assert {item.path for item in registry.check(record)} >= {"0003", "0500"}
    found = registry.verify("d")
    assert (found.requests, said(found)) == (
        2,
        [("0003", "changed", False), ("0500", "missing", True), ("1003", "missing", True)],
    )
