"""Write a root of store format 1 whose versions lie in a bucket. It was run once; see the README beside it.

Run it with `tests` on PYTHONPATH: the bucket is one of `bucket_server`.
"""

import http.client
import os
import sys
from pathlib import Path

import obstore

from bucket_server import environment, new_bucket, serving
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.registry import newer_stats
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.bucket_connect import connect_bucket

SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request"}
VERSIONING = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"


def write(root: Path, server: tuple[str, int]) -> None:
    """Fill a root that is not there yet."""
    name = new_bucket(server)
    connection = http.client.HTTPConnection(*server)
    connection.request("PUT", f"/{name}?versioning", VERSIONING, SIGNED)
    assert connection.getresponse().status == 200
    bucket = connect_bucket("s3", name, {})
    for key, data in {"a.bin": b"aaaa", "sub/b.bin": b"bb"}.items():
        obstore.put(bucket, f"small/{key}", data)
    for number in range(1003):
        obstore.put(bucket, f"many/{number:04}.bin", b"x" * (number % 7))
    registry = Registry.open(root)
    shared = {"run": "01a20e00-0000-7000-8000-000000000001", "created_at": "2026-01-02T03:04:05+00:00"}
    small = Draft(name="small", source=f"s3://{name}/small", evidence="full", at_url={}, **shared)
    record = registry.publish(small).record
    registry.publish(Draft(name="one", source=f"s3://{name}/small/a.bin", at_url={}, **shared))
    registry.publish(Draft(name="many", source=f"s3://{name}/many", at_url={}, **shared))
    tree = registry.tree(record)
    assert tree is not None
    first = tree.entries[0]
    again = Entry("a.bin", first.size, first.mtime_ns + 10**9, first.digest, etag='"another-2"')
    newer_stats.remember(registry.store, "small", 1, tree, Tree([again, tree.entries[1]]))


if __name__ == "__main__":
    with serving() as target:
        os.environ.update(environment(f"http://127.0.0.1:{target[1]}"))
        write(Path(sys.argv[1]), target)
