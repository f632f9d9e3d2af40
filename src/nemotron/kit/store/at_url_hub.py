"""Data in a repository of the Hugging Face Hub, whose commits and digests name every state of it."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from nemotron.kit.errors import KitError, MissingExtraError, MisuseError, PathNotFoundError
from nemotron.kit.store.at_url import Objects, Seen
from nemotron.kit.store.hub_errors import foreign, translate
from nemotron.kit.store.protocol import CHUNK_SIZE

# As huggingface_hub's own file system spells them; a revision with a slash has it as %2F.
_PLACE = re.compile(
    r"hf://(?:(?P<kind>datasets|spaces|models)/)?(?P<repo>(?!(?:datasets|spaces|models)/)[\w.-]+/[\w.-]+)"
    r"(?:@(?P<revision>[^/]+))?(?:/(?P<path>.*))?",
    re.IGNORECASE | re.ASCII,
)
PAGE = 1000


class HubObjects(Objects):
    """Files at `hf://org/repo`, `hf://datasets/org/repo@revision/path`."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        super().__init__(url, options)
        match = _PLACE.fullmatch(self.url.rstrip("/"))
        if match is None:
            raise MisuseError(f"{self.url} is no place on the Hub; expected hf://datasets/org/repo/path")
        try:
            from huggingface_hub import HfApi
        except ImportError as error:
            raise MissingExtraError("hf:// needs huggingface_hub: pip install 'nemotron-kit[hf]'") from error
        self._repo, self._start = match["repo"], (match["path"] or "").strip("/")
        self._type = (match["kind"] or "models").lower().removesuffix("s")
        self._asked_for = (match["revision"] or options.get("revision") or "main").replace("%2F", "/")
        self._token = options.get("token")
        self._api = HfApi(
            endpoint=options.get("endpoint") or os.environ.get("HF_ENDPOINT"), token=self._token
        )
        self._found: str | None = None

    @property
    def _commit(self) -> str:
        """The commit that the revision names; all that is read is of this one."""
        if self._found is None:
            self.asked()
            with self._translated("look at", ""):
                info = self._api.repo_info(
                    self._repo,
                    repo_type=self._type,
                    revision=self._asked_for,
                    expand=["sha"],  # type: ignore[arg-type]
                )
            if not info.sha:
                raise PathNotFoundError(f"Cannot look at {self.url}: {self._asked_for} has no commit yet")
            self._found = info.sha
        return self._found

    @property
    def _where(self) -> dict[str, Any]:
        return {"repo_type": self._type, "revision": self._commit}

    def one(self, path: str = "") -> Seen:
        """A file, with the commit that it was found in."""
        from huggingface_hub.hf_api import RepoFile

        key, where = self._key(path), self._where
        self.asked()
        with self._translated("look at", path):
            found = self._api.get_paths_info(self._repo, [key], **where) if key else []
        file = next((item for item in found if isinstance(item, RepoFile) and item.path == key), None)
        if file is None:
            raise PathNotFoundError(f"Cannot look at {self.where(path)}: there is no such file")
        return self._seen(path, file)

    def below(self, *, first_page: bool = False) -> Iterator[Seen]:
        """All files below, as they are in one commit."""
        from huggingface_hub.errors import EntryNotFoundError
        from huggingface_hub.hf_api import RepoFile

        start, count, where = f"{self._start}/" if self._start else "", 0, self._where
        self.asked()
        self.is_complete = False
        with self._translated("list", ""), suppress(EntryNotFoundError):  # then there is nothing
            for item in self._api.list_repo_tree(self._repo, self._start or None, recursive=True, **where):
                count += 1
                if first_page and count > PAGE:
                    return
                if count % PAGE == 0:
                    self.asked()
                if isinstance(item, RepoFile) and item.path.startswith(start):
                    yield self._seen(item.path[len(start) :], item)
        self.is_complete = True

    def chunks(self, seen: Seen) -> Iterator[bytes]:
        """The bytes, by one GET request; a commit never changes."""
        yield from self._get(seen.path, {})

    def block(self, path: str, start: int, size: int) -> bytes:
        """Some of the bytes, by a GET request of a range."""
        return b"".join(self._get(path, {"Range": f"bytes={start}-{start + size - 1}"}))[:size]

    def _get(self, path: str, more: Mapping[str, str]) -> Iterator[bytes]:
        from huggingface_hub import get_session, hf_hub_url, utils

        url = hf_hub_url(self._repo, self._key(path), endpoint=self._api.endpoint, **self._where)
        headers = {**utils.build_hf_headers(token=self._token), **more}  # type: ignore[attr-defined]
        self.asked()
        with (
            self._translated("read", path),
            get_session().stream("GET", url, headers=headers, follow_redirects=True) as reply,
        ):
            if reply.is_error:
                reply.read()
            utils.hf_raise_for_status(reply)  # type: ignore[attr-defined]
            yield from reply.iter_bytes(CHUNK_SIZE)

    def _seen(self, path: str, file: Any) -> Seen:
        lfs = getattr(file, "lfs", None)
        etag = f"sha256:{lfs.sha256}" if lfs else f"git-sha1:{file.blob_id}"
        return Seen(path, file.size, 0, etag, self._commit)

    def _key(self, path: str) -> str:
        return "/".join(filter(None, (self._start, path)))

    @contextmanager
    def _translated(self, doing: str, path: str) -> Iterator[None]:
        source = "storage_options" if self._token else "HF_TOKEN, or what `hf auth login` stored"
        try:
            yield
        except KitError:
            raise
        except foreign() as error:
            raise translate(error, doing, self.where(path), self._repo, source) from error
