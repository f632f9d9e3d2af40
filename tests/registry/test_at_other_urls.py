"""References to what is no bucket: files behind HTTP, repositories of the Hub, whatever fsspec reads."""

import urllib.request
from collections.abc import Iterator

import fsspec
import pytest

from hub_server import TOKEN, Hub
from loopback import HttpServer, Reply, Request
from nemotron.kit.errors import MisuseError, PathNotFoundError, RefusedError, UnavailableError
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store import at_url_http

HEADERS = {"ETag": '"one"', "Last-Modified": "Mon, 02 Feb 2026 03:04:05 GMT"}


class Site(HttpServer):
    """One file on a server; every reply is as the attributes say.

    Attributes:
        file_url: of the file.
        seen: the method and the authorization of each request.
        etag_of: the only method whose replies have an etag, or None for any.
    """

    def __init__(self) -> None:
        self.content, self.headers, self.status = b"hello", dict(HEADERS), 200
        self.says_length, self.redirect = True, ""
        self.etag_of: str | None = None
        self.seen: list[tuple[str, str | None]] = []
        super().__init__()
        self.file_url = f"{self.url}/data/x.bin"

    def answer(self, request: Request) -> Reply:
        """The file or a part of it, a redirect to elsewhere, or only a status."""
        self.seen.append((request.method, request.headers.get("Authorization")))
        if self.redirect and request.target != "/moved":
            return Reply(302, headers=[("Location", self.redirect)])
        if self.status != 200:
            return Reply(self.status)
        headers = dict(self.headers)
        if self.etag_of not in (None, request.method):
            headers.pop("ETag", None)
        start, _, end = request.headers.get("Range", "").removeprefix("bytes=").partition("-")
        part = self.content[int(start or 0) : int(end) + 1 if end else None]
        return Reply(206 if end else 200, part, headers.items(), self.says_length)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


def publish(registry: Registry, url: str, **more):
    return registry.publish(Draft(**{"name": "d", "source": url, "at_url": {}, **more})).record


def verdicts(registry: Registry, evidence=None):
    found = registry.verify("d", evidence)
    return [(item.verdict, item.is_sure) for item in found.files], found.bytes_read


def test_a_file_behind_http_is_known_by_its_head(registry: Registry, site: Site) -> None:
    record = publish(registry, site.file_url)
    (entry,) = registry.tree(record).entries
    assert (entry.path, entry.size, entry.etag) == ("x.bin", 5, '"one"')
    assert entry.mtime_ns == 1_770_001_445 * 10**9
    assert [method for method, _ in site.seen] == ["HEAD"]
    assert verdicts(registry) == ([], 0)
    site.headers["Last-Modified"] = "Tue, 03 Feb 2026 03:04:05 GMT"
    assert verdicts(registry) == ([("touched", True)], 0)
    assert registry.check(record) == []  # which is remembered: the etag says that it is the same
    site.headers["ETag"] = '"two"'
    assert verdicts(registry) == ([("changed", False)], 0)
    site.content = b"longer"
    assert verdicts(registry) == ([("changed", True)], 0)
    site.status = 404
    assert verdicts(registry) == ([("missing", True)], 0)
    assert {method for method, _ in site.seen} == {"HEAD"}


def test_full_evidence_of_a_file_whose_server_does_not_tell_its_size(
    registry: Registry, site: Site, caplog
) -> None:
    site.says_length = False
    assert publish(registry, site.file_url).manifest.content is None
    assert "does not tell how large it is; evidence='full' reads it" in caplog.text
    (entry,) = registry.tree(publish(registry, site.file_url, evidence="full")).entries
    assert (entry.size, entry.digest is not None) == (5, True)


def test_a_server_that_tells_the_size_alone(registry: Registry, site: Site, caplog) -> None:
    site.headers = {}
    publish(registry, site.file_url)
    assert "recognised by size alone" in caplog.text
    site.content = b"jello"
    assert verdicts(registry) == ([], 0)
    publish(registry, site.file_url, evidence="full", name="e")
    site.content = b"hello"
    assert [item.verdict for item in registry.verify("e").files] == ["changed"]


@pytest.mark.parametrize(
    ("status", "error"), [(403, RefusedError), (500, UnavailableError), (405, MisuseError)]
)
def test_servers_that_do_not_answer(registry: Registry, site: Site, status, error, caplog) -> None:
    publish(registry, site.file_url)
    site.status = status
    with pytest.raises(error, match=str(status)):
        registry.verify("d")
    assert publish(registry, site.file_url, name="e").manifest.content is None
    assert "e is recorded without evidence" in caplog.text


