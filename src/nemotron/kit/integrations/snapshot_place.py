"""What is inside a snapshot, read from the store: looking at a file, or reading one, lays out no other.

It shows what a checkout would: the files that were published, links that stay inside followed and others left
out, and the record of the version, `metadata.json`. What somebody added to or changed in a checkout is not
shown: that is no part of what was published. How far the bytes are believed is said in `registry/blobs.py`.
"""

import os
import posixpath
import stat
from collections.abc import Iterator
from functools import cached_property
from typing import Any, BinaryIO

from blake3 import blake3
from fsspec.implementations.local import LocalFileOpener
from fsspec.spec import AbstractBufferedFile

from nemotron.kit.documents import codec
from nemotron.kit.documents.digest import ALGORITHM
from nemotron.kit.documents.look_up import Seen
from nemotron.kit.documents.tree import Entry
from nemotron.kit.errors import CorruptError, OutsideRootError, PathNotFoundError, RefusedError
from nemotron.kit.integrations.place import Place, seconds, turns_back
from nemotron.kit.registry import checkouts
from nemotron.kit.registry.blobs import Blobs, Parts, Whole, compared
from nemotron.kit.registry.companions import companion
from nemotron.kit.registry.look_ups import LookUps
from nemotron.kit.registry.reading import COPY_BUFFER_SIZE, SMALL_SIZE_MAX
from nemotron.kit.registry.scan import METADATA_FILE
from nemotron.kit.store import file_copy
from nemotron.kit.store.blocks import Seen as Sees

BLOCK_BYTES = 1 << 20
_LOOK_UPS = LookUps()


