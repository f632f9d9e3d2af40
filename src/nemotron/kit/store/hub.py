"""Stores in repositories of the Hugging Face Hub.

The Hub has no create-if-absent of a file, but a commit that names its parent is a compare-and-swap of the
whole repository: it is refused (412) when anybody has committed since. So an object is created by looking
whether it is absent in a commit, and committing on top of just that one. Each commit's title holds a nonce:
whether a commit whose reply was lost did land is read from the history, not guessed.
"""

import builtins
import io
import os
import random
import re
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from nemotron.kit.errors import (
    KitError,
    MissingExtraError,
    MisuseError,
    PathNotFoundError,
    UnavailableError,
)
from nemotron.kit.store.hub_errors import CONFLICTS, foreign, is_transient, status_of, translate
from nemotron.kit.store.hub_staging import HubStaging, NamedFile
from nemotron.kit.store.protocol import CHUNK_SIZE, Found, Staging, Store, check_key

if TYPE_CHECKING:
    from tempfile import SpooledTemporaryFile

    from huggingface_hub import CommitOperationAdd, CommitOperationDelete
    from huggingface_hub.hf_api import RepoFile

    Operations = Sequence[CommitOperationAdd | CommitOperationDelete]

T = TypeVar("T")
OPTIONS = ("token", "endpoint", "revision", "repo_type")
_ROOT = re.compile(
    r"hf://(?:(?P<kind>datasets|spaces|models)/)?(?P<repo>(?!(?:datasets|spaces|models)/)[\w.-]+/[\w.-]+)(?:@(?P<revision>[^/]+))?"
    r"(?:/(?P<sub>.*))?",
    re.IGNORECASE | re.ASCII,
)
# Others may commit all the time, to any file of the repository.
ATTEMPTS_MAX = 500
FAILURES_MAX = 4
PAUSE_S = 0.5
PAUSE_MAX_S = 8.0
_IN_MEMORY_MAX = 8 << 20
# What waits for `sync` is committed earlier once it is so much.
_WAITING_FILES_MAX = 200
_WAITING_SIZE_MAX = 1 << 30


