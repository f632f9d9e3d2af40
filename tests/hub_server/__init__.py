"""The Hugging Face Hub on loopback, as far as its real client needs it to keep a store.

It misbehaves on request.

Repositories are made by `Hub.add`. What a commit changes is decided under a lock, as the Hub does; a commit
whose parent is no longer the newest one is refused with 412.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote

from loopback import HttpServer, Reply, Request

TOKEN = "hf_SecretOfTheTests"
LARGE = 1 << 20
PAGE = 5

Fault = Callable[[str, str], str | None]
"""Given a method and a path: what to do to this request, or None to answer it.

`drop` does it and loses the reply; `cut` sends half of the reply; `412`, `500` … answer with that instead.
"""


class Repo:
    """One repository: its commits in order, each with all files: content, and its commit's title and date."""

    def __init__(self) -> None:
        self.commits: list[tuple[str, str, dict[str, tuple[bytes, str]]]] = []
        self.add("initial commit", {".gitattributes": b"*.bin filter=lfs\n"}, [])

    def add(self, title: str, changed: dict[str, bytes], deleted: list[str]) -> str:
        """Commit; returns the id."""
        files = dict(self.commits[-1][2]) if self.commits else {}
        made = f"{title}\0{datetime.now(UTC).isoformat(timespec='milliseconds')[:23]}Z"
        files.update({path: (content, made) for path, content in changed.items()})
        for path in deleted:
            del files[path]
        sha = hashlib.sha1(f"{title}{len(self.commits)}".encode()).hexdigest()
        self.commits.append((sha, title, files))
        return sha

    def at(self, revision: str) -> dict[str, tuple[bytes, str]] | None:
        """The files in a revision."""
        found = [files for sha, _, files in self.commits if revision in (sha, "main")]
        return found[-1] if found else None


class Hub(HttpServer):
    """Serves repositories.

    Attributes:
        url: for HF_ENDPOINT.
        repos: by `models/org/name`, `datasets/org/name`.
        seen: each request as (method, path without its query).
        fault: what to do to a request.
    """

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.uploads: dict[str, bytes] = {}
        self.seen: list[tuple[str, str]] = []
        self.fault: Fault = lambda method, path: None
        self.lock = threading.Lock()
        super().__init__()

    def add(self, repo: str, kind: str = "models") -> Repo:
        """Make a repository."""
        return self.repos.setdefault(f"{kind}/{repo}", Repo())

    def answer(self, request: Request) -> Reply | None:
        """What the Hub says, but for the fault."""
        path = request.url.path
        self.seen.append((request.method, path))
        fault = self.fault(request.method, path)
        try:
            if fault and fault.isdigit():
                raise Answer(int(fault), f"Injected {fault}")
            who = request.headers.get("Authorization")
            if who != f"Bearer {TOKEN}" and not path.startswith("/upload/"):
                raise Answer(401, "Invalid username or password.")
            with self.lock:
                content, headers = self._content(request)
        except Answer as answer:
            said = (("X-Error-Code", answer.code), ("X-Error-Message", answer.message))
            content = json.dumps({"error": answer.message}).encode()
            return Reply(answer.status, content, [item for item in said if item[1]])
        return None if fault == "drop" else Reply(200, content, headers, is_cut=fault == "cut")

    def _content(self, request: Request) -> tuple[bytes, list[tuple[str, str]]]:
        path, query = request.url.path, parse_qs(request.url.query)
        if path.startswith("/upload/"):
            self.uploads[path.rpartition("/")[2]] = request.body
            return b"", []
        if path.endswith("/info/lfs/objects/batch"):
            return json.dumps(_batch(self, request.body)).encode(), []
        if not path.startswith("/api/"):
            return _resolve(self, path), []
        said = _api(self, request.method, path, query, request.body)
        if "/tree/" not in path:
            return json.dumps(said).encode(), []
        deep = "&recursive=true" if "recursive" in query else ""
        start = int(query.get("cursor", ["0"])[0])
        more = f'<{self.url}{path}?cursor={start + PAGE}{deep}>; rel="next"'
        links = [("Link", more)] if start + PAGE < len(said) else []
        return json.dumps(said[start : start + PAGE]).encode(), links


