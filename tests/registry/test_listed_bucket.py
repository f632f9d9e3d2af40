"""Whether a bucket has what a snapshot names, on a real S3 server: by a listing where that is cheaper."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bucket_server import Proxy, environment, new_bucket
from bucket_server.fixtures import server
from loopback import Reply
from nemotron.kit.documents.digest import digest_of
from nemotron.kit.registry import digest_cache, layout, listed
from nemotron.kit.registry.records import Draft, Published
from nemotron.kit.registry.registry import Registry

pytest.importorskip("obstore")
pytest.importorskip("moto.server")

__all__ = ["server"]

FILES = 120
PAGE, LOOKS_A_PAGE = 50, 10


class Paging(Proxy):
    """Counts listings of contents, of which it has the server give no more than a small page in a request.

    Attributes:
        pages: how many were asked for.
        lists: whether listing is allowed.
    """

    pages = 0
    lists = True

    def forward(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Reply:
        """As the server says, with so many objects in a page."""
        if method == "GET" and "prefix=team%2F.kit%2Fblobs" in target:
            self.pages += 1
            if not self.lists:
                return Reply(403, b"<Error><Code>AccessDenied</Code></Error>")
            target += f"&max-keys={PAGE}"
        return super().forward(method, target, headers, body)


@dataclass
class Asked:
    """What was asked of a bucket about contents.

    Attributes:
        pages: of their listing.
        looks: for one of them.
        writes: of one of them.
    """

    pages: int
    looks: int
    writes: int = 0


@pytest.fixture
def proxy(server: tuple[str, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Paging]:
    proxy = Paging(server)
    for key, value in environment(proxy.url).items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(digest_cache, "SETTLED_NS", -(10**12))  # what is read once is known
    monkeypatch.setattr(listed, "PAGE", PAGE)
    monkeypatch.setattr(listed, "LOOKS_A_PAGE", LOOKS_A_PAGE)
    yield proxy
    proxy.close()


@pytest.fixture
def root(server: tuple[str, int], proxy: Paging) -> str:
    return f"s3://{new_bucket(server)}/team"


def write(folder: Path, count: int) -> Path:
    """Files of one time."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.txt").write_text(f"{folder.name} {number}")
    touch(folder, 1_700_000_000)
    return folder


def touch(folder: Path, time_s: int) -> None:
    for path in folder.iterdir():
        os.utime(path, (time_s, time_s))


def forget(tmp_path: Path) -> None:
    """What is known of files, as on another machine."""
    shutil.rmtree(tmp_path / "cache")


def blob(content: str) -> str:
    return layout.blob(digest_of(content.encode()))


def publish(root: str, folder: Path, name: str = "m") -> Published:
    return Registry.open(root).publish(Draft(name=name, source=folder, snapshot=True))


def verdicts(root: str, name: str = "m") -> dict[str, str]:
    return {item.path: item.verdict for item in Registry.open(root).verify(name, "stat").files}


def asked(proxy: Paging) -> Asked:
    """Since the last time."""
    methods = [method for method, path in proxy.seen if "/.kit/blobs/" in path]
    said = Asked(proxy.pages, methods.count("HEAD"), methods.count("PUT"))
    proxy.pages = 0
    proxy.seen.clear()
    return said


ALL = -(-FILES // PAGE)


def test_many_contents_take_a_request_for_each_page(root: str, proxy: Paging, tmp_path: Path) -> None:
    data = write(tmp_path / "data", FILES)
    publish(root, data)
    assert asked(proxy) == Asked(0, 0, FILES)
    forget(tmp_path)
    assert not publish(root, data).created  # by who has to read all files
    assert asked(proxy) == Asked(ALL, 0)
    touch(data, 1_700_000_100)
    assert not publish(root, data).created
    assert asked(proxy) == Asked(ALL, 0)
    assert verdicts(root) == {}
    assert asked(proxy) == Asked(ALL, 0)
    Registry.open(root).store.create(layout.batch("018f"), b"")
    assert not publish(root, data).created  # something may be in the trash
    assert asked(proxy) == Asked(ALL, 0)
    assert publish(root, data, "other").created
    assert asked(proxy) == Asked(ALL, 0)


def test_what_is_missing_or_cut_or_in_the_trash(root: str, proxy: Paging, tmp_path: Path) -> None:
    data = write(tmp_path / "data", FILES)
    publish(root, data)
    store = Registry.open(root).store
    store.remove(blob("data 1"))
    store.replace(blob("data 2"), b"cut")
    store.move(blob("data 3"), layout.set_aside("018f", blob("data 3")))
    asked(proxy)
    assert verdicts(root) == {"1.txt": "missing", "2.txt": "changed"}
    assert asked(proxy).looks <= 4  # about two
    assert not publish(root, data).created
    assert (asked(proxy).writes, store.read(blob("data 1"))) == (2, b"data 1")
    store.remove(blob("data 4"))
    forget(tmp_path)
    assert not publish(root, data).created
    assert (asked(proxy).writes, store.read(blob("data 4"))) == (1, b"data 4")
    assert verdicts(root) == {"2.txt": "changed"}  # `doctor --repair` is for that


def test_a_listing_is_left_off_where_it_shows_too_few(root: str, proxy: Paging, tmp_path: Path) -> None:
    few, many = write(tmp_path / "few", 15), write(tmp_path / "many", 200)
    publish(root, many, "many")
    publish(root, few)
    asked(proxy)
    assert verdicts(root) == {}
    said = asked(proxy)
    assert said.pages == 1
    assert 15 - LOOKS_A_PAGE < said.looks < 15  # those that it shows are not looked for
    forget(tmp_path)
    assert not publish(root, few).created
    assert asked(proxy) == said
    assert verdicts(root, "many") == {}
    assert asked(proxy) == Asked(-(-215 // PAGE), 0)


@pytest.mark.parametrize(("files", "lists"), [(LOOKS_A_PAGE, True), (FILES, False)])
def test_few_are_looked_for_and_where_nobody_may_list(
    root: str, proxy: Paging, tmp_path: Path, files: int, lists: bool
) -> None:
    proxy.lists = lists
    data = write(tmp_path / "data", files)
    publish(root, data)
    asked(proxy)
    assert verdicts(root) == {}
    assert asked(proxy) == Asked(0 if lists else 1, files)
    forget(tmp_path)
    assert not publish(root, data).created
    assert asked(proxy) == Asked(0 if lists else 1, files)
