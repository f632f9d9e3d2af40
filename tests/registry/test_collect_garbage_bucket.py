"""House-keeping in a bucket, on a real S3 server."""

import logging

import pytest

from nemotron.kit.registry import garbage, layout
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

pytest.importorskip("obstore")
pytest.importorskip("moto.server")

from bucket_server import Proxy, environment, new_bucket, serving


@pytest.fixture(scope="module")
def server():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with serving() as target:
        yield target


@pytest.fixture
def bucket(server, monkeypatch):
    proxy = Proxy(server)
    for key, value in environment(proxy.url).items():
        monkeypatch.setenv(key, value)
    yield f"s3://{new_bucket(server)}/team"
    proxy.close()


def test_it_goes_by_way_of_the_trash_there_too(bucket, tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    registry = Registry.open(bucket)
    for step in ("first", "second"):
        (folder / "own").write_text(step)
        registry.publish(Draft(name="m", source=folder, snapshot=True))
    registry.withdraw("m:v1", "bad")
    assert registry.gc(apply=True).items == ()
    assert registry.store.list(layout.TRASH) == []

    monkeypatch.setattr(garbage, "is_over", lambda modified, now, age: now >= modified)  # time flies
    (before,) = [item for item in registry.gc().items if item.what == "blobs"]
    (after,) = [item for item in registry.gc(apply=True).items if item.what == "blobs"]
    assert before == after
    assert (after.action, after.count, after.size) == ("set aside", 1, 5)
    assert [registry.store.read(f.key) for f in registry.store.walk(layout.BLOBS)] == [b"second"]

    # Somebody who relied on it commits just then: it is read from the trash, and the next run puts it back.
    (folder / "own").write_text("first")
    again = registry.publish(Draft(name="m", source=folder, snapshot=True)).record
    (key,) = [f.key for f in registry.store.walk(layout.BLOBS) if registry.store.read(f.key) == b"first"]
    registry.store.remove(key)
    assert registry.verify(again.uri, "full").ok
    items = {(item.what, item.action) for item in registry.gc(apply=True).items if item.what == "blobs"}
    assert items == {("blobs", "put back")}
    assert registry.store.read(key) == b"first"
    assert list(registry.store.walk(layout.TRASH)) == []