class Answer(Exception):
    """A reply that is no success."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


def _api(hub: Hub, method: str, path: str, query: dict[str, list[str]], body: bytes) -> Any:
    """Answer one request to /api/…"""
    match = re.fullmatch(r"/api/(\w+)/([^/]+/[^/]+)/(\w[\w-]*)/([^/]+)(?:/(.*))?", path)
    if match is None:
        raise Answer(404, f"no such route: {method} {path}")
    kind, name, what, revision, rest = match.groups()
    repo = hub.repos.get(f"{kind}/{name}")
    if repo is None:
        raise Answer(404, "Repository not found", "RepoNotFound")
    revision = unquote(revision)
    files = repo.at(revision)
    if files is None:
        raise Answer(404, "Invalid rev id", "RevisionNotFound")
    match what:
        case "revision":
            newest = repo.commits[-1][0]
            return {"_id": "1", "id": name, "sha": newest if revision == "main" else revision}
        case "paths-info":
            asked = parse_qs(body.decode())
            return [_shown(path, *files[path]) for path in asked["paths"] if path in files]
        case "tree":
            return _tree(files, unquote(rest or ""), "true" in str(query.get("recursive")).lower())
        case "preupload":
            return {"files": [_upload_mode(item, files) for item in json.loads(body)["files"]]}
        case "commit":
            return _commit(hub, name, repo, [json.loads(line) for line in body.splitlines()])
    raise Answer(404, f"no such route: {method} {path}")


def _oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _shown(path: str, content: bytes, title: str) -> dict[str, Any]:
    title, _, date = title.partition("\0")
    commit = {"id": "0" * 40, "title": title, "date": date}
    return {"type": "file", "path": path, "size": len(content), "oid": _oid(content), "lastCommit": commit}


def _tree(files: dict[str, tuple[bytes, str]], folder: str, deep: bool) -> list[dict[str, Any]]:
    start = f"{folder}/" if folder else ""
    if deep and any(path.startswith(start) for path in files):
        return [_shown(path, *said) for path, said in files.items() if path.startswith(start)]
    below = {path[len(start) :].split("/")[0] for path in files if path.startswith(start)}
    if folder and not below:
        raise Answer(404, f"{folder} does not exist", "EntryNotFound")
    return [
        _shown(start + name, *files[start + name])
        if start + name in files
        else {"type": "directory", "path": start + name, "size": 0, "oid": "1" * 40}
        for name in sorted(below)
    ]


def _upload_mode(item: dict[str, Any], files: dict[str, tuple[bytes, str]]) -> dict[str, Any]:
    there = files.get(item["path"])
    mode = "lfs" if item["size"] > LARGE else "regular"
    oid = _oid(there[0]) if there and mode == "regular" else None
    return {"path": item["path"], "uploadMode": mode, "shouldIgnore": False, "oid": oid}


def _commit(hub: Hub, name: str, repo: Repo, lines: list[dict[str, Any]]) -> dict[str, Any]:
    header = lines[0]["value"]
    newest = repo.commits[-1][0]
    if header.get("parentCommit") not in (None, newest):
        raise Answer(412, "A commit has happened since. Please refresh and try again.")
    changed, deleted = {}, []
    for line in lines[1:]:
        value = line["value"]
        match line["key"]:
            case "file":
                changed[value["path"]] = base64.b64decode(value["content"])
            case "lfsFile":
                changed[value["path"]] = hub.uploads[value["oid"]]
            case "deletedFile":
                deleted.append(value["path"])
    if gone := [path for path in deleted if path not in repo.commits[-1][2]]:
        raise Answer(404, f"A file with this name doesn't exist: {gone[0]}", "EntryNotFound")
    sha = repo.add(header["summary"], changed, deleted)
    return {"commitUrl": f"{hub.url}/{name}/commit/{sha}", "commitOid": sha}


def _batch(hub: Hub, body: bytes) -> dict[str, Any]:
    """The batch call of git LFS: where to put each object."""
    objects = json.loads(body)["objects"]
    return {
        "transfer": "basic",
        "objects": [
            {**item, "actions": {"upload": {"href": f"{hub.url}/upload/{item['oid']}?X-Signature=Sig"}}}
            for item in objects
        ],
    }


def _resolve(hub: Hub, path: str) -> bytes:
    """Answer a download."""
    match = re.fullmatch(r"/(?:(datasets)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
    assert match is not None, path
    repo = hub.repos.get(f"{match[1] or 'models'}/{match[2]}")
    if repo is None:
        raise Answer(404, "Repository not found", "RepoNotFound")
    files = repo.at(match[3])
    if files is None:
        raise Answer(404, "Invalid rev id", "RevisionNotFound")
    if unquote(match[4]) not in files:
        raise Answer(404, "Entry not found", "EntryNotFound")
    return files[unquote(match[4])][0]
