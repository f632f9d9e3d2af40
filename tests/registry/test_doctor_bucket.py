"""The doctor in a bucket, on a real S3 server: what it asks for, and what a listing shows it."""

from collections import Counter
from pathlib import Path

import pytest

from bucket_server import Proxy, new_bucket
from bucket_server.fixtures import proxy, server
from nemotron.kit.documents.digest import digest_of
from nemotron.kit.registry import layout
from nemotron.kit.registry.doctor import examine
from nemotron.kit.registry.findings import Finding
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

pytest.importorskip("obstore")
pytest.importorskip("moto.server")

__all__ = ["proxy", "server"]

FILES = 200  # so many that their listing is an object of its own


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number}.txt").write_text(f"file {number}")
    return folder


@pytest.fixture
def root(server: tuple[str, int], proxy: Proxy, data: Path) -> str:
    """`m` v1 and v2, which share all files but one."""
    root = f"s3://{new_bucket(server)}/team"
    registry = Registry.open(root)
    for step in ("first", "second"):
        (data / "step").write_text(step)
        registry.publish(Draft(name="m", source=data, snapshot=True))
    return root


def blob(content: str) -> str:
    return layout.blob(digest_of(content.encode()))


def look(root: str, proxy: Proxy, *, repair: bool = False) -> tuple[list[Finding], Counter[str]]:
    """What the doctor says, and how often it asked about something below `.kit/blobs` or a listing."""
    proxy.seen.clear()
    found = examine(Registry.open(root), repair=repair)
    asked = ("blobs" if "/.kit/blobs/" in path else "trees" for _, path in proxy.seen if "/.kit/" in path)
    return found, Counter(asked)


def test_contents_take_a_request_for_each_page_of_their_listing(root: str, proxy: Proxy) -> None:
    found, asked = look(root, proxy)
    assert found == []
    assert asked["blobs"] == 0
    assert len(proxy.seen) <= 40, proxy.seen  # some for each name and version, none for a file
    before = len(proxy.seen)
    registry = Registry.open(root)
    for number in range(FILES, 2 * FILES):
        registry.store.put(blob(f"file {number}"), f"file {number}".encode())
    found, _ = look(root, proxy)
    assert [(one.kind, one.count) for one in found] == [("unused", FILES)]
    assert len(proxy.seen) == before + 1, proxy.seen  # for what `.kit/adopted` keeps


def test_what_the_listing_shows_to_be_missing_cut_or_set_aside(root: str, proxy: Proxy) -> None:
    store = Registry.open(root).store
    store.remove(blob("file 1"))
    store.replace(blob("file 2"), b"cut")
    store.move(blob("file 3"), layout.set_aside("018f", blob("file 3")))
    found, asked = look(root, proxy)
    assert sorted(one.kind for one in found) == ["missing_content"] * 2 + ["set_aside"] * 2
    assert {one.what.partition(": ")[2] for one in found} == {"1.txt, 2.txt", "3.txt"}
    assert asked["blobs"] <= 6  # about the two that the listing lacks, and once for both versions
    found, _ = look(root, proxy, repair=True)
    assert not [one for one in found if one.repaired is None]
    assert look(root, proxy)[0] == []
    assert [store.read(blob(f"file {number}")) for number in (1, 2, 3)] == [b"file 1", b"file 2", b"file 3"]


def test_what_came_after_the_listing_is_asked_for(root: str, proxy: Proxy, data: Path) -> None:
    registry, one = Registry.open(root), blob("file 1")
    content = registry.store.read(one)
    assert content is not None
    registry.store.remove(one)

    def brought_meanwhile(method: str, path: str) -> str | None:
        if method == "HEAD" and path.endswith(one):
            proxy.fault = lambda method, path: None
            registry.store.create(one, content)
        return None

    proxy.fault = brought_meanwhile
    assert look(root, proxy)[0] == []