@pytest.mark.parametrize(
    ("start", "target", "is_kept"),
    [
        ("https://a.test/x", "https://a.test/y", True),
        ("http://a.test/x", "https://a.test/x", True),
        ("https://a.test/x", "https://b.test/y", False),
        ("https://a.test/x", "http://a.test/x", False),
    ],
)
def test_what_was_meant_for_one_host_goes_to_no_other_and_is_not_read_on_the_way(start, target, is_kept):
    ours = {"User-agent": "kit", "Range": "bytes=0-1"}
    theirs = {"Authorization": "Basic x", "Cookie": "x", "Private-token": "x"}
    request = urllib.request.Request(start, headers=ours | theirs, method="HEAD")
    again = at_url_http._Redirects().redirect_request(request, None, 302, "Found", {}, target)
    assert again is not None
    assert again.headers == (ours | theirs if is_kept else ours)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_server_that_tells_the_etag_in_one_kind_of_reply(registry: Registry, site: Site, method) -> None:
    site.etag_of = method
    (entry,) = registry.tree(publish(registry, site.file_url, evidence="full")).entries
    assert entry.digest is not None
    assert verdicts(registry) == ([], 5)


def test_a_redirect_is_asked_for_its_head_and_gets_no_credentials(registry: Registry, site: Site) -> None:
    other = Site()
    try:
        site.redirect = f"{other.url}/moved"
        record = publish(registry, site.file_url.replace("://", "://me:Xs3cr3tX@"))
        assert registry.tree(record).entries[0].etag == '"one"'
        assert [method for method, _ in other.seen] == ["HEAD"]
        assert site.seen[0][1] is not None
        assert other.seen[0][1] is None
        assert "Xs3cr3tX" not in record.path
        site.redirect = "file:///etc/hostname"
        with pytest.raises(UnavailableError):
            registry.verify("d")
    finally:
        other.close()


def test_a_repository_of_the_hub(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub()
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    try:
        repo = hub.add("org/corpus", "datasets")
        first = repo.add("data", {"train/a.txt": b"a", "train/b.txt": b"bb", "other": b"o"}, [])
        record = publish(registry, "hf://datasets/org/corpus/train", evidence="full")
        tree = registry.tree(record)
        assert [(entry.path, entry.size, entry.object_version) for entry in tree.entries] == [
            ("a.txt", 1, first),
            ("b.txt", 2, first),
        ]
        assert all(entry.etag.startswith("git-sha1:") and entry.digest for entry in tree.entries)
        repo.add("elsewhere", {"other": b"changed"}, [])
        assert verdicts(registry, "stat") == ([], 0)  # another commit, the same files
        repo.add("in place", {"train/a.txt": b"A"}, [])
        assert verdicts(registry, "stat") == ([("changed", True)], 0)  # by digests of git: sure, and unread
        assert [item.path for item in registry.check(record)] == ["a.txt"]
        pinned = publish(registry, f"hf://datasets/org/corpus@{first}/train/a.txt", name="pinned")
        assert registry.check(pinned) == []
        monkeypatch.setenv("HF_TOKEN", "hf_another")
        with pytest.raises((RefusedError, PathNotFoundError)):
            registry.verify("d")
    finally:
        hub.close()


def test_whatever_fsspec_reads(registry: Registry, tmp_path) -> None:
    fs, top = fsspec.filesystem("memory"), f"/{tmp_path.name}/data"
    fs.pipe({f"{top}/a": b"aa", f"{top}/deep/b": b"b"})
    url = f"memory://{top}"
    record = publish(registry, url)
    tree = registry.tree(record)
    assert [(entry.path, entry.size) for entry in tree.entries] == [("a", 2), ("deep/b", 1)]
    assert all(entry.mtime_ns for entry in tree.entries)
    assert verdicts(registry) == ([], 0)
    fs.pipe(f"{top}/deep/b", b"longer")
    assert [item.path for item in registry.verify("d").files] == ["deep/b"]
    fs.rm(f"{top}/a")
    assert verdicts(registry) == ([("missing", True), ("changed", True)], 0)
    full = publish(registry, url, name="full", evidence="full")
    assert registry.tree(full).digest is not None
    fs.pipe(f"{top}/deep/b", b"lenger")
    assert [item.verdict for item in registry.verify("full").files] == ["changed"]
    one = publish(registry, f"{url}/deep/b", name="one", evidence="full")
    assert one.scope == "file"
    assert registry.verify("one").bytes_read == 6


def test_a_url_is_asked_only_if_it_is_said(registry: Registry, site: Site) -> None:
    assert publish(registry, site.file_url, at_url=None).manifest.content is None
    assert site.seen == []