class HubStore(Store):
    """Objects as files of a repository, below a folder of it.

    Contents (`stage`, `put`) are uploaded together, in one commit, by `sync`; this handle sees them before.

    Args:
        url: `hf://org/repo` or `hf://org/repo/subdir`; a dataset's is `hf://datasets/org/repo`, and
            `hf://org/repo@branch` names another branch than main.
        options: `token`, `endpoint`, `revision`, `repo_type`; by default what `huggingface_hub` takes from
            `HF_TOKEN` or `hf auth login`, and `HF_ENDPOINT`.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
        MisuseError: the URL is none of a repository, or an option is unknown.
    """

    at_once = 8

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        match = _ROOT.fullmatch(url.rstrip("/"))
        if match is None or (match["sub"] or "").startswith("/"):
            raise MisuseError(f"HF Hub root must be 'hf://org/repo' or 'hf://org/repo/subdir', got: {url}")
        if unknown := sorted(set(options or ()) - set(OPTIONS)):
            raise MisuseError(
                f"Unknown storage_options for {url}: {', '.join(unknown)}; known are {', '.join(OPTIONS)}"
            )
        try:
            from huggingface_hub import HfApi
        except ImportError as error:
            raise MissingExtraError(
                "Stores at hf:// need huggingface_hub: pip install 'nemotron-kit[hf]'"
            ) from error
        given = dict(options or {})
        self.url = url.rstrip("/")
        self._prefix = check_key(match["sub"]) if match["sub"] else ""
        self._repo = match["repo"]
        kind = (match["kind"] or "").lower().removesuffix("s")
        self._where: dict[str, Any] = {
            "repo_type": kind or given.get("repo_type") or "model",
            "revision": match["revision"] or given.get("revision") or "main",
        }
        self._token = given.get("token")
        self._api = HfApi(endpoint=given.get("endpoint") or os.environ.get("HF_ENDPOINT"), token=self._token)
        self._waiting: dict[str, bytes | NamedFile] = {}
        self._waiting_size = 0
        self._lock = threading.RLock()

    # -- reading -------------------------------------------------------------------------------------------

    def read(self, key: str) -> bytes | None:
        """All bytes of a file, or None."""
        try:
            with self.open(key) as file:
                return file.read()
        except PathNotFoundError:
            return None

    def exists(self, key: str) -> bool:
        """Whether there is such a file."""
        path = self._path(key)
        return key in self._waiting or self._file(path) is not None

    def open(self, key: str) -> BinaryIO:
        """A copy of a file: in memory, or on the local disk when it is large."""
        path = self._path(key)
        waiting = self._waiting.get(key)
        if isinstance(waiting, bytes):
            return io.BytesIO(waiting)
        if waiting is not None:
            return open(waiting.name, "rb")
        copy = tempfile.SpooledTemporaryFile(_IN_MEMORY_MAX, prefix="kit-")  # noqa: SIM115 - the caller's
        try:
            self._try("read", path, lambda: self._download(path, copy))
        except BaseException:
            copy.close()
            raise
        copy.seek(0)
        return cast(BinaryIO, copy)

    def _download(self, path: str, copy: "SpooledTemporaryFile[bytes] | NamedFile") -> None:
        from huggingface_hub import get_session, hf_hub_url, utils

        copy.seek(0)
        copy.truncate()
        url = hf_hub_url(self._repo, path, endpoint=self._api.endpoint, **self._where)
        headers = utils.build_hf_headers(token=self._token)  # type: ignore[attr-defined]
        with get_session().stream("GET", url, headers=headers, follow_redirects=True) as reply:
            if reply.is_error:
                reply.read()
            utils.hf_raise_for_status(reply)  # type: ignore[attr-defined]
            for chunk in reply.iter_bytes(CHUNK_SIZE):
                copy.write(chunk)

    def list(self, prefix: str = "") -> list[str]:
        """Names right under a prefix."""
        folder = self._path(prefix) if prefix else self._prefix
        start = f"{folder}/" if folder else ""

        def look() -> set[str]:
            from huggingface_hub.errors import EntryNotFoundError

            try:
                found = list(self._api.list_repo_tree(self._repo, folder or None, **self._where))
            except EntryNotFoundError:
                return set()
            return {item.path[len(start) :] for item in found if item.path.startswith(start)}

        names = self._try("list", folder, look, attempts=1)  # the client repeats this one by itself
        if not start:
            names.discard(".gitattributes")  # every repository is born with it
        below = f"{prefix}/" if prefix else ""
        names |= {key[len(below) :].split("/")[0] for key in [*self._waiting] if key.startswith(below)}
        return [*names]

    def walk(self, prefix: str = "") -> Iterator[Found]:
        """All files below a prefix; their age is that of the commit that wrote them."""
        from huggingface_hub.errors import EntryNotFoundError
        from huggingface_hub.hf_api import RepoFile

        folder = self._path(prefix) if prefix else self._prefix
        skip = len(self._prefix) + 1 if self._prefix else 0

        def look() -> "builtins.list[RepoFile]":
            where = {**self._where, "recursive": True, "expand": True}
            try:
                found = list(self._api.list_repo_tree(self._repo, folder or None, **where))
            except EntryNotFoundError:
                return []
            return [item for item in found if isinstance(item, RepoFile) and item.path != ".gitattributes"]

        for item in self._try("list", folder, look, attempts=1):
            if item.last_commit is not None and (not folder or item.path.startswith(f"{folder}/")):
                yield Found(item.path[skip:], item.size, item.last_commit.date.timestamp())
        for key, content in [*self._waiting.items()]:
            if not prefix or key.startswith(f"{prefix}/"):
                size = len(content) if isinstance(content, bytes) else os.path.getsize(content.name)
                yield Found(key, size, time.time())

    # -- writing -------------------------------------------------------------------------------------------

    def create(self, key: str, data: bytes, *, durable: bool = True) -> bool:
        """Create a file if it is absent, by one commit on top of one in which it is.

        It is told truly also when the reply to that commit was lost.
        """
        from huggingface_hub import CommitOperationAdd

        path = self._path(key)
        title = f"Create {path} [{secrets.token_hex(8)}]"

        def plan(head: str) -> "Operations | None":
            return None if self._file(path, head) else [CommitOperationAdd(path, bytes(data))]

        with self._lock:
            if key in self._waiting:
                return False
            return self._is_by(title, path, self._settle("write", path, title, plan))

    def replace(self, key: str, data: bytes) -> None:
        """Write a hint; it takes a commit."""
        self.replace_all({key: data})

    def replace_all(self, hints: Mapping[str, bytes]) -> None:
        """Write several hints, in one commit."""
        from huggingface_hub import CommitOperationAdd

        contents = {self._path(key): bytes(data) for key, data in hints.items()}
        first = next(iter(contents))

        def plan(head: str) -> "Operations":
            return [CommitOperationAdd(path, data) for path, data in contents.items()]

        with self._lock:
            self._settle("write", first, f"Write {first}", plan, on_top=False)

    def remove(self, key: str) -> None:
        """Take a file away, by a commit."""
        from huggingface_hub import CommitOperationDelete

        path = self._path(key)

        def plan(head: str) -> "Operations | None":
            return [CommitOperationDelete(path, is_folder=False)] if self._file(path, head) else None

        with self._lock:
            self._waiting.pop(key, None)
            self._settle("remove", path, f"Remove {path}", plan)

    def move(self, source: str, target: str) -> bool:
        """Give a file another path, by one commit."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        path, aside = self._path(source), self._path(target)
        title = f"Move {path} [{secrets.token_hex(8)}]"
        with self._lock, tempfile.NamedTemporaryFile(prefix="kit-") as copy:
            self.sync()

            def plan(head: str) -> "Operations | None":
                if self._file(path, head) is None:
                    return None
                self._try("read", path, lambda: self._download(path, copy))
                copy.flush()
                return [CommitOperationAdd(aside, copy.name), CommitOperationDelete(path, is_folder=False)]

            return self._is_by(title, aside, self._settle("move", path, title, plan))

    def stage(self) -> Staging:
        """Begin content; `sync` uploads it."""
        return HubStaging(self.keep_until_sync, _IN_MEMORY_MAX)

    def sync(self) -> None:
        """Upload, in one commit, what `stage` and `put` committed."""
        from huggingface_hub import CommitOperationAdd

        def plan(head: str) -> "Operations":
            return [
                CommitOperationAdd(self._path(key), content if isinstance(content, bytes) else content.name)
                for key, content in self._waiting.items()
            ]

        with self._lock:
            if self._waiting:
                path = self._path(next(iter(self._waiting)))
                self._settle("write", path, f"Add {len(self._waiting)} files", plan, on_top=False)
                self._waiting.clear()
                self._waiting_size = 0

    def keep_until_sync(self, key: str, content: bytes | NamedFile, size: int) -> bool:
        """Have `sync` upload content; False if it is there already."""
        with self._lock:
            if self.exists(key):
                return False
            self._waiting[key] = content
            self._waiting_size += size
            if len(self._waiting) >= _WAITING_FILES_MAX or self._waiting_size >= _WAITING_SIZE_MAX:
                self.sync()
        return True

    # -- the Hub -------------------------------------------------------------------------------------------

    def _settle(
        self,
        doing: str,
        path: str,
        title: str,
        plan: Callable[[str], "Operations | None"],
        on_top: bool = True,
    ) -> str:
        """Commit what a plan says, until that is done or the plan has nothing to do.

        Args:
            doing: for messages.
            path: for messages.
            title: of the commit.
            plan: told the newest commit, says what to change in it, or None.
            on_top: whether the commit is to be refused when anybody has committed since.

        Returns:
            The commit made, or the one in which the plan had nothing to do.
        """
        failures = 0
        for attempt in range(ATTEMPTS_MAX):
            head = self._try(doing, path, self._head)
            operations = plan(head)
            if operations is None:
                return head
            parent = head if on_top else None
            try:
                made = self._api.create_commit(
                    self._repo, operations, commit_message=title, parent_commit=parent, **self._where
                )
                return str(made.oid)
            except foreign() as error:
                if status_of(error) not in CONFLICTS:
                    failures += 1
                    if failures == FAILURES_MAX or not is_transient(error):
                        raise self._translated(error, doing, path) from error
            time.sleep(random.uniform(0, min(PAUSE_MAX_S, PAUSE_S * (attempt + 1))))
        raise UnavailableError(
            f"Cannot {doing} {self._shown(path)}: others commit to this repository all the time; try again"
        )

    def _head(self) -> str:
        sha = self._api.repo_info(self._repo, expand=["sha"], **self._where).sha  # type: ignore[arg-type]
        if not sha:
            raise MisuseError(f"Cannot use {self.url}: {self._where['revision']} has no commit yet")
        return sha

    def _file(self, path: str, revision: str | None = None) -> "RepoFile | None":
        """A file as it is in a revision, with the commit that made it."""
        from huggingface_hub.hf_api import RepoFile

        where = self._where if revision is None else {**self._where, "revision": revision}
        found = self._try(
            "look for", path, lambda: self._api.get_paths_info(self._repo, [path], expand=True, **where)
        )
        return next((item for item in found if isinstance(item, RepoFile) and item.path == path), None)

    def _is_by(self, title: str, path: str, revision: str) -> bool:
        """Whether a file, as it is in a revision, was written by the commit of a title."""
        there = self._file(path, revision)
        return there is not None and there.last_commit is not None and there.last_commit.title == title

    def _try(self, doing: str, path: str, call: Callable[[], T], attempts: int = FAILURES_MAX) -> T:
        """Make a call that changes nothing; again, after a pause, where the Hub may answer better then."""
        for attempt in range(attempts):
            try:
                return call()
            except KitError:
                raise
            except foreign() as error:
                if attempt == attempts - 1 or not is_transient(error):
                    raise self._translated(error, doing, path) from error
            time.sleep(PAUSE_S * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def _translated(self, error: Exception, doing: str, path: str) -> KitError:
        source = "storage_options" if self._token else "HF_TOKEN, or what `hf auth login` stored"
        return translate(error, doing, self._shown(path), self._repo, source)

    def _path(self, key: str) -> str:
        check_key(key)
        return f"{self._prefix}/{key}" if self._prefix else key

    def _shown(self, path: str) -> str:
        return f"{self.url}{path[len(self._prefix) :]}" if self._prefix else f"{self.url}/{path}"