class InSnapshot(Place):
    """In a snapshot, laid out or not."""

    @cached_property
    def _blobs(self) -> Blobs:
        return Blobs(self.registry.store, self.record.uri)

    @cached_property
    def _seen(self) -> Seen:
        content = self.record.manifest.content
        entry = content.entry if content else None
        if self.record.scope == "file" and self.inside not in ("", entry):
            raise PathNotFoundError(f"No {self.inside} in {self.record.uri}: it is the file {entry} alone")
        try:
            seen = _LOOK_UPS.at(self.registry.store, self.record, self.inside)
        except OutsideRootError as error:
            raise OutsideRootError(
                f"{self.uri} is a link that leaves the artifact; it is not followed"
            ) from error
        if seen is None and self.inside == METADATA_FILE:
            return Seen("file")
        if seen is None:
            raise PathNotFoundError(f"No {self.inside} in {self.record.uri}: its listing names none")
        return seen

    @cached_property
    def _record_file(self) -> bytes:
        """What `metadata.json` says in a checkout."""
        return codec.encode(companion(self.record, checkouts.would_lie(self.registry.store, self.record)))

    def _details(self, name: str) -> dict[str, Any]:
        seen = self._seen
        size = 0
        if seen.kind == "file":
            size = seen.entry.size if seen.entry else len(self._record_file)
        return {
            "name": name,
            "size": size,
            "type": seen.kind,
            "mtime": seen.entry.mtime_ns / 1e9 if seen.entry else seconds(self.record.created_at),
            "islink": seen.is_link,
            "uri": self.uri,
        }

    def children(self, name: str) -> Iterator[dict[str, Any]]:
        """The details of what is right below it, or of itself if it is a file."""
        if self._seen.kind != "directory":
            yield self._details(name)
            return
        names = _LOOK_UPS.listing(self.registry.store, self.record).names(self.inside)
        if not self.inside and self.record.scope == "folder" and METADATA_FILE not in names:
            names = sorted([*names, METADATA_FILE])
        for child in names:
            yield self.below(child)._details(f"{name}/{child}")

    def leaving(self) -> list[str]:
        """The links right below it, by name, that lead out: `children` passes over them."""
        if self._seen.kind != "directory":
            return []
        return _LOOK_UPS.listing(self.registry.store, self.record).leaving(self.inside)

    def open(self, name: str, fs: Any, block_size: int | None = None) -> Any:
        """Open it for reading in binary: the store's own file, where that is on a disk, once read through."""
        entry = self._file(name)
        if entry is None:
            return PartsFile(fs, name, Whole([self._record_file]), len(self._record_file))
        path = self._blobs.verified(entry) or self._laid_out(entry)
        if path is not None:
            return LocalFileOpener(str(path), "rb", fs=fs)
        return PartsFile(fs, name, self._blobs.file(entry), entry.size, block_size)

    @property
    def digest(self) -> str | None:
        """What its listing says of the file; None for a folder, and for the record of the version."""
        return self._seen.entry.digest if self._seen.entry else None

    def chunks(self, name: str, fs: Any) -> Iterator[bytes]:
        """All its bytes, in order, the last of them once the digest of all is right."""
        entry = self._file(name)
        if entry is None:
            yield self._record_file
        elif (path := self._laid_out(entry)) is not None:
            with open(path, "rb") as file:
                yield from compared(iter(lambda: file.read(BLOCK_BYTES), b""), entry, self._changed(path))
        else:
            yield from self._blobs.pieces(entry)

    def copy(self, name: str, fs: Any, target: BinaryIO, seen: Sees) -> None:
        """Write all its bytes into an empty file, with the holes that its copy here has."""
        entry = self._file(name)
        if entry is None or entry.size <= SMALL_SIZE_MAX:
            super().copy(name, fs, target, seen)
            return
        path = self._laid_out(entry)
        if path is None and self._is_far(entry):
            super().copy(name, fs, target, seen)
            return
        hasher = blake3()

        def both(block: memoryview) -> None:
            hasher.update(block)
            seen(block)

        with self._blobs.opened(entry) if path is None else open(path, "rb") as file:
            file_copy.copy(file.fileno(), target.fileno(), both, COPY_BUFFER_SIZE)
        if f"{ALGORITHM}:{hasher.hexdigest()}" != entry.digest:
            raise self._blobs.damaged(entry) if path is None else self._changed(path)

    def _changed(self, path: str) -> CorruptError:
        return CorruptError(
            f"{path} is not what was published, although its size and time are. Remove it: then what the "
            f"store has of {self.uri} is read"
        )

    def range(self, name: str, fs: Any, start: int | None, end: int | None) -> bytes:
        """Some of its bytes; if these are all, their digest is right."""
        entry = self._file(name)
        if entry is not None and slice(start, end).indices(entry.size) == (0, entry.size, 1):
            return b"".join(self.chunks(name, fs))
        return super().range(name, fs, start, end)

    def link(self) -> str | None:
        """Where a link leads, seen from the folder it is in; None for what is no link."""
        if not self._seen.is_link:
            return None
        listing = _LOOK_UPS.listing(self.registry.store, self.record)
        target = listing.target(self.inside)
        if target is None or not turns_back(target):
            return target
        real = listing.real(self.inside)
        if real is None or listing.at(real) is None:
            return None
        return posixpath.relpath(f"/{real}", f"/{posixpath.dirname(self.inside)}")

    def _file(self, name: str) -> Entry | None:
        """The file, which must be one; None for the record of the version."""
        if not self.inside or self._seen.kind == "directory":
            raise self._refuse_folder(name)
        if self._seen.kind == "link":
            raise RefusedError(f"Cannot read {self.uri}: it is a link that leads to no file")
        return self._seen.entry

    def _is_far(self, entry: Entry) -> bool:
        """Whether the store has it on no disk."""
        return self.registry.store.local_path(self._blobs.key(entry)) is None

    def _laid_out(self, entry: Entry) -> str | None:
        """A file of a checkout on this machine, of a store that is not; by size and time, like a checkout."""
        if not self._is_far(entry):
            return None
        for folder in checkouts.laid_out(self.registry.store, self.record):
            path = f"{folder}/{entry.path}"
            try:
                info = os.lstat(path)
            except OSError:
                continue
            seen = (info.st_size, info.st_mtime_ns)
            if stat.S_ISREG(info.st_mode) and seen == (entry.size, entry.mtime_ns):
                return path
        return None


class PartsFile(AbstractBufferedFile):  # type: ignore[misc]
    """A file that is read in parts, in blocks.

    Args:
        fs: the file system that it was opened by.
        path: as it was opened there.
        parts: its bytes.
        size: in bytes.
        block_size: bytes to ask for at once; 1 MiB by default.
    """

    def __init__(self, fs: Any, path: str, parts: Parts, size: int, block_size: int | None = None) -> None:
        self._parts = parts
        super().__init__(fs, path, "rb", block_size or BLOCK_BYTES, size=size)

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self._parts.read(start, end)

    def close(self) -> None:
        """Give back what it holds."""
        if not self.closed:
            self._parts.close()
        super().close()
